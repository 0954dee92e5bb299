"""
The one table of every family.

Exposition, reference page and the tests that keep dashboards, rules and docs in step come from it.
"""

from __future__ import annotations

from exporter.collector.snapshot import Sweep
from exporter.metrics.family import Family, Kind, Stability

_HUB = "durable_functions_"
_SELF = "durable_functions_exporter_"

UP = Family(f"{_HUB}up", Kind.GAUGE, "1 if the last active sweep of the hub completed, else 0.")
HUB_INFO = Family(
    f"{_HUB}hub_info",
    Kind.INFO,
    "Facts about the hub from the configuration, to join with; configured labels come with it.",
    ("function_app", "hub_name", "connection"),
    free_labels=True,
)
INSTANCES = Family(
    f"{_HUB}instances",
    Kind.GAUGE,
    "Instances now: active statuses as last listed, finished ones as of the last census plus the"
    " finishes counted since.",
    ("orchestrator", "runtime_status"),
)
OLDEST_CREATED = Family(
    f"{_HUB}oldest_instance_created_timestamp_seconds",
    Kind.GAUGE,
    "Smallest createdTime among the active instances.",
    ("orchestrator", "runtime_status"),
    Sweep.ACTIVE,
)
OLDEST_UPDATED = Family(
    f"{_HUB}oldest_instance_updated_timestamp_seconds",
    Kind.GAUGE,
    "Smallest lastUpdatedTime among the active instances: no progress since.",
    ("orchestrator", "runtime_status"),
    Sweep.ACTIVE,
)
INSTANCE_AGE = Family(
    f"{_HUB}instance_age_seconds",
    Kind.DISTRIBUTION,
    "Ages of the active instances now, from createdTime.",
    ("orchestrator", "runtime_status"),
    Sweep.ACTIVE,
)
INSTANCE_IDLE = Family(
    f"{_HUB}instance_idle_seconds",
    Kind.DISTRIBUTION,
    "Times since the last update of the active instances now.",
    ("orchestrator", "runtime_status"),
    Sweep.ACTIVE,
)
LIMIT = Family(
    f"{_HUB}limit_seconds",
    Kind.GAUGE,
    "Limits in force for an orchestrator; source says whether it is the default or configured.",
    ("orchestrator", "limit", "source"),
)
OVER_LIMIT = Family(
    f"{_HUB}instances_over_limit",
    Kind.GAUGE,
    "Active instances over the limit pending, idle or age.",
    ("orchestrator", "limit"),
    Sweep.ACTIVE,
)
CREATED = Family(
    f"{_HUB}instances_created_total",
    Kind.COUNTER,
    "Instances first seen and created since the exporter's first contact with the hub.",
    ("orchestrator",),
)
FINISHED = Family(
    f"{_HUB}instances_finished_total",
    Kind.COUNTER,
    "Instances that finished since the exporter's first contact with the hub, each counted once.",
    ("orchestrator", "runtime_status"),
)
DURATION = Family(
    f"{_HUB}instance_duration_seconds",
    Kind.HISTOGRAM,
    "lastUpdatedTime less createdTime of the finishes counted; whole seconds, queueing included.",
    ("orchestrator", "runtime_status"),
)
CONTINUED = Family(
    f"{_HUB}instances_continued_total",
    Kind.COUNTER,
    "Instances seen with a newer createdTime than before: continued as new, not started.",
    ("orchestrator",),
)
REOPENED = Family(
    f"{_HUB}instances_reopened_total",
    Kind.COUNTER,
    "Failed instances that were rewound: active again in the same life, not started.",
    ("orchestrator",),
)
VANISHED = Family(
    f"{_HUB}instances_vanished_total",
    Kind.COUNTER,
    "Instances that were active and are no longer stored, without having been seen to finish.",
    ("orchestrator",),
)
FAILURES = Family(
    f"{_HUB}failures_total",
    Kind.COUNTER,
    "Instances that finished as Failed, by what went wrong as their output shows.",
    ("orchestrator", "category"),
)
FAILURE_REASONS = Family(
    f"{_HUB}failure_reasons_total",
    Kind.COUNTER,
    "The same, by the function that failed and the type of its error; over reason_limit _other.",
    ("orchestrator", "category", "failed_function", "error_type"),
    stability=Stability.EXPERIMENTAL,
)
UNRESOLVED = Family(
    f"{_HUB}unresolved_failures",
    Kind.GAUGE,
    "Instances that are Failed now and failed within the lookback: not rewound, restarted, purged.",
    ("orchestrator",),
    Sweep.FAILED,
)
OLDEST_UNRESOLVED = Family(
    f"{_HUB}oldest_unresolved_failure_timestamp_seconds",
    Kind.GAUGE,
    "When the oldest of the unresolved failures failed, by its lastUpdatedTime.",
    ("orchestrator",),
    Sweep.FAILED,
)
RECENT = Family(
    f"{_HUB}recent_finished_instances",
    Kind.GAUGE,
    "Finishes within the window before the last sweep, by lastUpdatedTime.",
    ("orchestrator", "runtime_status", "window"),
    Sweep.FINISHED,
)
FAILURE_RATIO = Family(
    f"{_HUB}failure_ratio",
    Kind.GAUGE,
    "Failed / (Completed + Failed) within the window; absent when nothing finished.",
    ("orchestrator", "window"),
    Sweep.FINISHED,
)
LAST_CREATED = Family(
    f"{_HUB}last_created_timestamp_seconds",
    Kind.GAUGE,
    "Latest createdTime seen.",
    ("orchestrator",),
)
LAST_FINISHED = Family(
    f"{_HUB}last_finished_timestamp_seconds",
    Kind.GAUGE,
    "Latest finish seen, by lastUpdatedTime.",
    ("orchestrator", "runtime_status"),
)
LAST_PROGRESS = Family(
    f"{_HUB}last_progress_timestamp_seconds",
    Kind.GAUGE,
    "Latest lastUpdatedTime seen.",
    ("orchestrator",),
)
OLDEST_RETAINED = Family(
    f"{_HUB}oldest_retained_timestamp_seconds",
    Kind.GAUGE,
    "createdTime of the oldest finished instance that is still stored.",
    ("runtime_status",),
    Sweep.CENSUS,
)
STALLED = Family(
    f"{_HUB}stalled_instances",
    Kind.GAUGE,
    "Sampled: instances over a limit whose wait means trouble, by the end of their blocking chain;"
    " target names the activity, orchestrator or entity.",
    ("orchestrator", "waiting_on", "target"),
    Sweep.ACTIVE,
)
WAITING = Family(
    f"{_HUB}waiting_instances",
    Kind.GAUGE,
    "Sampled: instances over a limit that are waiting as expected, or on something unknown.",
    ("orchestrator", "waiting_on", "target"),
    Sweep.ACTIVE,
)
STALLED_SINCE = Family(
    f"{_HUB}stalled_since_timestamp_seconds",
    Kind.GAUGE,
    "Since when the oldest of the stalled instances waits.",
    ("orchestrator", "waiting_on", "target"),
    Sweep.ACTIVE,
)
OVERDUE_TIMER = Family(
    f"{_HUB}oldest_overdue_timer_timestamp_seconds",
    Kind.GAUGE,
    "When the oldest timer should have fired that an instance over a limit still waits for.",
    ("orchestrator",),
    Sweep.ACTIVE,
)
ENTITIES = Family(
    f"{_HUB}entities", Kind.GAUGE, "Entities that exist.", ("entity",), Sweep.ENTITIES
)
ENTITY_IDLE = Family(
    f"{_HUB}entity_idle_seconds",
    Kind.DISTRIBUTION,
    "Times since the last operation of the entities.",
    ("entity",),
    Sweep.ENTITIES,
)
ENTITY_LAST_OPERATION = Family(
    f"{_HUB}entity_last_operation_timestamp_seconds",
    Kind.GAUGE,
    "Latest operation of an entity.",
    ("entity",),
    Sweep.ENTITIES,
)
ENTITIES_LOCKED = Family(
    f"{_HUB}entities_locked", Kind.GAUGE, "Entities that are locked.", ("entity",), Sweep.ACTIVE
)
ENTITY_ORPHANED_LOCKS = Family(
    f"{_HUB}entity_orphaned_locks",
    Kind.GAUGE,
    "Entities locked by an instance that was not active in two sweeps in a row.",
    ("entity",),
    Sweep.ACTIVE,
    stability=Stability.EXPERIMENTAL,
)
ENTITY_BACKLOG = Family(
    f"{_HUB}entity_backlog_operations",
    Kind.GAUGE,
    "Operations queued at entities, all together.",
    ("entity",),
    Sweep.ACTIVE,
)
ENTITY_BACKLOG_MAX = Family(
    f"{_HUB}entity_backlog_max_operations",
    Kind.GAUGE,
    "Operations queued at the entity with the longest queue.",
    ("entity",),
    Sweep.ACTIVE,
)

LAST_SWEEP = Family(
    f"{_SELF}last_sweep_timestamp_seconds",
    Kind.GAUGE,
    "End of the last complete sweep, by the exporter's clock.",
    ("sweep",),
)
SWEEP_DURATION = Family(
    f"{_SELF}sweep_duration_seconds",
    Kind.GAUGE,
    "How long the last sweep took, complete or not.",
    ("sweep",),
)
SWEEP_INTERVAL = Family(
    f"{_SELF}sweep_interval_seconds",
    Kind.GAUGE,
    "Effective interval of a sweep: stretched where it takes more than half of it.",
    ("sweep",),
)
SWEEP_CONFIGURED_INTERVAL = Family(
    f"{_SELF}sweep_configured_interval_seconds",
    Kind.GAUGE,
    "Configured interval of a sweep; absent where it is off.",
    ("sweep",),
)
SWEEPS = Family(
    f"{_SELF}sweeps_total", Kind.COUNTER, "Sweeps by how they ended.", ("sweep", "result")
)
PAGE_BUDGET_REMAINING = Family(
    f"{_SELF}page_budget_remaining",
    Kind.GAUGE,
    "Pages that may still be read today (UTC); absent where page_budget is not set.",
)
PAGES = Family(f"{_SELF}pages_total", Kind.COUNTER, "Pages of lists that were read.", ("sweep",))
ROWS = Family(f"{_SELF}rows_total", Kind.COUNTER, "Rows of lists that were read.", ("sweep",))
ROWS_REFUSED = Family(
    f"{_SELF}rows_refused_total",
    Kind.COUNTER,
    "Rows left out because their instance ids are longer than 1,024 characters; absent until one "
    "comes.",
    ("sweep",),
)
API_REQUESTS = Family(
    f"{_SELF}api_requests_total",
    Kind.COUNTER,
    "Requests to the API, every attempt; code is the HTTP status, none where no answer came.",
    ("operation", "code"),
)
API_REQUEST_DURATION = Family(
    f"{_SELF}api_request_duration_seconds",
    Kind.HISTOGRAM,
    "How long requests to the API took, every attempt.",
    ("operation",),
)
API_ERRORS = Family(
    f"{_SELF}api_errors_total",
    Kind.COUNTER,
    "Requests that failed, every attempt, by what an operator has to do about it.",
    ("operation", "kind"),
)
API_RETRIES = Family(
    f"{_SELF}api_retries_total",
    Kind.COUNTER,
    "Requests that were tried again.",
    ("operation",),
)
API_RESPONSE_BYTES = Family(
    f"{_SELF}api_response_bytes_total",
    Kind.COUNTER,
    "Bytes of the bodies that were read.",
    ("operation",),
)
UNCONFIRMED = Family(
    f"{_SELF}unconfirmed_instances",
    Kind.GAUGE,
    "Instances that left the active set and could not be read since.",
)
LATE_FINISHES = Family(
    f"{_SELF}late_finishes_total",
    Kind.COUNTER,
    "Finishes found only by looking further back than the base overlap, or by the census.",
)
ROW_DELAY = Family(
    f"{_SELF}row_delay_seconds",
    Kind.GAUGE,
    "Largest age at first sight of a finish that was never seen active, in the last sweep.",
    sweep=Sweep.FINISHED,
)
BASELINE = Family(
    f"{_SELF}baseline_timestamp_seconds",
    Kind.GAUGE,
    "First contact with the hub: what finished before is history and not counted.",
)
BOOK_HORIZON = Family(
    f"{_SELF}book_horizon_timestamp_seconds",
    Kind.GAUGE,
    "The moment before which an unknown finish is history.",
)
STATE_ERRORS = Family(
    f"{_SELF}state_errors_total",
    Kind.COUNTER,
    "States that could not be used or written, by reason; absent where none is kept.",
    ("reason",),
)
STATE_LAST_WRITE = Family(
    f"{_SELF}state_last_write_timestamp_seconds",
    Kind.GAUGE,
    "When the state was last written, by the exporter's clock.",
)
TRACKED = Family(
    f"{_SELF}tracked_instances",
    Kind.GAUGE,
    "Active instances that are followed.",
    sweep=Sweep.ACTIVE,
)
UNDIAGNOSED = Family(
    f"{_SELF}undiagnosed_instances",
    Kind.GAUGE,
    "Instances over a limit of which it is not known yet what they wait on; absent where"
    " history_budget is 0.",
    ("orchestrator",),
    Sweep.ACTIVE,
)
OUTSIDE_PREFIXES = Family(
    f"{_SELF}instances_outside_prefixes",
    Kind.GAUGE,
    "Active instances whose ids begin with none of id_prefixes: they are not followed. Must be 0.",
    sweep=Sweep.ENTITIES,
)
SERIES = Family(f"{_SELF}series", Kind.GAUGE, "Series that are shown of the hub.")
LABEL_VALUES = Family(
    f"{_SELF}label_values",
    Kind.GAUGE,
    "Distinct names seen for a label, folded ones included.",
    ("label",),
)
LABEL_VALUES_FOLDED = Family(
    f"{_SELF}label_values_folded_total",
    Kind.COUNTER,
    "Names that share the label value _other: the limit was reached, or they are longer than 256 "
    "characters.",
    ("label",),
)
CLOCK_SKEW = Family(
    f"{_SELF}clock_skew_seconds",
    Kind.GAUGE,
    "The server's clock less the exporter's, to the second; where it is over a day, or has just "
    "jumped by over two minutes, the exporter's is used.",
)
RELOAD_SUCCESSFUL = Family(
    f"{_SELF}config_last_reload_successful",
    Kind.GAUGE,
    "1 if the configuration could be used when it was last read, else 0: the previous one is kept.",
    per_hub=False,
)
RELOAD_TIMESTAMP = Family(
    f"{_SELF}config_last_reload_timestamp_seconds",
    Kind.GAUGE,
    "When the configuration in force was read, by the exporter's clock.",
    per_hub=False,
)
SHARD_INFO = Family(
    f"{_SELF}shard_info",
    Kind.INFO,
    "Which of how many exporters this is: each polls a part of the hubs.",
    ("shard", "shards"),
    per_hub=False,
)
BUILD_INFO = Family(
    f"{_SELF}build_info",
    Kind.INFO,
    "Version of the exporter and of Python.",
    ("version", "python_version"),
    per_hub=False,
)

CATALOGUE: tuple[Family, ...] = (
    UP, HUB_INFO, INSTANCES, OLDEST_CREATED, OLDEST_UPDATED, INSTANCE_AGE, INSTANCE_IDLE,
    LIMIT, OVER_LIMIT, CREATED, FINISHED, DURATION, CONTINUED, REOPENED, VANISHED,
    FAILURES, FAILURE_REASONS, UNRESOLVED, OLDEST_UNRESOLVED, RECENT, FAILURE_RATIO,
    LAST_CREATED, LAST_FINISHED, LAST_PROGRESS, OLDEST_RETAINED,
    STALLED, WAITING, STALLED_SINCE, OVERDUE_TIMER,
    ENTITIES, ENTITY_IDLE, ENTITY_LAST_OPERATION, ENTITIES_LOCKED, ENTITY_ORPHANED_LOCKS,
    ENTITY_BACKLOG, ENTITY_BACKLOG_MAX,
    LAST_SWEEP, SWEEP_DURATION, SWEEP_INTERVAL, SWEEP_CONFIGURED_INTERVAL, SWEEPS,
    PAGE_BUDGET_REMAINING, PAGES, ROWS, ROWS_REFUSED,
    API_REQUESTS, API_REQUEST_DURATION, API_ERRORS, API_RETRIES, API_RESPONSE_BYTES,
    UNCONFIRMED, LATE_FINISHES, ROW_DELAY, BASELINE, BOOK_HORIZON, STATE_ERRORS, STATE_LAST_WRITE,
    TRACKED, UNDIAGNOSED, OUTSIDE_PREFIXES, SERIES, LABEL_VALUES, LABEL_VALUES_FOLDED, CLOCK_SKEW,
    RELOAD_SUCCESSFUL, RELOAD_TIMESTAMP, SHARD_INFO, BUILD_INFO,
)  # fmt: skip
