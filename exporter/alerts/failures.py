"""Alerts about instances that failed."""

from __future__ import annotations

from exporter.alerts.expressions import block, folded, fresh, selected
from exporter.alerts.model import Alert, Board, Parameter, Severity, duration, number
from exporter.alerts.shared import ONE_HUB, ONE_ORCHESTRATOR
from exporter.collector.snapshot import Sweep
from exporter.ledger.reasons import Category
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, none_of, one_of

_OF = "of {{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_ABOUT = 'About {{ $value | printf "%.0f" }} instances ' + _OF
_FAILURES = "`durable-exporter failures` shows them with their messages."

_WINDOW = duration(
    "failures_window",
    "15m",
    "Failures within it are new. It must be longer than two intervals of the sweep `active` and"
    " `counter_hold` together.",
)
_MEMORY = duration(
    "failures_memory",
    "1d",
    "Where nothing was scraped for a while, the counter is compared with its value before: as far"
    " back as the exporter itself can (`state_max_age`).",
)
_NEW = number("new_failures", 0, "Every failure counts: raise it where some are usual.")


def _failed(categories: str, most: object) -> str:
    """
    Return how many failures of *categories* are new, where they are more than *most*.

    The difference is exact and sees over a gap in which nothing was scraped; where the counter fell
    meanwhile, `increase` knows. Neither sees a series that is first met at its full height: it is
    new as a whole, unless it is the hub that is new, or Prometheus.
    """
    failures = selected(c.FAILURES, categories)
    before = folded(f"last_over_time({failures}[{_MEMORY}] offset {_WINDOW})")
    return f"""\
(
{block(folded(failures))}
  -
{block(before)}
) > {most}
or
{folded(f"increase({failures}[{_WINDOW}])")} > {most}
or
(
{block(folded(failures))} > {most}
  unless
{block(before)}
  and on ({ONE_HUB})
  last_over_time({c.UP.name}[{_MEMORY}] offset {_WINDOW})
)"""


NEW_FAILURES = Alert(
    "NewFailures",
    "failures",
    "instances have failed recently, except for reasons that have alerts of their own",
    _failed(none_of("category", Category.NON_DETERMINISM, Category.FUNCTION_MISSING), _NEW),
    duration("new_failures_for", "0s", "A failure has happened: there is nothing to wait for."),
    Severity.WARNING,
    "New failures " + _OF + " ({{ $labels.category }})",
    _ABOUT + " failed in the last $(failures_window) (category: {{ $labels.category }}). First"
    " see what they have in common: " + _FAILURES,
    Board.ORCHESTRATOR,
    (_WINDOW, _MEMORY, _NEW),
    sweep=Sweep.ACTIVE,
)


def _of_category(
    name: str, category: Category, when: str, wait: Parameter, *, summary: str, advice: str
) -> Alert:
    return Alert(
        name,
        "failures",
        when,
        _failed(equal("category", category), 0),
        wait,
        Severity.CRITICAL,
        summary + " in task hub {{ $labels.task_hub }}",
        _ABOUT + " failed so within $(failures_window). " + advice,
        Board.ORCHESTRATOR,
        sweep=Sweep.ACTIVE,
    )


NON_DETERMINISM = _of_category(
    "NonDeterminism",
    Category.NON_DETERMINISM,
    "the code of an orchestrator no longer fits the histories of its running instances",
    duration(
        "non_determinism_for", "0s", "Each instance that replays fails, and they do not come back."
    ),
    summary="The code of {{ $labels.orchestrator }} no longer fits its running instances",
    advice="A deployment has changed the orchestrator under instances that were running, and every"
    " one that continues fails. First roll that deployment back; then rewind what failed.",
)

FUNCTION_MISSING = _of_category(
    "FunctionMissing",
    Category.FUNCTION_MISSING,
    "instances fail since a function that they call is not deployed",
    duration("function_missing_for", "0s", "It stays missing until somebody deploys it."),
    summary="{{ $labels.orchestrator }} calls a function that does not exist",
    advice="The app does not have the function that they call: renamed, disabled, or not deployed."
    " First compare the latest deployment with the function's name in `durable-exporter failures`.",
)

_RATIO = number(
    "failure_ratio", 0.1, "One in ten is felt by users, and beyond what retries of callers hide."
)
_RATIO_FINISHES = number(
    "failure_ratio_finishes", 20, "Of fewer finishes a ratio says nothing: one failure is 5 %."
)


def _recent(*statuses: str) -> str:
    selector = selected(c.RECENT, one_of("runtime_status", *statuses), equal("window", "1h"))
    return f"sum without (runtime_status) (\n{block(fresh(selector, Sweep.FINISHED))}\n)"


FAILURE_RATIO_HIGH = Alert(
    "FailureRatioHigh",
    "failures",
    "many of the instances that finished within the last hour have failed",
    f"""\
{_recent(RuntimeStatus.FAILED)}
/ (
{block(_recent(RuntimeStatus.COMPLETED, RuntimeStatus.FAILED))} >= {_RATIO_FINISHES}
)
> {_RATIO}""",
    duration("failure_ratio_high_for", "10m", "A batch that fails as a whole is not yet a trend."),
    Severity.WARNING,
    "Many instances " + _OF + " fail",
    "{{ $value | humanizePercentage }} of the instances " + _OF + " that finished within the last"
    " hour have failed. First see what they have in common: " + _FAILURES,
    Board.ORCHESTRATOR,
    (_RATIO, _RATIO_FINISHES),
    sweep=Sweep.FINISHED,
)

_UNRESOLVED_SECONDS = number(
    "unresolved_failures_seconds",
    14_400,
    "Half a working day for somebody to rewind, restart or purge what has failed.",
)

UNRESOLVED_FAILURES = Alert(
    "UnresolvedFailures",
    "failures",
    "instances have failed a while ago, and nobody has rewound, restarted or purged them",
    f"""\
{fresh(selected(c.UNRESOLVED), Sweep.FAILED)} > 0
and on ({ONE_ORCHESTRATOR})
time() - {fresh(c.OLDEST_UNRESOLVED.name, Sweep.FAILED, by="min")}
> {_UNRESOLVED_SECONDS}""",
    duration("unresolved_failures_for", "10m", "Two sweeps: one that was just resolved is gone."),
    Severity.WARNING,
    "{{ $value }} failures " + _OF + " are unresolved",
    "{{ $value }} instances " + _OF + " are Failed, the oldest for more than"
    " $(unresolved_failures_seconds) seconds. First decide for each: rewind it, restart it, or"
    " purge it. " + _FAILURES,
    Board.ORCHESTRATOR,
    (_UNRESOLVED_SECONDS,),
    sweep=Sweep.FAILED,
)

ALERTS: tuple[Alert, ...] = (
    NEW_FAILURES,
    FAILURE_RATIO_HIGH,
    UNRESOLVED_FAILURES,
    NON_DETERMINISM,
    FUNCTION_MISSING,
)
