"""Hub: what waits, what is stuck, what fails, how long things take, what stays stored."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, one_of, quantile, selector, total
from grafana.board import (
    Board,
    Line,
    Section,
    choice,
    datasource,
    exporter_url,
    link_to,
    replicas,
)
from grafana.definitions.figures import failed, failure_ratio, stalled
from grafana.definitions.fleet import FRESH, REACHED, SHARE
from grafana.panels import (
    ANY_IS_BAD,
    ANY_IS_WORTH_A_LOOK,
    CATEGORY_COLORS,
    GREEN,
    ORANGE,
    RED,
    SMOOTH,
    STATUS_COLORS,
    Column,
    Key,
    Query,
    bars,
    heat,
    limit_style,
    rows,
    stat,
    timeseries,
)
from grafana.scope import Scope

HUB = Scope(equal("task_hub", "$task_hub"), one_of("orchestrator", "$orchestrator"))
NAME = ("orchestrator",)
WAITS = ("orchestrator", "waiting_on", "target")

_PENDING, _RUNNING = equal("runtime_status", "Pending"), equal("runtime_status", "Running")
_ACTIVE = one_of("runtime_status", "Pending", "Running", "Suspended", "ContinuedAsNew")
_FAILED = equal("runtime_status", "Failed")
_HOUR, _DAY = equal("window", "1h"), equal("window", "24h")

TO_ORCHESTRATOR = Key(
    "orchestrator",
    "Orchestrator",
    link_to(
        "orchestrator",
        "task_hub=${task_hub:percentencode}",
        "orchestrator=${__value.text:percentencode}",
    ),
    "Open the orchestrator's dashboard",
)

NOW = Line(
    4,
    (
        stat(
            "Polled",
            "Can the hub be polled? If not, the numbers below are old and are removed soon.",
            Query(highest(HUB.latest(c.UP)), "hub"),
            steps=((None, RED), (1, GREEN)),
            states=REACHED,
        ),
        stat(
            "Numbers' age",
            "How old is what is shown of active instances?",
            Query(age(highest(HUB.latest(c.LAST_SWEEP, equal("sweep", "active")))), "age"),
            unit="s",
            steps=FRESH,
        ),
        stat(
            "Stalled",
            "How many instances are stalled? Those over a limit whose wait means trouble; sampled.",
            Query(stalled(HUB), "stalled"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Pending",
            "How many instances have not started yet?",
            Query(total(HUB.latest(c.INSTANCES, _PENDING)), "pending"),
        ),
        stat(
            "In flight",
            "How many instances are active: pending, running, suspended?",
            Query(total(HUB.latest(c.INSTANCES, _ACTIVE)), "active"),
        ),
        stat(
            "Failed, 1 h",
            "How many instances failed within the last hour?",
            Query(failed(HUB), "failed"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        stat(
            "Failure ratio, 1 h",
            "Which share failed of what came to a result? No data where nothing did.",
            Query(failure_ratio(HUB), "ratio"),
            unit="percentunit",
            steps=SHARE,
            decimals=1,
        ),
        stat(
            "Unresolved",
            "How many failures has nobody rewound, restarted or purged yet?",
            Query(total(HUB.latest(c.UNRESOLVED)), "unresolved"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
    ),
)

WORK = (
    Line(
        8,
        (
            timeseries(
                "Backlog: pending instances",
                "Does work wait for a worker, and whose work?",
                Query(total(HUB.latest(c.INSTANCES, _PENDING), *NAME), "{{orchestrator}}"),
                stacked=True,
            ),
            timeseries(
                "Started against finished",
                "Does the hub keep up? Where more starts than finishes, the backlog grows.",
                Query(total(HUB.per_minute(c.CREATED)), "started"),
                Query(total(HUB.per_minute(c.FINISHED)), "finished"),
                unit="cpm",
                interval=SMOOTH,
                colors={"started": "blue", "finished": GREEN},
            ),
            timeseries(
                "Pending: how long",
                "How long does the oldest pending instance wait? No line where none waits.",
                Query(
                    age(lowest(HUB.earliest(c.OLDEST_UPDATED, _PENDING), *NAME)),
                    "{{orchestrator}}",
                ),
                unit="s",
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "In flight",
                "Of which orchestrator are the active instances?",
                Query(total(HUB.latest(c.INSTANCES, _ACTIVE), *NAME), "{{orchestrator}}"),
                stacked=True,
            ),
            heat(
                "Running: for how long",
                "Do running instances come to an end? A band that climbs is a stalled group.",
                total(HUB.buckets(c.INSTANCE_AGE, _RUNNING), "le"),
            ),
            timeseries(
                "Finished, by outcome",
                "How do instances end, and has that changed?",
                Query(total(HUB.increase(c.FINISHED), "runtime_status"), "{{runtime_status}}"),
                interval=SMOOTH,
                stacked=True,
                bars=True,
                colors=STATUS_COLORS,
                decimals=0,
            ),
        ),
    ),
)

STUCK = (
    Line(
        8,
        (
            rows(
                "Stalled, by blocking cause",
                "What are instances stalled on, since when, and how many are blocked?",
                (
                    TO_ORCHESTRATOR,
                    Key("waiting_on", "Waits on"),
                    Key("target", "Which"),
                ),
                (
                    Column("Instances", total(HUB.latest(c.STALLED), *WAITS), decimals=0),
                    Column("Oldest since", age(lowest(HUB.earliest(c.STALLED_SINCE), *WAITS)), "s"),
                ),
                sort_by="Instances",
            ),
            timeseries(
                "Stalled, by what they wait on",
                "When did it begin, and what kind of wait is it?",
                Query(total(HUB.latest(c.STALLED), "waiting_on"), "{{waiting_on}}"),
                stacked=True,
            ),
        ),
        (14, 10),
    ),
    Line(
        8,
        (
            bars(
                "Over a limit",
                "Which orchestrators have instances beyond which limit? Exact.",
                Query(
                    f"topk(15, {total(HUB.latest(c.OVER_LIMIT), *NAME, 'limit')} > 0)",
                    "{{orchestrator}}: {{limit}}",
                ),
                steps=((None, ORANGE),),
            ),
            bars(
                "Waiting as expected",
                "What is over a limit, but waits for an event, a timer, a person? Sampled.",
                Query(
                    f"topk(15, {total(HUB.latest(c.WAITING), *WAITS)})",
                    "{{orchestrator}}: {{waiting_on}} {{target}}",
                ),
            ),
            timeseries(
                "Not looked at yet",
                "Is the sample of what instances wait on complete? It is where this is 0.",
                Query(total(HUB.latest(c.UNDIAGNOSED)), "unknown"),
            ),
        ),
    ),
)

FAILURES = (
    Line(
        7,
        (
            bars(
                "Top failing orchestrators, 24 h",
                "Which orchestrators fail most? Failures within 24 hours, exact.",
                Query(
                    f"topk(10, {total(HUB.latest(c.RECENT, _DAY, _FAILED), *NAME)} > 0)",
                    "{{orchestrator}}",
                ),
                steps=((None, RED),),
            ),
            timeseries(
                "Failures, by category",
                "When did instances fail, and what kind of failure was it?",
                Query(total(HUB.increase(c.FAILURES), "category") + " > 0", "{{category}}"),
                interval=SMOOTH,
                stacked=True,
                bars=True,
                colors=CATEGORY_COLORS,
            ),
            timeseries(
                "Failure ratio in the hour before",
                "Which orchestrator fails more than usual? No line where nothing ended.",
                Query(highest(HUB.latest(c.FAILURE_RATIO, _HOUR), *NAME), "{{orchestrator}}"),
                unit="percentunit",
            ),
        ),
    ),
    Line(
        7,
        (
            rows(
                "Reasons, in the chosen time",
                "Why do they fail? By the function that failed and its error; times are estimates.",
                (
                    TO_ORCHESTRATOR,
                    Key("category", "Category"),
                    Key("failed_function", "Function"),
                    Key("error_type", "Error"),
                ),
                (
                    Column(
                        "Failures",
                        "topk(20, "
                        + total(
                            HUB.increase(c.FAILURE_REASONS, over="$__range"),
                            "orchestrator",
                            "category",
                            "failed_function",
                            "error_type",
                        )
                        + " > 0)",
                        decimals=0,
                    ),
                ),
                sort_by="Failures",
            ),
            rows(
                "Unresolved failures",
                "Which failures wait for somebody, and since when?",
                (TO_ORCHESTRATOR,),
                (
                    Column(
                        "Unresolved",
                        f"{total(HUB.latest(c.UNRESOLVED), *NAME)} > 0",
                        decimals=0,
                    ),
                    Column(
                        "Oldest failed before",
                        age(lowest(HUB.earliest(c.OLDEST_UNRESOLVED), *NAME)),
                        "s",
                    ),
                ),
                sort_by="Unresolved",
            ),
        ),
        (15, 9),
    ),
)

DURATIONS = Line(
    8,
    (
        timeseries(
            "Half took longer than",
            "How long does a usual instance take, queueing included? Estimated from buckets.",
            Query(quantile(0.5, HUB.buckets(c.DURATION, grown=True), *NAME), "{{orchestrator}}"),
            unit="s",
            interval="10m",
            is_log=True,
        ),
        timeseries(
            "One in ten took longer than",
            "How long do the slow ones take, which became slower? Estimated from buckets.",
            Query(quantile(0.9, HUB.buckets(c.DURATION, grown=True), *NAME), "{{orchestrator}}"),
            unit="s",
            interval="10m",
            is_log=True,
        ),
        heat(
            "Durations of all that finished",
            "How are durations spread, and is there a second band of slow ones?",
            total(HUB.buckets(c.DURATION, grown=True), "le"),
            interval=SMOOTH,
        ),
    ),
)

RETENTION = Line(
    8,
    (
        timeseries(
            "Stored instances, by status",
            "Does purging keep up? What is stored is what every listing has to read.",
            Query(total(HUB.latest(c.INSTANCES), "runtime_status") + " > 0", "{{runtime_status}}"),
            stacked=True,
            colors=STATUS_COLORS,
        ),
        timeseries(
            "Oldest that is stored",
            "How far back does storage go? A line that always climbs is a hub nobody purges.",
            Query(
                age(lowest(HUB.earliest(c.OLDEST_RETAINED), "runtime_status")),
                "{{runtime_status}}",
            ),
            Query(
                highest(HUB.latest(c.LIMIT, equal("limit", "retention"))),
                "limit: longest retention",
            ),
            unit="s",
            colors=STATUS_COLORS,
            styles=(limit_style(),),
        ),
        timeseries(
            "Continued, reopened, vanished",
            "Do instances continue as new, are failed ones rewound, do active ones disappear?",
            Query(total(HUB.per_minute(c.CONTINUED)), "continued as new"),
            Query(total(HUB.per_minute(c.REOPENED)), "reopened"),
            Query(total(HUB.per_minute(c.VANISHED)), "vanished"),
            unit="cpm",
            interval=SMOOTH,
            colors={"vanished": RED},
        ),
    ),
)

BOARD = Board(
    "hub",
    "Durable Functions / Hub",
    "One task hub: what waits, what is stalled and on what, what fails and why, how long it takes.",
    (
        datasource(),
        choice("task_hub", "Task hub", f"label_values({c.UP.name}, task_hub)", "The hub"),
        choice(
            "orchestrator",
            "Orchestrator",
            f"label_values({selector(c.FINISHED, equal('task_hub', '$task_hub'))}, orchestrator)",
            "The orchestrators to look at",
            many=True,
        ),
        exporter_url(),
        replicas(),
    ),
    "${exporter_url}/hubs/${task_hub:percentencode}",
    (
        Section("How is the hub?", (NOW,)),
        Section("Does the work get done?", WORK),
        Section("What is stalled, and on what?", STUCK),
        Section("What fails, and why?", FAILURES),
        Section("How long does it take?", (DURATIONS,)),
        Section("What stays in storage?", (RETENTION,)),
    ),
)
