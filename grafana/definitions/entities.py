"""Entities: what is locked, by whom no longer, and what queues."""

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
            "How many entities exist? Each is a row that listings have to pass.",
            Query(total(ENTITIES.latest(c.ENTITIES)), "entities"),
        ),
        stat(
            "Locked",
            "How many entities are locked now? Locks are usual while orchestrations hold them.",
            Query(total(ENTITIES.latest(c.ENTITIES_LOCKED)), "locked"),
        ),
        stat(
            "Orphaned locks",
            "Is an entity locked by an instance that is not active? Nobody will ever release it.",
            Query(total(ENTITIES.latest(c.ENTITY_ORPHANED_LOCKS)), "orphaned"),
            steps=ANY_IS_BAD,
        ),
        stat(
            "Queued operations",
            "How much work waits at entities, all together?",
            Query(total(ENTITIES.latest(c.ENTITY_BACKLOG)), "queued"),
            steps=QUEUE,
        ),
        stat(
            "Longest queue",
            "How many operations wait at the one entity with the longest queue?",
            Query(highest(ENTITIES.latest(c.ENTITY_BACKLOG_MAX)), "queued"),
            steps=QUEUE,
        ),
        stat(
            "Age of the entity numbers",
            "How old are counts and idle times? They come from a sweep of their own.",
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
            "Which entity is it? Locks and queues are of now, counts of the last entity sweep.",
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
                Column("Exist", total(ENTITIES.latest(c.ENTITIES), *NAME)),
                Column(
                    "Last operation before",
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
                "Does work pile up at an entity, and does it go down again?",
                Query(
                    top(total(ENTITIES.latest(c.ENTITY_BACKLOG), *NAME), *NAME),
                    "{{entity}}",
                ),
                stacked=True,
            ),
            timeseries(
                "Longest queue",
                "Is it one entity that cannot keep up? Operations at the fullest of each name.",
                Query(highest(ENTITIES.latest(c.ENTITY_BACKLOG_MAX), *NAME), "{{entity}}"),
            ),
            timeseries(
                "Locked and orphaned",
                "Are locks released again? A line that never falls is a lock that leaked.",
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
                "Are entities still used? Since their last operation; old ones may be garbage.",
                total(ENTITIES.buckets(c.ENTITY_IDLE), "le"),
            ),
            timeseries(
                "Since the last operation",
                "Is an entity name no longer used at all? Of each name the latest operation.",
                Query(age(highest(ENTITIES.latest(c.ENTITY_LAST_OPERATION), *NAME)), "{{entity}}"),
                unit="s",
            ),
            timeseries(
                "Entities",
                "Do entities grow without end? Nothing deletes them by itself.",
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
            "The entities to look at",
            all_of=".+",
        ),
    ),
    (
        Section("How are the entities?", (NOW, TABLES)),
        Section("Since when, and is it getting worse?", COURSE),
    ),
)
