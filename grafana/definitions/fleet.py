"""Fleet: ten seconds for someone on call."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, one_of, total
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
from grafana.panels import (
    ANY_IS_BAD,
    ANY_IS_WORTH_A_LOOK,
    GREEN,
    ORANGE,
    RED,
    Column,
    Key,
    Query,
    rows,
    stat,
    timeline,
    timeseries,
)
from grafana.scope import Scope

FLEET = Scope(one_of("task_hub", "$task_hub"))
HUB = ("task_hub",)
REACHED = {0: ("cannot be polled", RED), 1: ("polled", GREEN)}
FRESH = ((None, GREEN), (300, ORANGE), (900, RED))
SHARE = ((None, GREEN), (0.05, ORANGE), (0.2, RED))

_PENDING, _RUNNING = equal("runtime_status", "Pending"), equal("runtime_status", "Running")
_ACTIVE = equal("sweep", "active")


def oldest_data(*by: str) -> str:
    """Tell how old what the active sweep feeds is, of the hub that was reached longest ago."""
    return highest(age(FLEET.latest(c.LAST_SWEEP, _ACTIVE)), *by)


def longest_pending(*by: str) -> str:
    """Tell how long the instance waits that has been waiting longest to start."""
    return age(lowest(FLEET.earliest(c.OLDEST_UPDATED, _PENDING), *by))


NOW = Line(
    4,
    (
        stat(
            "Hubs that cannot be polled",
            "Is the exporter blind anywhere? Everything else is old or missing for these hubs.",
            Query(f"sum(1 - {FLEET.latest(c.UP)})", "hubs"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Oldest numbers",
            "Can the numbers be trusted? Time since the last complete listing, of the worst hub.",
            Query(oldest_data(), "age"),
            unit="s",
            steps=FRESH,
        ),
        stat(
            "Stalled instances",
            "Is anything stalled? Instances over a limit whose wait means trouble; a sample.",
            Query(stalled(FLEET), "stalled"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Failed in the last hour",
            "Does anything fail right now? Instances that finished as Failed, exact.",
            Query(failed(FLEET), "failed"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        stat(
            "Failure ratio, last hour",
            "Is it many? Failed of all that completed or failed; no data where nothing ended.",
            Query(failure_ratio(FLEET), "ratio"),
            unit="percentunit",
            steps=SHARE,
            decimals=1,
        ),
        stat(
            "Unresolved failures",
            "What does somebody have to clean up? Failed now: not rewound, restarted or purged.",
            Query(total(FLEET.latest(c.UNRESOLVED)), "unresolved"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
    ),
)

HUBS = Line(
    7,
    (
        rows(
            "Task hubs, the worst first",
            "Which hub is it? A hub's name leads to its dashboard. Empty cells are not known now.",
            (
                Key(
                    "task_hub",
                    "Task hub",
                    link_to("hub", "task_hub=${__value.text:percentencode}"),
                    "Open the hub's dashboard",
                ),
                Key("function_app", "Function app"),
            ),
            (
                Column("Stalled", stalled(FLEET, *HUB), steps=ANY_IS_BAD, decimals=0),
                Column("Polled", highest(FLEET.latest(c.UP), *HUB), "bool_yes_no"),
                Column("Numbers' age", oldest_data(*HUB), "s", FRESH),
                Column(
                    "Over a limit",
                    total(FLEET.latest(c.OVER_LIMIT), *HUB),
                    steps=ANY_IS_WORTH_A_LOOK,
                ),
                Column("Pending", total(FLEET.latest(c.INSTANCES, _PENDING), *HUB)),
                Column("Longest pending", longest_pending(*HUB), "s"),
                Column("Running", total(FLEET.latest(c.INSTANCES, _RUNNING), *HUB)),
                Column("Failed, 1 h", failed(FLEET, *HUB), steps=ANY_IS_WORTH_A_LOOK),
                Column("Failure ratio, 1 h", failure_ratio(FLEET, *HUB), "percentunit", SHARE, 1),
                Column("Unresolved", total(FLEET.latest(c.UNRESOLVED), *HUB)),
                Column(
                    "Orphaned locks",
                    total(FLEET.latest(c.ENTITY_ORPHANED_LOCKS), *HUB),
                    steps=ANY_IS_BAD,
                ),
                Column("Entity backlog", total(FLEET.latest(c.ENTITY_BACKLOG), *HUB)),
            ),
            sort_by="Stalled",
            facts=(highest(FLEET.latest(c.HUB_INFO), *HUB, "function_app"),),
        ),
    ),
)

WAITS = ("task_hub", "orchestrator", "waiting_on", "target")
GROUPS = Line(
    7,
    (
        rows(
            "What is stalled, and what waits as expected",
            "On what? The groups of the status page and of `stuck`: stalled ones first.",
            (
                Key(
                    "task_hub",
                    "Task hub",
                    link_to("hub", "task_hub=${__value.text:percentencode}"),
                    "Open the hub's dashboard",
                ),
                Key("orchestrator", "Orchestrator"),
                Key("waiting_on", "Waits on"),
                Key("target", "Which"),
            ),
            (
                Column(
                    "Stalled", total(FLEET.latest(c.STALLED), *WAITS), steps=ANY_IS_BAD, decimals=0
                ),
                Column("Since", age(lowest(FLEET.earliest(c.STALLED_SINCE), *WAITS)), "s"),
                Column("As expected", total(FLEET.latest(c.WAITING), *WAITS), decimals=0),
            ),
            sort_by="Stalled",
        ),
    ),
)

TRUST = Line(
    6,
    (
        timeline(
            "Hubs polled",
            "Since when can a hub not be polled? Gaps: nothing was scraped from the exporter.",
            Query(highest(FLEET.latest(c.UP), *HUB), "{{task_hub}}"),
            states_of=REACHED,
        ),
        timeseries(
            "Age of the numbers",
            "Do sweeps of the active instances keep up? A rising line is a hub that went silent.",
            Query(oldest_data(*HUB), "{{task_hub}}"),
            unit="s",
        ),
    ),
)

COURSE = (
    Line(
        8,
        (
            timeseries(
                "Stalled instances",
                "Since when is something stalled, and is it getting worse?",
                Query(stalled(FLEET, *HUB), "{{task_hub}}"),
                stacked=True,
            ),
            timeseries(
                "Failures in the hour before",
                "When did it start to fail, and does it still fail?",
                Query(failed(FLEET, *HUB), "{{task_hub}}"),
                stacked=True,
            ),
            timeseries(
                "Unresolved failures",
                "Do failures pile up, or does somebody take care of them?",
                Query(total(FLEET.latest(c.UNRESOLVED), *HUB), "{{task_hub}}"),
                stacked=True,
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Pending instances",
                "Does work wait for a worker?",
                Query(total(FLEET.latest(c.INSTANCES, _PENDING), *HUB), "{{task_hub}}"),
                stacked=True,
            ),
            timeseries(
                "Longest pending",
                "How long does the oldest of it wait already? No line where nothing waits.",
                Query(longest_pending(*HUB), "{{task_hub}}"),
                unit="s",
            ),
            timeseries(
                "Running instances",
                "How much is in flight, and does any hub run away?",
                Query(total(FLEET.latest(c.INSTANCES, _RUNNING), *HUB), "{{task_hub}}"),
                stacked=True,
            ),
        ),
    ),
)

BOARD = Board(
    "fleet",
    "Durable Functions / Fleet",
    "Ten seconds for someone on call: is anything on fire, can the numbers be trusted, which hub?",
    (
        datasource(),
        choice(
            "task_hub",
            "Task hub",
            f"label_values({c.UP.name}, task_hub)",
            "The hubs to look at",
            many=True,
        ),
        exporter_url(),
        replicas(),
    ),
    "${exporter_url}/",
    (
        Section("Is anything on fire, and which hub is it?", (NOW, HUBS, GROUPS)),
        Section("Can the numbers be trusted?", (TRUST,)),
        Section("Since when, and is it getting worse?", COURSE),
    ),
)
