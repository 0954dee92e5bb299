"""Dashboard of a hub: backlog, stalled instances, failures, durations, retention."""

from grafana_foundation_sdk.models.dashboard import Panel

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, one_of, quantile, total
from grafana.board import Board, Line, Section, choice, link_to
from grafana.definitions.figures import (
    ACTIVE,
    FRESH,
    PENDING,
    REACHED,
    RUNNING,
    blocking_causes,
    durations,
    failed,
    failure_ratio_now,
    failures_by_category,
    finished_by_outcome,
    reasons,
    stalled_now,
    top,
    top_now,
    unresolved_now,
)
from grafana.panels import (
    ANY_IS_WORTH_A_LOOK,
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
from grafana.scope import HUB as HUB_LABELS
from grafana.scope import RATE_WINDOW, Scope

HUB = Scope(one_of("orchestrator", "$orchestrator"))
NAME = ("orchestrator",)
WAITS = ("orchestrator", "waiting_on", "target")

_FAILED = equal("runtime_status", "Failed")
_HOUR, _DAY = equal("window", "1h"), equal("window", "24h")

TO_ORCHESTRATOR = Key(
    "orchestrator",
    "Orchestrator",
    link_to(
        "orchestrator",
        *(f"{label}=${{{label}:percentencode}}" for label in HUB_LABELS),
        "orchestrator=${__value.text:percentencode}",
    ),
    "Open the orchestrator's dashboard",
)

NOW = Line(
    4,
    (
        stat(
            "Polled",
            "Can the hub be polled? If not, the numbers below are stale and removed soon.",
            Query(highest(HUB.latest(c.UP)), "hub"),
            steps=((None, RED), (1, GREEN)),
            states=REACHED,
        ),
        stat(
            "Numbers' age",
            "How old are the numbers of active instances?",
            Query(age(highest(HUB.latest(c.LAST_SWEEP, equal("sweep", "active")))), "age"),
            unit="s",
            steps=FRESH,
        ),
        stalled_now(HUB, "Stalled"),
        stat(
            "Pending",
            "How many instances have not started yet?",
            Query(total(HUB.latest(c.INSTANCES, PENDING)), "pending"),
        ),
        stat(
            "In flight",
            "How many instances are active: pending, running, suspended?",
            Query(total(HUB.latest(c.INSTANCES, ACTIVE)), "active"),
        ),
        stat(
            "Failed, 1 h",
            "How many instances failed within the last hour?",
            Query(failed(HUB), "failed"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        failure_ratio_now(HUB),
        unresolved_now(HUB),
    ),
)

WORK = (
    Line(
        8,
        (
            timeseries(
                "Backlog: pending instances",
                "Does work wait for a worker, and whose work?",
                Query(
                    top(total(HUB.latest(c.INSTANCES, PENDING), *NAME), *NAME),
                    "{{orchestrator}}",
                ),
                stacked=True,
            ),
            timeseries(
                "Started against finished",
                "Does the hub keep up? With more starts than finishes, the backlog grows.",
                Query(total(HUB.per_minute(c.CREATED)), "started"),
                Query(total(HUB.per_minute(c.FINISHED)), "finished"),
                unit="cpm",
                interval=SMOOTH,
                colors={"started": "blue", "finished": GREEN},
            ),
            timeseries(
                "Pending: how long",
                "How long has the oldest pending instance waited? No line if none waits.",
                Query(
                    top(
                        age(lowest(HUB.earliest(c.OLDEST_UPDATED, PENDING), *NAME)),
                        *NAME,
                        adds_up=False,
                    ),
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
                "Which orchestrators have the active instances?",
                Query(
                    top(total(HUB.latest(c.INSTANCES, ACTIVE), *NAME), *NAME),
                    "{{orchestrator}}",
                ),
                stacked=True,
            ),
            heat(
                "Running: for how long",
                "Do running instances finish? Those in a climbing band do not.",
                total(HUB.buckets(c.INSTANCE_AGE, RUNNING), "le"),
            ),
            finished_by_outcome(HUB),
        ),
    ),
)

STUCK = (
    Line(
        8,
        (
            blocking_causes(
                HUB,
                TO_ORCHESTRATOR,
                Key("waiting_on", "Waits on"),
                Key("target", "Which"),
                title="Stalled, by blocking cause",
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
                "Which orchestrators have instances over which limit? Exact; some count twice.",
                Query(
                    top_now(f"({total(HUB.latest(c.OVER_LIMIT), *NAME, 'limit')} > 0)", *NAME),
                    "{{orchestrator}} {{limit}}",
                ),
                steps=((None, ORANGE),),
            ),
            bars(
                "Waiting as expected",
                "What is over a limit but waits as expected? Sampled.",
                Query(
                    top_now(total(HUB.latest(c.WAITING), *WAITS), *NAME),
                    "{{orchestrator}} {{waiting_on}} {{target}}",
                ),
            ),
            timeseries(
                "Orphaned",
                "Are parents of active instances finished or gone? No line if rows lack parents.",
                Query(top(total(HUB.latest(c.ORPHANED), *NAME), *NAME), "{{orchestrator}}"),
                stacked=True,
            ),
            timeseries(
                "Not looked at yet",
                "Is the sample of waits complete? Yes at 0.",
                Query(total(HUB.latest(c.UNDIAGNOSED)), "unread"),
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
                    top_now(f"({total(HUB.latest(c.RECENT, _DAY, _FAILED), *NAME)} > 0)", *NAME),
                    "{{orchestrator}}",
                ),
                steps=((None, RED),),
            ),
            failures_by_category(HUB),
            timeseries(
                "Failure ratio in the hour before",
                "Which orchestrator fails more than usual? No line if nothing ended.",
                Query(
                    top(highest(HUB.latest(c.FAILURE_RATIO, _HOUR), *NAME), *NAME, adds_up=False),
                    "{{orchestrator}}",
                ),
                unit="percentunit",
            ),
        ),
    ),
    Line(
        7,
        (
            reasons(HUB, TO_ORCHESTRATOR),
            rows(
                "Unresolved failures",
                "Whose failures are unresolved, and since when?",
                (TO_ORCHESTRATOR,),
                (
                    Column(
                        "Unresolved",
                        f"{total(HUB.latest(c.UNRESOLVED), *NAME)} > 0",
                        decimals=0,
                    ),
                    Column(
                        "Oldest failure's age",
                        age(lowest(HUB.earliest(c.OLDEST_UNRESOLVED), *NAME)),
                        "s",
                    ),
                ),
                sort_by=("Unresolved",),
            ),
        ),
        (15, 9),
    ),
)


def duration(title: str, question: str, share: float) -> Panel:
    """Show a percentile of how long instances took, by orchestrator."""
    of_each = quantile(share, HUB.grown_buckets(c.DURATION, RATE_WINDOW), *NAME)
    return timeseries(
        title,
        question,
        Query(top(of_each, *NAME, adds_up=False), "{{orchestrator}}"),
        unit="s",
        interval="10m",
        is_log=True,
    )


DURATIONS = Line(
    8,
    (
        duration(
            "Duration, p50",
            "What is the median duration, queueing included? Estimated from buckets.",
            0.5,
        ),
        duration(
            "Duration, p90",
            "Within what time do 9 of 10 complete, and what slowed down? Estimated from buckets.",
            0.9,
        ),
        durations(HUB),
    ),
)

RETENTION = Line(
    8,
    (
        timeseries(
            "Stored instances, by status",
            "Does purging keep up? Azure Storage listings scan them all.",
            Query(total(HUB.latest(c.INSTANCES), "runtime_status") + " > 0", "{{runtime_status}}"),
            stacked=True,
            colors=STATUS_COLORS,
        ),
        timeseries(
            "Oldest that is stored",
            "How far back does storage go? A line that always climbs means no purging.",
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
            "Do instances continue or restart, failed ones get rewound, active ones vanish?",
            Query(total(HUB.per_minute(c.CONTINUED)), "continued"),
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
    "One task hub: backlog, stalled instances and what blocks them, failures, durations.",
    HUB,
    (
        choice(
            "orchestrator",
            "Orchestrator",
            HUB.values(c.FINISHED, "orchestrator"),
            "The orchestrators to show",
            all_of=".+",
        ),
    ),
    (
        Section("How is the hub?", (NOW,)),
        Section("Does the work get done?", WORK),
        Section("What is stalled, and on what?", STUCK),
        Section("What fails, and why?", FAILURES),
        Section("How long does it take?", (DURATIONS,)),
        Section("What stays in storage?", (RETENTION,)),
    ),
    has_instances=True,
)
