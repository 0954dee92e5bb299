"""An id has many lives, and a life many generations: what belongs to which."""

from datetime import timedelta

import pytest

from emulator import (
    Functions,
    ManualClock,
    OrchestrationContext,
    Pace,
    RuntimeStatus,
    Steps,
    TaskHub,
)
from emulator.json_text import JsonValue
from emulator.samples import recorded
from emulator.storage.history import EventKind
from tests.emulator.hubs import (
    SETTLING_SECONDS,
    events,
    instance_of,
    kinds,
    move,
    run,
    start,
    status_of,
    tell,
)

DAY = 86_400.0
TEN_SECONDS = timedelta(seconds=10)


@pytest.fixture
def app() -> Functions:
    app = Functions()
    app.include(recorded.functions)
    return app


@pytest.fixture
def hub(clock: ManualClock, app: Functions) -> TaskHub:
    return TaskHub("RecHub", clock, functions=app)


class TestAnotherLife:
    def test_a_restart_begins_anew(self, hub: TaskHub) -> None:
        old = run(hub, "Approval")
        tell(hub, "Approval", "granted")
        new = run(hub, "Approval")
        assert new.created == old.created + 2 * SETTLING_SECONDS
        assert (new.status, new.output) == ("Running", None)
        assert kinds(new) == [EventKind.EXECUTION_STARTED, EventKind.TIMER_CREATED]

    def test_timers_of_the_old_life_mean_nothing_to_the_new_one(self, hub: TaskHub) -> None:
        run(hub, "Approval")
        tell(hub, "Approval", "granted")
        run(hub, "Approval")
        move(hub, 3 * DAY - SETTLING_SECONDS - 1)
        row = instance_of(hub, "it")
        assert (row.status, events(row, EventKind.TIMER_FIRED)) == ("Running", [])

    def test_messages_of_the_old_life_go_nowhere(self, clock: ManualClock, app: Functions) -> None:
        late = Pace(message=(60, 60))
        hub = TaskHub("RecHub", clock, functions=app, pace=late)
        run(hub, "WaitsForever")
        for _ in range(2):
            hub.engine.terminate("it", "why", hub.clock.now())
            hub.engine.raise_event("it", "Never", "1", hub.clock.now())
        move(hub, 61)
        assert status_of(hub, "it") is RuntimeStatus.TERMINATED
        hub.engine.raise_event("it", "Never", "1", hub.clock.now())
        start(hub, "WaitsForever")
        move(hub, 120)
        row = instance_of(hub, "it")
        assert (row.status, kinds(row)) == ("Running", [EventKind.EXECUTION_STARTED])

    @pytest.mark.parametrize("pause", [0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3])
    def test_a_purge_stops_a_run_at_any_moment(self, hub: TaskHub, pause: float) -> None:
        start(hub, "HelloSequence")
        move(hub, pause)
        assert hub.purge("it")
        move(hub, SETTLING_SECONDS)
        assert hub.get("it") is None
        assert run(hub, "HelloSequence").status is RuntimeStatus.COMPLETED

    def test_the_parent_of_a_purged_child_waits_for_ever(self, hub: TaskHub) -> None:
        run(hub, "Parent", "WaitsForever")
        hub.purge("it:child")
        move(hub, DAY)
        assert status_of(hub, "it") is RuntimeStatus.RUNNING
        assert hub.get("it:child") is None

    def test_a_child_outlives_its_purged_parent(self, hub: TaskHub) -> None:
        run(hub, "Parent", "WaitsForever")
        hub.purge("it")
        assert tell(hub, "Never", instance_id="it:child").status is RuntimeStatus.COMPLETED
        assert hub.get("it") is None


class TestContinueAsNew:
    def test_a_generation_is_younger_and_has_a_history_of_its_own(self, hub: TaskHub) -> None:
        first = run(hub, "Eternal", 1, seconds=3)
        move(hub, 5)
        second = instance_of(hub, "it")
        assert (first.input, second.input) == (1, 2)
        assert first.created < second.created
        assert kinds(second) == kinds(first)
        assert second.history[0].timestamp > first.history[-1].timestamp

    def test_it_is_one_life_however_long_it_goes_on(self, hub: TaskHub) -> None:
        run(hub, "Eternal", 1, seconds=DAY / 24)
        row = instance_of(hub, "it")
        assert isinstance(row.input, int)
        assert row.input > 600
        assert (len(hub.starts), hub.finishes) == (1, [])
        assert kinds(row)[0] is EventKind.EXECUTION_STARTED
        assert len(row.history) < 10

    def test_its_timers_do_not_reach_the_next_generation(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Loop(context: OrchestrationContext) -> Steps:  # noqa: N802
            context.create_timer(context.current_utc_datetime + TEN_SECONDS)
            if context.get_input() == "again":
                yield context.wait_for_external_event("Never")
            yield context.call_activity("SayHello", "again")
            context.continue_as_new("again")

        run(hub, "Loop", seconds=60)
        row = instance_of(hub, "it")
        (created,) = events(row, EventKind.TIMER_CREATED)
        (fired,) = events(row, EventKind.TIMER_FIRED)
        assert fired.fields["FireAt"] == created.fields["FireAt"]

    def test_a_child_may_continue_as_new_before_its_parent_hears_of_its_end(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Countdown(context: OrchestrationContext) -> JsonValue:  # noqa: N802
            left = context.get_input()
            assert isinstance(left, int)
            if left:
                context.continue_as_new(left - 1)
            return "done"

        @app.orchestrator
        def Waits(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.call_sub_orchestrator("Countdown", 3, "child"))

        assert run(hub, "Waits").output == "done"
        assert instance_of(hub, "child").input == 0

    def test_an_eternal_one_can_be_suspended_and_terminated(self, hub: TaskHub) -> None:
        run(hub, "Eternal", 1)
        hub.engine.suspend("it", "night", hub.clock.now())
        move(hub, 60)
        held = instance_of(hub, "it")
        assert held.status is RuntimeStatus.SUSPENDED
        hub.engine.resume("it", "day", hub.clock.now())
        move(hub, 60)
        later = instance_of(hub, "it")
        assert isinstance(later.input, int)
        assert later.input > 5
        hub.engine.terminate("it", "enough", hub.clock.now())
        move(hub, 60)
        assert status_of(hub, "it") is RuntimeStatus.TERMINATED
