"""A hub in which instances wait in every way that the emulator knows, and what each waits on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from emulator import (
    ActivityContext,
    EntityId,
    ExtensionVersion,
    Functions,
    ManualClock,
    OrchestrationContext,
    RetryOptions,
    Steps,
    TaskHub,
)
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.json_text import JsonValue, compact
from emulator.samples import recorded, shop
from emulator.samples.shop_traffic import start_troubled
from emulator.scenarios.events import leak_functions

START = 1_800_000_000.75  # 2027-01-15T08:00:00.75Z
HOUR = 3600.0
BACKENDS: dict[str, type[Backend]] = {
    "azure-storage": AzureStorage,
    "mssql": MSSQL,
    "netherite": Netherite,
}
VERSIONS = {"v2": ExtensionVersion.V2, "v3": ExtensionVersion.V3}
LOCKED = EntityId("Counter", "locked")

functions = Functions()
functions.include(recorded.functions)
functions.include(shop.functions)
functions.include(leak_functions)


@dataclass(frozen=True, slots=True)
class Truth:
    """
    What an instance waits on itself, and in the end; `since` in seconds after `START`.

    Each is a class and a target; the tolerance of `since` is what starts and messages take.
    """

    own: tuple[str, str]
    since: float
    leaf: tuple[str, str] | None = None
    tolerance: float = 1.5

    @property
    def in_the_end(self) -> tuple[str, str]:
        return self.leaf or self.own


@functions.orchestrator
def PollsForEver(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions are named
    """Poll something that never answers."""
    return (yield context.call_http("GET", "http://127.0.0.1/endless/silent"))


@functions.orchestrator
def MovesOn(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Wait ten minutes for an activity that never returns, then for another one."""
    deadline = context.create_timer(context.current_utc_datetime + timedelta(minutes=10))
    yield context.task_any([context.call_activity("Slow"), deadline])
    yield context.call_activity("SlowToo")
    return None


@functions.orchestrator
def AnsweredInTime(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Wait a day for the event `Go`, then for the event `Never`."""
    deadline = context.create_timer(context.current_utc_datetime + timedelta(days=1))
    yield context.task_any([context.wait_for_external_event("Go"), deadline])
    yield context.wait_for_external_event("Never")
    return None


@functions.orchestrator
def GivesUp(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Try in vain, then wait for the event `Never`."""
    try:
        yield context.call_activity_with_retry("Charge", RetryOptions(5.0, 3), {"id": 1})
    except Exception:  # noqa: BLE001 - whatever it was
        yield context.wait_for_external_event("Never")
    return None


@functions.orchestrator
def SignalsAndWaits(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Signal a locked entity, then wait for the event `Never`."""
    context.signal_entity(LOCKED, "add", 1)
    yield context.wait_for_external_event("Never")
    return None


@functions.orchestrator
def LocksAndCallsChild(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Hold a lock while a sub-orchestration calls the same entity: nobody can go on."""
    yield context.lock_entities(EntityId("Counter", "deadlock"))
    yield context.call_sub_orchestrator("CallsEntity", "deadlock", "deadlock:child")
    return None


@functions.orchestrator
def Refund(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Fail the first time, and hang the second."""
    return (yield context.call_activity("PayBack"))


@functions.activity
def PayBack(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
    """Fail the first time, and never return the second."""
    if context.runs_before == 0:
        raise RuntimeError("the bank is closed")
    context.never_returns()
    return None


@functions.activity
def SlowToo(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
    """Never return."""
    context.never_returns()
    return None


def _endless(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    context.never_returns()
    return None


functions.activity(_endless, name="BuiltIn::HttpActivity")

STARTS: tuple[tuple[str, str, JsonValue], ...] = (
    ("slow", "SlowActivity", None),
    ("fan-out", "FanOutSlow", None),
    ("approval", "Approval", None),
    ("event", "WaitsForever", None),
    ("two-events", "TwoEvents", None),
    ("unasked", "WaitsForever", None),
    ("long-timer", "LongTimer", None),
    ("retry", "Retry", 86_400),
    ("gives-up", "GivesUp", None),
    ("parent", "Parent", "SlowActivity"),
    ("grandparent", "Parent", "ParentAuto"),
    ("polls", "PollsForEver", None),
    ("moves-on", "MovesOn", None),
    ("answered", "AnsweredInTime", None),
    ("signals", "SignalsAndWaits", None),
    ("holder", "HoldsLock", None),
    ("deadlock", "LocksAndCallsChild", None),
    ("suspended", "SlowActivity", None),
    ("resumed", "SlowActivity", None),
    ("rewound", "Refund", None),
    ("rewound-parent", "Parent", "Refund"),
    ("progress", "Progress", None),
    ("leaked", "LeakedLock", "@counter@leaked"),
)
TRUTH: dict[str, Truth] = {
    "slow": Truth(("activity", "Slow"), 0),
    "fan-out": Truth(("activity", "Slow"), 0),
    "approval": Truth(("timer", ""), 0),
    "event": Truth(("external_event", ""), 0),
    "two-events": Truth(("external_event", ""), 0),
    "unasked": Truth(("external_event", ""), 600),
    "long-timer": Truth(("timer", ""), 0),
    "retry": Truth(("retry_backoff", "Charge"), 0),
    "gives-up": Truth(("external_event", ""), 12, tolerance=4),
    "parent": Truth(("sub_orchestration", "SlowActivity"), 0, ("activity", "Slow")),
    "parent:child": Truth(("activity", "Slow"), 0),
    "grandparent": Truth(
        ("sub_orchestration", "ParentAuto"), 0, ("external_event", "WaitsForever")
    ),
    "polls": Truth(("http_poll", "BuiltIn::HttpActivity"), 0),
    "moves-on": Truth(("activity", "SlowToo"), 600),
    "answered": Truth(("external_event", ""), 600),
    "signals": Truth(("external_event", ""), 0),
    "holder": Truth(("external_event", ""), 0),
    "lock-waiter": Truth(("entity_lock", "counter"), 600, ("external_event", "HoldsLock")),
    "caller": Truth(("entity", "counter"), 600, ("external_event", "HoldsLock")),
    "deadlock": Truth(("sub_orchestration", "CallsEntity"), 0, ("entity", "counter")),
    "deadlock:child": Truth(("entity", "counter"), 0),
    "suspended": Truth(("suspended", ""), 600),
    "resumed": Truth(("activity", "Slow"), 0),
    # Shown as Pending, and of what is Pending the API shows no history.
    "rewound": Truth(("unknown", ""), 600),
    "rewound-parent": Truth(("unknown", ""), 600),
    "rewound-parent:child": Truth(("unknown", ""), 600),
    "lost-start": Truth(("not_started", ""), 600),
    "progress": Truth(("external_event", ""), 0),
    "leaked": Truth(("external_event", ""), 0),
    # What the residents of the shop do; they moved in up to three hours before `START` + 3 h.
    "nightly-report-suspended": Truth(("suspended", ""), 60),
    "approval-90001": Truth(("timer", ""), HOUR, tolerance=4),
    # The fifth attempt, each of which took a few seconds, after 5, 10, 20 and 40 min.
    "transfer-retried": Truth(
        ("retry_backoff", "BookTransfer"), 3 * HOUR - 100 * 60 + 75 * 60 + 12, tolerance=10
    ),
    "nightly-report-row-lost": Truth(
        ("finished_in_history", ""), 3 * HOUR - 50 * 60 + 400, tolerance=200
    ),
    "cleanup-monitor-timer-lost": Truth(("timer_overdue", ""), 3 * HOUR - 39 * 60, tolerance=5),
    "payment-stalled": Truth(("activity", "CreditAccount"), 3 * HOUR - 35 * 60, tolerance=5),
    "payment-waiting-1": Truth(
        ("entity_lock", "inventory"), 3 * HOUR - 34 * 60, ("activity", "CreditAccount"), 5
    ),
    "transfer-0000": Truth(("not_started", ""), 3 * HOUR - 25 * 60),
}
END = START + 3 * HOUR


def stuck_hub(version: ExtensionVersion, backend: Backend, name: str = "OrdersHub") -> TaskHub:
    """Return a hub of a backend, three hours after everything was started."""
    clock = ManualClock(START)
    hub = TaskHub(name, clock, functions=functions, seed=3, version=version, backend=backend)
    for instance_id, orchestrator, argument in STARTS:
        _start(hub, orchestrator, instance_id, argument, START)
    _later(hub, START + 600.0)
    start_troubled(hub, END)
    clock.set(END)
    hub.advance()
    return hub


def _later(hub: TaskHub, at: float) -> None:
    engine = hub.engine
    engine.at(at, partial(engine.raise_event, "unasked", "Unasked", "1"))
    engine.at(at, partial(engine.raise_event, "answered", "Go", "1"))
    engine.at(at, partial(engine.suspend, "suspended", "maintenance"))
    engine.at(at, partial(engine.suspend, "resumed", "pause"))
    engine.at(at, partial(engine.rewind, "rewound", "fixed"))
    engine.at(at, partial(engine.rewind, "rewound-parent", "fixed"))
    engine.at(at + 60, partial(engine.resume, "resumed", "go on"))
    for instance_id, name, argument in (
        ("lock-waiter", "HoldsLock", None),
        ("caller", "CallsEntity", "locked"),
        ("lost-start", "WaitsForever", None),
    ):
        engine.at(at, partial(_start, hub, name, instance_id, argument))
    engine.at(at, lambda _: engine.lose_messages("lost-start"))


def _start(hub: TaskHub, name: str, instance_id: str, argument: JsonValue, at: float) -> None:
    text = None if argument is None else compact(argument)
    hub.engine.start(name, instance_id, text, at)
