"""Dashboard of the exporter: freshness, cost of polling, exactness, own resources."""

from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from exporter.metrics.promql import age, equal, highest, lowest, quantile, ratio, total
from grafana.board import Board, Line, Section, setting
from grafana.definitions.figures import FRESH, MOST_LINES, top, top_now
from grafana.definitions.fleet import LEGEND, TARGET_KEYS, reached
from grafana.panels import (
    ANY_IS_BAD,
    ANY_IS_WORTH_A_LOOK,
    GREEN,
    ORANGE,
    RED,
    SMOOTH,
    Column,
    Key,
    Query,
    Style,
    bars,
    heat,
    limit_style,
    rows,
    stat,
    timeseries,
)
from grafana.scope import HUB, PROCESS, RANGE, RATE_WINDOW, STEP, Scope, of_exporters

HUBS = Scope(of_many=True)
DAY = 86_400
PRICED_TRANSACTIONS = 10_000
SWEEPS = ("active", "finished", "failed", "census", "entities")

_ACTIVE = equal("sweep", "active")
_BAD_SWEEP = 'result!="complete"'


def of_process(family: str, over: str = "") -> str:
    """Select a family of the client library; of a counter, its rate *over* a window."""
    return of_exporters(family, HUBS, over)


def since(moment: str) -> str:
    """Show the age of a timestamp, with version and shard per exporter."""
    for facts in (c.BUILD_INFO, c.SHARD_INFO):
        moment += f" * on ({', '.join(PROCESS)}) group_left ({', '.join(facts.labels)}) " + highest(
            HUBS.series(facts), *PROCESS, *facts.labels
        )
    return age(moment)


def freshness(sweep: str) -> Column:
    """Show the age of a sweep's data."""
    moment = highest(HUBS.latest(c.LAST_SWEEP, equal("sweep", sweep)), *HUB)
    return Column(sweep.capitalize(), age(moment), "s")


def per_sweep(part: Family, whole: Family) -> str:
    """Divide two gauges per sweep, of the worst hub."""
    by = (*HUB, "sweep")
    return highest(
        f"{highest(HUBS.latest(part), *by)} / {highest(HUBS.latest(whole), *by)}", "sweep"
    )


def requests_a_day(*by: str) -> str:
    """Project the requests of the time range to a day; replicas add up, as each makes its own."""
    return f"{DAY} * {total(HUBS.spent(c.API_REQUESTS, over=RANGE), *by)}"


NOW = Line(
    4,
    (
        stat(
            "Hubs that cannot be polled",
            "Is the exporter blind anywhere?",
            Query(f"sum(({reached(*HUB)}) < bool 1)", "hubs"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Oldest numbers",
            "How old are the oldest numbers of active instances?",
            Query(highest(age(HUBS.latest(c.LAST_SWEEP, _ACTIVE))), "age"),
            unit="s",
            steps=FRESH,
        ),
        stat(
            "Sweeps not completed, 1 h",
            "Do sweeps fail, end early or get skipped because the budget is spent?",
            Query(total(HUBS.increase(c.SWEEPS, _BAD_SWEEP, over="1h")), "sweeps"),
            steps=ANY_IS_WORTH_A_LOOK,
            decimals=0,
        ),
        stat(
            "Requests that failed",
            "What share of requests fails? No data without requests.",
            Query(
                ratio(total(HUBS.spent(c.API_ERRORS)), total(HUBS.spent(c.API_REQUESTS))),
                "ratio",
            ),
            unit="percentunit",
            steps=((None, GREEN), (0.01, ORANGE), (0.1, RED)),
            decimals=1,
        ),
        stat(
            "Names folded",
            "Do orchestrators or entities share _other, because a hub has too many names?",
            Query(total(HUBS.latest(c.LABEL_VALUES_FOLDED)), "names"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        stat(
            "Configuration",
            "Was every exporter's last reload successful?",
            Query(lowest(HUBS.series(c.RELOAD_SUCCESSFUL)), "reload"),
            steps=((None, RED), (1, GREEN)),
            states={0: ("refused, previous one kept", RED), 1: ("in force", GREEN)},
        ),
    ),
)

FRESHNESS = (
    Line(
        8,
        (
            rows(
                "Age of the numbers, by hub and sweep",
                "Which hub's numbers are old? Empty: the sweep is off or never completed.",
                (Key("task_hub", "Task hub"), *TARGET_KEYS),
                tuple(freshness(sweep) for sweep in SWEEPS),
                sort_by=("Active",),
            ),
            timeseries(
                "Age of the numbers, in intervals",
                "Does every sweep keep pace? Below 2 is usual; above 5, data may be removed.",
                Query(
                    highest(
                        f"(time() - {highest(HUBS.latest(c.LAST_SWEEP), *HUB, 'sweep')}) / "
                        f"{highest(HUBS.latest(c.SWEEP_INTERVAL), *HUB, 'sweep')}",
                        "sweep",
                    ),
                    "{{sweep}}",
                ),
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Share of the interval that a sweep takes",
                "Are sweeps too slow? At one half the exporter stretches its intervals.",
                Query(per_sweep(c.SWEEP_DURATION, c.SWEEP_INTERVAL), "{{sweep}}"),
                unit="percentunit",
            ),
            timeseries(
                "Stretched intervals",
                "How much longer are intervals than configured? 1 is as configured.",
                Query(per_sweep(c.SWEEP_INTERVAL, c.SWEEP_CONFIGURED_INTERVAL), "{{sweep}}"),
            ),
            timeseries(
                "Sweeps, by how they ended",
                "When did sweeps stop completing?",
                Query(total(HUBS.per_minute(c.SWEEPS), "result"), "{{result}}"),
                unit="cpm",
                interval=SMOOTH,
                stacked=True,
                colors={
                    "complete": GREEN,
                    "failed": RED,
                    "truncated": ORANGE,
                    "skipped_budget": "purple",
                },
            ),
        ),
    ),
)

REQUESTS = (
    Line(
        8,
        (
            timeseries(
                "Errors, by kind",
                "What goes wrong with the API, and is it the network, the key or the app?",
                Query(f"60 * {total(HUBS.spent(c.API_ERRORS), 'kind')}", "{{kind}}"),
                Query(f"60 * {total(HUBS.spent(c.API_RETRIES))}", "retries"),
                unit="cpm",
                interval=SMOOTH,
                styles=(Style("retries", "text", dashed=True),),
            ),
            timeseries(
                "Latency, p90",
                "Does the API answer slowly? 9 of 10 requests are faster; estimated from buckets.",
                Query(
                    quantile(
                        0.9,
                        HUBS.spent(c.API_REQUEST_DURATION, suffix="_bucket"),
                        "operation",
                    ),
                    "{{operation}}",
                ),
                unit="s",
                interval=SMOOTH,
            ),
            heat(
                "Latencies of all requests",
                "How are answer times distributed, and is there a second band of slow ones?",
                total(HUBS.grown_buckets(c.API_REQUEST_DURATION, STEP), "le"),
                interval=SMOOTH,
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Requests, by answer",
                "What does the API answer? `none`: a request without an answer.",
                Query(f"60 * {total(HUBS.spent(c.API_REQUESTS), 'code')}", "{{code}}"),
                unit="cpm",
                interval=SMOOTH,
                stacked=True,
            ),
            timeseries(
                "Pages, by sweep",
                "Which sweep reads most? Each page is a query of the app's storage.",
                Query(f"60 * {total(HUBS.spent(c.PAGES), 'sweep')}", "{{sweep}}"),
                unit="cpm",
                interval=SMOOTH,
                stacked=True,
            ),
            timeseries(
                "Rows, by sweep",
                "How many rows do listings return, and to which sweep?",
                Query(f"60 * {total(HUBS.spent(c.ROWS), 'sweep')}", "{{sweep}}"),
                unit="cpm",
                interval=SMOOTH,
                stacked=True,
            ),
        ),
    ),
)

COSTS = (
    Line(
        8,
        (
            stat(
                "Requests a day",
                "How many requests does polling make per day, at the rate of the time range?",
                Query(requests_a_day(), "requests"),
            ),
            stat(
                "Cost of storage a day, at least",
                "What does polling cost at the price above? A request is one transaction or more.",
                Query(f"{requests_a_day()} / {PRICED_TRANSACTIONS} * $price >= 0", "$currency"),
                decimals=2,
                is_named=True,
            ),
            bars(
                "Requests a day, by hub",
                "Which hub costs most to poll? Longer intervals and purging make it cheaper.",
                Query(top_now(requests_a_day(*HUB), *HUB), LEGEND),
            ),
            timeseries(
                "Bytes read",
                "How much is read? Large outputs make large pages.",
                Query(total(HUBS.spent(c.API_RESPONSE_BYTES), "operation"), "{{operation}}"),
                unit="Bps",
                interval=SMOOTH,
                stacked=True,
            ),
            timeseries(
                "Pages left of the budget",
                "Does the daily budget last? No line without max_pages_per_day.",
                Query(
                    f"bottomk({MOST_LINES}, {lowest(HUBS.latest(c.PAGE_BUDGET_REMAINING), *HUB)})",
                    LEGEND,
                ),
            ),
        ),
        (3, 3, 6, 6, 6),
    ),
)

ACCOUNTS = (
    Line(
        8,
        (
            rows(
                "Accounts, by hub",
                "Are counters exact? Unconfirmed instances are counted when read.",
                (Key("task_hub", "Task hub"), *TARGET_KEYS),
                (
                    Column("Counting for", age(lowest(HUBS.earliest(c.BASELINE), *HUB)), "s"),
                    Column("Horizon", age(lowest(HUBS.earliest(c.BOOK_HORIZON), *HUB)), "s"),
                    Column("Tracked", highest(HUBS.latest(c.TRACKED), *HUB)),
                    Column(
                        "Unconfirmed",
                        highest(HUBS.latest(c.UNCONFIRMED), *HUB),
                        steps=ANY_IS_WORTH_A_LOOK,
                    ),
                    Column("Undiagnosed", total(HUBS.latest(c.UNDIAGNOSED), *HUB)),
                    Column("Clock skew", highest(HUBS.latest(c.CLOCK_SKEW), *HUB), "s"),
                    Column("Row delay", highest(HUBS.latest(c.ROW_DELAY), *HUB), "s"),
                    Column("Series", highest(HUBS.latest(c.SERIES), *HUB)),
                ),
                sort_by=("Unconfirmed",),
            ),
            timeseries(
                "Late finishes",
                "Do rows appear late? Finishes found by looking further back or by the census.",
                Query(top(total(HUBS.per_minute(c.LATE_FINISHES), *HUB), *HUB), LEGEND),
                unit="cpm",
                interval=SMOOTH,
            ),
        ),
        (16, 8),
    ),
    Line(
        8,
        (
            timeseries(
                "Age of the written state",
                "Would counters survive a restart? No line without state_dir.",
                Query(
                    top(age(lowest(HUBS.earliest(c.STATE_LAST_WRITE), *HUB)), *HUB, adds_up=False),
                    LEGEND,
                ),
                unit="s",
            ),
            timeseries(
                "States that could not be used or written",
                "Did a restart lose counters, or will the next one?",
                Query(
                    total(HUBS.increase(c.STATE_ERRORS), "reason"),
                    "{{reason}}",
                ),
                interval=SMOOTH,
                bars=True,
                decimals=0,
            ),
            timeseries(
                "State written",
                "How much is written to disk? No line without state_dir.",
                Query(top(total(HUBS.spent(c.STATE_WRITTEN), *HUB), *HUB), LEGEND),
                unit="Bps",
                interval=SMOOTH,
            ),
            timeseries(
                "Active instances outside of the prefixes",
                "Does id_prefixes miss instances? Must be 0; no line without id_prefixes.",
                Query(top(highest(HUBS.latest(c.OUTSIDE_PREFIXES), *HUB), *HUB), LEGEND),
            ),
        ),
    ),
)

SIZE = (
    Line(
        8,
        (
            timeseries(
                "Names, by label",
                "How close are hubs to max_label_values? Highest hub; folded: sum of all.",
                Query(highest(HUBS.latest(c.LABEL_VALUES), "label"), "{{label}}"),
                Query(total(HUBS.latest(c.LABEL_VALUES_FOLDED), "label"), "{{label}} folded"),
                styles=(Style("/folded/", dashed=True),),
            ),
            timeseries(
                "Series",
                "How many series does each hub have?",
                Query(top(highest(HUBS.latest(c.SERIES), *HUB), *HUB), LEGEND),
                stacked=True,
            ),
            timeseries(
                "Memory",
                "Does an exporter leak memory? Resident memory per exporter.",
                Query(of_process("process_resident_memory_bytes"), "{{instance}}"),
                unit="bytes",
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Processor",
                "How many cores does each exporter keep busy?",
                Query(
                    of_process("process_cpu_seconds_total", over=RATE_WINDOW),
                    "{{instance}}",
                ),
                interval=SMOOTH,
            ),
            timeseries(
                "Open files and sockets",
                "Do connections leak? The dashed line is the system's limit.",
                Query(of_process("process_open_fds"), "{{instance}}"),
                Query(lowest(of_process("process_max_fds")), "limit"),
                styles=(limit_style("limit"),),
            ),
        ),
    ),
    Line(
        6,
        (
            rows(
                "Exporters",
                "Which exporters run, with which version and shard?",
                (
                    *TARGET_KEYS,
                    Key("instance", "Instance"),
                    Key("version", "Version"),
                    Key("python_version", "Python"),
                    Key("shard", "Shard"),
                    Key("shards", "of"),
                ),
                (
                    Column(
                        "Running for",
                        since(highest(of_process("process_start_time_seconds"), *PROCESS)),
                        "s",
                    ),
                    Column(
                        "Configuration age",
                        since(highest(HUBS.series(c.RELOAD_TIMESTAMP), *PROCESS)),
                        "s",
                    ),
                ),
                sort_by=("Running for",),
            ),
        ),
    ),
)

BOARD = Board(
    "exporter",
    "Durable Functions / Exporter",
    "The exporter itself: freshness, cost of polling, exactness of counters, own resources.",
    HUBS,
    (
        setting(
            "price",
            "Price of 10,000 transactions",
            "NaN",
            "Price of your storage account for 10,000 transactions; without it, no cost is shown",
        ),
        setting("currency", "Currency", "USD", "Currency of the price and the cost"),
    ),
    (
        Section("Can the numbers be trusted?", (NOW, *FRESHNESS)),
        Section("How does the API answer?", REQUESTS),
        Section("What does polling cost?", COSTS),
        Section("Are the accounts exact?", ACCOUNTS),
        Section("What does the exporter itself use?", SIZE),
    ),
)
