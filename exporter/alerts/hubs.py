"""Alerts about hubs that cannot be read, are stale, empty or replaced, or stall as a whole."""

from __future__ import annotations

from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import (
    CONFIGURED_SEVERITY,
    ONE_HUB,
    ONE_ORCHESTRATOR,
    STOPPED,
    TARGET_LABELS,
    UNREAD_HUBS,
    block,
    folded,
    fresh,
    instances,
    is_fresh,
    labelled,
    limit_of_hub,
    own_limit,
    selected,
)
from exporter.collector.snapshot import Sweep, SweepResult
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, one_of, selector

_UP = folded(c.UP.name)
_ACTIVE_SWEPT = selector(c.LAST_SWEEP, equal("sweep", Sweep.ACTIVE))
_LAST = folded(_ACTIVE_SWEPT, drop="sweep")
_CAUSE = folded(c.HUB_ERROR.name)
_IS_STOPPED = folded(STOPPED)
# An exporter that restarted while the app was stopped has no time of its last sweep.
_STOPPED_SINCE = f"""\
(
{block(_LAST)}
  or
{block(folded(f"last_over_time({_ACTIVE_SWEPT}[1d:10m])", drop="sweep"))}
)"""
_STOPPED_LATELY = f"""\
{_IS_STOPPED}
and on ({ONE_HUB})
time() - {_STOPPED_SINCE}
  < on ({ONE_HUB}) {limit_of_hub("stopped")}"""

HUB_UNREACHABLE = Alert(
    "HubUnreachable",
    "hubs",
    "no sweep of the active instances completes: the app does not answer, refuses the key, blocks"
    " the exporter or is stopped (except with `may_stop`; at first a warning, critical over the"
    " limit `stopped`)",
    f"""\
(
  (
{block(block(f"time() - {_LAST}"))}
    or on ({ONE_HUB})
    {_UP}
  )
  and on ({ONE_HUB}) {UNREAD_HUBS}
)
* on ({ONE_HUB}) group_left (kind, severity) (
{block(labelled(_STOPPED_LATELY, "severity", Severity.WARNING))}
  or on ({ONE_HUB})
{block(labelled(f"topk by ({ONE_HUB}) (1, {_CAUSE})", "severity", Severity.CRITICAL))}
  or on ({ONE_HUB})
{block(labelled(f"{_UP} ^ 0", "severity", Severity.CRITICAL))}
)""",
    duration(
        "hub_unreachable_for",
        "3m",
        "In addition to the three intervals and a minute after which data is not fresh: restarts"
        " and deployments of the app take less. Stale data is removed after 15 minutes, so this"
        " fires first.",
    ),
    Severity.BY_CAUSE,
    "Task hub {{ $labels.task_hub }} cannot be read"
    '{{ if eq $labels.kind "stopped" }}: its app is stopped{{ end }}',
    "{{ if eq $value 0.0 }}Task hub {{ $labels.task_hub }} has not been read since the"
    " exporter started{{ else }}Task hub"
    " {{ $labels.task_hub }} was last read {{ $value | humanizeDuration }} ago{{ end }}"
    "{{ if $labels.kind }} (cause: {{ $labels.kind }}){{ end }}; its other alerts are outdated. "
    '{{ if eq $labels.kind "stopped" }}Nothing in it runs. First start the app; if the'
    " stop is intended, set `may_stop`."
    '{{ else if eq $labels.kind "auth" }}First compare the system key of the app\'s Durable Task'
    " extension with the exporter's `key_file`; a corrected file reloads automatically."
    '{{ else if eq $labels.kind "restricted" }}First allow the exporter in the access restrictions'
    " of the app."
    "{{ else }}First run `durable-exporter check`.{{ end }}",
    Board.HUB,
    cause_labels=("kind",),
    outlasts=duration(
        "hub_unreachable_keep",
        "7m",
        "This alert's own `keep_firing_for`: outlasts those it inhibits. Longer than"
        " `hub_unreachable_for`, so that a stopped app's warning lasts until it is critical.",
    ),
)

_MANY_HUBS = number(
    "many_hubs",
    3,
    "Fewer hubs alert individually.",
)
_MANY_HUBS_RATIO = number(
    "many_hubs_ratio",
    0.5,
    "Half of the hubs do not fail at once for separate reasons: a proxy, DNS, the network, a shared"
    " certificate or a stopped plan is the cause.",
)

MANY_HUBS_UNREACHABLE = Alert(
    "ManyHubsUnreachable",
    "hubs",
    "many hubs at once cannot be read: they share a cause",
    f"""\
count by ({TARGET_LABELS}) ({UNREAD_HUBS}) >= {_MANY_HUBS}
and
count by ({TARGET_LABELS}) ({UNREAD_HUBS})
  >= {_MANY_HUBS_RATIO} * count by ({TARGET_LABELS}) ({_UP})""",
    duration(
        "many_hubs_unreachable_for",
        "1m",
        "Shorter than for a single hub, so that those alerts are inhibited before they fire.",
    ),
    Severity.CRITICAL,
    "{{ $value }} task hubs cannot be read",
    "{{ $value }} task hubs cannot be read. First run `durable-exporter check` where the"
    " exporter runs, and check what they share: proxy, DNS, egress, certificates, a stopped plan.",
    Board.FLEET,
    (_MANY_HUBS, _MANY_HUBS_RATIO),
    of_hub=False,
    outlasts=duration(
        "many_hubs_unreachable_keep",
        "10m",
        "This alert's own `keep_firing_for`: outlasts those it inhibits.",
    ),
)

_STALE_FAILURES = number(
    "data_stale_failures",
    5,
    "A sweep that has never completed is stale after this many failures.",
)
_SLOW_RATIO = number("sweep_too_slow_ratio", 2, "Data is half as fresh as configured.")
_SLOW_WINDOW = duration("sweep_too_slow_window", "30m", "Longer than a busy spell of the app.")
_INCOMPLETE = selected(c.SWEEPS, one_of("result", SweepResult.FAILED, SweepResult.TRUNCATED))
_FAILURES = folded(f"sum without (result) ({_INCOMPLETE})")
_SKIPPED = folded(
    f"sum without (sweep, result) (increase("
    f"{selected(c.SWEEPS, equal('result', SweepResult.SKIPPED_BUDGET))}[1h]))"
)
_BUDGET_SPENT = f"""\
{_SKIPPED} > 0
or
{folded(c.PAGE_BUDGET_REMAINING.name)} == 0"""
_NOT_FRESH = f"{folded(c.SWEEP_FRESH.name)} == 0"
_FAILING = f"""\
time() - {folded(c.LAST_SWEEP.name)}
and (
  {_NOT_FRESH}
)
or
0 * (
{block(block(_FAILURES))} >= {_STALE_FAILURES}
  unless
  {folded(c.LAST_SWEEP.name)}
)"""
_SLOW = f"""\
{folded(f"min_over_time({c.SWEEP_INTERVAL.name}[{_SLOW_WINDOW}])")}
> {_SLOW_RATIO} * {folded(c.SWEEP_CONFIGURED_INTERVAL.name)}"""

DATA_STALE = Alert(
    "DataStale",
    "hubs",
    "the hub answers, but one of its sweeps does not complete, takes so long that it runs less"
    " than half as often as configured, or is skipped because `max_pages_per_day` is spent",
    f"""\
topk by ({ONE_HUB}) (
  1,
{block(labelled(_BUDGET_SPENT, "cause", "budget"))}
  or on ({ONE_HUB})
{block(labelled(_FAILING, "cause", "failing"))}
  or on ({ONE_HUB})
{block(labelled(_SLOW, "cause", "slow"))}
)
unless on ({ONE_HUB}) (
  {UNREAD_HUBS}
  or ({STOPPED} unless on ({ONE_HUB}) {is_fresh(Sweep.ACTIVE)})
)""",
    duration(
        "data_stale_for",
        "10m",
        "Bridges a sweep that is about to end.",
    ),
    Severity.WARNING,
    "Data of task hub {{ $labels.task_hub }} is late",
    '{{ if eq $labels.cause "budget" }}`max_pages_per_day` of task hub {{ $labels.task_hub }} is'
    ' spent; sweeps skipped within the last hour: {{ $value | printf "%.0f" }}. First run'
    " `durable-exporter estimate`; then raise the budget or the intervals."
    '{{ else if eq $labels.cause "slow" }}Sweep `{{ $labels.sweep }}` of task hub'
    " {{ $labels.task_hub }} takes so long that it runs every {{ $value | humanizeDuration }}:"
    " more than $(sweep_too_slow_ratio) times its configured interval. First purge old instances;"
    " `durable-exporter estimate` shows what a sweep reads."
    "{{ else }}Task hub {{ $labels.task_hub }} {{ if eq $value 0.0 }}has completed no sweep"
    " `{{ $labels.sweep }}` since the exporter started{{ else }}last completed its sweep"
    " `{{ $labels.sweep }}` {{ $value | humanizeDuration }} ago{{ end }}; stale data is removed,"
    " and raises no new alerts. First check the exporter's log for this hub, and run"
    " `durable-exporter check`."
    "{{ end }}",
    Board.EXPORTER,
    (_STALE_FAILURES, _SLOW_RATIO, _SLOW_WINDOW),
    cause_labels=("cause", "sweep"),
)

_EMPTY_SECONDS = number(
    "hub_empty_seconds",
    3600,
    "An hour has a census, 12 listings of the entities and 120 active sweeps.",
)

HUB_EMPTY = Alert(
    "HubEmpty",
    "hubs",
    "the hub is still empty an hour after first contact: its name may be mistyped",
    f"""\
time() - {fresh(c.BASELINE.name, by="min")} > {_EMPTY_SECONDS}
and on ({ONE_HUB}) {folded(c.ROWS.name, drop="sweep")} == 0
unless on ({ONE_HUB}) {c.ROWS.name} > 0
unless on ({ONE_HUB}) {c.LAST_PROGRESS.name}""",
    duration("hub_empty_for", "5m", "Only bridges a restart; the hour is the wait."),
    Severity.WARNING,
    "Task hub {{ $labels.task_hub }} is empty",
    "No row has been found in task hub {{ $labels.task_hub }} since first contact"
    " {{ $value | humanizeDuration }} ago. A mistyped name creates an empty hub. First compare the"
    " exporter's `task_hub` with `hubName` in the app's host.json.",
    Board.HUB,
    (_EMPTY_SECONDS,),
    sweep=Sweep.ACTIVE,
)

_REPLACED_SECONDS = number("hub_replaced_seconds", 86_400, "A day, to be seen in working hours.")

HUB_REPLACED = Alert(
    "HubReplaced",
    "hubs",
    "all known active and failed instances, five or more, vanished at once: the app uses another"
    " hub or storage",
    f"time() - {folded(c.HUB_REPLACED.name)} < {_REPLACED_SECONDS}",
    duration("hub_replaced_for", "0s", "It is an event: there is nothing to wait for."),
    Severity.WARNING,
    "Task hub {{ $labels.task_hub }} was replaced",
    "All known instances of task hub {{ $labels.task_hub }} vanished at once"
    " {{ $value | humanizeDuration }} ago: the app probably uses another hub name or storage, as"
    " after a slot swap, and in-flight instances are abandoned. First compare `hubName` and the"
    " storage connection of the app with the previous ones.",
    Board.HUB,
    (_REPLACED_SECONDS,),
)

_STALLED_WINDOW = duration(
    "hub_stalled_window",
    "15m",
    "Longer than a host's start and a deployment; short enough to fire before PendingStuck, which"
    " it inhibits.",
)
_OVER_PENDING = fresh(selector(c.OVER_LIMIT, equal("limit", "pending")))
_PROGRESS = f"max by ({ONE_HUB}) ({c.LAST_PROGRESS.name}"


def _waiting(which: str = "") -> str:
    return f"""\
sum without (orchestrator, limit) (
{block(_OVER_PENDING + which)}
) > 0"""


_OF_OWN_LIMIT = f"\nand on ({ONE_ORCHESTRATOR}) {own_limit('pending')}"

HUB_STALLED = Alert(
    "HubStalled",
    "instances",
    "instances are Pending over their limit, and no instance of the hub makes progress",
    f"""\
(
{block(labelled(_waiting(_OF_OWN_LIMIT), "severity", CONFIGURED_SEVERITY))}
  or on ({ONE_HUB})
{block(labelled(_waiting(), "severity", Severity.WARNING))}
)
and on ({ONE_HUB}) (
  {_PROGRESS})
  == {_PROGRESS} offset {_STALLED_WINDOW})
)""",
    duration("hub_stalled_for", "2m", "Bridges one late sweep; `hub_stalled_window` is the wait."),
    Severity.BY_LIMIT,
    "No progress in task hub {{ $labels.task_hub }}",
    instances("of task hub {{ $labels.task_hub }}") + "Pending over the limit, and no"
    " instance has made progress for $(hub_stalled_window). First check whether the app's host runs"
    " and reads its queues; then run `durable-exporter stuck`.",
    Board.HUB,
    (_STALLED_WINDOW,),
    sweep=Sweep.ACTIVE,
)

ALERTS: tuple[Alert, ...] = (
    HUB_UNREACHABLE,
    MANY_HUBS_UNREACHABLE,
    DATA_STALE,
    HUB_EMPTY,
    HUB_REPLACED,
)
