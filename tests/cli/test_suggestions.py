"""Limits that `estimate` proposes: none that is broken by those that wait by design."""

from __future__ import annotations

import json
from functools import partial

import pytest

from emulator import ManualClock, TaskHub
from exporter.api.connection import SharedLimits, connect
from exporter.api.wire import HistoryEvent
from exporter.cli.suggestions import Evidence, fitting
from exporter.collector.hub import HubCollector
from exporter.collector.service import plan_of, rules_of
from exporter.collector.snapshot import Sweep
from exporter.diagnosis.past import longest_waits
from exporter.diagnosis.waits import WaitingOn
from exporter.settings import Settings, load_settings
from exporter.settings.limits import Limits
from tests.cli.asked import ask, serving_hub
from tests.diagnosis.stuck_app import START, functions
from tests.diagnosis.waiting import guid
from tests.ledger.world import shown

Capture = pytest.CaptureFixture[str]

HOUR = 3600.0
DAY = 24 * HOUR
A_DAY_OF_THEM = 24
LIMITS = Limits(pending=600.0, idle=HOUR, age=DAY)


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
    client, http = connect(configured, SharedLimits())
    found: dict[tuple[str, str], int] = {}
    async with http:
        collector = HubCollector(
            plan_of(configured, first_sweep_after=0.0, holds=False),
            client,
            rules_of(configured, settings),
            wall=hub.clock.now,
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


class TestFitting:
    def test_what_works_for_long_gets_a_limit_beyond_what_is_usual(self) -> None:
        evidence = Evidence(usual=3 * HOUR, waits={WaitingOn.ACTIVITY: 2 * HOUR})
        found = {limit: value for limit, value, _ in fitting(LIMITS_OF, evidence)}
        assert found == {"idle": "8h"}

    def test_many_short_steps_need_no_longer_limit(self) -> None:
        evidence = Evidence(usual=3 * HOUR, waits={WaitingOn.ACTIVITY: 600.0})
        assert list(fitting(LIMITS_OF, evidence)) == []

    def test_without_a_history_durations_decide(self) -> None:
        found = [limit for limit, _, _ in fitting(LIMITS_OF, Evidence(usual=3 * HOUR))]
        assert found == ["idle"]

    def test_who_waits_for_events_gets_none(self) -> None:
        evidence = Evidence(usual=3 * DAY, waits={WaitingOn.EXTERNAL_EVENT: 2 * DAY})
        found = {limit: value for limit, value, _ in fitting(LIMITS_OF, evidence)}
        assert found == {"idle": "none", "age": "none"}

    def test_who_waits_for_an_event_now_gets_none_though_none_has_completed(self) -> None:
        evidence = Evidence(waiting={WaitingOn.EXTERNAL_EVENT: 2 * HOUR})
        found = {limit: value for limit, value, _ in fitting(LIMITS_OF, evidence)}
        assert found == {"idle": "none"}

    def test_where_others_are_stuck_what_waits_now_excuses_nothing(self) -> None:
        evidence = Evidence(waiting={WaitingOn.EXTERNAL_EVENT: 2 * HOUR}, is_stalled=True)
        assert list(fitting(LIMITS_OF, evidence)) == []

    def test_a_timer_longer_than_any_limit_gets_none(self) -> None:
        evidence = Evidence(waiting={WaitingOn.TIMER: 40 * DAY})
        found = {limit: value for limit, value, _ in fitting(LIMITS_OF, evidence)}
        assert found == {"idle": "none", "age": "none"}

    def test_a_scheduled_start_is_not_pending_for_too_long(self) -> None:
        evidence = Evidence(usual=5 * HOUR, waits={WaitingOn.NOT_STARTED: 5 * HOUR})
        found = {limit: value for limit, value, _ in fitting(LIMITS_OF, evidence)}
        assert found == {"pending": "none"}

    def test_what_is_exempt_already_stays_so(self) -> None:
        exempt = Limits(pending=None, idle=None, age=None).for_orchestrator("Order")
        evidence = Evidence(
            usual=3 * DAY, waits={WaitingOn.EXTERNAL_EVENT: 2 * DAY, WaitingOn.NOT_STARTED: DAY}
        )
        assert list(fitting(exempt, evidence)) == []


LIMITS_OF = LIMITS.for_orchestrator("Order")


class TestLongestWaits:
    def test_each_wait_is_of_what_ended_it(self) -> None:
        events = [
            HistoryEvent("ExecutionStarted", timestamp=shown(0)),
            HistoryEvent("TaskCompleted", timestamp=shown(10), scheduled_time=shown(0)),
            HistoryEvent("TimerCreated", timestamp=shown(10), fire_at=shown(70)),
            # Its own time is that at which the timer was made.
            HistoryEvent("TimerFired", timestamp=shown(10), fire_at=shown(70)),
            HistoryEvent("EventRaised", timestamp=shown(570), name="Go"),
            HistoryEvent("EventRaised", timestamp=shown(600), name=guid(1)),
            HistoryEvent("ExecutionCompleted", timestamp=shown(600)),
        ]
        assert longest_waits(events) == {
            WaitingOn.ACTIVITY: 10.0,
            WaitingOn.TIMER: 60.0,
            WaitingOn.EXTERNAL_EVENT: 500.0,
            WaitingOn.ENTITY: 30.0,
        }

    def test_until_a_scheduled_start_nothing_is_waited_for(self) -> None:
        events = [
            HistoryEvent("ExecutionStarted", timestamp=shown(0), scheduled_start_time=shown(900)),
            HistoryEvent("TaskCompleted", timestamp=shown(905)),
        ]
        assert longest_waits(events) == {WaitingOn.NOT_STARTED: 900.0, WaitingOn.ACTIVITY: 5.0}

    def test_what_has_no_times_tells_nothing(self) -> None:
        assert longest_waits([HistoryEvent("TaskCompleted"), HistoryEvent("EventRaised")]) == {}
