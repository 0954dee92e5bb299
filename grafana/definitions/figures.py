"""Expressions and panels that several dashboards show, each in its own scope."""

from grafana_foundation_sdk.models.dashboard import Panel

from exporter.metrics import catalogue as c
from exporter.metrics.promql import (
    age,
    equal,
    highest,
    known_or_zero,
    lowest,
    one_of,
    ratio,
    total,
)
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
    heat,
    rows,
    stat,
    timeseries,
)
from grafana.scope import RANGE, STEP, Scope

REACHED = {
    -1: ("not scraped", "dark-red"),
    0: ("cannot be polled", RED),
    1: ("polled", GREEN),
}
FRESH = ((None, GREEN), (300, ORANGE), (900, RED))
SHARE = ((None, GREEN), (0.05, ORANGE), (0.2, RED))
PENDING, RUNNING = equal("runtime_status", "Pending"), equal("runtime_status", "Running")
ACTIVE = one_of("runtime_status", "Pending", "Running", "Suspended", "ContinuedAsNew")

MOST_LINES = 10
OTHERS = "(others)"

_HOUR = equal("window", "1h")


def top(expr: str, *by: str, adds_up: bool = True) -> str:
    """
    Return the series with the highest mean in the time range, and all others as one.

    The others are summed if *adds_up*, otherwise their maximum.
    """
    mean = f"avg_over_time(({expr})[{RANGE}:{STEP}] @ end())"
    shown = f"on ({', '.join(by)}) ({mean} >= {_least_of_top(mean)} > 0)"
    rest = (total if adds_up else highest)(f"({expr}) unless {shown}")
    return f"(({expr}) and {shown}) or {_others(rest, by[0])}"


def top_now(expr: str, *by: str) -> str:
    """Return the series that are highest now, and the sum of all others."""
    least = _least_of_top(expr)
    return f"({expr} >= {least}) or {_others(total(f'{expr} < {least}'), by[0])}"


def _least_of_top(expr: str) -> str:
    """Return the lowest value of the top ones; topk itself picks differently among equal ones."""
    return f"scalar(min(topk({MOST_LINES}, {expr})))"


def _others(expr: str, label: str) -> str:
    return f'label_replace({expr}, "{label}", "{OTHERS}", "", "")'


def stalled(scope: Scope, *by: str) -> str:
    """Count stalled instances; 0 only where waits are diagnosed."""
    return known_or_zero(
        total(scope.latest(c.STALLED), *by), total(scope.latest(c.UNDIAGNOSED), *by)
    )


def over_limit(scope: Scope, *by: str) -> str:
    """Count instances over any limit, each once: the series by limit count some twice."""
    unknown = total(scope.latest(c.UNDIAGNOSED), *by)
    expected = known_or_zero(total(scope.latest(c.WAITING), *by), unknown)
    return f"{unknown} + ({stalled(scope, *by)}) + ({expected})"


def failed(scope: Scope, *by: str) -> str:
    """Count failures of the last hour."""
    return total(scope.latest(c.RECENT, _HOUR, equal("runtime_status", "Failed")), *by)


def failure_ratio(scope: Scope, *by: str) -> str:
    """Divide failures of the last hour by all that completed or failed."""
    ended = scope.latest(c.RECENT, _HOUR, one_of("runtime_status", "Completed", "Failed"))
    return ratio(failed(scope, *by), total(ended, *by))


def stalled_now(scope: Scope, title: str) -> Panel:
    """Show the number of stalled instances."""
    return stat(
        title,
        "How many instances are stalled: over a limit, and their wait means trouble? Sampled.",
        Query(stalled(scope), "stalled"),
        steps=ANY_IS_BAD,
    )


def failure_ratio_now(scope: Scope) -> Panel:
    """Show the failure ratio."""
    return stat(
        "Failure ratio, 1 h",
        "What share of completed or failed instances failed? No data if none.",
        Query(failure_ratio(scope), "ratio"),
        unit="percentunit",
        steps=SHARE,
        decimals=1,
    )


def unresolved_now(scope: Scope) -> Panel:
    """Show the number of unresolved failures."""
    return stat(
        "Unresolved failures",
        "How many failed root instances have not been rewound, restarted or purged yet?",
        Query(total(scope.latest(c.UNRESOLVED)), "unresolved"),
        steps=ANY_IS_WORTH_A_LOOK,
    )


def blocking_causes(scope: Scope, *keys: Key, title: str, of: tuple[str, ...] = ()) -> Panel:
    """Show what instances are stalled on, for some waits or all."""
    by = tuple(key.label for key in keys)
    return rows(
        title,
        "What are instances stalled on, since when, and how many are blocked?",
        keys,
        (
            Column("Instances", total(scope.latest(c.STALLED, *of), *by), decimals=0),
            Column("Oldest for", age(lowest(scope.earliest(c.STALLED_SINCE, *of), *by)), "s"),
        ),
        sort_by=("Instances",),
    )


def finished_by_outcome(scope: Scope) -> Panel:
    """Show how instances end, with exemplars if the exporter has them."""
    return timeseries(
        "Finished, by outcome",
        "How do instances end, and has that changed? Each bar counts its interval.",
        Query(
            total(scope.increase(c.FINISHED), "runtime_status"),
            "{{runtime_status}}",
            has_exemplars=True,
        ),
        interval=SMOOTH,
        stacked=True,
        bars=True,
        colors=STATUS_COLORS,
        decimals=0,
    )


def failures_by_category(scope: Scope) -> Panel:
    """Show when and how instances fail."""
    return timeseries(
        "Failures, by category",
        "When did instances fail, and what kind of failure was it?",
        Query(total(scope.increase(c.FAILURES), "category") + " > 0", "{{category}}"),
        interval=SMOOTH,
        stacked=True,
        bars=True,
        colors=CATEGORY_COLORS,
        decimals=0,
    )


def reasons(scope: Scope, *keys: Key) -> Panel:
    """Show why instances fail, by *keys*, function and error."""
    keys = (
        *keys,
        Key("category", "Category"),
        Key("failed_function", "Function"),
        Key("error_type", "Error"),
    )
    grown = total(
        scope.increase(c.FAILURE_REASONS, over=RANGE),
        *(key.label for key in keys),
    )
    return rows(
        "Reasons, in the chosen time",
        "Why do they fail? By the function that failed and its error; the 20 most frequent.",
        keys,
        (Column("Failures", f"topk(20, {grown} > 0)", decimals=0),),
        sort_by=("Failures",),
    )


def durations(scope: Scope) -> Panel:
    """Show the distribution of durations."""
    return heat(
        "Durations of all that completed",
        "How are durations distributed, and is there a second band of slow ones?",
        total(scope.grown_buckets(c.DURATION, STEP), "le"),
        interval=SMOOTH,
    )
