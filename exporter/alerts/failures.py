"""Alerts about instances that failed."""

from __future__ import annotations

from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import (
    ONE_HUB,
    ONE_ORCHESTRATOR,
    block,
    by_number,
    folded,
    fresh,
    instances,
    labelled,
    limit_of_hub,
    limit_of_orchestrator,
    own_limit,
    selected,
)
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.reasons import Category
from exporter.ledger.rules import FEWEST_FAILURES, FEWEST_FINISHES
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, one_of

_OF = "of {{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_FAILURES = "`durable-exporter failures` shows them with their messages."

_RATIO_FINISHES = number(
    "failure_ratio_finishes",
    FEWEST_FINISHES,
    "A ratio of fewer finishes within an hour says nothing: one of 20 is 5 %.",
)
_RATIO_FAILURES = number(
    "failure_ratio_failures",
    FEWEST_FAILURES,
    "Two failures within an hour are not a trend, however few finished.",
)
_LIMIT_RATIO = limit_of_orchestrator("failure_ratio", c.LIMIT_RATIO)


def _finished(window: str, *statuses: str) -> str:
    recent = selected(c.RECENT, one_of("runtime_status", *statuses), equal("window", window))
    return f"sum without (runtime_status, window) (\n{block(fresh(recent, Sweep.FINISHED))}\n)"


_FAILED, _COMPLETED = RuntimeStatus.FAILED, RuntimeStatus.COMPLETED
_RATIO = f"""\
(
{block(_finished("1h", _FAILED))} >= {_RATIO_FAILURES}
)
/ (
{block(_finished("1h", _FAILED, _COMPLETED))} >= {_RATIO_FINISHES}
)
> on ({ONE_ORCHESTRATOR})
{_LIMIT_RATIO}"""
_ALWAYS = f"""\
{_finished("24h", _FAILED)} > 0
unless on ({ONE_ORCHESTRATOR})
{_finished("24h", _COMPLETED)} > 0"""
_UNRESOLVED = fresh(selected(c.UNRESOLVED), Sweep.FAILED)
_OWN_UNRESOLVED = own_limit("unresolved_failures", c.LIMIT_INSTANCES)
_RATIO_OF_A_DAY = fresh(selected(c.FAILURE_RATIO, equal("window", "24h")), Sweep.FINISHED)
_TOO_MANY_UNRESOLVED = f"""\
{_UNRESOLVED}
> on ({ONE_ORCHESTRATOR})
{_OWN_UNRESOLVED}
or
(
{block(_UNRESOLVED)}
  > on ({ONE_HUB}) group_left ()
  {limit_of_hub("unresolved_failures", c.LIMIT_INSTANCES)}
  and on ({ONE_ORCHESTRATOR})
{block(_RATIO_OF_A_DAY)}
  > on ({ONE_ORCHESTRATOR})
{block(_LIMIT_RATIO)}
  unless on ({ONE_ORCHESTRATOR})
  {_OWN_UNRESOLVED}
)"""

ORCHESTRATIONS_FAILING = Alert(
    "OrchestrationsFailing",
    "failures",
    "the failure ratio of the last hour is over the limit `failure_ratio`; or all instances that"
    " finished in the last day failed; or unresolved failures are over the limit"
    " `unresolved_failures` and the 24-hour ratio is over `failure_ratio`, too (not required"
    " for an orchestrator's own `unresolved_failures`)",
    f"""\
{labelled(_RATIO, "cause", "ratio")}
or on ({ONE_ORCHESTRATOR})
{labelled(_ALWAYS, "cause", "always")}
or on ({ONE_ORCHESTRATOR})
{labelled(_TOO_MANY_UNRESOLVED, "cause", "unresolved")}""",
    duration(
        "orchestrations_failing_for",
        "5m",
        "Bridges the first finishes of a batch, of which failures are often the fastest.",
    ),
    Severity.WARNING,
    "{{ $labels.orchestrator }} in task hub {{ $labels.task_hub }} is failing",
    '{{ if eq $labels.cause "ratio" }}{{ $value | humanizePercentage }} of the instances '
    + _OF
    + " that finished within the last hour have failed"
    '{{ else if eq $labels.cause "always" }}All instances '
    + _OF
    + " that finished in the last day have failed: {{ $value }}"
    "{{ else }}" + instances(_OF) + "Failed, but not rewound, restarted or purged"
    "{{ end }}. First check what they have in common: " + _FAILURES,
    Board.ORCHESTRATOR,
    (_RATIO_FINISHES, _RATIO_FAILURES),
    cause_labels=("cause",),
    sweep=Sweep.FINISHED,
)

_WINDOW = duration(
    "failures_window",
    "15m",
    "How long failures count as new, plus up to five minutes. Must exceed two intervals of the"
    " sweep `active` plus `counter_hold`.",
)
_MEMORY = duration(
    "failures_memory",
    "1d",
    "After a gap in scraping, how far back the counter's previous value is looked for: as far as"
    " the exporter's own state reaches (`state_max_age`).",
)
_BROKEN = (Category.NON_DETERMINISM, Category.VERSION_MISMATCH, Category.FUNCTION_MISSING)
# Categories of a missing orchestrator.
_ABSENT = (Category.VERSION_MISMATCH, Category.FUNCTION_MISSING)
_BROKEN_FAILURES = selected(c.FAILURES, one_of("category", *_BROKEN))
# A sample every five minutes suffices, and reads a tenth.
_BEFORE = folded(f"last_over_time({_BROKEN_FAILURES}[{_MEMORY}:5m] offset {_WINDOW})")
# The difference is exact and spans gaps in scraping; `increase` handles counter resets. Neither
# sees a series whose first sample is above 0: all of it is new, unless the hub or Prometheus is.
_NEW_FAILURES = f"""\
(
{block(folded(_BROKEN_FAILURES))}
  -
{block(_BEFORE)}
) > 0
or
{folded(f"increase({_BROKEN_FAILURES}[{_WINDOW}])")} > 0
or
(
{block(folded(_BROKEN_FAILURES))} > 0
  unless
{block(_BEFORE)}
  and on ({ONE_HUB})
  last_over_time({c.UP.name}[{_MEMORY}:5m] offset {_WINDOW})
)"""
_REASONS = selected(c.FAILURE_REASONS, 'failed_function!=""')
# Evidence that the function once existed; otherwise somebody mistyped a name.
_ONCE_WORKED = f"""\
{selected(c.LAST_FINISHED, equal("runtime_status", _COMPLETED))}
or
{selected(c.CONTINUED)}
or
(
  {_REASONS}
  unless on (failed_function, {ONE_ORCHESTRATOR})
  label_replace({_REASONS}, "failed_function", "$1", "orchestrator", "(.+)")
)"""
_REFUSED = fresh(
    selected(c.STALLED, equal("waiting_on", WaitingOn.HISTORY_REFUSED)), drop="waiting_on, target"
)

DEPLOYMENT_BROKEN = Alert(
    "DeploymentBroken",
    "failures",
    "the deployed code breaks instances: it contradicts their histories, or a function or version"
    " is missing, unless the orchestrator never worked",
    f"""\
topk by ({ONE_ORCHESTRATOR}) (
  1,
  (
{block(block(_NEW_FAILURES))}
  )
  unless on (category, {ONE_ORCHESTRATOR}) (
    {selected(c.FAILURES, one_of("category", *_ABSENT))}
    unless on ({ONE_ORCHESTRATOR}) (
{block(block(block(_ONCE_WORKED)))}
    )
  )
  or
{block(labelled(f"{_REFUSED} > 0", "category", WaitingOn.HISTORY_REFUSED))}
)""",
    duration("deployment_broken_for", "0s", "Every instance that continues fails permanently."),
    Severity.CRITICAL,
    "The deployed code breaks {{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}",
    'About {{ $value | printf "%.0f" }} '
    + by_number("instance ", "instances ")
    + _OF
    + " {{ if eq $labels.category"
    + f' "{WaitingOn.HISTORY_REFUSED}" }}}}cannot continue: an activity in flight was probably'
    " renamed. First check the latest deployment"
    "{{ else }}failed in the last $(failures_window) ({{ $labels.category }}). First read one"
    " message with `durable-exporter failures`, and compare it with the latest deployment: in"
    " JavaScript and Python, the category can mislead{{ end }}. If it is the deployment, roll"
    " it back, then rewind failed instances.",
    Board.ORCHESTRATOR,
    (_WINDOW, _MEMORY),
    cause_labels=("category",),
    sweep=Sweep.ACTIVE,
)

ALERTS: tuple[Alert, ...] = (DEPLOYMENT_BROKEN, ORCHESTRATIONS_FAILING)
