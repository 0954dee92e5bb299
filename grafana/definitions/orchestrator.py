"""Orchestrator: one of them against its limits, and against an earlier time."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, one_of, quantile, selector, total
from grafana.board import (
    Board,
    Line,
    Section,
    choice,
    datasource,
    exporter_url,
    replicas,
    setting,
)
from grafana.definitions.figures import failure_ratio, stalled
from grafana.definitions.fleet import SHARE
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
    before_style,
    heat,
    limit_style,
    rows,
    stat,
    timeseries,
)
from grafana.scope import Scope

ONE = Scope(equal("task_hub", "$task_hub"), equal("orchestrator", "$orchestrator"))
HUB = Scope(equal("task_hub", "$task_hub"))
WAITS = ("waiting_on", "target")
EARLIER = "$earlier"

_PENDING, _RUNNING = equal("runtime_status", "Pending"), equal("runtime_status", "Running")
_ACTIVE = one_of("runtime_status", "Pending", "Running", "Suspended", "ContinuedAsNew")
_COMPLETED = equal("runtime_status", "Completed")


def limit(name: str) -> Query:
    """Draw a limit; no line where none is set."""
    return Query(limits_in_force(equal("limit", name)), f"limit: {name}")


def limits_in_force(*matchers: str) -> str:
    """Return limits of the orchestrator: its own, which may be none, or those of the hub."""
    own = highest(ONE.latest(c.LIMIT, *matchers), "limit")
    of_hub = highest(HUB.latest(c.LIMIT, equal("orchestrator", ""), *matchers), "limit")
    return f"{own} < Inf or {of_hub} unless {own}"


NOW = Line(
    4,
    (
        stat(
            "In flight",
            "How many instances are active, by status?",
            Query(total(ONE.latest(c.INSTANCES, _ACTIVE), "runtime_status"), "{{runtime_status}}"),
        ),
        stat(
            "Stalled",
            "How many are stalled? Those over a limit whose wait means trouble; sampled.",
            Query(stalled(ONE), "stalled"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Failure ratio, 1 h",
            "Which share failed of what came to a result? No data where nothing did.",
            Query(failure_ratio(ONE), "ratio"),
            unit="percentunit",
            steps=SHARE,
            decimals=1,
        ),
        stat(
            "Unresolved failures",
            "How many failures has nobody rewound, restarted or purged yet?",
            Query(total(ONE.latest(c.UNRESOLVED)), "unresolved"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        stat(
            "Last started",
            "Is it still started at all?",
            Query(age(highest(ONE.latest(c.LAST_CREATED))), "before"),
            unit="s",
        ),
        stat(
            "Last success",
            "When did it last complete? No data where it never has.",
            Query(age(highest(ONE.latest(c.LAST_FINISHED, _COMPLETED))), "before"),
            unit="s",
        ),
    ),
    (6, 3, 4, 4, 3, 4),
)

LIMITS = (
    Line(
        8,
        (
            timeseries(
                "Pending: longest wait, and its limit",
                "Do instances get started in time? Since they were created or last touched.",
                Query(age(lowest(ONE.earliest(c.OLDEST_UPDATED, _PENDING))), "longest wait"),
                limit("pending"),
                unit="s",
                styles=(limit_style(),),
            ),
            timeseries(
                "Running: longest idle, and its limit",
                "Do running instances make progress? Since the last update of the one most idle.",
                Query(age(lowest(ONE.earliest(c.OLDEST_UPDATED, _RUNNING))), "longest idle"),
                limit("idle"),
                unit="s",
                styles=(limit_style(),),
            ),
            timeseries(
                "Active: highest age, and its limit",
                "Does everything end in time? Since the oldest active instance was created.",
                Query(age(lowest(ONE.earliest(c.OLDEST_CREATED, _ACTIVE))), "highest age"),
                limit("age"),
                unit="s",
                styles=(limit_style(),),
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Since the last success, and its limit",
                "Does it complete as often as it must? No line where it never completed.",
                Query(age(highest(ONE.latest(c.LAST_FINISHED, _COMPLETED))), "since last success"),
                limit("success"),
                unit="s",
                styles=(limit_style(),),
            ),
            timeseries(
                "Over a limit",
                "How many instances are over which limit, and is it getting worse? Exact.",
                Query(total(ONE.latest(c.OVER_LIMIT), "limit"), "{{limit}}"),
            ),
            rows(
                "Limits in force",
                "Which limits hold: its own, or those of the hub?",
                (Key("limit", "Limit"),),
                (Column("Value", limits_in_force(), "s"),),
                sort_by="Limit",
            ),
        ),
    ),
)

STUCK = Line(
    8,
    (
        rows(
            "Over a limit, and stalled",
            "What are they stalled on, since when, and how many does it block? Sampled.",
            (Key("waiting_on", "Waits on"), Key("target", "Which")),
            (
                Column("Instances", total(ONE.latest(c.STALLED), *WAITS), decimals=0),
                Column("Oldest since", age(lowest(ONE.earliest(c.STALLED_SINCE), *WAITS)), "s"),
            ),
            sort_by="Instances",
        ),
        timeseries(
            "Over a limit, by what they wait on",
            "Is it trouble, or a wait for an event, a timer or a person?",
            Query(total(ONE.latest(c.STALLED), *WAITS), "stalled: {{waiting_on}} {{target}}"),
            Query(total(ONE.latest(c.WAITING), *WAITS), "waits: {{waiting_on}} {{target}}"),
            stacked=True,
        ),
        timeseries(
            "Overdue timer",
            "Does a timer not fire? Since the oldest should have fired; no line is good news.",
            Query(age(lowest(ONE.earliest(c.OVERDUE_TIMER))), "overdue for"),
            unit="s",
            colors={"overdue for": RED},
        ),
        timeseries(
            "Orphaned",
            "Are any active whose parent has finished or is gone? No line: rows name no parents.",
            Query(total(ONE.latest(c.ORPHANED)), "orphaned"),
            colors={"orphaned": RED},
        ),
    ),
)

OUTCOMES = (
    Line(
        8,
        (
            timeseries(
                "Started, now and earlier",
                "Is it started as often as at the same time earlier?",
                Query(total(ONE.per_minute(c.CREATED)), "now"),
                Query(total(ONE.per_minute(c.CREATED, offset=EARLIER)), f"{EARLIER} earlier"),
                unit="cpm",
                interval=SMOOTH,
                styles=(before_style(),),
                colors={"now": "blue"},
            ),
            timeseries(
                "Finished, now and earlier",
                "Does as much come to an end as at the same time earlier?",
                Query(total(ONE.per_minute(c.FINISHED)), "now"),
                Query(total(ONE.per_minute(c.FINISHED, offset=EARLIER)), f"{EARLIER} earlier"),
                unit="cpm",
                interval=SMOOTH,
                styles=(before_style(),),
                colors={"now": GREEN},
            ),
            timeseries(
                "Finished, by outcome",
                "How do instances end, and has that changed?",
                Query(total(ONE.increase(c.FINISHED), "runtime_status"), "{{runtime_status}}"),
                interval=SMOOTH,
                stacked=True,
                bars=True,
                colors=STATUS_COLORS,
                decimals=0,
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Durations, now and earlier",
                "Has it become slower? Queueing included; estimated from buckets.",
                Query(quantile(0.5, ONE.buckets(c.DURATION, grown=True)), "half took longer"),
                Query(quantile(0.9, ONE.buckets(c.DURATION, grown=True)), "1 in 10 took longer"),
                Query(
                    quantile(0.9, ONE.buckets(c.DURATION, grown=True, offset=EARLIER)),
                    f"1 in 10, {EARLIER} earlier",
                ),
                unit="s",
                interval="10m",
                styles=(before_style(),),
                colors={"half took longer": GREEN, "1 in 10 took longer": ORANGE},
            ),
            heat(
                "Durations",
                "How are durations spread, and is there a second band of slow ones?",
                total(ONE.buckets(c.DURATION, grown=True), "le"),
                interval=SMOOTH,
            ),
            heat(
                "Ages of active instances",
                "How old is what is in flight, and does a group of old ones grow?",
                total(ONE.buckets(c.INSTANCE_AGE), "le"),
            ),
        ),
    ),
)

FAILURES = Line(
    8,
    (
        timeseries(
            "Failures, by category",
            "When did it fail, and what kind of failure was it?",
            Query(total(ONE.increase(c.FAILURES), "category") + " > 0", "{{category}}"),
            interval=SMOOTH,
            stacked=True,
            bars=True,
            colors=CATEGORY_COLORS,
        ),
        rows(
            "Reasons, in the chosen time",
            "Why does it fail? By the function that failed and its error; estimated from samples.",
            (
                Key("category", "Category"),
                Key("failed_function", "Function"),
                Key("error_type", "Error"),
            ),
            (
                Column(
                    "Failures",
                    total(
                        ONE.increase(c.FAILURE_REASONS, over="$__range"),
                        "category",
                        "failed_function",
                        "error_type",
                    )
                    + " > 0",
                    decimals=0,
                ),
            ),
            sort_by="Failures",
        ),
        timeseries(
            "Continued as new",
            "Does an eternal orchestration still turn? Generations that ended in a new one.",
            Query(total(ONE.per_minute(c.CONTINUED)), "continued"),
            unit="cpm",
            interval=SMOOTH,
        ),
    ),
)

BOARD = Board(
    "orchestrator",
    "Durable Functions / Orchestrator",
    "One orchestrator of one hub: within its limits, and as fast and reliable as it was before?",
    (
        datasource(),
        choice("task_hub", "Task hub", f"label_values({c.UP.name}, task_hub)", "The hub"),
        choice(
            "orchestrator",
            "Orchestrator",
            f"label_values({selector(c.FINISHED, equal('task_hub', '$task_hub'))}, orchestrator)",
            "The orchestrator",
        ),
        setting("earlier", "Compare with", "1w", "How much earlier the dashed lines are: 1d, 1w"),
        exporter_url(),
        replicas(),
    ),
    "${exporter_url}/hubs/${task_hub:percentencode}",
    (
        Section("How is it?", (NOW,)),
        Section("Is it within its limits?", LIMITS),
        Section("What is it stalled on?", (STUCK,)),
        Section("Does it do as much, and as fast, as before?", OUTCOMES),
        Section("What fails, and why?", (FAILURES,)),
    ),
)
