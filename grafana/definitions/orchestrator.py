"""Dashboard of one orchestrator: against its limits, and against an earlier time."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, quantile, total
from grafana.board import Board, Line, Section, choice, setting
from grafana.definitions.figures import (
    ACTIVE,
    PENDING,
    RUNNING,
    blocking_causes,
    durations,
    failure_ratio_now,
    failures_by_category,
    finished_by_outcome,
    reasons,
    stalled_now,
    unresolved_now,
)
from grafana.panels import (
    GREEN,
    ORANGE,
    RED,
    SMOOTH,
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
from grafana.scope import RATE_WINDOW, Scope

ONE = Scope(equal("orchestrator", "$orchestrator"))
HUB = Scope()
WAITS = ("waiting_on", "target")
EARLIER = "$earlier"

_COMPLETED = equal("runtime_status", "Completed")


def limit(name: str) -> Query:
    """Draw a limit; no line without one."""
    return Query(limits_in_force(equal("limit", name)), f"limit: {name}")


def limits_in_force(*matchers: str) -> str:
    """Return limits of the orchestrator: its own, which may be `none`, or the hub's."""
    own = highest(ONE.latest(c.LIMIT, *matchers), "limit")
    of_hub = highest(HUB.latest(c.LIMIT, equal("orchestrator", ""), *matchers), "limit")
    return f"{own} < Inf or {of_hub} unless {own}"


NOW = Line(
    4,
    (
        stat(
            "In flight",
            "How many instances are active, by status?",
            Query(total(ONE.latest(c.INSTANCES, ACTIVE), "runtime_status"), "{{runtime_status}}"),
        ),
        stalled_now(ONE, "Stalled"),
        failure_ratio_now(ONE),
        unresolved_now(ONE),
        stat(
            "Last started",
            "Is it still being started?",
            Query(age(highest(ONE.latest(c.LAST_CREATED))), "before"),
            unit="s",
        ),
        stat(
            "Last success",
            "When did it last complete? No data if it never has.",
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
                "Do instances start in time? Time since they were created or last updated.",
                Query(age(lowest(ONE.earliest(c.OLDEST_UPDATED, PENDING))), "longest wait"),
                limit("pending"),
                unit="s",
                styles=(limit_style(),),
            ),
            timeseries(
                "Running: longest idle, and its limit",
                "Do running instances make progress? Time since the oldest last update.",
                Query(age(lowest(ONE.earliest(c.OLDEST_UPDATED, RUNNING))), "longest idle"),
                limit("idle"),
                unit="s",
                styles=(limit_style(),),
            ),
            timeseries(
                "Active: highest age, and its limit",
                "Do instances finish in time? Age of the oldest active instance.",
                Query(age(lowest(ONE.earliest(c.OLDEST_CREATED, ACTIVE))), "highest age"),
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
                "Does it complete as often as it must? No line if it never completed.",
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
                "Which limits apply: its own, or the hub's?",
                (Key("limit", "Limit"),),
                (Column("Value", limits_in_force(), "s"),),
                sort_by=("Limit",),
            ),
        ),
    ),
)

STUCK = Line(
    8,
    (
        blocking_causes(
            ONE,
            Key("waiting_on", "Waits on"),
            Key("target", "Which"),
            title="Stalled, by blocking cause",
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
            "Is a timer overdue? Time since the oldest was due; no line if none is overdue.",
            Query(age(lowest(ONE.earliest(c.OVERDUE_TIMER))), "overdue for"),
            unit="s",
            colors={"overdue for": RED},
        ),
        timeseries(
            "Orphaned",
            "Are parents of active instances finished or gone? No line if rows lack parents.",
            Query(total(ONE.latest(c.ORPHANED)), "orphaned"),
            colors={"orphaned": RED},
        ),
    ),
)


def duration(share: float, legend: str, offset: str = "") -> Query:
    """Estimate a percentile of durations."""
    grown = ONE.grown_buckets(c.DURATION, RATE_WINDOW, offset=offset)
    return Query(quantile(share, grown), legend)


OUTCOMES = (
    Line(
        8,
        (
            timeseries(
                "Started, now and earlier",
                "Is it started as often as before?",
                Query(total(ONE.per_minute(c.CREATED)), "now"),
                Query(total(ONE.per_minute(c.CREATED, offset=EARLIER)), f"{EARLIER} earlier"),
                unit="cpm",
                interval=SMOOTH,
                styles=(before_style(),),
                colors={"now": "blue"},
            ),
            timeseries(
                "Finished, now and earlier",
                "Does it finish as often as before?",
                Query(total(ONE.per_minute(c.FINISHED)), "now"),
                Query(total(ONE.per_minute(c.FINISHED, offset=EARLIER)), f"{EARLIER} earlier"),
                unit="cpm",
                interval=SMOOTH,
                styles=(before_style(),),
                colors={"now": GREEN},
            ),
            finished_by_outcome(ONE),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Durations, now and earlier",
                "Has it become slower? p50 and p90, queueing included; estimated from buckets.",
                duration(0.5, "p50"),
                duration(0.9, "p90"),
                duration(0.9, f"p90, {EARLIER} earlier", offset=EARLIER),
                unit="s",
                interval="10m",
                styles=(before_style(),),
                colors={"p50": GREEN, "p90": ORANGE},
            ),
            durations(ONE),
            heat(
                "Ages of active instances",
                "How old are active instances, and does a group of old ones grow?",
                total(ONE.buckets(c.INSTANCE_AGE), "le"),
            ),
        ),
    ),
)

FAILURES = Line(
    8,
    (
        failures_by_category(ONE),
        reasons(ONE),
        timeseries(
            "Continued as new",
            "Does an eternal orchestration still continue as new? Counts its generations.",
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
    ONE,
    (
        choice(
            "orchestrator",
            "Orchestrator",
            HUB.values(c.FINISHED, "orchestrator"),
            "The orchestrator",
        ),
        setting("earlier", "Compare with", "1w", "How much earlier the dashed lines are: 1d, 1w"),
    ),
    (
        Section("How is it?", (NOW,)),
        Section("Is it within its limits?", LIMITS),
        Section("What is it stalled on?", (STUCK,)),
        Section("Is it as busy and as fast as before?", OUTCOMES),
        Section("What fails, and why?", (FAILURES,)),
    ),
    has_instances=True,
)
