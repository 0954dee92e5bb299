"""Dashboard of all hubs, for ten seconds of someone on call."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, lowest, total
from grafana.board import Board, Line, Section, link_to
from grafana.definitions.figures import (
    FRESH,
    PENDING,
    REACHED,
    RUNNING,
    SHARE,
    failed,
    failure_ratio,
    failure_ratio_now,
    over_limit,
    stalled,
    stalled_now,
    top,
    unresolved_now,
)
from grafana.panels import (
    ANY_IS_BAD,
    ANY_IS_WORTH_A_LOOK,
    Column,
    Key,
    Query,
    rows,
    stat,
    timeline,
    timeseries,
)
from grafana.scope import HUB, TARGET, Scope

FLEET = Scope(of_many=True)
LEGEND = "{{task_hub}} {{cluster}} {{namespace}}"

_ACTIVE = equal("sweep", "active")


def reached(*by: str) -> str:
    """Show whether hubs can be polled; -1 if their exporter is no longer scraped."""
    now, before = FLEET.latest(c.UP), FLEET.known_within(c.UP, "1h")
    return f"{highest(now, *by)} or (0 * {highest(before, *by)} - 1)"


def oldest_data(*by: str) -> str:
    """Show the age of the active sweep's data, of the hub that was read longest ago."""
    return highest(age(FLEET.latest(c.LAST_SWEEP, _ACTIVE)), *by)


def longest_pending(*by: str) -> str:
    """Show how long the oldest pending instance has waited."""
    return age(lowest(FLEET.earliest(c.OLDEST_UPDATED, PENDING), *by))


def of_instances(status: str) -> str:
    """Count instances in a status, per hub."""
    return total(FLEET.latest(c.INSTANCES, status), *HUB)


def orphaned_locks(*by: str) -> str:
    """Count entities with orphaned locks."""
    return total(FLEET.latest(c.ENTITY_ORPHANED_LOCKS), *by)


TO_HUB = Key(
    "task_hub",
    "Task hub",
    link_to(
        "hub",
        *(f"{label}=${{__data.fields.{label.capitalize()}:percentencode}}" for label in TARGET),
        "task_hub=${__value.text:percentencode}",
    ),
    "Open the hub's dashboard",
)
TARGET_KEYS = tuple(Key(label, label.capitalize()) for label in TARGET)

NOW = Line(
    4,
    (
        stat(
            "Hubs that cannot be polled",
            "Is the exporter blind anywhere? All other data of these hubs is stale or missing.",
            Query(f"sum(({reached(*HUB)}) < bool 1)", "hubs"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Oldest numbers",
            "Can the numbers be trusted? Age of the worst hub's last complete active sweep.",
            Query(oldest_data(), "age"),
            unit="s",
            steps=FRESH,
        ),
        stalled_now(FLEET, "Stalled instances"),
        stat(
            "Failed in the last hour",
            "Is anything failing? Exact count of instances that finished as Failed.",
            Query(failed(FLEET), "failed"),
            steps=ANY_IS_WORTH_A_LOOK,
        ),
        failure_ratio_now(FLEET),
        unresolved_now(FLEET),
    ),
)

HUBS = Line(
    8,
    (
        rows(
            "Task hubs, the worst first",
            "Which hub is it? First those that cannot be polled, then by stalled instances.",
            (TO_HUB, Key("team", "Team"), Key("function_app", "Function app"), *TARGET_KEYS),
            (
                Column("Polled", reached(*HUB), states=REACHED),
                Column("Stalled", stalled(FLEET, *HUB), steps=ANY_IS_BAD, decimals=0),
                Column("Numbers' age", oldest_data(*HUB), "s", FRESH),
                Column("Over a limit", over_limit(FLEET, *HUB), steps=ANY_IS_WORTH_A_LOOK),
                Column("Pending", of_instances(PENDING)),
                Column("Longest pending", longest_pending(*HUB), "s"),
                Column("Running", of_instances(RUNNING)),
                Column("Failed, 1 h", failed(FLEET, *HUB), steps=ANY_IS_WORTH_A_LOOK),
                Column("Failure ratio, 1 h", failure_ratio(FLEET, *HUB), "percentunit", SHARE, 1),
                Column("Unresolved", total(FLEET.latest(c.UNRESOLVED), *HUB)),
                Column("Orphans", total(FLEET.latest(c.ORPHANED), *HUB), steps=ANY_IS_BAD),
                Column("Orphaned locks", orphaned_locks(*HUB), steps=ANY_IS_BAD),
                Column("Entity backlog", total(FLEET.latest(c.ENTITY_BACKLOG), *HUB)),
            ),
            sort_by=("Stalled",),
            first="Polled",
            facts=(highest(FLEET.latest(c.HUB_INFO), *HUB, "team", "function_app"),),
        ),
    ),
)

WAIT = ("waiting_on", "target")
WAITS = (*HUB, "orchestrator", *WAIT)


def waits_of_orphans() -> str:
    """Count orphans as groups: sub-orchestrations, and entities with orphaned locks."""
    instances = total(FLEET.latest(c.ORPHANED), *HUB, "orchestrator")
    entities = orphaned_locks(*HUB, "entity")
    called = f'label_join({entities} > 0, "target", "", "entity")'
    locks = f'label_replace({called}, "waiting_on", "orphaned lock", "", "")'
    parents = f'label_replace({instances} > 0, "waiting_on", "orphaned by its parent", "", "")'
    return f"{parents} or {total(locks, *HUB, *WAIT)}"


def since() -> str:
    """Show how long groups wait: stalled ones by their histories, upper bounds of others."""
    stalled_for = age(lowest(FLEET.earliest(c.STALLED_SINCE), *WAITS))
    idle_for = age(lowest(FLEET.earliest(c.OLDEST_UPDATED), *HUB, "orchestrator"))
    groups = f"0 * {total(FLEET.latest(c.WAITING), *WAITS)}"
    at_most = f"{groups} + on ({', '.join(HUB)}, orchestrator) group_left () ({idle_for})"
    return f"({stalled_for}) or ({at_most})"


GROUPS = Line(
    7,
    (
        rows(
            "What is stalled, and what waits as expected",
            "On what? As in `stuck`. When waiting as expected, “For” is an upper bound.",
            (
                TO_HUB,
                Key("orchestrator", "Orchestrator"),
                Key("waiting_on", "Waits on"),
                Key("target", "Which"),
                *TARGET_KEYS,
            ),
            (
                Column(
                    "Stalled", total(FLEET.latest(c.STALLED), *WAITS), steps=ANY_IS_BAD, decimals=0
                ),
                Column("Orphaned", waits_of_orphans(), steps=ANY_IS_BAD, decimals=0),
                Column("As expected", total(FLEET.latest(c.WAITING), *WAITS), decimals=0),
                Column("For", since(), "s"),
            ),
            sort_by=("Stalled", "Orphaned", "As expected"),
        ),
    ),
)

ALERT = ("alertname", "severity", *HUB, "orchestrator")
_OURS = (
    'alertname=~"DurableFunctions.+"',
    'task_hub=~"$task_hub|"',
    *FLEET.exporters,
)
FIRING = f'ALERTS{{alertstate="firing", {", ".join(_OURS)}}}'
ALERTS = Line(
    6,
    (
        rows(
            "Firing alerts",
            "What is firing, for how long? Only rules that this Prometheus evaluates.",
            (
                Key("alertname", "Alert"),
                Key("severity", "Severity"),
                TO_HUB,
                Key("orchestrator", "Orchestrator"),
                *TARGET_KEYS,
            ),
            (
                Column("Alerts", f"count by ({', '.join(ALERT)}) ({FIRING})", decimals=0),
                Column(
                    "Active for",
                    age(lowest(f"ALERTS_FOR_STATE{{{', '.join(_OURS)}}}", *ALERT))
                    + f" and on ({', '.join(ALERT)}) {FIRING}",
                    "s",
                ),
            ),
            sort_by=("Active for",),
        ),
        timeline(
            "Hubs polled",
            "When did polling a hub or scraping its exporter begin to fail?",
            Query(reached(*HUB), LEGEND),
            states_of=REACHED,
        ),
    ),
    (14, 10),
)

COURSE = (
    Line(
        6,
        (
            timeseries(
                "Age of the numbers",
                "Do sweeps of active instances keep up? A rising line is a hub that went silent.",
                Query(top(oldest_data(*HUB), *HUB, adds_up=False), LEGEND),
                unit="s",
            ),
            timeseries(
                "Over a limit",
                "Are more and more instances over a limit? Stalled, as expected or not diagnosed.",
                Query(top(over_limit(FLEET, *HUB), *HUB), LEGEND),
                stacked=True,
            ),
        ),
    ),
    Line(
        8,
        (
            timeseries(
                "Stalled instances",
                "When did something stall, and is it getting worse?",
                Query(top(stalled(FLEET, *HUB), *HUB), LEGEND),
                stacked=True,
            ),
            timeseries(
                "Failures in the hour before",
                "When did failures start, and do they continue?",
                Query(top(failed(FLEET, *HUB), *HUB), LEGEND),
                stacked=True,
            ),
            timeseries(
                "Unresolved failures",
                "Do failures pile up, or does somebody take care of them?",
                Query(top(total(FLEET.latest(c.UNRESOLVED), *HUB), *HUB), LEGEND),
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
                Query(top(of_instances(PENDING), *HUB), LEGEND),
                stacked=True,
            ),
            timeseries(
                "Longest pending",
                "How long has the oldest pending instance waited? No line if none waits.",
                Query(top(longest_pending(*HUB), *HUB, adds_up=False), LEGEND),
                unit="s",
            ),
            timeseries(
                "Running instances",
                "How many instances are running, and does any hub grow without bound?",
                Query(top(of_instances(RUNNING), *HUB), LEGEND),
                stacked=True,
            ),
        ),
    ),
)

BOARD = Board(
    "fleet",
    "Durable Functions / Fleet",
    "On call, in ten seconds: is anything on fire, can the numbers be trusted, which hub?",
    FLEET,
    (),
    (
        Section("Is anything on fire, and which hub is it?", (NOW, HUBS, GROUPS)),
        Section("What fires, and can the numbers be trusted?", (ALERTS,)),
        Section("Since when, and is it getting worse?", COURSE),
    ),
)
