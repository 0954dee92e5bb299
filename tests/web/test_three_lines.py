"""One incident, read in three places: the page, `stuck`, and the numbers of the dashboards."""

from __future__ import annotations

import pytest

from emulator import EntityId, Functions, ManualClock, OrchestrationContext, Steps, TaskHub
from emulator.engine.functions import ActivityContext
from emulator.json_text import JsonValue
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import Sweep
from exporter.settings import load_settings
from exporter.web.page import View, hub_page
from tests.cli.asked import ask, serving_hub
from tests.diagnosis.stuck_app import START
from tests.web.looking import Read

pytestmark = pytest.mark.anyio

HOUR = 3600.0
HANGS = "30 ProcessOrder: activity ShipParcel for 3 h"
WAITS = "40 ApprovalWorkflow: external event for 3 h"
ORPHANED = "1 entity is permanently locked: inventory 1"

functions = Functions()


@functions.orchestrator
def ProcessOrder(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions are named
    """Hang in an activity."""
    return (yield context.call_activity("ShipParcel"))


@functions.orchestrator
def ApprovalWorkflow(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Wait for somebody."""
    return (yield context.wait_for_external_event("Approval"))


@functions.orchestrator
def ReserveStock(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Take a lock and wait."""
    yield context.lock_entities(EntityId("inventory", "sku-7"))
    yield context.wait_for_external_event("GiveItBack")
    return None


@functions.activity
def ShipParcel(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
    """Never return."""
    context.never_returns()
    return None


def incident(clock: ManualClock) -> TaskHub:
    """Return a hub whose incident begins now."""
    begin = clock.now()
    hub = TaskHub("OrdersHub", clock, functions=functions, seed=3)
    for number in range(30):
        hub.engine.start("ProcessOrder", f"order-{number:03}", None, begin)
    for number in range(40):
        hub.engine.start("ApprovalWorkflow", f"approval-{number:03}", None, begin)
    hub.engine.start("ReserveStock", "reserve-1", None, begin)
    hub.engine.at(begin + HOUR, lambda at: hub.engine.terminate("reserve-1", "by hand", at))
    return hub


async def test_it_is_the_same_three_lines(capfd: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(START)
    hub = incident(clock)
    clock.advance(3 * HOUR + 30)
    hub.advance()
    async with serving_hub(hub) as url:
        settings = load_settings({}, {"hubs.orders.url": url})
        stuck = await ask(capfd, settings, "stuck")
        (configured,) = settings.own_hubs
        client = connect(configured, SharedLimits())
        collector = HubCollector(
            PollingInputs(configured, settings.buckets),
            client,
            rules_of(configured, settings.buckets),
            wall=hub.clock.now,
        )
        # A lock is orphaned if two sweeps say so, and each reads so many histories.
        for _ in range(3):
            assert await collector.make(Sweep.ACTIVE) is None
        await client.aclose()
    snapshot = collector.snapshot
    page = Read(hub_page(snapshot, View(hub.clock.now(), "./", refreshes=True))).text
    first = page[: page.index("Stalled instances")]
    for line in (HANGS, WAITS, ORPHANED):
        assert line in first, first
        assert line in stuck.out
    assert stuck.out.startswith("orders: 30 instances stalled, 40 waiting as expected")
    assert "approval-" not in stuck.out
    assert snapshot.diagnosis is not None
    assert snapshot.diagnosis.stalled == {("ProcessOrder", "activity", "ShipParcel"): 30}
    assert snapshot.diagnosis.waiting == {("ApprovalWorkflow", "external_event", ""): 40}
    assert snapshot.active is not None
    assert snapshot.active.locks is not None
    assert snapshot.active.locks["inventory"].orphaned == 1
