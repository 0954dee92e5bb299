"""
The one table of every family: each is served and documented by being declared here.

Exposition, reference page and the tests that keep dashboards, rules and docs in step come from it.
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
    "1 if the last listing of the hub's active instances (sweep active) completed, else 0.",
    (),
    r.lasting(lambda hub: r.single(hub.up)),
)
HUB_REPLACED = gauge(
    f"{_HUB}hub_replaced_timestamp_seconds",
    "When all known active and failed instances, five or more, last vanished in one sweep: the app"
    " uses another hub name or storage, as after a slot swap. Absent if that never happened.",
    (),
    r.lasting(lambda hub: r.single(hub.known.replaced)),
)
HUB_INFO = Family(
    f"{_HUB}hub_info",
    Kind.INFO,
    "1, with what the configuration says of the hub: its app, task hub and connection, and the"
    " configured labels. For joins.",
    ("function_app", "hub_name", "connection"),
    (r.lasting(r.hub_info),),
    free_labels=True,
)
INSTANCES = gauge(
    f"{_HUB}instances",
    "Instances of the hub now: in active statuses as last listed, in finished ones as the last"
    " census counted them, plus the finishes since.",
    ("orchestrator", "runtime_status"),
    r.ACTIVE(r.active_instances),
    r.RETAINED(r.retained_instances),
)
OLDEST_CREATED = gauge(
    f"{_HUB}oldest_instance_created_timestamp_seconds",
    "When the oldest active instance was created (createdTime); absent if there is none.",
    ("orchestrator", "runtime_status"),
    r.ACTIVE(lambda _, view: view.oldest_created.items()),
)
OLDEST_UPDATED = gauge(
    f"{_HUB}oldest_instance_updated_timestamp_seconds",
    "When the active instance with the longest silence last made progress (lastUpdatedTime); absent"
    " if there is none.",
    ("orchestrator", "runtime_status"),
    r.ACTIVE(lambda _, view: view.oldest_updated.items()),
)
INSTANCE_AGE = spread(
    Kind.DISTRIBUTION,
    f"{_HUB}instance_age_seconds",
    "Active instances now by their age, which counts from createdTime. Not of events: query it"
    " without rate. Absent where no instance is active.",
    ("orchestrator", "runtime_status"),
    r.ACTIVE(lambda hub, view: r.spread(view.ages.items(), hub.age_bounds)),
)
LIMIT = gauge(
    f"{_HUB}limit_seconds",
    "Limits on times (pending, idle, age, suspended, success, retention, stopped). The one with an"
    " empty orchestrator holds for all of the hub but those that have their own, which is +Inf"
    " where it is none.",
    ("orchestrator", "limit"),
    r.lasting(r.limits),
)
LIMIT_RATIO = gauge(
    f"{_HUB}limit_ratio",
    "Limits on shares (failure_ratio). The one with an empty orchestrator holds for all of the hub"
    " but those that have their own, which is +Inf where it is none.",
    ("orchestrator", "limit"),
    r.lasting(r.RATIO_LIMITS),
)
LIMIT_INSTANCES = gauge(
    f"{_HUB}limit_instances",
    "Limits on numbers of instances (unresolved_failures). The one with an empty orchestrator holds"
    " for all of the hub but those that have their own, which is +Inf where it is none.",
    ("orchestrator", "limit"),
    r.lasting(r.INSTANCE_LIMITS),
)
OVER_LIMIT = gauge(
    f"{_HUB}instances_over_limit",
    "Active instances over the limit pending, idle, age or suspended.",
    ("orchestrator", "limit"),
    r.ACTIVE(r.over_limit),
)
CREATED = counter(
    f"{_HUB}instances_created_total",
    "Instances created since the exporter's first contact with the hub, counted when first seen.",
    ("orchestrator",),
    r.counted("created"),
)
FINISHED = counter(
    f"{_HUB}instances_finished_total",
    "Instances that finished since the exporter's first contact with the hub, each counted once.",
    ("orchestrator", "runtime_status"),
    r.counted("finished"),
    exemplars=r.latest_finished,
)
DURATION = spread(
    Kind.HISTOGRAM,
    f"{_HUB}instance_duration_seconds",
    "How long instances that completed since first contact took, from createdTime to"
    " lastUpdatedTime: queueing included, in whole seconds.",
    ("orchestrator",),
    r.lasting(lambda hub: r.spread(hub.counters.durations.items(), hub.duration_bounds)),
)
CONTINUED = counter(
    f"{_HUB}instances_continued_total",
    "Instances seen with a newer createdTime than before: continued as new, not started.",
    ("orchestrator",),
    r.counted("continued"),
)
REOPENED = counter(
    f"{_HUB}instances_reopened_total",
    "Failed instances that were rewound: active again with the same createdTime.",
    (),
    r.counted("reopened"),
)
VANISHED = counter(
    f"{_HUB}instances_vanished_total",
    "Instances that were active and are no longer stored, without having been seen to finish.",
    (),
    r.counted("vanished"),
)
FAILURES = counter(
    f"{_HUB}failures_total",
    "Instances that finished as Failed, by the category of what went wrong, as their output shows.",
    ("orchestrator", "category"),
    r.counted("failures"),
)
FAILURE_REASONS = counter(
    f"{_HUB}failure_reasons_total",
    "Instances that finished as Failed, by category, the function that failed and the type of its"
    " error; beyond max_failure_reasons they are _other.",
    ("orchestrator", "category", "failed_function", "error_type"),
    r.counted("failure_reasons"),
    stability=Stability.EXPERIMENTAL,
)
UNRESOLVED = gauge(
    f"{_HUB}unresolved_failures",
    "Roots (instances without parent) that are Failed now and failed within failed_lookback: nobody"
    " has rewound, restarted or purged them.",
    ("orchestrator",),
    r.UNRESOLVED(lambda hub, view: r.by_name(view.failures, hub.known.orchestrators)),
)
OLDEST_UNRESOLVED = gauge(
    f"{_HUB}oldest_unresolved_failure_timestamp_seconds",
    "When the oldest unresolved failure failed, by its lastUpdatedTime; absent if there is none.",
    ("orchestrator",),
    r.UNRESOLVED(lambda _, view: r.by_name(view.oldest)),
)
RECENT = gauge(
    f"{_HUB}recent_finished_instances",
    "Instances that completed or failed within the window before the last sweep.",
    ("orchestrator", "runtime_status", "window"),
    r.FINISHED(r.recent_finishes),
)
FAILURE_RATIO = gauge(
    f"{_HUB}failure_ratio",
    "Failed share of what completed or failed within the window; absent when nothing did.",
    ("orchestrator", "window"),
    r.FINISHED(lambda _, view: view.failure_ratio.items()),
)
LAST_CREATED = gauge(
    f"{_HUB}last_created_timestamp_seconds",
    "When the latest instance was created, by createdTime.",
    ("orchestrator",),
    r.lasting(lambda hub: r.by_name(hub.known.latest.created)),
)
LAST_FINISHED = gauge(
    f"{_HUB}last_finished_timestamp_seconds",
    "When an instance last finished in this status, by lastUpdatedTime.",
    ("orchestrator", "runtime_status"),
    r.lasting(lambda hub: hub.known.latest.finished.items()),
)
LAST_PROGRESS = gauge(
    f"{_HUB}last_progress_timestamp_seconds",
    "When an instance last made progress: the latest lastUpdatedTime seen.",
    ("orchestrator",),
    r.lasting(lambda hub: r.by_name(hub.known.latest.progress)),
)
OLDEST_RETAINED = gauge(
    f"{_HUB}oldest_retained_timestamp_seconds",
    "When the oldest finished instance was created that is still stored.",
    ("runtime_status",),
    r.RETAINED(lambda _, view: r.by_name(view.oldest_created)),
)
STALLED = gauge(
    f"{_HUB}stalled_instances",
    "Instances over a limit whose wait means trouble, as far as their histories were read"
    " (sampled), by what the end of their blocking chain waits on; target names the activity,"
    " orchestrator or entity.",
    ("orchestrator", "waiting_on", "target"),
    r.DIAGNOSIS(lambda _, view: view.stalled.items()),
)
WAITING = gauge(
    f"{_HUB}waiting_instances",
    "Instances over a limit that are waiting as expected, as far as their histories were read"
    " (sampled).",
    ("orchestrator", "waiting_on", "target"),
    r.DIAGNOSIS(lambda _, view: view.waiting.items()),
)
STALLED_SINCE = gauge(
    f"{_HUB}stalled_since_timestamp_seconds",
    "Since when the oldest stalled instance waits, as far as histories were read (sampled).",
    ("orchestrator", "waiting_on", "target"),
    r.DIAGNOSIS(lambda _, view: view.stalled_since.items()),
)
ORPHANED = gauge(
    f"{_HUB}orphaned_instances",
    "Active sub-orchestrations whose parent has finished or is gone; absent where no parent is"
    " named.",
    ("orchestrator",),
    r.DIAGNOSIS(lambda _, view: r.by_name(view.orphans)),
)
OVERDUE_TIMER = gauge(
    f"{_HUB}oldest_overdue_timer_timestamp_seconds",
    "When the oldest overdue timer should have fired, of those that instances over a limit still"
    " wait for.",
    ("orchestrator",),
    r.DIAGNOSIS(lambda _, view: r.by_name(view.overdue_timers)),
)
ENTITIES = gauge(
    f"{_HUB}entities",
    "Entities of the hub.",
    ("entity",),
    r.ENTITIES(lambda hub, view: r.by_name(view.entities, hub.known.entities)),
)
ENTITY_IDLE = spread(
    Kind.DISTRIBUTION,
    f"{_HUB}entity_idle_seconds",
    "Entities now by the time since their last operation. Not of events: query it without rate.",
    ("entity",),
    r.ENTITIES(r.entity_idles),
)
ENTITY_LAST_OPERATION = gauge(
    f"{_HUB}entity_last_operation_timestamp_seconds",
    "When an entity last had an operation.",
    ("entity",),
    r.ENTITIES(lambda _, view: r.by_name(view.last_operation)),
)
ENTITIES_LOCKED = gauge(
    f"{_HUB}entities_locked",
    "Entities that an orchestration has locked.",
    ("entity",),
    *r.each_entity(lambda locks: locks.locked),
)
ENTITY_ORPHANED_LOCKS = gauge(
    f"{_HUB}entity_orphaned_locks",
    "Entities locked by an instance that was not active in two sweeps in a row.",
    ("entity",),
    *r.each_entity(lambda locks: locks.orphaned),
    stability=Stability.EXPERIMENTAL,
)
ENTITY_BACKLOG = gauge(
    f"{_HUB}entity_backlog_operations",
    "Operations queued at all entities of the class together.",
    ("entity",),
    *r.each_entity(lambda locks: locks.backlog),
)
ENTITY_BACKLOG_MAX = gauge(
    f"{_HUB}entity_backlog_max_operations",
    "Operations queued at the one entity of the class that has most of them.",
    ("entity",),
    *r.each_entity(lambda locks: locks.backlog_max),
)

HUB_ERROR = gauge(
    f"{_SELF}hub_error",
    "1 while the hub is down for the cause kind; absent otherwise.",
    ("kind",),
    r.lasting(r.hub_error),
)
LAST_SWEEP = gauge(
    f"{_SELF}last_sweep_timestamp_seconds",
    "When the last complete sweep ended, by the exporter's clock.",
    ("sweep",),
    r.each_sweep(lambda state: state.completed),
)
# The exposition tells it, since it changes as time goes by.
SWEEP_FRESH = gauge(
    f"{_SELF}sweep_fresh",
    "1 while what the sweep feeds is young enough to be judged: its last complete one ended within"
    " three intervals and a minute. 0 after that and before the first; absent where it is off.",
    ("sweep",),
)
SWEEP_DURATION = gauge(
    f"{_SELF}sweep_duration_seconds",
    "How long the last sweep of the hub took, complete or not.",
    ("sweep",),
    r.each_sweep(lambda state: state.duration),
)
SWEEP_INTERVAL = gauge(
    f"{_SELF}sweep_interval_seconds",
    "Effective interval of a sweep: the configured one, or twice as long as the last complete one"
    " took.",
    ("sweep",),
    r.each_sweep(lambda state: None if state.configured is None else state.interval),
)
SWEEP_CONFIGURED_INTERVAL = gauge(
    f"{_SELF}sweep_configured_interval_seconds",
    "Configured interval of a sweep; absent where the sweep is off.",
    ("sweep",),
    r.each_sweep(lambda state: state.configured),
)
SWEEPS = counter(
    f"{_SELF}sweeps_total",
    "Sweeps of the hub, by how they ended.",
    ("sweep", "result"),
    r.lasting(r.sweep_results),
)
PAGE_BUDGET_REMAINING = gauge(
    f"{_SELF}page_budget_remaining",
    "Pages that may still be read today (UTC); absent where max_pages_per_day is not set.",
    (),
    r.lasting(lambda hub: r.single(hub.pages_remaining)),
)
PAGES = counter(
    f"{_SELF}pages_total",
    "Pages of lists that a sweep has read.",
    ("sweep",),
    r.each_sweep(lambda state: state.pages),
)
ROWS = counter(
    f"{_SELF}rows_total",
    "Rows of lists that a sweep has read.",
    ("sweep",),
    r.each_sweep(lambda state: state.rows),
)
ROWS_REFUSED = counter(
    f"{_SELF}rows_refused_total",
    "Rows left out because their instance ids are longer than 1,024 characters; absent until one"
    " comes.",
    ("sweep",),
    r.each_sweep(lambda state: state.refused or None),
)
API_REQUESTS = counter(
    f"{_SELF}api_requests_total",
    "Requests to the hub's API, every attempt; code is the HTTP status, none where no answer came.",
    ("operation", "code"),
    r.lasting(lambda hub: hub.api.requests.items()),
)
API_REQUEST_DURATION = spread(
    Kind.HISTOGRAM,
    f"{_SELF}api_request_duration_seconds",
    "How long requests to the hub's API took, every attempt.",
    ("operation",),
    r.lasting(r.api_durations),
)
API_ERRORS = counter(
    f"{_SELF}api_errors_total",
    "Requests to the hub's API that failed, every attempt, by what an operator has to do about it;"
    " absent until one fails.",
    ("operation", "kind"),
    r.lasting(lambda hub: hub.api.errors.items()),
)
API_RETRIES = counter(
    f"{_SELF}api_retries_total",
    "Requests to the hub's API that were tried again.",
    ("operation",),
    r.lasting(lambda hub: r.by_name(hub.api.retries, OPERATIONS)),
)
API_RESPONSE_BYTES = counter(
    f"{_SELF}api_response_bytes_total",
    "Bytes of the bodies of answers that were read.",
    ("operation",),
    r.lasting(lambda hub: r.by_name(hub.api.response_bytes)),
)
UNCONFIRMED = gauge(
    f"{_SELF}unconfirmed_instances",
    "Instances that are no longer listed as active, and could not be read since.",
    (),
    r.lasting(lambda hub: r.single(hub.known.unconfirmed)),
)
LATE_FINISHES = counter(
    f"{_SELF}late_finishes_total",
    "Finishes found only by looking further back than the base overlap, or by the census.",
    (),
    r.counted("late_finishes"),
)
ROW_DELAY = gauge(
    f"{_SELF}row_delay_seconds",
    "How late the last sweep saw a finish of an instance that was never seen active, at most.",
    (),
    r.FINISHED(lambda _, view: r.single(view.row_delay)),
)
BASELINE = gauge(
    f"{_SELF}baseline_timestamp_seconds",
    "When the exporter first had contact with the hub: what finished before is not counted.",
    (),
    r.lasting(lambda hub: r.single(hub.known.baseline)),
)
BOOK_HORIZON = gauge(
    f"{_SELF}book_horizon_timestamp_seconds",
    "The moment before which a finish that is not known is not counted any more.",
    (),
    r.lasting(lambda hub: r.single(hub.known.horizon)),
)
STATE_ERRORS = counter(
    f"{_SELF}state_errors_total",
    "How often the kept state could not be used or written, by reason; absent where none is kept.",
    ("reason",),
    r.lasting(lambda hub: r.by_name(hub.state.errors) if hub.state else ()),
)
STATE_LAST_WRITE = gauge(
    f"{_SELF}state_last_write_timestamp_seconds",
    "When the state of the hub was last written, by the exporter's clock.",
    (),
    r.lasting(lambda hub: r.single(hub.state.last_write if hub.state else None)),
)
STATE_WRITTEN = counter(
    f"{_SELF}state_written_bytes_total",
    "Bytes written for the state, its journal included; absent where the system does not count"
    " them.",
    (),
    r.lasting(lambda hub: r.single(hub.state.written_bytes if hub.state else None)),
)
TRACKED = gauge(
    f"{_SELF}tracked_instances",
    "Active instances that are tracked.",
    (),
    r.ACTIVE(lambda _, view: r.single(view.tracked)),
)
UNDIAGNOSED = gauge(
    f"{_SELF}undiagnosed_instances",
    "Instances over a limit of which it is not known yet what they wait on; absent where"
    " max_histories_per_sweep is 0.",
    (),
    r.DIAGNOSIS(lambda _, view: r.single(view.undiagnosed_in_all())),
)
OUTSIDE_PREFIXES = gauge(
    f"{_SELF}instances_outside_prefixes",
    "Active instances whose ids begin with none of id_prefixes: they are not tracked. Must be 0.",
    (),
    r.UNFILTERED(lambda _, view: r.single(view.outside)),
)
SERIES = gauge(f"{_SELF}series", "Series that the exporter shows of the hub.")  # by exposition.py
LABEL_VALUES = gauge(
    f"{_SELF}label_values",
    "Distinct names seen for a label, those that share _other included.",
    ("label",),
    r.lasting(lambda hub: r.by_name(hub.known.label_values)),
)
LABEL_VALUES_FOLDED = counter(
    f"{_SELF}label_values_folded_total",
    "Names that came to share the label value _other, each counted once: max_label_values was"
    " reached, or they are longer than 256 characters.",
    ("label",),
    r.counted("label_values_folded"),
)
CLOCK_SKEW = gauge(
    f"{_SELF}clock_skew_seconds",
    "The clock of the hub's server less the exporter's, to the second; where it is over a day, or"
    " has just jumped by over two minutes, the exporter's is used.",
    (),
    r.lasting(lambda hub: r.single(hub.clock_skew)),
)
RELOAD_SUCCESSFUL = Family(
    f"{_SELF}config_last_reload_successful",
    Kind.GAUGE,
    "1 if the configuration could be used when it was last read, else 0: the previous one is kept.",
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
    "Which of how many exporters this is: each polls a part of the hubs.",
    ("shard", "shards"),
    of_process=r.running(lambda view: [((str(view.shard), str(view.shards)), 1.0)]),
)
BUILD_INFO = Family(
    f"{_SELF}build_info",
    Kind.INFO,
    "Version of the exporter and of Python.",
    ("version", "python_version"),
    of_process=lambda _: [((__version__, python_version()), 1.0)],
)

CATALOGUE = tuple(
    each for each in (*tuple(globals().values()), *AZURE_FAMILIES) if isinstance(each, Family)
)
