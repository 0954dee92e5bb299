"""Alerts about instances that are pending, stalled, orphaned, over a limit or slow."""

from __future__ import annotations

from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import (
    CONFIGURED_SEVERITY,
    ONE_HUB,
    ONE_ORCHESTRATOR,
    block,
    folded,
    fresh,
    instances,
    labelled,
    limit_of_orchestrator,
    selected,
    with_severity,
)
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, none_of, selector

_OF = "of {{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_HAVE = "has", "have"
_HERE = "{{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_STUCK = "`durable-exporter stuck` names the instances and what they wait on."


def _over(limit: str) -> str:
    return f"{fresh(selected(c.OVER_LIMIT, equal('limit', limit)), drop='limit')} > 0"


_DRAINING_WINDOW = duration(
    "pending_stuck_window", "30m", "Long enough to see whether a long batch drains."
)
_DRAINING_RATIO = number(
    "pending_stuck_ratio",
    0.95,
    "A backlog drains if one in twenty over the limit has started within the window.",
)
_MOST_PENDING = folded(
    f"max_over_time({selected(c.OVER_LIMIT, equal('limit', 'pending'))}[{_DRAINING_WINDOW}])",
    drop="limit",
)

PENDING_STUCK = Alert(
    "PendingStuck",
    "instances",
    "instances are Pending over the limit `pending`, and the backlog does not drain",
    with_severity(
        f"({_over('pending')})\n>= {_DRAINING_RATIO} * {_MOST_PENDING}", "pending", c.OVER_LIMIT
    ),
    duration(
        "pending_stuck_for",
        "10m",
        "By then, a batch that drains in three hours has measurably shrunk.",
    ),
    Severity.BY_LIMIT,
    instances(_OF, *_HAVE) + "not started",
    instances(_OF, *_HAVE) + "been Pending for longer than the limit."
    " First check whether the app's host runs and scales out; then whether the function is still"
    " deployed. " + _STUCK,
    Board.ORCHESTRATOR,
    (_DRAINING_WINDOW, _DRAINING_RATIO),
    sweep=Sweep.ACTIVE,
)

_BACKLOG = number(
    "pending_backlog_instances",
    100,
    "One worker starts fewer within seconds.",
)
_BACKLOG_GROWTH = number(
    "pending_backlog_growth",
    1.5,
    "Growth by half within the window is more than the variation of a steady load.",
)
_BACKLOG_WINDOW = duration(
    "pending_backlog_window", "30m", "Long enough for scaling out to catch up."
)
_IS_PENDING = equal("runtime_status", RuntimeStatus.PENDING)
_PENDING = fresh(selected(c.INSTANCES, _IS_PENDING))
_PENDING_BEFORE = folded(
    f"{selected(c.INSTANCES, _IS_PENDING)} offset {_BACKLOG_WINDOW}",
)

PENDING_BACKLOG_GROWING = Alert(
    "PendingBacklogGrowing",
    "trends",
    "the number of Pending instances keeps growing",
    f"""\
{_PENDING} > {_BACKLOG}
and
{_PENDING}
> {_BACKLOG_GROWTH} * {_PENDING_BEFORE}""",
    duration("pending_backlog_for", "10m", "Longer than one burst."),
    Severity.WARNING,
    "The backlog " + _OF + " is growing",
    instances(_OF) + "Pending, at least $(pending_backlog_growth)"
    " times as many as $(pending_backlog_window) ago. First check whether the app scales out,"
    " and what starts so many.",
    Board.ORCHESTRATOR,
    (_BACKLOG, _BACKLOG_GROWTH, _BACKLOG_WINDOW),
    sweep=Sweep.ACTIVE,
    opt_in=True,
)

OVER_AGE = Alert(
    "OverAge",
    "instances",
    "instances are active for longer than the limit `age`",
    labelled(_over("age"), "severity", CONFIGURED_SEVERITY),
    duration("over_age_for", "5m", "Bridges an instance about to end."),
    Severity.CONFIGURED,
    instances(_OF) + "over the age limit",
    instances(_OF, *_HAVE) + "been active for longer than the limit. First check for progress:"
    " `durable-exporter stuck --all` lists instances and what they wait on.",
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_STALLED_AT = selected(
    c.STALLED, none_of("waiting_on", WaitingOn.NOT_STARTED, WaitingOn.HISTORY_REFUSED)
)
_IDLE = fresh(selected(c.OVER_LIMIT, equal("limit", "idle")), drop="limit")
_STALLED = f"""\
topk by ({ONE_ORCHESTRATOR}) (
  1,
{block(fresh(_STALLED_AT))} > 0
)
or on ({ONE_ORCHESTRATOR})
(
{block(_IDLE)} > 0
  unless on ({ONE_HUB}) {c.UNDIAGNOSED.name}
)"""

# Waits whose class alone tells people neither what is wrong nor what to do first.
_IN_WORDS = {
    WaitingOn.TIMER_OVERDUE: "waiting on an overdue timer. First check whether other instances"
    " of the hub make progress; if none does, restart the app.",
    WaitingOn.FINISHED_IN_HISTORY: "finished, but still listed as Running. First wait"
    " ten minutes, then restart the app.",
    WaitingOn.NO_STEP: "no step since the start. First search the log of the app"
    " for a call to a missing function.",
    WaitingOn.UNKNOWN: "the cause is unknown. First check the log of the app.",
}
_BY_CAUSE = "{{ else ".join(
    f'if eq $labels.waiting_on "{cause}" }}}}: {text}' for cause, text in _IN_WORDS.items()
)

ORCHESTRATION_STALLED = Alert(
    "OrchestrationStalled",
    "instances",
    "instances over a limit wait on an overdue timer or a step that does not end, or have finished,"
    " but are still listed as Running; if `max_histories_per_sweep` is 0, running instances are"
    " over their idle limit",
    with_severity(_STALLED, "idle", c.STALLED, c.OVER_LIMIT),
    duration(
        "orchestration_stalled_for",
        "5m",
        "Bridges a step that is about to end; the limit is the wait.",
    ),
    Severity.BY_LIMIT,
    "Instances " + _OF + " are stalled",
    instances(_OF) + "stalled{{ " + _BY_CAUSE + "{{ else }}"
    "{{ if $labels.waiting_on }}: waiting on {{ $labels.waiting_on }}"
    "{{ if $labels.target }} {{ $labels.target }}{{ end }}{{ end }}. First check the step: its"
    " log, and what it calls.{{ end }} " + _STUCK,
    Board.ORCHESTRATOR,
    cause_labels=("waiting_on", "target"),
    sweep=Sweep.ACTIVE,
)

ORPHANED_INSTANCES = Alert(
    "OrphanedInstances",
    "instances",
    "the parent of active sub-orchestrations has finished or is gone",
    f"{fresh(selected(c.ORPHANED))} > 0",
    duration("orphaned_instances_for", "10m", "Time to terminate the children after the parent."),
    Severity.WARNING,
    instances(_OF) + "orphaned",
    instances(_OF) + "active, but the parent has finished or is gone: the result is unused, and"
    " side effects continue. First check the remaining work; then terminate it."
    " `durable-exporter stuck --orphans` lists all.",
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

SUSPENDED_FORGOTTEN = Alert(
    "SuspendedForgotten",
    "instances",
    "instances are Suspended over the limit `suspended`, which is unset by default",
    _over("suspended"),
    duration("suspended_forgotten_for", "5m", "Bridges one late sweep; the limit is the wait."),
    Severity.WARNING,
    instances(_OF) + "still suspended",
    instances(_OF, *_HAVE) + "been Suspended for longer than the limit. First ask who did"
    " it; then resume or terminate.",
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_IS_COMPLETED = equal("runtime_status", RuntimeStatus.COMPLETED)
_COMPLETED = selected(c.LAST_FINISHED, _IS_COMPLETED)
_SUCCESS = limit_of_orchestrator("success")

NO_SUCCESS = Alert(
    "NoSuccess",
    "instances",
    "the latest success of an orchestrator is older than the limit `success` (a dead man's"
    " switch, also while the hub cannot be read)",
    f"""\
label_replace(
  time() - (
{block(block(folded(_COMPLETED, drop="runtime_status")))}
    or on ({ONE_ORCHESTRATOR})
{block(block(folded(f"last_over_time({_COMPLETED}[1d:10m])", drop="runtime_status")))}
    or on ({ONE_ORCHESTRATOR})
{block(block(_SUCCESS))} * 0
    + on ({ONE_HUB}) group_left () min by ({ONE_HUB}) ({c.BASELINE.name})
  )
  > on ({ONE_ORCHESTRATOR})
{block(_SUCCESS)},
  "severity", "{CONFIGURED_SEVERITY}", "", ""
)""",
    duration("no_success_for", "5m", "Bridges one late sweep; the limit is the wait."),
    Severity.CONFIGURED,
    _HERE + " has not succeeded within its limit",
    _HERE + " has not completed for {{ $value | humanizeDuration }}: over its limit. First check"
    " whether the app runs and starts any instances, then `durable-exporter failures`.",
    Board.ORCHESTRATOR,
)

_NOTHING_WINDOW = duration(
    "nothing_started_window", "1h", "Compared with the same hour a week ago."
)
_NOTHING_USUAL = number(
    "nothing_started_usual",
    20,
    "After this many starts in that hour a week ago, an hour without any is not chance.",
)
_STARTED = selected(c.CREATED)

NOTHING_STARTED = Alert(
    "NothingStarted",
    "trends",
    "an orchestrator that usually starts at this time of the week has not started",
    f"""\
{folded(f"increase({_STARTED}[{_NOTHING_WINDOW}] offset 1w)")} >= {_NOTHING_USUAL}
and
{fresh(f"increase({_STARTED}[{_NOTHING_WINDOW}])")} == 0""",
    duration("nothing_started_for", "10m", "Bridges starts that are a little late."),
    Severity.WARNING,
    "Nothing starts " + _HERE,
    "No instance "
    + _OF
    + " was started in the last $(nothing_started_window); a week ago there were"
    ' about {{ $value | printf "%.0f" }}. First check what starts it: a queue, a schedule, a'
    " caller. A holiday is the usual harmless reason.",
    Board.ORCHESTRATOR,
    (_NOTHING_WINDOW, _NOTHING_USUAL),
    sweep=Sweep.ACTIVE,
    opt_in=True,
)

_DURATION_WINDOW = duration(
    "duration_regression_window", "6h", "Long enough for a mean over different instances."
)
_DURATION_RATIO = number(
    "duration_regression_ratio", 2, "Twice as long as a week ago is not chance, and users notice."
)
_DURATION_SECONDS = number(
    "duration_regression_seconds",
    10,
    "Smaller differences are queueing and rounding to whole seconds.",
)
_DURATION_FINISHES = number(
    "duration_regression_finishes", 20, "A mean of fewer finishes, now or a week ago, says little."
)


def _increase(part: str, offset: str = "") -> str:
    # Dividing by the count leaves out names that share a label.
    choose = selected if part == "count" else selector
    series = choose(c.DURATION, suffix=f"_{part}")
    return folded(f"increase({series}[{_DURATION_WINDOW}]{offset})")


_NOW = f"{_increase('sum')} / ({_increase('count')} >= {_DURATION_FINISHES})"
_THEN = (
    f"{_increase('sum', ' offset 1w')} / ({_increase('count', ' offset 1w')} >="
    f" {_DURATION_FINISHES})"
)

DURATION_REGRESSION = Alert(
    "DurationRegression",
    "trends",
    "instances take much longer on average than a week ago",
    f"""\
(
  {_NOW}
)
> {_DURATION_RATIO} * (
  {_THEN}
) + {_DURATION_SECONDS}""",
    duration("duration_regression_for", "15m", "Bridges one slow batch."),
    Severity.WARNING,
    _HERE + " takes much longer than a week ago",
    "Instances " + _OF + " took {{ $value | humanizeDuration }} on average over"
    " $(duration_regression_window), more than $(duration_regression_ratio) times as long as a week"
    " ago. First check the latest deployment and pending instances: queueing is"
    " included.",
    Board.ORCHESTRATOR,
    (_DURATION_WINDOW, _DURATION_RATIO, _DURATION_SECONDS, _DURATION_FINISHES),
    sweep=Sweep.ACTIVE,
    opt_in=True,
)

ALERTS: tuple[Alert, ...] = (
    PENDING_STUCK,
    OVER_AGE,
    ORCHESTRATION_STALLED,
    ORPHANED_INSTANCES,
    SUSPENDED_FORGOTTEN,
    NO_SUCCESS,
)
OPT_IN: tuple[Alert, ...] = (PENDING_BACKLOG_GROWING, NOTHING_STARTED, DURATION_REGRESSION)
