"""Calls that JavaScript, Python and PowerShell lose without a trace, and waits that look alike."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from emulator import (
    Functions,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
)
from emulator import Worker as EmulatedWorker
from emulator.json_text import JsonValue, compact
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger.app_traits import Worker
from exporter.ledger.ledger import Ledger
from exporter.ledger.state import LedgerState
from tests.cli.asked import ask, serving_hub, settings_for
from tests.diagnosis.surveying import limits
from tests.workers.polled_hub import polled, reads_of

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
START = 1_800_000_000.0
HOUR = 3600.0
Waits = dict[tuple[str, str, str], int]

functions = Functions()


@functions.orchestrator
def Ships(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions are named
    """Call an activity that was renamed with the last deployment."""
    yield context.call_activity("ShipParcel")
    return None


@functions.orchestrator
def Approval(context: OrchestrationContext) -> Steps:  # noqa: N802
    """Wait for somebody."""
    yield context.wait_for_external_event("Approved")
    return None


@functions.orchestrator
def Fails(_context: OrchestrationContext) -> Steps:  # noqa: N802
    """Call one that fails, which shows the language of the app."""
    yield _context.call_sub_orchestrator("FailsItself")
    return None


@functions.orchestrator
def FailsItself(_context: OrchestrationContext) -> JsonValue:  # noqa: N802
    """Throw."""
    raise ValueError("no lines")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def hub(clock: ManualClock) -> TaskHub:
    """Return a hub two hours after its start: two approvals, one of them given, and lost calls."""
    worker = EmulatedWorker.JAVASCRIPT
    hub = TaskHub("OrdersHub", clock, functions=functions, worker=worker)
    names = {"given": "Approval", "waits": "Approval", "lost-1": "Ships", "lost-2": "Ships"}
    for number, (instance_id, name) in enumerate(names.items()):
        begin = partial(hub.engine.start, name, instance_id, compact(None))
        hub.engine.at(START + number, begin)
    hub.engine.at(START + 60, partial(hub.engine.start, "Fails", "fails", compact(None)))
    answer = partial(hub.engine.raise_event, "given", "Approved", "true")
    hub.engine.at(START + HOUR, answer)
    clock.set(START + 2 * HOUR)
    hub.advance()
    return hub


async def waits_of(collector: HubCollector) -> tuple[Waits, Waits]:
    assert await collector.make(Sweep.ACTIVE) is None
    view = collector.snapshot.diagnosis
    assert view is not None
    return dict(view.stalled), dict(view.waiting)


async def once(hub: TaskHub, worker: Worker | None) -> tuple[Waits, Waits]:
    async with polled(hub, rules=replace(limits(), worker=worker)) as collector:
        return await waits_of(collector)


LOST: tuple[Waits, Waits] = (
    {("Ships", "no_step", ""): 2},
    {("Approval", "external_event", ""): 1},
)


@pytest.mark.parametrize("worker", [Worker.JAVASCRIPT, Worker.PYTHON, Worker.POWERSHELL, None])
async def test_who_took_no_step_is_stalled_unless_its_orchestrator_completes_by_an_event(
    hub: TaskHub, worker: Worker | None
) -> None:
    # Without the setting the failure of a child shows the language.
    assert await once(hub, worker) == LOST


@pytest.mark.parametrize("worker", [Worker.DOTNET, Worker.ISOLATED, Worker.JAVA])
async def test_where_no_call_is_lost_it_is_a_wait_for_an_event(
    hub: TaskHub, worker: Worker
) -> None:
    expected = {("Ships", "external_event", ""): 2, ("Approval", "external_event", ""): 1}
    assert await once(hub, worker) == ({}, expected)


async def test_commands_say_the_same(capfd: Capture, hub: TaskHub) -> None:
    async with serving_hub(hub) as url:
        settings = settings_for(orders=url)
        outcome = await ask(capfd, settings, "stuck", "--all", "--format", "json")
        lost = await ask(capfd, settings, "why", "lost-1")
        waits = await ask(capfd, settings, "why", "waits")
    told = {row["instance_id"]: row["waiting_on"] for row in json.loads(outcome.out)}
    assert told == {"lost-1": "no_step", "lost-2": "no_step", "waits": "external_event"}
    assert "It has taken no step: it waits on an event, or a call may have been lost" in lost.out
    assert "check the app's log for a call to a missing function" in lost.out
    assert "or (JavaScript, Python, PowerShell) a call or a failure was lost" in waits.out
    assert "expected" not in waits.out


async def test_one_that_is_not_over_its_limit_yet_is_no_finding(
    capfd: Capture, hub: TaskHub, clock: ManualClock
) -> None:
    hub.engine.start("Ships", "young", compact(None), hub.clock.now())
    clock.advance(30.0)
    hub.advance()
    async with serving_hub(hub) as url:
        outcome = await ask(capfd, settings_for(orders=url), "why", "young", "--format", "json")
    (reason,) = json.loads(outcome.out)
    assert reason["waiting_on"] == "external_event"


async def test_what_was_learnt_of_a_completed_history_is_kept(hub: TaskHub) -> None:
    rules = replace(limits(), worker=Worker.JAVASCRIPT)
    async with polled(hub, rules=rules) as collector:
        assert await waits_of(collector) == LOST
        first = reads_of(collector)
        assert await waits_of(collector) == LOST
        assert reads_of(collector) == first
        saved = collector._ledger.saved()
    # Three histories of those over their limit, and one of a completed instance.
    assert first == 4
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(saved), type=LedgerState)
    assert Ledger(rules, restored).traits.gets_events == {"Approval": True}
