"""
The table of all families: each is served and documented by its declaration here.

The exposition, the reference page, and tests of dashboards, rules and docs use it.
"""

from __future__ import annotations

from platform import python_version

from exporter import __version__
from exporter.api.telemetry import OPERATIONS
from exporter.metrics import readings as r
from exporter.metrics.azure_families import AZURE_FAMILIES
from exporter.metrics.family import Family, Kind, Stability, counter, gauge, spread

_HUB = "durable_functions_"
_SELF = "durable_functions_exporter_"

UP = gauge(
    f"{_HUB}up",
    "1 if the hub's last listing of active instances (sweep active) completed, else 0.",
    r.lasting(lambda hub: r.single(hub.up)),
)
HUB_REPLACED = gauge(
    f"{_HUB}hub_replaced_timestamp_seconds",
    "When all known active and failed instances, at least five, last vanished in one sweep: the"
    " app uses another hub name or storage, as after a slot swap. Absent if never.",
    r.lasting(lambda hub: r.single(hub.known.replaced)),
)
HUB_INFO = Family(
    f"{_HUB}hub_info",
    Kind.INFO,
    "1, with the configured app, task hub, connection and labels. For joins.",
    ("function_app", "hub_name", "connection"),
    (r.lasting(r.hub_info),),
    free_labels=True,
)
INSTANCES = gauge(
    f"{_HUB}instances",
    "Instances now: active ones as last listed, finished ones by census plus finishes since.",
    r.ACTIVE(r.active_instances),
    r.RETAINED(r.retained_instances),
    labels=("orchestrator", "runtime_status"),
)
OLDEST_CREATED = gauge(
    f"{_HUB}oldest_instance_created_timestamp_seconds",
    "When the oldest active instance was created (createdTime); absent without one.",
    r.ACTIVE(lambda _, view: view.oldest_created.items()),
    labels=("orchestrator", "runtime_status"),
)
OLDEST_UPDATED = gauge(
    f"{_HUB}oldest_instance_updated_timestamp_seconds",
    "Oldest lastUpdatedTime of an active instance; absent without one.",
    r.ACTIVE(lambda _, view: view.oldest_updated.items()),
    labels=("orchestrator", "runtime_status"),
)
INSTANCE_AGE = spread(
    Kind.DISTRIBUTION,
    f"{_HUB}instance_age_seconds",
    "Active instances by age (time since createdTime). Current values: query without rate.",
    ("orchestrator", "runtime_status"),
    r.ACTIVE(lambda hub, view: r.spread(view.ages.items(), hub.age_bounds)),
)
LIMIT = gauge(
    f"{_HUB}limit_seconds",
    "Time limits (pending, idle, age, suspended, success, retention, stopped): the hub's if"
    " orchestrator is empty, else the orchestrator's own. +Inf means no limit.",
    r.lasting(r.limits),
    labels=("orchestrator", "limit"),
)
LIMIT_RATIO = gauge(
    f"{_HUB}limit_ratio",
    "Ratio limits (failure_ratio); orchestrator as in limit_seconds.",
    r.lasting(r.RATIO_LIMITS),
    labels=("orchestrator", "limit"),
)
LIMIT_INSTANCES = gauge(
    f"{_HUB}limit_instances",
    "Instance count limits (unresolved_failures); orchestrator as in limit_seconds.",
    r.lasting(r.INSTANCE_LIMITS),
    labels=("orchestrator", "limit"),
)
OVER_LIMIT = gauge(
    f"{_HUB}instances_over_limit",
    "Active instances over the limit pending, idle, age or suspended.",
    r.ACTIVE(r.over_limit),
    labels=("orchestrator", "limit"),
)
CREATED = counter(
    f"{_HUB}instances_created_total",
    "Instances created since first contact with the hub, counted when first seen.",
    r.counted("created"),
    labels=("orchestrator",),
)
FINISHED = counter(
    f"{_HUB}instances_finished_total",
    "Finishes since first contact with the hub, each counted once.",
    r.counted("finished"),
    labels=("orchestrator", "runtime_status"),
    exemplars=r.latest_finished,
)
DURATION = spread(
    Kind.HISTOGRAM,
    f"{_HUB}instance_duration_seconds",
    "Time from createdTime to lastUpdatedTime of instances that completed since first contact,"
    " queueing included, in whole seconds.",
    ("orchestrator",),
    r.lasting(lambda hub: r.spread(hub.counters.durations.items(), hub.duration_bounds)),
)
CONTINUED = counter(
    f"{_HUB}instances_continued_total",
    "Instances seen with newer createdTime: continued as new or restarted.",
    r.counted("continued"),
    labels=("orchestrator",),
)
REOPENED = counter(
    f"{_HUB}instances_reopened_total",
    "Failed instances that were rewound: active again with the same createdTime.",
    r.counted("reopened"),
)
VANISHED = counter(
    f"{_HUB}instances_vanished_total",
    "Active instances that disappeared from storage without a known finish.",
    r.counted("vanished"),
)
FAILURES = counter(
    f"{_HUB}failures_total",
    "Instances that finished as Failed, by the category of failure in their output.",
    r.counted("failures"),
    labels=("orchestrator", "category"),
)
FAILURE_REASONS = counter(
    f"{_HUB}failure_reasons_total",
    "Failed instances by category, function and error type; _other beyond max_failure_reasons.",
    r.counted("failure_reasons"),
    labels=("orchestrator", "category", "failed_function", "error_type"),
    stability=Stability.EXPERIMENTAL,
)
UNRESOLVED = gauge(
    f"{_HUB}unresolved_failures",
    "Root instances that failed within failed_lookback and are still Failed: not rewound,"
    " restarted or purged.",
    r.UNRESOLVED(lambda hub, view: r.by_name(view.failures, hub.known.orchestrators)),
    labels=("orchestrator",),
)
OLDEST_UNRESOLVED = gauge(
    f"{_HUB}oldest_unresolved_failure_timestamp_seconds",
    "When the oldest unresolved failure occurred (lastUpdatedTime); absent if none.",
    r.UNRESOLVED(lambda _, view: r.by_name(view.oldest)),
    labels=("orchestrator",),
)
RECENT = gauge(
    f"{_HUB}recent_finished_instances",
    "Instances that completed or failed within the window before the last sweep.",
    r.FINISHED(r.recent_finishes),
    labels=("orchestrator", "runtime_status", "window"),
)
FAILURE_RATIO = gauge(
    f"{_HUB}failure_ratio",
    "Failed share of instances that completed or failed within the window; absent if none did.",
    r.FINISHED(lambda _, view: view.failure_ratio.items()),
    labels=("orchestrator", "window"),
)
LAST_CREATED = gauge(
    f"{_HUB}last_created_timestamp_seconds",
    "When the latest instance was created (createdTime).",
    r.lasting(lambda hub: r.by_name(hub.known.latest.created)),
    labels=("orchestrator",),
)
LAST_FINISHED = gauge(
    f"{_HUB}last_finished_timestamp_seconds",
    "When an instance last finished in this status (lastUpdatedTime).",
    r.lasting(lambda hub: hub.known.latest.finished.items()),
    labels=("orchestrator", "runtime_status"),
)
LAST_PROGRESS = gauge(
    f"{_HUB}last_progress_timestamp_seconds",
    "When an instance last made progress (latest lastUpdatedTime seen).",
    r.lasting(lambda hub: r.by_name(hub.known.latest.progress)),
    labels=("orchestrator",),
)
OLDEST_RETAINED = gauge(
    f"{_HUB}oldest_retained_timestamp_seconds",
    "When the oldest finished instance that is still stored was created.",
    r.RETAINED(lambda _, view: r.by_name(view.oldest_created)),
    labels=("runtime_status",),
)
STALLED = gauge(
    f"{_HUB}stalled_instances",
    "Instances over a limit whose wait means trouble, by what the end of their blocking chain"
    " waits on; target is the activity, orchestrator or entity. Sampled by"
    " max_histories_per_sweep.",
    r.DIAGNOSIS(lambda _, view: view.stalled.items()),
    labels=("orchestrator", "waiting_on", "target"),
)
WAITING = gauge(
    f"{_HUB}waiting_instances",
    "Instances over a limit that are waiting as expected. Sampled by max_histories_per_sweep.",
    r.DIAGNOSIS(lambda _, view: view.waiting.items()),
    labels=("orchestrator", "waiting_on", "target"),
)
STALLED_SINCE = gauge(
    f"{_HUB}stalled_since_timestamp_seconds",
    "When the longest wait of a stalled instance began. Sampled by max_histories_per_sweep.",
    r.DIAGNOSIS(lambda _, view: view.stalled_since.items()),
    labels=("orchestrator", "waiting_on", "target"),
)
ORPHANED = gauge(
    f"{_HUB}orphaned_instances",
    "Active sub-orchestrations whose parent finished or is gone; absent if rows name no parent.",
    r.DIAGNOSIS(lambda _, view: r.by_name(view.orphans)),
    labels=("orchestrator",),
)
OVERDUE_TIMER = gauge(
    f"{_HUB}oldest_overdue_timer_timestamp_seconds",
    "When the oldest overdue timer of instances over a limit should have fired.",
    r.DIAGNOSIS(lambda _, view: r.by_name(view.overdue_timers)),
    labels=("orchestrator",),
)
ENTITIES = gauge(
    f"{_HUB}entities",
    "Entities of the hub.",
    r.ENTITIES(lambda hub, view: r.by_name(view.entities, hub.known.entities)),
    labels=("entity",),
)
ENTITY_IDLE = spread(
    Kind.DISTRIBUTION,
    f"{_HUB}entity_idle_seconds",
    "Entities by time since their last operation. Current values: query without rate.",
    ("entity",),
    r.ENTITIES(r.entity_idles),
)
ENTITY_LAST_OPERATION = gauge(
    f"{_HUB}entity_last_operation_timestamp_seconds",
    "When an operation last ran on an entity of the class.",
    r.ENTITIES(lambda _, view: r.by_name(view.last_operation)),
    labels=("entity",),
)
ENTITIES_LOCKED = gauge(
    f"{_HUB}entities_locked",
    "Entities locked by an orchestration.",
    *r.each_entity(lambda locks: locks.locked),
    labels=("entity",),
)
ENTITY_ORPHANED_LOCKS = gauge(
    f"{_HUB}entity_orphaned_locks",
    "Entities locked by an instance that was inactive in two sweeps in a row.",
    *r.each_entity(lambda locks: locks.orphaned),
    labels=("entity",),
    stability=Stability.EXPERIMENTAL,
)
ENTITY_BACKLOG = gauge(
    f"{_HUB}entity_backlog_operations",
    "Operations queued at all entities of the class.",
    *r.each_entity(lambda locks: locks.backlog),
    labels=("entity",),
)
ENTITY_BACKLOG_MAX = gauge(
    f"{_HUB}entity_backlog_max_operations",
    "Operations in the longest queue of an entity of the class.",
    *r.each_entity(lambda locks: locks.backlog_max),
    labels=("entity",),
)

HUB_ERROR = gauge(
    f"{_SELF}hub_error",
    "1 while the hub is down because of an error of this kind; absent otherwise.",
    r.lasting(r.hub_error),
    labels=("kind",),
)
LAST_SWEEP = gauge(
    f"{_SELF}last_sweep_timestamp_seconds",
    "When the last complete sweep ended, by the exporter's clock.",
    r.each_sweep(lambda state: state.completed),
    labels=("sweep",),
)
# Read by exposition.py: it changes with time.
SWEEP_FRESH = gauge(
    f"{_SELF}sweep_fresh",
    "1 if the last complete sweep ended within three intervals and a minute, so that alerts can"
    " rely on its data; else 0. Absent if the sweep is off.",
    labels=("sweep",),
)
SWEEP_DURATION = gauge(
    f"{_SELF}sweep_duration_seconds",
    "Duration of the last sweep, complete or not.",
    r.each_sweep(lambda state: state.duration),
    labels=("sweep",),
)
SWEEP_INTERVAL = gauge(
    f"{_SELF}sweep_interval_seconds",
    "Effective interval of a sweep: the configured one, or twice the last complete sweep's"
    " duration if that is longer.",
    r.each_sweep(lambda state: None if state.configured is None else state.interval),
    labels=("sweep",),
)
SWEEP_CONFIGURED_INTERVAL = gauge(
    f"{_SELF}sweep_configured_interval_seconds",
    "Configured interval of a sweep; absent if the sweep is off.",
    r.each_sweep(lambda state: state.configured),
    labels=("sweep",),
)
SWEEPS = counter(
    f"{_SELF}sweeps_total",
    "Sweeps of the hub by result.",
    r.lasting(r.sweep_results),
    labels=("sweep", "result"),
)
PAGE_BUDGET_REMAINING = gauge(
    f"{_SELF}page_budget_remaining",
    "Pages that may still be read today (UTC); absent without max_pages_per_day.",
    r.lasting(lambda hub: r.single(hub.pages_remaining)),
)
PAGES = counter(
    f"{_SELF}pages_total",
    "Pages of listings read by a sweep.",
    r.each_sweep(lambda state: state.pages),
    labels=("sweep",),
)
ROWS = counter(
    f"{_SELF}rows_total",
    "Rows of listings read by a sweep.",
    r.each_sweep(lambda state: state.rows),
    labels=("sweep",),
)
ROWS_REFUSED = counter(
    f"{_SELF}rows_refused_total",
    "Rows skipped for an instance id over 1,024 characters; absent until the first.",
    r.each_sweep(lambda state: state.refused or None),
    labels=("sweep",),
)
API_REQUESTS = counter(
    f"{_SELF}api_requests_total",
    "Requests to the hub's API, including retries; code is the HTTP status, or none if there was"
    " no response.",
    r.lasting(lambda hub: hub.api.requests.items()),
    labels=("operation", "code"),
)
API_REQUEST_DURATION = spread(
    Kind.HISTOGRAM,
    f"{_SELF}api_request_duration_seconds",
    "Duration of requests to the hub's API, each attempt on its own.",
    ("operation",),
    r.lasting(r.api_durations),
)
API_ERRORS = counter(
    f"{_SELF}api_errors_total",
    "Failed requests to the hub's API, including retries, by error kind; absent until one fails.",
    r.lasting(lambda hub: hub.api.errors.items()),
    labels=("operation", "kind"),
)
API_RETRIES = counter(
    f"{_SELF}api_retries_total",
    "Retries of requests to the hub's API.",
    r.lasting(lambda hub: r.by_name(hub.api.retries, OPERATIONS)),
    labels=("operation",),
)
API_RESPONSE_BYTES = counter(
    f"{_SELF}api_response_bytes_total",
    "Bytes of response bodies read.",
    r.lasting(lambda hub: r.by_name(hub.api.response_bytes)),
    labels=("operation",),
)
UNCONFIRMED = gauge(
    f"{_SELF}unconfirmed_instances",
    "Instances that left the listing of active ones and have not been read since.",
    r.lasting(lambda hub: r.single(hub.known.unconfirmed)),
)
LATE_FINISHES = counter(
    f"{_SELF}late_finishes_total",
    "Finishes found only by looking back further than the base overlap, or by the census.",
    r.counted("late_finishes"),
)
ROW_DELAY = gauge(
    f"{_SELF}row_delay_seconds",
    "Longest finish-to-row delay in the last sweep, of instances never seen active.",
    r.FINISHED(lambda _, view: r.single(view.row_delay)),
)
BASELINE = gauge(
    f"{_SELF}baseline_timestamp_seconds",
    "First contact with the hub: earlier finishes are not counted.",
    r.lasting(lambda hub: r.single(hub.known.baseline)),
)
BOOK_HORIZON = gauge(
    f"{_SELF}book_horizon_timestamp_seconds",
    "Unknown finishes before this time are no longer counted.",
    r.lasting(lambda hub: r.single(hub.known.horizon)),
)
STATE_ERRORS = counter(
    f"{_SELF}state_errors_total",
    "Failures to use or write the state, by reason; absent without state_dir.",
    r.lasting(lambda hub: r.by_name(hub.state.errors) if hub.state else ()),
    labels=("reason",),
)
STATE_LAST_WRITE = gauge(
    f"{_SELF}state_last_write_timestamp_seconds",
    "When the state of the hub was last written, by the exporter's clock.",
    r.lasting(lambda hub: r.single(hub.state.last_write if hub.state else None)),
)
STATE_WRITTEN = counter(
    f"{_SELF}state_written_bytes_total",
    "Bytes written for the state and its journal; absent if the system does not count them.",
    r.lasting(lambda hub: r.single(hub.state.written_bytes if hub.state else None)),
)
TRACKED = gauge(
    f"{_SELF}tracked_instances",
    "Active instances that the exporter tracks.",
    r.ACTIVE(lambda _, view: r.single(view.tracked)),
)
UNDIAGNOSED = gauge(
    f"{_SELF}undiagnosed_instances",
    "Instances over a limit that are not diagnosed yet; absent if max_histories_per_sweep is 0.",
    r.DIAGNOSIS(lambda _, view: r.single(view.undiagnosed_in_all())),
)
OUTSIDE_PREFIXES = gauge(
    f"{_SELF}instances_outside_prefixes",
    "Active instances whose ids begin with none of id_prefixes: not tracked. Must be 0.",
    r.UNFILTERED(lambda _, view: r.single(view.outside)),
)
SERIES = gauge(
    f"{_SELF}series", "Series that the exporter exposes for the hub."
)  # by exposition.py
LABEL_VALUES = gauge(
    f"{_SELF}label_values",
    "Distinct names seen for a label, including those that share _other.",
    r.lasting(lambda hub: r.by_name(hub.known.label_values)),
    labels=("label",),
)
LABEL_VALUES_FOLDED = counter(
    f"{_SELF}label_values_folded_total",
    "Names that share the label value _other, each counted once: beyond max_label_values, or"
    " longer than 256 characters.",
    r.counted("label_values_folded"),
    labels=("label",),
)
CLOCK_SKEW = gauge(
    f"{_SELF}clock_skew_seconds",
    "The app's clock minus the exporter's, to the second; if over a day, or after a jump of over"
    " two minutes, the exporter's clock is used.",
    r.lasting(lambda hub: r.single(hub.clock_skew)),
)
RELOAD_SUCCESSFUL = Family(
    f"{_SELF}config_last_reload_successful",
    Kind.GAUGE,
    "1 if the last reload of the configuration succeeded, else 0: the previous one is kept.",
    of_process=r.running(lambda view: r.single(view.reload_successful)),
)
RELOAD_TIMESTAMP = Family(
    f"{_SELF}config_last_reload_timestamp_seconds",
    Kind.GAUGE,
    "When the configuration in force was read, by the exporter's clock.",
    of_process=r.running(lambda view: r.single(view.loaded)),
)
SHARD_INFO = Family(
    f"{_SELF}shard_info",
    Kind.INFO,
    "1, with this exporter's shard and the number of shards; each polls some of the hubs.",
    ("shard", "shards"),
    of_process=r.running(lambda view: [((str(view.shard), str(view.shards)), 1.0)]),
)
BUILD_INFO = Family(
    f"{_SELF}build_info",
    Kind.INFO,
    "1, with the versions of the exporter and of Python.",
    ("version", "python_version"),
    of_process=lambda _: [((__version__, python_version()), 1.0)],
)

CATALOGUE = tuple(
    each for each in (*tuple(globals().values()), *AZURE_FAMILIES) if isinstance(each, Family)
)
