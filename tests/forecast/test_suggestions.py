"""Limits that fit what is known of an orchestrator and its histories."""

from __future__ import annotations

from exporter.api.wire import HistoryEvent
from exporter.diagnosis.past import longest_waits
from exporter.diagnosis.waits import WaitingOn
from exporter.forecast.suggestions import Evidence, fitting
from exporter.settings.groups import Limits
from tests.diagnosis.waiting import guid
from tests.ledger.world import shown

HOUR = 3600.0
DAY = 24 * HOUR
LIMITS = Limits(pending=600.0, idle=HOUR, age=DAY)


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
