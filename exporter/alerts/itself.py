"""Alerts about the exporter: whether it runs, and what its numbers are worth."""

from __future__ import annotations

from exporter.alerts.expressions import block, folded, selected
from exporter.alerts.model import Alert, Board, Severity, duration, number
from exporter.alerts.shared import TARGET_LABELS
from exporter.api.errors import ErrorKind
from exporter.collector.snapshot import SweepResult
from exporter.collector.state import StateProblem
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal

_HUB = "task hub {{ $labels.task_hub }}"

_MEMORY = duration(
    "exporter_memory",
    "6h",
    "How long an exporter that was there is missed by name; one that was removed on purpose is"
    " forgotten after it.",
)
# Whatever else scraping adds, such as the node, is another after a restart.
_THERE = f"group by ({TARGET_LABELS}) ({c.BUILD_INFO.name})"
_WAS_THERE = f"group by ({TARGET_LABELS}) (last_over_time({c.BUILD_INFO.name}[{_MEMORY}]))"

EXPORTER_DOWN = Alert(
    "ExporterDown",
    "exporter",
    "no exporter is scraped, or one that was is no longer",
    f"""\
(
{block(_WAS_THERE)}
  unless
  {_THERE}
)
or
absent(last_over_time({c.BUILD_INFO.name}[{_MEMORY}]))""",
    duration("exporter_down_for", "5m", "A restart or an update takes less."),
    Severity.CRITICAL,
    "The Durable Functions exporter is not scraped",
    "Prometheus gets nothing from the Durable Functions exporter{{ if $labels.job }} (job"
    " {{ $labels.job }}){{ end }}: no other alert of it can fire. First see whether its pods run,"
    " then Prometheus' list of targets.",
    Board.EXPORTER,
    (_MEMORY,),
    of_hub=False,
)

_MOST_SHARDS = 16
_SHARDS_PRESENT = "\nor\n".join(
    f"count by (shards, {TARGET_LABELS}) ("
    f"group by (shard, shards, {TARGET_LABELS}) ({selected(c.SHARD_INFO, equal('shards', shards))})"
    f") < {shards}"
    for shards in range(2, _MOST_SHARDS + 1)
)

SHARD_MISSING = Alert(
    "ShardMissing",
    "exporter",
    f"fewer shards are scraped than there should be (of up to {_MOST_SHARDS})",
    _SHARDS_PRESENT,
    duration("shard_missing_for", "10m", "A rolling update restarts one after another."),
    Severity.CRITICAL,
    "Shards of the Durable Functions exporter are missing",
    "Only {{ $value }} of {{ $labels.shards }} shards are scraped: nobody polls the hubs of the"
    " others, and their alerts cannot fire. First see which pod does not run.",
    Board.EXPORTER,
    of_hub=False,
)

_SLOW_RATIO = number(
    "sweep_too_slow_ratio", 2, "Data half as fresh as configured is not what was asked for."
)

SWEEP_TOO_SLOW = Alert(
    "SweepTooSlow",
    "exporter",
    "a sweep takes so long that its interval had to be stretched",
    f"{folded(c.SWEEP_INTERVAL.name)} > {_SLOW_RATIO} * {folded(c.SWEEP_CONFIGURED_INTERVAL.name)}",
    duration("sweep_too_slow_for", "30m", "A busy hour of the app is not the size of the hub."),
    Severity.WARNING,
    "The sweep {{ $labels.sweep }} of " + _HUB + " is too slow",
    "The sweep {{ $labels.sweep }} of " + _HUB + " is made every {{ $value | humanizeDuration }},"
    " more than $(sweep_too_slow_ratio) times its configured interval: it takes too long. First"
    " purge old instances; `durable-exporter estimate` shows what a sweep reads.",
    Board.EXPORTER,
    (_SLOW_RATIO,),
)

_SKIPPED = folded(
    f"sum without (sweep, result) (increase("
    f"{selected(c.SWEEPS, equal('result', SweepResult.SKIPPED_BUDGET))}[1h]))"
)

BUDGET_SPENT = Alert(
    "BudgetSpent",
    "exporter",
    "sweeps are left out since the day's `max_pages_per_day` is spent",
    f"""\
{_SKIPPED} > 0
or
{folded(c.PAGE_BUDGET_REMAINING.name)} == 0""",
    duration("budget_spent_for", "5m", "Midnight (UTC) ends it by itself."),
    Severity.WARNING,
    "The page budget of " + _HUB + " is spent",
    "The exporter has read as many pages of "
    + _HUB
    + " today as `max_pages_per_day` allows, and leaves"
    ' sweeps out ({{ $value | printf "%.0f" }} within the last hour). First see with'
    " `durable-exporter estimate` what a day takes; then raise the budget or the intervals.",
    Board.EXPORTER,
)

_THROTTLED = number(
    "throttled_requests", 10, "Fewer are retried, and nobody notices but the exporter."
)
_THROTTLED_WINDOW = duration("throttled_window", "30m", "Long enough to be a trend, not a burst.")

THROTTLED = Alert(
    "Throttled",
    "exporter",
    "the app, or its storage, throttles the exporter",
    folded(
        "sum without (operation, kind) (increase("
        f"{selected(c.API_ERRORS, equal('kind', ErrorKind.THROTTLED))}[{_THROTTLED_WINDOW}]))"
    )
    + f" > {_THROTTLED}",
    duration("throttled_for", "5m", "The exporter slows down by itself first."),
    Severity.WARNING,
    "Requests to " + _HUB + " are throttled",
    'About {{ $value | printf "%.0f" }} requests to ' + _HUB + " were throttled (429) within"
    " $(throttled_window). Its users may be, too. First look at the app's own load and its storage"
    " account; then raise the exporter's intervals.",
    Board.EXPORTER,
    (_THROTTLED, _THROTTLED_WINDOW),
)

LABELS_FOLDED = Alert(
    "LabelsFolded",
    "exporter",
    "names share the label `_other`: no alert sees them",
    f"{folded(c.LABEL_VALUES_FOLDED.name)} > 0",
    duration("labels_folded_for", "10m", "It does not pass by itself; this only bridges a start."),
    Severity.WARNING,
    "{{ $value }} names of " + _HUB + " share a label",
    "{{ $value }} values of the label {{ $labels.label }} of "
    + _HUB
    + " are beyond `max_label_values`"
    " and share `_other`, which no alert looks at. First see whether names hold ids; if they are"
    " real, raise `max_label_values` or list the important ones in the configuration.",
    Board.EXPORTER,
)

_BASELINE_MEMORY = duration(
    "baseline_memory", "6h", "How long a gap in the counters is reported; it cannot be fixed."
)

BASELINE_LOST = Alert(
    "BaselineLost",
    "exporter",
    "a hub has a new baseline: what finished in between is not counted",
    f"""\
time() - (
  {folded(c.BASELINE.name, by="min")}
  > 1 + {folded(f"min_over_time({c.BASELINE.name}[{_BASELINE_MEMORY}])", by="min")}
)""",
    duration("baseline_lost_for", "0s", "It has happened: there is nothing to wait for."),
    Severity.INFO,
    "The counters of " + _HUB + " have a new baseline",
    "The exporter made first contact with " + _HUB + " once more, {{ $value | humanizeDuration }}"
    " ago: what finished before is not in its counters. First see why the state is lost: without"
    " `state_dir`, each restart does so; with it, the log says what was wrong with the file.",
    Board.EXPORTER,
    (_BASELINE_MEMORY,),
)

_WRITE_WINDOW = duration(
    "state_write_window", "15m", "A state is written after each sweep: so many chances have failed."
)
_NOT_WRITTEN = folded(
    f"increase({selected(c.STATE_ERRORS, equal('reason', StateProblem.WRITE))}[{_WRITE_WINDOW}])"
)

STATE_NOT_WRITTEN = Alert(
    "StateNotWritten",
    "exporter",
    "the state of a hub cannot be written: its counters are frozen",
    f"{_NOT_WRITTEN} > 0",
    duration("state_not_written_for", "5m", "One write that fails is made up for by the next."),
    Severity.WARNING,
    "The state of " + _HUB + " cannot be written",
    "Writing the state of " + _HUB + ' has failed about {{ $value | printf "%.0f" }} times within'
    " $(state_write_window). Its counters are frozen until it works, so failures raise no alert."
    " First see whether the volume of `state_dir` is full or read-only.",
    Board.EXPORTER,
    (_WRITE_WINDOW,),
)

ALERTS: tuple[Alert, ...] = (
    EXPORTER_DOWN,
    SHARD_MISSING,
    SWEEP_TOO_SLOW,
    BUDGET_SPENT,
    THROTTLED,
    LABELS_FOLDED,
    BASELINE_LOST,
    STATE_NOT_WRITTEN,
)
