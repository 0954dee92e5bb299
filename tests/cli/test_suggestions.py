"""Limits that `estimate` proposes: none that is broken by those that wait by design."""

from __future__ import annotations

import json
from contextlib import aclosing
from functools import partial

import pytest

from emulator import ManualClock, TaskHub
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import Sweep
from exporter.settings import Settings, load_settings
from tests.cli.asked import ask, serving_hub
from tests.diagnosis.stuck_app import START, functions

Capture = pytest.CaptureFixture[str]

HOUR = 3600.0
DAY = 24 * HOUR
A_DAY_OF_THEM = 24


def patient_hub() -> TaskHub:
    """Return a hub in which an hour after the other somebody waits as designed, for two days."""
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=functions, seed=3)
    engine = hub.engine
    for number in range(2 * A_DAY_OF_THEM):
        at = START + number * HOUR
        approval, timer, quick = f"approval-{number}", f"timer-{number}", f"quick-{number}"
        engine.at(at, partial(engine.start, "Approval", approval, None))
        engine.at(at + 26 * HOUR, partial(engine.raise_event, approval, "Approval", "true"))
        engine.at(at, partial(engine.start, "ShortTimer", timer, str(int(5 * HOUR))))
        engine.at(at, partial(engine.start, "HelloSequence", quick, None))
    clock.set(START + 2 * DAY)
    hub.advance()
    return hub


def settings_of(url: str, **more: str) -> Settings:
    return load_settings({}, {"url": url, "name": "orders", **more})


async def over_limits(settings: Settings, hub: TaskHub) -> dict[tuple[str, str], int]:
    """Return what a daemon finds beyond limits during the next hours."""
    (configured,) = settings.own_hubs
    client = connect(configured, SharedLimits())
    found: dict[tuple[str, str], int] = {}
    async with aclosing(client):
        collector = HubCollector(
            PollingInputs(configured, settings.buckets),
            client,
            rules_of(configured, settings.buckets),
            wall=hub.clock.now,
            holds=False,
        )
        for _ in range(12):
            assert isinstance(hub.clock, ManualClock)
            hub.clock.advance(HOUR)
            assert await collector.make(Sweep.ACTIVE) is None
            assert collector.snapshot.active is not None
            for key, count in collector.snapshot.active.over_limit.items():
                found[key] = max(count, found.get(key, 0))
    return found


@pytest.mark.anyio
async def test_what_is_proposed_is_not_broken_by_what_waits_by_design(capfd: Capture) -> None:
    hub = patient_hub()
    async with serving_hub(hub) as url:
        told = await ask(capfd, settings_of(url), "estimate", "--format", "json")
        shown_to_people = await ask(capfd, settings_of(url), "estimate")
        (forecast,) = json.loads(told.out)
        before = await over_limits(settings_of(url), hub)
        after = await over_limits(settings_of(url, **forecast["suggestions"]), hub)
    assert forecast["suggestions"] == {
        "limits.orchestrators.Approval.idle": "none",
        "limits.orchestrators.ShortTimer.idle": "8h",
    }
    assert set(forecast["reasons"]) == set(forecast["suggestions"])
    assert "Approval.idle: none  # waits for an event, up to 1 d 2 h" in shown_to_people.out
    assert before["Approval", "idle"] > 0 < before["ShortTimer", "idle"]
    assert not any(after.values())
