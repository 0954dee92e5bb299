"""Dashboard of entities: locks, orphaned locks and backlog."""

from exporter.metrics import catalogue as c
from exporter.metrics.promql import age, equal, highest, one_of, total
from grafana.board import Board, Line, Section, choice
from grafana.definitions.figures import blocking_causes, top
from grafana.panels import (
    ANY_IS_BAD,
    GREEN,
    ORANGE,
    RED,
    Column,
    Key,
    Query,
    heat,
    rows,
    stat,
    timeseries,
)
from grafana.scope import Scope

ENTITIES = Scope(one_of("entity", "$entity"))
NAME = ("entity",)
QUEUE = ((None, GREEN), (10, ORANGE), (100, RED))
_ON_ENTITIES = one_of("waiting_on", "entity", "entity_lock")

NOW = Line(
    4,
    (
        stat(
            "Entities",
            "How many entities exist? Each is a row that listings read.",
            Query(total(ENTITIES.latest(c.ENTITIES)), "entities"),
        ),
        stat(
            "Locked",
            "How many entities are locked now? Locks of active instances are normal.",
            Query(total(ENTITIES.latest(c.ENTITIES_LOCKED)), "locked"),
        ),
        stat(
            "Orphaned locks",
            "Is an entity locked by an instance that is not active? Such a lock is permanent.",
            Query(total(ENTITIES.latest(c.ENTITY_ORPHANED_LOCKS)), "orphaned"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Queued operations",
            "How many operations are queued in all?",
            Query(total(ENTITIES.latest(c.ENTITY_BACKLOG)), "queued"),
            steps=QUEUE,
        ),
        stat(
            "Longest queue",
            "How many operations wait at the entity with the longest queue?",
            Query(highest(ENTITIES.latest(c.ENTITY_BACKLOG_MAX)), "queued"),
            steps=QUEUE,
        ),
        stat(
            "Age of the entity numbers",
            "How old are counts and idle times? They have their own sweep.",
            Query(age(highest(ENTITIES.latest(c.LAST_SWEEP, equal("sweep", "entities")))), "age"),
            unit="s",
            steps=((None, GREEN), (1800, ORANGE), (3600, RED)),
        ),
    ),
)

TABLES = Line(
    8,
    (
        rows(
            "Entities by name",
            "Which entity is it? Locks and queues: current; counts: the last entity sweep.",
            (Key("entity", "Entity"),),
            (
                Column("Longest queue", highest(ENTITIES.latest(c.ENTITY_BACKLOG_MAX), *NAME)),
                Column("Queued", total(ENTITIES.latest(c.ENTITY_BACKLOG), *NAME), steps=QUEUE),
                Column("Locked", total(ENTITIES.latest(c.ENTITIES_LOCKED), *NAME)),
                Column(
                    "Orphaned",
                    total(ENTITIES.latest(c.ENTITY_ORPHANED_LOCKS), *NAME),
                    steps=ANY_IS_BAD,
                ),
                Column("Total", total(ENTITIES.latest(c.ENTITIES), *NAME)),
                Column(
                    "Since last operation",
                    age(highest(ENTITIES.latest(c.ENTITY_LAST_OPERATION), *NAME)),
                    "s",
                ),
            ),
            sort_by=("Longest queue",),
        ),
        blocking_causes(
            ENTITIES,
            Key("orchestrator", "Orchestrator"),
            Key("waiting_on", "Waits on"),
            Key("target", "Which"),
            title="Instances stalled on entities, of all names",
            of=(_ON_ENTITIES,),
        ),
    ),
    (14, 10),
)

COURSE = (
    Line(
        8,
        (
            timeseries(
                "Queued operations",
                "Does work pile up at an entity, and does the queue drain?",
                Query(
                    top(total(ENTITIES.latest(c.ENTITY_BACKLOG), *NAME), *NAME),
                    "{{entity}}",
                ),
                stacked=True,
            ),
            timeseries(
                "Longest queue",
                "Is it one entity that cannot keep up? Longest queue per name.",
                Query(highest(ENTITIES.latest(c.ENTITY_BACKLOG_MAX), *NAME), "{{entity}}"),
            ),
            timeseries(
                "Locked and orphaned",
                "Are locks released? A line that never falls is a leaked lock.",
                Query(total(ENTITIES.latest(c.ENTITIES_LOCKED), *NAME), "{{entity}} locked"),
                Query(
                    total(ENTITIES.latest(c.ENTITY_ORPHANED_LOCKS), *NAME),
                    "{{entity}} orphaned",
                ),
            ),
        ),
    ),
    Line(
        8,
        (
            heat(
                "Idle for how long",
                "Are entities still used? Time since their last operation; old ones may be unused.",
                total(ENTITIES.buckets(c.ENTITY_IDLE), "le"),
            ),
            timeseries(
                "Since the last operation",
                "Is an entity name still used? Latest operation per name.",
                Query(age(highest(ENTITIES.latest(c.ENTITY_LAST_OPERATION), *NAME)), "{{entity}}"),
                unit="s",
            ),
            timeseries(
                "Entities",
                "Does the number of entities grow without bound? None deletes itself.",
                Query(top(total(ENTITIES.latest(c.ENTITIES), *NAME), *NAME), "{{entity}}"),
                stacked=True,
            ),
        ),
    ),
)

BOARD = Board(
    "entities",
    "Durable Functions / Entities",
    "The entities of one hub: locked, orphaned, with a backlog, or idle.",
    ENTITIES,
    (
        choice(
            "entity",
            "Entity",
            ENTITIES.values(c.ENTITIES, "entity"),
            "The entities to show",
            all_of=".+",
        ),
    ),
    (
        Section("How are the entities?", (NOW, TABLES)),
        Section("Since when, and is it getting worse?", COURSE),
    ),
)
