"""Hundreds that wait for a locked entity are one cause for a collector, at the price of a few."""

from __future__ import annotations

from functools import partial

import pytest

from emulator import ManualClock, TaskHub
from emulator.json_text import JsonValue, compact
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger.over_limit import MAX_SAMPLES_PER_ORCHESTRATOR
from tests.diagnosis.shown_hub import polled
from tests.diagnosis.stuck_app import BACKENDS, END, START, VERSIONS, functions
from tests.metrics.shown import Shown
from tests.web.looking import serving_hubs

pytestmark = pytest.mark.anyio

CALLERS = 500


def crowded_hub(
    version: str, backend: str, holder: tuple[str, JsonValue], caller: tuple[str, JsonValue]
) -> TaskHub:
    """Return a hub in which hundreds wait for what the holder has; each is a name and an input."""
    clock = ManualClock(START)
    hub = TaskHub(
        "OrdersHub",
        clock,
        functions=functions,
        version=VERSIONS[version],
        backend=BACKENDS[backend](),
    )
    hub.engine.start(holder[0], "holder", compact(holder[1]), START)
    for number in range(CALLERS):
        start = partial(hub.engine.start, caller[0], f"caller-{number:03}", compact(caller[1]))
        hub.engine.at(START + 60 + number, start)
    clock.set(END)
    hub.advance()
    return hub


def hub_of_callers(version: str, backend: str) -> TaskHub:
    """Return a hub whose lock is held by one that waits for an event."""
    return crowded_hub(version, backend, ("HoldsLock", None), ("CallsEntity", "locked"))


def hub_of_payments(version: str, backend: str) -> TaskHub:
    """Return a hub whose lock is held by one that hangs in an activity."""
    silent: JsonValue = {"payment": 1, "item": "sku-1", "bank": "silent"}
    waiting: JsonValue = {"payment": 2, "item": "sku-1"}
    return crowded_hub(version, backend, ("PaymentSaga", silent), ("PaymentSaga", waiting))


def reads_of(collector: HubCollector) -> int:
    requests = collector.snapshot.api.requests
    return sum(count for (operation, _), count in requests.items() if "get" in operation)


@pytest.mark.parametrize(("version", "backend"), [("v2", "mssql"), ("v3", "azure-storage")])
async def test_all_callers_are_victims_of_the_holder_for_a_handful_of_reads(
    version: str, backend: str
) -> None:
    hub = hub_of_callers(version, backend)
    async with (
        polled(hub, max_histories_per_sweep=30) as collector,
        serving_hubs(collector.snapshot, at=END) as client,
    ):
        first = reads_of(collector)
        report = (await client.get("/api/v1/hubs/ordershub")).json()
        shown = Shown(collector.snapshot, now=END)
        await collector.make(Sweep.ACTIVE)
        second = reads_of(collector)
    assert 0 < first <= 5
    assert second == first
    (cause,) = report["causes"]
    assert (cause["cause"], cause["orchestrator"]) == ("holder", "HoldsLock")
    assert (cause["victims"], cause["victim_ids"][0]) == (CALLERS, "caller-000")
    assert (cause["waiting_on"], cause["target"], cause["end"]) == ("external_event", "", "leaf")
    assert report["undiagnosed"] == 0
    callers = [s for s in report["over_limit_samples"] if s["orchestrator"] == "CallsEntity"]
    assert len(callers) >= MAX_SAMPLES_PER_ORCHESTRATOR
    assert {each["held_by"] for each in callers} == {"holder"}
    assert {tuple(each["chain"][1:]) for each in callers} == {("@counter@locked", "holder")}
    assert shown.values("durable_functions_waiting_instances") == {
        ("CallsEntity", "external_event", "HoldsLock"): CALLERS,
        ("HoldsLock", "external_event", ""): 1,
    }
    assert shown.values("durable_functions_stalled_instances") == {}


async def test_who_waits_for_one_that_hangs_is_stuck_with_it_however_small_the_budget() -> None:
    hub = hub_of_payments("v3", "netherite")
    cycles, budget = 4, 2
    async with polled(hub, max_histories_per_sweep=budget) as collector:
        for cycle in range(1, cycles + 1):
            assert 0 < reads_of(collector) <= budget * cycle
            await collector.make(Sweep.ACTIVE)
        assert reads_of(collector) <= 5
        shown = Shown(collector.snapshot, now=END)
        async with serving_hubs(collector.snapshot, at=END) as client:
            report = (await client.get("/api/v1/hubs/ordershub")).json()
    (cause,) = report["causes"]
    assert (cause["cause"], cause["victims"], cause["stalled"]) == ("holder", CALLERS, True)
    assert (cause["waiting_on"], cause["target"]) == ("activity", "CreditAccount")
    assert shown.values("durable_functions_stalled_instances") == {
        ("PaymentSaga", "activity", "CreditAccount"): CALLERS + 1
    }
    assert report["undiagnosed"] == 0
