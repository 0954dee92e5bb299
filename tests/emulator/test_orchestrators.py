"""What orchestrators may do, each of them in a test of its own."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from emulator import (
    ActivityContext,
    FunctionFailed,
    Functions,
    Instance,
    ManualClock,
    OrchestrationContext,
    Pace,
    RetryOptions,
    RuntimeStatus,
    Steps,
    TaskHub,
)
from emulator.json_text import JsonValue
from emulator.samples import recorded
from emulator.storage.history import EventKind
from emulator.times import parse
from tests.emulator.conftest import NOW
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


@pytest.fixture
def app() -> Functions:
    app = Functions()
    app.include(recorded.functions)
    return app


@pytest.fixture
def hub(clock: ManualClock, app: Functions) -> TaskHub:
    return TaskHub("RecHub", clock, functions=app)


def fire_times(row: Instance, kind: EventKind) -> list[float]:
    times = [parse(str(event.fields["FireAt"]), 0) for event in events(row, kind)]
    return [round(time - NOW, 1) for time in times if time is not None]


class TestTimers:
    def test_long_ones_are_cut_into_pieces_of_three_days(self, hub: TaskHub) -> None:
        run(hub, "LongTimer", seconds=19 * DAY)
        row = instance_of(hub, "it")
        # Fourteen days are left after six, so there are pieces until less than six are left.
        pieces = [3 * DAY, 6 * DAY, 9 * DAY, 12 * DAY, 15 * DAY, 20 * DAY]
        assert fire_times(row, EventKind.TIMER_CREATED) == pytest.approx(pieces, abs=2)
        assert fire_times(row, EventKind.TIMER_FIRED) == pytest.approx(pieces[:-1], abs=2)
        move(hub, 2 * DAY)
        assert instance_of(hub, "it").output == "woke"

    @pytest.mark.parametrize(("days", "pieces"), [(5, 1), (6, 1), (6.1, 2), (9, 2), (9.1, 3)])
    def test_only_those_over_six_days_are_cut(
        self, hub: TaskHub, app: Functions, days: float, pieces: int
    ) -> None:
        @app.orchestrator
        def Sleeps(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.create_timer(context.current_utc_datetime + timedelta(days=days))

        row = run(hub, "Sleeps", seconds=10 * DAY)
        assert row.status is RuntimeStatus.COMPLETED
        assert len(events(row, EventKind.TIMER_CREATED)) == pieces

    @pytest.mark.parametrize("seconds", [0.0, -5.0])
    def test_one_that_is_due_fires_at_once(
        self, hub: TaskHub, app: Functions, seconds: float
    ) -> None:
        @app.orchestrator
        def Sleeps(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))

        assert run(hub, "Sleeps", seconds=1).status is RuntimeStatus.COMPLETED

    def test_a_cancelled_one_leaves_no_trace(self, hub: TaskHub) -> None:
        start(hub, "Approval")
        move(hub, SETTLING_SECONDS)
        row = tell(hub, "Approval")
        assert kinds(row)[1:] == [
            EventKind.TIMER_CREATED,
            EventKind.EVENT_RAISED,
            EventKind.EXECUTION_COMPLETED,
        ]

    def test_the_time_is_that_of_the_turn(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Tells(context: OrchestrationContext) -> Steps:  # noqa: N802
            begun = context.current_utc_datetime
            yield context.create_timer(begun + timedelta(hours=1))
            ended = context.current_utc_datetime
            return [begun.isoformat(), ended.isoformat(), context.current_utc_datetime == ended]

        begun, ended, same = run(hub, "Tells", seconds=3700).output  # type: ignore[misc]
        assert same is True
        assert datetime.fromisoformat(str(begun)).tzinfo is UTC
        between = datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(begun))
        assert timedelta(hours=1) < between < timedelta(hours=1, seconds=1)


class TestRetries:
    def test_each_wait_is_longer_than_the_last(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Insists(context: OrchestrationContext) -> Steps:  # noqa: N802
            options = RetryOptions(first_retry_interval=10, max_number_of_attempts=4, backoff=3)
            yield context.call_activity_with_retry("Charge", options, 7)

        row = run(hub, "Insists", seconds=1000)
        assert row.status is RuntimeStatus.FAILED
        failures = [event.timestamp for event in events(row, EventKind.TASK_FAILED)]
        pauses = [after - before for before, after in pairwise(failures)]
        assert pauses == pytest.approx([10, 30, 90], abs=1)
        # The timer after the last attempt is over at once (recorded).
        assert len(events(row, EventKind.TIMER_CREATED)) == 4

    def test_what_succeeds_in_the_end_is_no_failure(self, hub: TaskHub, app: Functions) -> None:
        @app.activity
        def ThirdTime(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            if context.runs_before < 2:
                raise RuntimeError("not yet")
            return "lucky"

        @app.orchestrator
        def Insists(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.call_activity_with_retry("ThirdTime", RetryOptions(1, 5)))

        row = run(hub, "Insists", seconds=60)
        assert (row.status, row.output) == ("Completed", "lucky")
        assert len(events(row, EventKind.TASK_FAILED)) == 2

    @pytest.mark.parametrize(
        ("interval", "attempts", "backoff"),
        [(0, 3, 1), (-1, 3, 1), (float("nan"), 3, 1), (1, 0, 1), (1, 3, 0)],
    )
    def test_impossible_options_fail_the_orchestration(
        self, hub: TaskHub, app: Functions, interval: float, attempts: int, backoff: float
    ) -> None:
        @app.orchestrator
        def Insists(context: OrchestrationContext) -> Steps:  # noqa: N802
            options = RetryOptions(interval, attempts, backoff)
            yield context.call_activity_with_retry("Charge", options, 7)

        assert run(hub, "Insists").status is RuntimeStatus.FAILED

    @pytest.mark.parametrize("interval", [1e300, float("inf")])
    def test_a_wait_may_be_longer_than_anybody_lives(
        self, hub: TaskHub, app: Functions, interval: float
    ) -> None:
        @app.orchestrator
        def Insists(context: OrchestrationContext) -> Steps:  # noqa: N802
            options = RetryOptions(interval, 3, 1e300)
            yield context.call_activity_with_retry("Charge", options, 7)

        assert run(hub, "Insists", seconds=365 * DAY).status is RuntimeStatus.RUNNING
        move(hub, 250 * 365 * DAY)
        assert status_of(hub, "it") is RuntimeStatus.FAILED


class TestAllAndAny:
    def test_all_gives_the_values_in_their_order(self, hub: TaskHub, app: Functions) -> None:
        @app.activity
        def Echo(argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            context.takes(3 - argument if isinstance(argument, int) else 0)
            return argument

        @app.orchestrator
        def All(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.task_all([context.call_activity("Echo", n) for n in range(3)]))

        row = run(hub, "All")
        assert row.output == [0, 1, 2]
        completed = [e.fields["Result"] for e in events(row, EventKind.TASK_COMPLETED)]
        assert completed == [2, 1, 0]

    def test_all_fails_as_soon_as_one_does(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def All(context: OrchestrationContext) -> Steps:  # noqa: N802
            tasks = [context.call_activity("Slow"), context.call_activity("Charge", 7)]
            try:
                yield context.task_all(tasks)
            except FunctionFailed as failure:
                context.set_custom_status(str(failure))

        assert "Card declined for order 7" in str(run(hub, "All").custom_status)

    def test_any_gives_the_first_task(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Any(context: OrchestrationContext) -> Steps:  # noqa: N802
            slow, quick = context.call_activity("Slow"), context.call_activity("SayHello", "you")
            winner = yield context.task_any([slow, quick])
            context.set_custom_status([winner is quick, winner.result, slow.is_completed])

        assert run(hub, "Any").custom_status == [True, "Hello you!", False]

    def test_a_task_that_failed_wins_and_raises_where_its_value_is_taken(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Any(context: OrchestrationContext) -> Steps:  # noqa: N802
            winner = yield context.task_any([context.call_activity("Charge", 7)])
            try:
                return winner.result
            except FunctionFailed:
                return "declined"

        assert run(hub, "Any").output == "declined"

    def test_all_of_nothing_is_done(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def All(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.task_all([]))

        assert run(hub, "All").output == []

    def test_they_can_be_combined(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Both(context: OrchestrationContext) -> Steps:  # noqa: N802
            pair = context.task_all([context.call_activity("SayHello", n) for n in "ab"])
            deadline = context.create_timer(context.current_utc_datetime + timedelta(days=1))
            winner = yield context.task_any([pair, deadline])
            deadline.cancel()
            return winner.result

        assert run(hub, "Both").output == ["Hello a!", "Hello b!"]


class TestOpenTasks:
    """An orchestration ends once each activity, sub-orchestration and timer has its result."""

    def test_a_timer_that_lost_keeps_it_running_until_it_fires(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Decide(context: OrchestrationContext) -> Steps:  # noqa: N802
            deadline = context.create_timer(context.current_utc_datetime + timedelta(days=2))
            yield context.task_any([context.wait_for_external_event("Decision"), deadline])
            return "decided"

        run(hub, "Decide")
        row = tell(hub, "Decision", "yes")
        assert (row.status, row.output) == (RuntimeStatus.RUNNING, None)
        assert row.history[-1].kind is EventKind.EVENT_RAISED
        move(hub, 2 * DAY)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == (RuntimeStatus.COMPLETED, "decided")
        assert [e.kind for e in row.history[-2:]] == ["TimerFired", "ExecutionCompleted"]

    @pytest.mark.parametrize("days", [2, 20])
    def test_a_timer_that_was_cancelled_does_not(
        self, hub: TaskHub, app: Functions, days: int
    ) -> None:
        @app.orchestrator
        def Decide(context: OrchestrationContext) -> Steps:  # noqa: N802
            deadline = context.create_timer(context.current_utc_datetime + timedelta(days=days))
            yield context.task_any([context.wait_for_external_event("Decision"), deadline])
            deadline.cancel()
            return "decided"

        run(hub, "Decide", seconds=7 * DAY if days > 6 else SETTLING_SECONDS)
        row = tell(hub, "Decision", "yes")
        assert (row.status, row.output) == (RuntimeStatus.COMPLETED, "decided")

    def test_a_child_that_nobody_awaits_does_while_an_activity_fails(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def FireAndForget(context: OrchestrationContext) -> Steps:  # noqa: N802
            context.call_sub_orchestrator("ShortTimer", 60, "child")
            yield context.call_activity("Charge", 7)

        row = run(hub, "FireAndForget")
        assert row.status is RuntimeStatus.RUNNING
        assert row.history[-1].kind is EventKind.TASK_FAILED
        move(hub, 60)
        row = instance_of(hub, "it")
        assert row.status is RuntimeStatus.FAILED
        assert "Card declined for order 7" in str(row.output)
        assert row.history[-2].kind is EventKind.SUB_ORCHESTRATION_COMPLETED

    @pytest.mark.parametrize("continues", [True, False])
    def test_an_activity_does_after_a_race(
        self, hub: TaskHub, app: Functions, continues: bool
    ) -> None:
        @app.activity
        def Hour(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            context.takes(3600)
            return None

        @app.orchestrator
        def Race(context: OrchestrationContext) -> Steps:  # noqa: N802
            deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=2))
            yield context.task_any([context.call_activity("Hour"), deadline])
            if continues and context.get_input() is None:
                context.continue_as_new(1)
            return "too slow"

        assert kinds(run(hub, "Race"))[-1] is EventKind.TIMER_FIRED
        move(hub, 3600)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == (
            (RuntimeStatus.RUNNING, None) if continues else (RuntimeStatus.COMPLETED, "too slow")
        )

    def test_a_termination_waits_for_nothing(self, hub: TaskHub) -> None:
        run(hub, "ParentAuto")
        hub.engine.terminate("it", "enough", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        assert instance_of(hub, "it").status is RuntimeStatus.TERMINATED
        children = [row for row in hub.instances() if row.instance_id != "it"]
        assert {row.status for row in children} == {RuntimeStatus.RUNNING, RuntimeStatus.COMPLETED}


class TestSubOrchestrations:
    def test_default_ids_are_of_the_run_and_the_number_of_the_action(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Family(context: OrchestrationContext) -> Steps:  # noqa: N802
            context.new_uuid()  # which is no action
            yield context.call_activity("SayHello", "you")
            yield context.task_all([context.call_sub_orchestrator("HelloSequence")] * 1)
            yield context.call_sub_orchestrator("HelloSequence")

        row = run(hub, "Family")
        ids = [
            str(e.fields["InstanceId"]) for e in events(row, EventKind.SUB_ORCHESTRATION_CREATED)
        ]
        assert [child.partition(":")[2] for child in ids] == ["1", "2"]
        assert len({child.partition(":")[0] for child in ids}) == 1
        assert {status_of(hub, child) for child in ids} == {RuntimeStatus.COMPLETED}

    def test_a_child_knows_its_parent_and_gets_its_input(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Child(context: OrchestrationContext) -> JsonValue:  # noqa: N802
            return [context.parent_instance_id, context.instance_id, context.get_input()]

        @app.orchestrator
        def Family(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.call_sub_orchestrator("Child", {"a": 1}, "child"))

        assert run(hub, "Family").output == ["it", "child", {"a": 1}]

    def test_an_id_that_still_runs_is_not_started_again(self, hub: TaskHub) -> None:
        before = run(hub, "WaitsForever", instance_id="it:child")
        run(hub, "Parent", "HelloSequence")
        assert instance_of(hub, "it:child") == before
        assert status_of(hub, "it") is RuntimeStatus.RUNNING

    def test_an_id_that_has_ended_is_replaced(self, hub: TaskHub) -> None:
        old = run(hub, "HelloSequence", instance_id="it:child")
        run(hub, "Parent", "BigOutput")
        new = instance_of(hub, "it:child")
        assert (new.name, new.status) == ("BigOutput", RuntimeStatus.COMPLETED)
        assert new.created > old.created

    def test_an_id_is_replaced_only_after_its_end_was_shown(
        self, clock: ManualClock, app: Functions
    ) -> None:
        slow = Pace(start=(1, 1), message=(1, 1), sub_start=(0.5, 0.5), turn=(10, 10))
        hub = TaskHub("RecHub", clock, functions=app, pace=slow)
        start(hub, "Parent", "WaitsForever")
        move(hub, 10)
        start(hub, "BigOutput", instance_id="it:child")  # ends in a turn that its parent meets
        move(hub, 60)
        ends = [finish.name for finish in hub.finishes]
        assert (ends, instance_of(hub, "it:child").name) == (["BigOutput"], "WaitsForever")

    def test_a_childs_row_shows_when_it_was_scheduled(self, hub: TaskHub) -> None:
        row = run(hub, "Parent", "HelloSequence")
        (created,) = events(row, EventKind.SUB_ORCHESTRATION_CREATED)
        assert instance_of(hub, "it:child").created == created.timestamp


class TestEvents:
    @pytest.mark.parametrize("name", ["Never", "NEVER", "never", "nEVER"])
    def test_names_match_in_any_letter_case(self, hub: TaskHub, name: str) -> None:
        run(hub, "WaitsForever")
        row = tell(hub, name)
        assert row.status is RuntimeStatus.COMPLETED
        assert events(row, EventKind.EVENT_RAISED)[0].fields["Name"] == name

    def test_one_that_came_before_anybody_waited_counts(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Late(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
            first = yield context.wait_for_external_event("News")
            second = yield context.wait_for_external_event("News")
            return [first, second]

        run(hub, "Late")
        for value in (1, 2):
            tell(hub, "News", value)
        move(hub, 3600)
        assert instance_of(hub, "it").output == [1, 2]

    def test_one_that_came_before_the_start_counts(self, hub: TaskHub) -> None:
        start(hub, "WaitsForever")
        assert tell(hub, "Never").status is RuntimeStatus.COMPLETED

    def test_one_that_nobody_waits_for_is_only_noted(self, hub: TaskHub) -> None:
        run(hub, "WaitsForever")
        row = tell(hub, "Other", {"a": 1})
        assert row.status is RuntimeStatus.RUNNING
        assert kinds(row) == [EventKind.EXECUTION_STARTED, EventKind.EVENT_RAISED]

    def test_several_are_waited_for_in_any_order(self, hub: TaskHub) -> None:
        run(hub, "TwoEvents")
        tell(hub, "Second", 2)
        assert tell(hub, "First", 1).output == [1, 2]

    def test_one_cannot_pass_for_the_answer_of_an_entity(self, hub: TaskHub) -> None:
        run(hub, "CallsFailingEntity", "x")
        name = str(events(instance_of(hub, "it"), EventKind.EVENT_RAISED)[0].fields["Name"])
        run(hub, "WaitsForever", instance_id="other")
        assert tell(hub, name, {"result": 1}, "other").status is RuntimeStatus.RUNNING


class TestCustomStatus:
    def test_it_shows_while_the_instance_waits(self, hub: TaskHub) -> None:
        assert run(hub, "Progress").custom_status == {
            "stage": "loading",
            "done": 3,
            "total": 10,
            "note": 'žluťoučký <b>&"',
        }

    def test_the_last_one_counts(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Steps_(context: OrchestrationContext) -> Steps:  # noqa: N802
            context.set_custom_status(1)
            context.set_custom_status(2)
            yield context.wait_for_external_event("On")
            context.set_custom_status([3])
            yield context.wait_for_external_event("On")

        assert run(hub, "Steps_").custom_status == 2
        assert tell(hub, "On").custom_status == [3]
        assert tell(hub, "On").custom_status == [3]

    def test_what_is_no_json_fails_the_orchestration(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Odd(context: OrchestrationContext) -> Steps:  # noqa: N802
            context.set_custom_status(object())  # type: ignore[arg-type]
            yield context.wait_for_external_event("Never")

        row = run(hub, "Odd")
        assert (row.status, row.custom_status) == ("Failed", None)

    def test_it_is_as_it_was_when_it_was_set(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Changes(context: OrchestrationContext) -> Steps:  # noqa: N802
            done: list[JsonValue] = []
            context.set_custom_status(done)
            done.append((yield context.call_activity("SayHello", "you")))
            yield context.wait_for_external_event("Never")

        assert run(hub, "Changes").custom_status == []


class TestValues:
    """What is handed over is a copy, as it is in the real one, where it travels as text."""

    def test_a_result_that_is_changed_is_the_same_in_the_next_replay(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.activity
        def Lines(_argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
            return ["one"]

        @app.orchestrator
        def Changes(context: OrchestrationContext) -> Steps:  # noqa: N802
            lines = yield context.call_activity("Lines")
            lines.append("more")
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
            return lines

        row = run(hub, "Changes")
        assert row.output == ["one", "more"]
        assert events(row, EventKind.TASK_COMPLETED)[0].fields["Result"] == ["one"]

    def test_the_result_of_a_child_is_a_copy_too(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Changes(context: OrchestrationContext) -> Steps:  # noqa: N802
            greetings = yield context.call_sub_orchestrator("HelloSequence", instance_id="child")
            greetings.clear()
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
            return greetings

        assert run(hub, "Changes").output == []
        assert len(instance_of(hub, "child").output) == 3  # type: ignore[arg-type]

    def test_an_activity_cannot_change_what_it_is_given(self, hub: TaskHub, app: Functions) -> None:
        @app.activity
        def Takes(argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
            assert isinstance(argument, list)
            first: JsonValue = argument.pop()
            return first

        @app.orchestrator
        def Gives(context: OrchestrationContext) -> Steps:  # noqa: N802
            order: list[JsonValue] = ["one", "two"]
            return (
                yield context.task_all(
                    [context.call_activity("Takes", order)] * 1
                    + [context.call_activity("Takes", order)]
                )
            )

        assert run(hub, "Gives").output == ["two", "two"]

    def test_tuples_are_lists_and_keys_are_texts(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Odd(_context: OrchestrationContext) -> JsonValue:  # noqa: N802
            return {1: (2, 3)}  # type: ignore[dict-item]

        assert run(hub, "Odd").output == {"1": [2, 3]}

    def test_guids_differ_and_are_the_same_in_every_replay(
        self, hub: TaskHub, app: Functions
    ) -> None:
        seen: list[list[str]] = []

        @app.orchestrator
        def Guids(context: OrchestrationContext) -> Steps:  # noqa: N802
            guids = [context.new_uuid(), context.new_uuid()]
            yield context.call_activity("SayHello", "you")
            seen.append([*guids, context.new_uuid()])

        run(hub, "Guids")
        run(hub, "Guids", instance_id="other")
        assert len({guid for guids in seen for guid in guids}) == 6

    def test_it_knows_when_it_replays(self, hub: TaskHub, app: Functions) -> None:
        seen: list[bool] = []

        @app.orchestrator
        def Watches(context: OrchestrationContext) -> Steps:  # noqa: N802
            seen.append(context.is_replaying)
            yield context.call_activity("SayHello", "you")
            seen.append(context.is_replaying)
            return context.name

        assert run(hub, "watches").output == "watches"
        assert seen == [False, True, False]
