"""Alerts about instances that wait, stall or are too slow."""

from __future__ import annotations

from exporter.alerts.expressions import (
    as_configured,
    block,
    folded,
    fresh,
    limit_of_orchestrator,
    selected,
    with_source,
)
from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import FRESH, ONE_HUB, ONE_ORCHESTRATOR
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, one_of, selector

_OF = "of {{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_HERE = "{{ $labels.orchestrator }} in task hub {{ $labels.task_hub }}"
_STUCK = "`durable-exporter stuck` names the instances and what they wait on."


def _over(limit: str) -> str:
    over = f"{fresh(selected(c.OVER_LIMIT, equal('limit', limit)))} > 0"
    # There is none by default.
    return as_configured(over) if limit == "age" else with_source(over, limit, c.OVER_LIMIT)


PENDING_STUCK = Alert(
    "PendingStuck",
    "instances",
    "instances are Pending for longer than the limit `pending`",
    _over("pending"),
    duration("pending_stuck_for", "5m", "Bridges a burst of starts; the limit comes before it."),
    Severity.BY_LIMIT,
    "{{ $value }} instances " + _OF + " do not start",
    "{{ $value }} instances " + _OF + " have been Pending for longer than their limit."
    " First see whether the app's host runs and scales out; then whether the function is still"
    " deployed. " + _STUCK,
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_BACKLOG = number(
    "pending_backlog_instances",
    100,
    "Fewer waiting instances are started within seconds by one worker.",
)
_BACKLOG_GROWTH = number(
    "pending_backlog_growth",
    1.5,
    "Half as many again within the window is more than the ups and downs of a steady load.",
)
_BACKLOG_WINDOW = duration(
    "pending_backlog_window", "30m", "Long enough that scaling out would have caught up."
)
_IS_PENDING = equal("runtime_status", RuntimeStatus.PENDING)
_PENDING = fresh(selected(c.INSTANCES, _IS_PENDING))
_PENDING_BEFORE = folded(
    f"{selected(c.INSTANCES, _IS_PENDING)} offset {_BACKLOG_WINDOW}",
)

PENDING_BACKLOG_GROWING = Alert(
    "PendingBacklogGrowing",
    "instances",
    "more and more instances are Pending",
    f"""\
{_PENDING} > {_BACKLOG}
and
{_PENDING}
> {_BACKLOG_GROWTH} * {_PENDING_BEFORE}""",
    duration("pending_backlog_for", "10m", "Growth that lasts is not one burst."),
    Severity.WARNING,
    "The backlog of instances " + _OF + " grows",
    "{{ $value }} instances " + _OF + " are Pending, at least $(pending_backlog_growth)"
    " times as many as $(pending_backlog_window) before. First see whether the app scales out, and"
    " what starts so many.",
    Board.ORCHESTRATOR,
    (_BACKLOG, _BACKLOG_GROWTH, _BACKLOG_WINDOW),
    sweep=Sweep.ACTIVE,
)

OVER_AGE = Alert(
    "OverAge",
    "instances",
    "instances are active for longer than the limit `age`",
    _over("age"),
    duration("over_age_for", "5m", "One that ends just then is not worth a message."),
    Severity.BY_LIMIT,
    "{{ $value }} instances " + _OF + " take too long",
    "{{ $value }} instances " + _OF + " have been active for longer than their limit. First see"
    " whether they still make progress. " + _STUCK,
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_STEPS = (
    WaitingOn.ACTIVITY,
    WaitingOn.HTTP_POLL,
    WaitingOn.SUB_ORCHESTRATION,
    WaitingOn.ENTITY,
    WaitingOn.ENTITY_LOCK,
)
_STALLED_AT = selected(c.STALLED, one_of("waiting_on", *_STEPS))
_IDLE = selected(c.OVER_LIMIT, equal("limit", "idle"))
_STALLED = f"""\
{fresh(_STALLED_AT)} > 0
or
(
{block(fresh(_IDLE))} > 0
  unless on ({ONE_HUB}) {c.UNDIAGNOSED.name}
)"""

ORCHESTRATION_STALLED = Alert(
    "OrchestrationStalled",
    "instances",
    "instances over a limit wait on a step that does not end; without `max_histories_per_sweep`,"
    " running instances are idle for longer than their limit",
    with_source(_STALLED, "idle", c.STALLED, c.OVER_LIMIT),
    duration(
        "orchestration_stalled_for",
        "5m",
        "Bridges a step that is about to end; the limit comes first.",
    ),
    Severity.BY_LIMIT,
    "Instances " + _OF + " are stalled",
    "{{ $value }} instances " + _OF + " are stalled"
    "{{ if $labels.waiting_on }}: they wait on {{ $labels.waiting_on }}"
    " {{ $labels.target }}{{ end }}. First look at that step: its log, and what it calls. "
    + _STUCK,
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_OVERDUE_SECONDS = number(
    "timer_overdue_seconds",
    600,
    "Timers fire within seconds; ten minutes outlast a host that starts and a long poll of queues.",
)

TIMER_OVERDUE = Alert(
    "TimerOverdue",
    "instances",
    "a timer has not fired that should have long ago",
    f"time() - {fresh(selected(c.OVERDUE_TIMER), by='min')} > {_OVERDUE_SECONDS}",
    duration("timer_overdue_for", "5m", "Bridges one late sweep."),
    Severity.WARNING,
    "A timer " + _OF + " is overdue",
    "A timer " + _OF + " should have fired {{ $value | humanizeDuration }} ago. First see whether"
    " the app's host runs, and whether its storage is throttled. " + _STUCK,
    Board.ORCHESTRATOR,
    (_OVERDUE_SECONDS,),
    sweep=Sweep.ACTIVE,
)

FINISHED_BUT_RUNNING = Alert(
    "FinishedButRunning",
    "instances",
    "instances have finished, but are still listed as Running",
    f"{fresh(selected(c.STALLED, equal('waiting_on', WaitingOn.FINISHED_IN_HISTORY)))} > 0",
    duration("finished_but_running_for", "10m", "The row is written after the history: seconds."),
    Severity.WARNING,
    "{{ $value }} instances " + _OF + " have finished, but are still listed as Running",
    "{{ $value }} instances " + _OF + " have finished, as their histories show, but their rows say"
    " that they run: their callers wait indefinitely. First look at the app's storage errors; then"
    " terminate or purge these instances. " + _STUCK,
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

ORPHANED_INSTANCES = Alert(
    "OrphanedInstances",
    "instances",
    "sub-orchestrations are active whose parent has finished or is gone",
    f"{fresh(selected(c.ORPHANED))} > 0",
    duration("orphaned_instances_for", "10m", "Who terminates a parent may be at its children."),
    Severity.WARNING,
    "{{ $value }} instances " + _OF + " have lost their parent",
    "{{ $value }} instances " + _OF + " are active, but their parent has finished, was terminated"
    " or purged: nobody takes their result, and their side effects continue. First see what they"
    " still do; then terminate them. `durable-exporter stuck --orphans` names them.",
    Board.ORCHESTRATOR,
    sweep=Sweep.ACTIVE,
)

_OLDEST_SUSPENDED = selected(c.OLDEST_UPDATED, equal("runtime_status", RuntimeStatus.SUSPENDED))
_SUSPENDED_SECONDS = number(
    "suspended_forgotten_seconds",
    86_400,
    "An instance that is suspended for an incident is resumed within a day.",
)

SUSPENDED_FORGOTTEN = Alert(
    "SuspendedForgotten",
    "instances",
    "instances are suspended, and have been for long",
    f"""\
time() - {fresh(_OLDEST_SUSPENDED, by="min", drop="runtime_status")}
> {_SUSPENDED_SECONDS}""",
    duration("suspended_forgotten_for", "5m", "Bridges one late sweep."),
    Severity.INFO,
    "Instances " + _OF + " are still suspended",
    "An instance " + _OF + " has been suspended for {{ $value | humanizeDuration }}. First ask who"
    " suspended it; then resume or terminate it.",
    Board.ORCHESTRATOR,
    (_SUSPENDED_SECONDS,),
    sweep=Sweep.ACTIVE,
)

_IS_COMPLETED = equal("runtime_status", RuntimeStatus.COMPLETED)
_COMPLETED = selector(c.LAST_FINISHED, _IS_COMPLETED)
_SUCCESS = limit_of_orchestrator("success")

NO_SUCCESS = Alert(
    "NoSuccess",
    "instances",
    "the latest success of an orchestrator is longer ago than the limit `success` (a dead man's"
    " switch)",
    f"""\
time() - (
{block(folded(_COMPLETED, drop="runtime_status"))}
  or on ({ONE_ORCHESTRATOR})
{block(_SUCCESS)} * 0
  + on ({ONE_HUB}) group_left () min by ({ONE_HUB}) ({c.BASELINE.name})
)
> on ({ONE_ORCHESTRATOR}) group_left (source)
{as_configured(_SUCCESS)}
and on ({ONE_HUB}) {FRESH[Sweep.FINISHED]}""",
    duration("no_success_for", "5m", "Bridges one late sweep; the limit comes before it."),
    Severity.BY_LIMIT,
    _HERE + " has not succeeded for long",
    "{{ $labels.orchestrator }} last completed {{ $value | humanizeDuration }} ago in task hub"
    " {{ $labels.task_hub }} (or never since first contact): longer than its limit. First see"
    " whether it was started at all, then `durable-exporter failures`.",
    Board.ORCHESTRATOR,
    sweep=Sweep.FINISHED,
)

_NOTHING_WINDOW = duration(
    "nothing_started_window", "1h", "Compared with the same hour a week ago: same day, same time."
)
_NOTHING_USUAL = number(
    "nothing_started_usual",
    20,
    "With so many starts in that hour, an hour without any is no chance.",
)
_STARTED = selected(c.CREATED)

NOTHING_STARTED = Alert(
    "NothingStarted",
    "instances",
    "nothing is started of an orchestrator that is usually started at this time of the week",
    f"""\
{folded(f"increase({_STARTED}[{_NOTHING_WINDOW}] offset 1w)")} >= {_NOTHING_USUAL}
and
{fresh(f"increase({_STARTED}[{_NOTHING_WINDOW}])")} == 0""",
    duration("nothing_started_for", "10m", "Starts that come a little late are on time."),
    Severity.WARNING,
    "Nothing starts " + _HERE,
    "No instance " + _OF + " was started within $(nothing_started_window); a week ago there were"
    ' about {{ $value | printf "%.0f" }}. First look at what starts it: a queue, a schedule, a'
    " caller. A holiday is the usual harmless reason.",
    Board.ORCHESTRATOR,
    (_NOTHING_WINDOW, _NOTHING_USUAL),
    sweep=Sweep.ACTIVE,
)

_CYCLES = number(
    "eternal_cycles",
    5,
    "Cycles that are missing before it counts: one that is late is caught up.",
)
_CYCLES_KNOWN = number(
    "eternal_cycles_known",
    10,
    "Cycles within the last week from which the usual length of one is taken.",
)
_ETERNAL_SECONDS = number(
    "eternal_stalled_seconds", 1800, "A pause of so long is never one, however short the cycles."
)
_CONTINUED = folded(f"increase({selected(c.CONTINUED)}[1w])")
_GOING_ON = (RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.CONTINUED_AS_NEW)
_ACTIVE = selector(c.INSTANCES, one_of("runtime_status", *_GOING_ON))

ETERNAL_STALLED = Alert(
    "EternalStalled",
    "instances",
    "an orchestrator that continues as new again and again is stalled",
    f"""\
time() - {fresh(c.LAST_PROGRESS.name)}
> clamp_min({_CYCLES} * 604800 / ({_CONTINUED} >= {_CYCLES_KNOWN}), {_ETERNAL_SECONDS})
and on ({ONE_ORCHESTRATOR}) {fresh(_ACTIVE)} > 0""",
    duration("eternal_stalled_for", "5m", "Bridges one late sweep."),
    Severity.WARNING,
    "The eternal orchestration " + _HERE + " is stalled",
    "No instance " + _OF + " has made progress for {{ $value | humanizeDuration }}: at least"
    " $(eternal_cycles) of its usual cycles. First see what it waits on. " + _STUCK,
    Board.ORCHESTRATOR,
    (_CYCLES, _CYCLES_KNOWN, _ETERNAL_SECONDS),
    sweep=Sweep.ACTIVE,
)

_DURATION_WINDOW = duration(
    "duration_regression_window", "6h", "Long enough for a mean over different instances."
)
_DURATION_RATIO = number(
    "duration_regression_ratio", 2, "Twice as long as a week ago is no chance, and will be felt."
)
_DURATION_SECONDS = number(
    "duration_regression_seconds",
    10,
    "Less than this on top is within whole seconds and queueing.",
)
_DURATION_FINISHES = number(
    "duration_regression_finishes", 20, "Fewer finishes make no mean, now or a week ago."
)


def _increase(part: str, offset: str = "") -> str:
    # Divided by the count, which leaves out names that share a label.
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
    "instances",
    "instances take much longer on average than a week ago",
    f"""\
(
  {_NOW}
)
> {_DURATION_RATIO} * (
  {_THEN}
) + {_DURATION_SECONDS}""",
    duration("duration_regression_for", "15m", "One slow batch is not yet slower."),
    Severity.WARNING,
    _HERE + " takes much longer than a week ago",
    "Instances " + _OF + " took {{ $value | humanizeDuration }} on average within"
    " $(duration_regression_window), more than $(duration_regression_ratio) times as long as a week"
    " ago. First compare with the latest deployment, and with the pending instances: queueing"
    " counts.",
    Board.ORCHESTRATOR,
    (_DURATION_WINDOW, _DURATION_RATIO, _DURATION_SECONDS, _DURATION_FINISHES),
    sweep=Sweep.ACTIVE,
)

ALERTS: tuple[Alert, ...] = (
    PENDING_STUCK,
    PENDING_BACKLOG_GROWING,
    OVER_AGE,
    ORCHESTRATION_STALLED,
    TIMER_OVERDUE,
    FINISHED_BUT_RUNNING,
    ORPHANED_INSTANCES,
    SUSPENDED_FORGOTTEN,
    NO_SUCCESS,
    NOTHING_STARTED,
    ETERNAL_STALLED,
    DURATION_REGRESSION,
)
