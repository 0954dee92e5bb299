"""Alerts about the exporter: down, misconfigured, throttled, or unable to write its state."""

from __future__ import annotations

from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import (
    EXPORTER_MEMORY,
    MAX_SHARDS,
    MISSING_HUBS,
    MISSING_SHARDS,
    ONE_HUB,
    TARGET_LABELS,
    block,
    by_number,
    folded,
    labelled,
    selected,
    with_hub_labels,
)
from exporter.api.errors import ErrorKind
from exporter.collector.state import StateProblem
from exporter.metrics import catalogue as c
from exporter.metrics.azure_families import DISCOVERY_ERRORS, DISCOVERY_LAST_SUCCESS
from exporter.metrics.promql import equal

_HUB = "task hub {{ $labels.task_hub }}"

EXPORTER_DOWN = Alert(
    "ExporterDown",
    "exporter",
    "no exporter is scraped, or one is missing and no other shows its hubs",
    f"""\
group by ({TARGET_LABELS}) (
  {MISSING_HUBS}
  unless on ({TARGET_LABELS}) {c.BUILD_INFO.name}
)
or
absent(last_over_time({c.BUILD_INFO.name}[{EXPORTER_MEMORY}]))""",
    duration("exporter_down_for", "5m", "Restarts and updates take less."),
    Severity.CRITICAL,
    "The Durable Functions exporter is not scraped",
    "Prometheus gets nothing from the Durable Functions exporter{{ if $labels.job }} (job"
    " {{ $labels.job }}){{ end }}: its hubs raise no new alerts. First check whether its pods run,"
    " then Prometheus' targets.",
    Board.EXPORTER,
    of_hub=False,
)

SHARD_MISSING = Alert(
    "ShardMissing",
    "exporter",
    f"shards are not scraped (with up to {MAX_SHARDS} shards)",
    f"{MISSING_SHARDS}",
    duration("shard_missing_for", "10m", "A rolling update restarts them one by one."),
    Severity.CRITICAL,
    "Shards of the Durable Functions exporter are missing",
    "Only {{ $value }} of {{ $labels.shards }} shards "
    + by_number("is", "are")
    + " scraped: hubs of the rest are not shown and raise no new alerts. First check which pod"
    " is down.",
    Board.EXPORTER,
    of_hub=False,
)

_THROTTLED = number("throttled_requests", 10, "Retries make up for fewer.")
_THROTTLED_WINDOW = duration("throttled_window", "30m", "Longer than a burst.")

THROTTLED = Alert(
    "Throttled",
    "exporter",
    "the app throttles the exporter (429)",
    folded(
        "sum without (operation, kind) (increase("
        f"{selected(c.API_ERRORS, equal('kind', ErrorKind.THROTTLED))}[{_THROTTLED_WINDOW}]))"
    )
    + f" > {_THROTTLED}",
    duration("throttled_for", "5m", "The exporter slows down on its own first."),
    Severity.WARNING,
    "Requests to " + _HUB + " are throttled",
    'About {{ $value | printf "%.0f" }} requests to ' + _HUB + " were throttled (429) in the"
    " last $(throttled_window); users may be, too. First check the load of the app and of its"
    " storage account; then raise the exporter's intervals.",
    Board.EXPORTER,
    (_THROTTLED, _THROTTLED_WINDOW),
)

_SKEW_SECONDS = number(
    "misconfigured_skew_seconds",
    60,
    "Synchronized clocks differ by less than a second; every age is off by the difference.",
)
_SKEW = f"abs({c.CLOCK_SKEW.name})"
_OF_HUBS = f"""\
{labelled(f"{folded(c.OUTSIDE_PREFIXES.name)} > 0", "cause", "prefixes")}
or on ({ONE_HUB})
{labelled(f"{folded(_SKEW)} > {_SKEW_SECONDS}", "cause", "clock")}
or on ({ONE_HUB})
{labelled(f"{folded(c.LABEL_VALUES_FOLDED.name)} > 0", "cause", "folded")}"""
_ONE_CAUSE = f"""\
topk by ({ONE_HUB}) (
  1,
{block(_OF_HUBS)}
)"""

_SEARCH_WINDOW = duration(
    "discovery_window",
    "1h",
    "At least two intervals of discovery: a failed search is repeated.",
)
_SEARCHES_FAIL = f"""\
{folded(f"increase({DISCOVERY_ERRORS.name}[{_SEARCH_WINDOW}])", drop="kind")} > 0
unless on ({TARGET_LABELS})
{folded(f"changes({DISCOVERY_LAST_SUCCESS.name}[{_SEARCH_WINDOW}])")} > 0"""
_OF_EXPORTER = f"""\
{labelled(f"{folded(c.RELOAD_SUCCESSFUL.name, by='min')} == 0", "cause", "reload")}
or on ({TARGET_LABELS})
{labelled(_SEARCHES_FAIL, "cause", "discovery")}"""

EXPORTER_MISCONFIGURED = Alert(
    "ExporterMisconfigured",
    "exporter",
    "a changed configuration is invalid, or discovery fails; or, for a hub, names share"
    " `_other`, instances are outside `id_prefixes`, or the clock is off",
    f"""\
{with_hub_labels(_ONE_CAUSE)}
or
{_OF_EXPORTER}""",
    duration("exporter_misconfigured_for", "10m", "Bridges a start, and a file being written."),
    Severity.WARNING,
    "The configuration of the exporter{{ if $labels.task_hub }} for task hub"
    " {{ $labels.task_hub }}{{ end }} needs attention",
    '{{ if eq $labels.cause "reload" }}The changed configuration is invalid: the'
    " previous one is kept, and a restart would fail. First run"
    " `durable-exporter check`."
    '{{ else if eq $labels.cause "discovery" }}Every search for function apps has failed for'
    " $(discovery_window): new apps are not found, known ones are still polled. First run"
    " `durable-exporter discover`."
    '{{ else if eq $labels.cause "prefixes" }}Active instances of '
    + _HUB
    + " match none of `id_prefixes` and are not tracked: {{ $value }}. First correct the prefixes."
    '{{ else if eq $labels.cause "clock" }}The clocks of the exporter and of the app of '
    + _HUB
    + " differ by {{ $value | humanizeDuration }}: ages on dashboards are off by as much. First"
    " check whether the clock of the exporter's node is synchronized."
    "{{ else }}The label {{ $labels.label }} of " + _HUB + " exceeds `max_label_values`"
    " by {{ $value }}: the rest share `_other`, which no alert names. First check whether names"
    " contain ids; if not, raise `max_label_values` or list the important ones in the"
    " configuration.{{ end }}",
    Board.EXPORTER,
    (_SKEW_SECONDS, _SEARCH_WINDOW),
    cause_labels=("cause", "label"),
    of_hub=False,
)

_WRITE_WINDOW = duration("state_write_window", "15m", "The state is written after each sweep.")
_NOT_WRITTEN = folded(
    f"increase({selected(c.STATE_ERRORS, equal('reason', StateProblem.WRITE))}[{_WRITE_WINDOW}])",
    drop="reason",
)

STATE_NOT_WRITTEN = Alert(
    "StateNotWritten",
    "exporter",
    "the state of a hub cannot be written: its counters are frozen",
    f"{_NOT_WRITTEN} > 0",
    duration("state_not_written_for", "5m", "The next write makes up for one that fails."),
    Severity.WARNING,
    "The state of " + _HUB + " cannot be written",
    'About {{ $value | printf "%.0f" }} '
    + by_number("write", "writes")
    + " of the state of "
    + _HUB
    + " failed in the last $(state_write_window). Until one succeeds, its counters are frozen, and"
    " alerts on them, such as DeploymentBroken, are late."
    " First check whether the volume of `state_dir` is full or read-only.",
    Board.EXPORTER,
    (_WRITE_WINDOW,),
)

ALERTS: tuple[Alert, ...] = (
    EXPORTER_DOWN,
    SHARD_MISSING,
    EXPORTER_MISCONFIGURED,
    THROTTLED,
    STATE_NOT_WRITTEN,
)
