"""The steps of a history: when, what, and how long it took."""

from __future__ import annotations

import pytest

from exporter.api.times import parse_time
from exporter.api.wire import HistoryEvent
from exporter.web.steps import Step, steps_of

AT = parse_time("2026-11-23T11:00:00Z") or 0.0


def step(event: HistoryEvent) -> Step:
    (found,) = steps_of([event], AT)
    return found


def at(clock: str) -> str:
    return f"2026-11-23T{clock}Z"


@pytest.mark.parametrize(
    "kind",
    [
        "TaskCompleted",
        "TaskFailed",
        "SubOrchestrationInstanceCompleted",
        "SubOrchestrationInstanceFailed",
    ],
)
def test_what_has_a_result_took_from_its_scheduling_to_its_result(kind: str) -> None:
    found = step(
        HistoryEvent(
            kind,
            timestamp=at("10:05:00"),
            function_name="Ship",
            scheduled_time=at("10:01:30"),
            reason="no carrier",
        )
    )
    assert (found.seconds, found.is_open) == (210.0, False)
    assert (found.time, found.name, found.reason) == (at("10:05:00"), "Ship", "no carrier")


def test_what_has_no_result_goes_on_since_it_was_scheduled() -> None:
    found = step(HistoryEvent("TaskScheduled", timestamp=at("10:30:00"), name="Ship"))
    assert (found.seconds, found.is_open) == (1800.0, True)


def test_a_timer_that_fired_stands_once_at_the_moment_of_its_firing() -> None:
    due = at("10:20:00")
    events = [
        HistoryEvent("TimerCreated", timestamp=at("10:10:00"), fire_at=due),
        HistoryEvent("TimerFired", timestamp=at("10:10:00"), fire_at=due),
        HistoryEvent("TimerCreated", timestamp=at("10:40:00"), fire_at=at("12:00:00")),
    ]
    fired, waiting = steps_of(events, AT)
    assert (fired.time, fired.seconds, fired.is_open) == (due, 600.0, False)
    assert (waiting.seconds, waiting.is_open) == (1200.0, True)
    assert waiting.fire_time == at("12:00:00")


def test_other_events_take_no_time_and_unknown_ones_keep_their_name() -> None:
    assert step(HistoryEvent("EventRaised", timestamp=at("10:00:00"), name="Go")).seconds is None
    assert step(HistoryEvent("Strange")).what == "Strange"


def test_times_that_cannot_be_read_raise_nothing() -> None:
    found = step(HistoryEvent("TaskCompleted", timestamp="soon", scheduled_time=None))
    assert (found.time, found.seconds) == (None, None)
