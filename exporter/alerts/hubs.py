"""Alerts about whether a hub can be read at all, and what it does as a whole."""

from __future__ import annotations

from exporter.alerts.expressions import (
    as_configured,
    block,
    folded,
    fresh,
    limit_of_hub,
    own_limit,
    selected,
)
from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import ONE_HUB, TARGET_LABELS
from exporter.api.errors import ErrorKind
from exporter.collector.snapshot import Sweep, SweepResult
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, one_of, selector

_UP = folded(c.UP.name)
_UNREACHABLE = f"{_UP} == 0"
_LAST = folded(selected(c.LAST_SWEEP, equal("sweep", Sweep.ACTIVE)), drop="sweep")

_ERROR_WINDOW = duration(
    "error_window",
    "20m",
    "Errors of the API within it show why a hub cannot be read; longer than the longest interval"
    " between sweeps (15 minutes with the profile scale-to-zero).",
)


def _errors(kind: ErrorKind, window: object) -> str:
    """Return how often requests failed for the reason *kind* within *window*."""
    selector = selected(c.API_ERRORS, equal("kind", kind))
    by_replica = f"sum without (operation, kind) (increase({selector}[{window}]))"
    return folded(by_replica)


_MISSED_INTERVALS = number(
    "hub_unreachable_intervals",
    2,
    "One sweep that fails is made up for by the next, which takes a quarter of an hour with the"
    " profile scale-to-zero.",
)
# As configured: sweeps that hang until they fail are stretched.
_CONFIGURED_INTERVAL = folded(
    selected(c.SWEEP_CONFIGURED_INTERVAL, equal("sweep", Sweep.ACTIVE)), drop="sweep"
)

HUB_UNREACHABLE = Alert(
    "HubUnreachable",
    "hubs",
    "no sweep of the active instances completes, for whatever reason",
    f"""\
(
{block(f"time() - {_LAST}")}
  > {_MISSED_INTERVALS} * {_CONFIGURED_INTERVAL}
  or
  {_UP}
  unless on ({ONE_HUB})
{block(_LAST)}
)
and on ({ONE_HUB}) {_UNREACHABLE}""",
    duration(
        "hub_unreachable_for",
        "5m",
        "A restart or a deployment of the app takes less. What the hub shows is removed after 15"
        " minutes, so this fires before.",
    ),
    Severity.CRITICAL,
    "Task hub {{ $labels.task_hub }} cannot be read",
    "The app of task hub {{ $labels.task_hub }} does not answer as it should:"
    " {{ if eq $value 0.0 }}no sweep has ever completed{{ else }}the last complete sweep ended"
    " {{ $value | humanizeDuration }} ago{{ end }}. Its alerts know nothing new until it does."
    " First run `durable-exporter check`: it says what is wrong.",
    Board.HUB,
    (_MISSED_INTERVALS,),
)

_MANY_HUBS = number(
    "many_hubs",
    3,
    "Fewer than this have alerts of their own.",
)
_MANY_HUBS_RATIO = number(
    "many_hubs_ratio",
    0.5,
    "Half of the hubs do not fail at once for reasons of their own: a proxy, DNS, the network or a"
    " shared certificate does.",
)
_ALONE = f"""\
{_UNREACHABLE}
unless on ({ONE_HUB}) {_errors(ErrorKind.STOPPED, _ERROR_WINDOW)} > 0"""

MANY_HUBS_UNREACHABLE = Alert(
    "ManyHubsUnreachable",
    "hubs",
    "so many hubs cannot be read at once that the cause is one they share",
    f"""\
count by ({TARGET_LABELS}) (
{block(_ALONE)}
) >= {_MANY_HUBS}
and
count by ({TARGET_LABELS}) (
{block(_ALONE)}
) >= {_MANY_HUBS_RATIO} * count by ({TARGET_LABELS}) ({_UP})""",
    duration(
        "many_hubs_unreachable_for",
        "3m",
        "Shorter than for a single hub, so that those alerts are inhibited before they fire.",
    ),
    Severity.CRITICAL,
    "{{ $value }} task hubs cannot be read",
    "{{ $value }} task hubs cannot be read at once, so look for what they share: proxy, DNS,"
    " outgoing network, certificates. First run `durable-exporter check` where the exporter runs;"
    " the alerts of the single hubs are inhibited.",
    Board.FLEET,
    (_MANY_HUBS, _MANY_HUBS_RATIO),
    of_hub=False,
    # The last of the many to be well again are not told of one by one.
    holds_back=True,
)

KEY_REFUSED = Alert(
    "KeyRefused",
    "hubs",
    "the app refuses the key, and has done so for longer than a rotation takes",
    f"""\
{_errors(ErrorKind.AUTH, _ERROR_WINDOW)} > 0
and on ({ONE_HUB}) {_UNREACHABLE}""",
    duration(
        "key_refused_for",
        "2m",
        "A rotated key is read again within 30 seconds, and the next sweep uses it: that takes a"
        " minute.",
    ),
    Severity.CRITICAL,
    "The app of task hub {{ $labels.task_hub }} refuses the exporter's key",
    'About {{ $value | printf "%.0f" }} requests to task hub {{ $labels.task_hub }} were refused'
    " (401 or 403), and none succeeds. First compare the system key of the app's Durable Task"
    " extension with the exporter's `key_file`; a corrected file is reloaded by itself.",
    Board.HUB,
    (_ERROR_WINDOW,),
)

APP_STOPPED = Alert(
    "AppStopped",
    "hubs",
    "the app is stopped or closed to the exporter: its host says so, and nothing pages for it",
    f"""\
{_errors(ErrorKind.STOPPED, _ERROR_WINDOW)} > 0
and on ({ONE_HUB}) {_UNREACHABLE}""",
    duration("app_stopped_for", "2m", "A swap of slots answers so for a moment."),
    Severity.INFO,
    "The app of task hub {{ $labels.task_hub }} is stopped",
    'About {{ $value | printf "%.0f" }} requests to task hub {{ $labels.task_hub }} were answered'
    " by the page of a stopped app (403, HTML). Nothing of this hub runs. If nobody stopped it on"
    " purpose, first start the app; if its network rules changed, allow the exporter.",
    Board.HUB,
)

_STALE_INTERVALS = number(
    "data_stale_intervals",
    5,
    "What a sweep feeds is removed after five intervals; before that it is merely late.",
)
_STALE_SECONDS = number(
    "data_stale_seconds",
    900,
    "Age that is never stale: `stale_after` keeps data as long.",
)
_AGE = f"time() - {folded(c.LAST_SWEEP.name)}"
_INTERVAL = folded(c.SWEEP_INTERVAL.name)
_INCOMPLETE = selected(c.SWEEPS, one_of("result", SweepResult.FAILED, SweepResult.TRUNCATED))
_IN_VAIN = folded(f"sum without (result) ({_INCOMPLETE})")

DATA_STALE = Alert(
    "DataStale",
    "hubs",
    "the hub answers, but one of the sweeps no longer completes",
    f"""\
(
  (
    {_AGE}
    > {_STALE_INTERVALS} * {_INTERVAL}
  )
  > {_STALE_SECONDS}
  or
  (
{block(block(_IN_VAIN))} >= {_STALE_INTERVALS}
    unless
    {folded(c.LAST_SWEEP.name)}
  ) * 0
)
and on ({ONE_HUB}) {_UP} == 1""",
    duration("data_stale_for", "5m", "Bridges a sweep that is about to end."),
    Severity.WARNING,
    "The sweep {{ $labels.sweep }} of task hub {{ $labels.task_hub }} does not complete",
    "{{ if eq $value 0.0 }}No sweep {{ $labels.sweep }} of task hub {{ $labels.task_hub }} has"
    " completed since the exporter started{{ else }}The last complete sweep {{ $labels.sweep }} of"
    " task hub {{ $labels.task_hub }} ended {{ $value | humanizeDuration }} ago{{ end }}; what it"
    " feeds is removed, and its alerts are silent."
    " First look at the exporter's log for this hub, and at `durable-exporter check`.",
    Board.EXPORTER,
    (_STALE_INTERVALS, _STALE_SECONDS),
)

_EMPTY_SECONDS = number(
    "hub_empty_seconds",
    3600,
    "An hour has passed a census, all entities and 120 sweeps.",
)

HUB_EMPTY = Alert(
    "HubEmpty",
    "hubs",
    "nothing at all has been found in the hub since first contact: its name may be mistyped",
    f"""\
time() - {fresh(c.BASELINE.name, by="min")} > {_EMPTY_SECONDS}
and on ({ONE_HUB}) {folded(c.ROWS.name, drop="sweep")} == 0
unless on ({ONE_HUB}) {c.ROWS.name} > 0
unless on ({ONE_HUB}) {c.LAST_PROGRESS.name}""",
    duration("hub_empty_for", "5m", "The hour is long enough; this only bridges a restart."),
    Severity.WARNING,
    "Task hub {{ $labels.task_hub }} is empty",
    "No row has been found in task hub {{ $labels.task_hub }} since first contact"
    " {{ $value | humanizeDuration }} ago. A mistyped name reads as an empty hub. First compare the"
    " exporter's `task_hub` with `hubName` in the app's host.json.",
    Board.HUB,
    (_EMPTY_SECONDS,),
    sweep=Sweep.ACTIVE,
)

_STALLED_SECONDS = number(
    "hub_stalled_seconds",
    1800,
    "Long enough for a host that starts, a deployment and a backlog of large histories.",
)

_OVER_PENDING = fresh(selector(c.OVER_LIMIT, equal("limit", "pending")))

HUB_STALLED = Alert(
    "HubStalled",
    "instances",
    "instances are Pending over their limit, and nothing at all moves in the hub",
    f"""\
sum without (orchestrator, limit) (
{block(_OVER_PENDING)}
)
* on ({ONE_HUB}) group_left (source) (
{block(as_configured(f"group by ({ONE_HUB}) ({own_limit('pending')})"))}
  or on ({ONE_HUB})
  {limit_of_hub("pending")} ^ 0
) > 0
and on ({ONE_HUB})
time() - {folded(c.LAST_PROGRESS.name, drop="orchestrator")} > {_STALLED_SECONDS}""",
    duration("hub_stalled_for", "2m", "The silence is long enough; this bridges one late sweep."),
    Severity.BY_LIMIT,
    "Nothing moves in task hub {{ $labels.task_hub }}",
    "{{ $value }} instances of task hub {{ $labels.task_hub }} are Pending, and no instance"
    " has made progress for $(hub_stalled_seconds) seconds or more. First see whether the app's"
    " host runs and takes its queues; then `durable-exporter stuck`.",
    Board.HUB,
    (_STALLED_SECONDS,),
    sweep=Sweep.ACTIVE,
)

ALERTS: tuple[Alert, ...] = (
    HUB_UNREACHABLE,
    MANY_HUBS_UNREACHABLE,
    KEY_REFUSED,
    APP_STOPPED,
    DATA_STALE,
    HUB_EMPTY,
)
