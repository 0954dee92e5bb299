"""What becomes of orchestrators and activities that misbehave."""

import pytest

from emulator import (
    ActivityContext,
    ExtensionVersion,
    Functions,
    ManualClock,
    OrchestrationContext,
    RuntimeStatus,
    Steps,
    TaskHub,
)
from emulator.engine.execution import Task
from emulator.json_text import JsonValue
from emulator.samples import recorded
from emulator.storage.history import EventKind
from tests.emulator.conftest import MAJOR_VERSIONS
from tests.emulator.hubs import events, kinds, run, tell


@pytest.fixture
def app() -> Functions:
    app = Functions()
    app.include(recorded.functions)
    return app


@pytest.fixture
def hub(clock: ManualClock, app: Functions) -> TaskHub:
    return TaskHub("RecHub", clock, functions=app)


def circle() -> JsonValue:
    loop: list[JsonValue] = []
    loop.append(loop)
    return loop


def deep() -> JsonValue:
    value: JsonValue = None
    for _ in range(100_000):
        value = [value]
    return value


class TestMisbehaviour:
    @pytest.mark.parametrize(
        "result", [object(), {("a", "b"): 1}, circle(), deep(), {1, 2}, b"bytes", ValueError("no")]
    )
    def test_a_result_that_is_no_json_fails_it(
        self, hub: TaskHub, app: Functions, result: JsonValue
    ) -> None:
        @app.orchestrator
        def Odd(_context: OrchestrationContext) -> JsonValue:  # noqa: N802
            return result

        @app.orchestrator
        def OddLater(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("SayHello", "you")
            return result

        for name in ("Odd", "OddLater"):
            row = run(hub, name, instance_id=name)
            assert row.status is RuntimeStatus.FAILED
            assert str(row.output).startswith(f"Orchestrator function '{name}' failed: ")

    @pytest.mark.parametrize(
        "yielded", [None, 5, "SayHello", [], object(), ValueError("no"), iter(())]
    )
    def test_it_may_yield_tasks_only(self, hub: TaskHub, app: Functions, yielded: object) -> None:
        @app.orchestrator
        def Odd(_context: OrchestrationContext) -> Steps:  # noqa: N802
            yield yielded  # type: ignore[misc]

        row = run(hub, "Odd")
        assert row.status is RuntimeStatus.FAILED
        assert "Orchestrator function 'Odd' failed: " in str(row.output)

    def test_a_task_of_another_run_is_never_done(self, hub: TaskHub, app: Functions) -> None:
        tasks: list[Task] = []

        @app.orchestrator
        def Odd(context: OrchestrationContext) -> Steps:  # noqa: N802
            tasks.append(context.call_activity("SayHello", "you"))
            yield tasks[0]

        assert run(hub, "Odd").status is RuntimeStatus.RUNNING

    @pytest.mark.parametrize(
        "error", [RuntimeError("no"), KeyError("no"), StopIteration(1), RecursionError, OSError(2)]
    )
    def test_what_it_raises_is_its_failure(
        self, hub: TaskHub, app: Functions, error: Exception
    ) -> None:
        @app.orchestrator
        def Raises(_context: OrchestrationContext) -> JsonValue:  # noqa: N802
            raise error

        @app.orchestrator
        def RaisesLater(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("SayHello", "you")
            raise error

        for name in ("Raises", "RaisesLater"):
            assert run(hub, name, instance_id=name).status is RuntimeStatus.FAILED

    def test_a_plain_function_is_enough(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Plain(context: OrchestrationContext) -> JsonValue:  # noqa: N802
            return context.get_input()

        assert run(hub, "Plain", {"a": [1]}).output == {"a": [1]}

    def test_a_generator_may_end_without_having_waited(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Short(context: OrchestrationContext) -> Steps:  # noqa: N802
            if context.get_input():
                yield context.call_activity("SayHello", "you")
            return "short"

        row = run(hub, "Short")
        assert row.output == "short"
        assert kinds(row) == [EventKind.EXECUTION_STARTED, EventKind.EXECUTION_COMPLETED]

    def test_what_it_asked_for_and_did_not_wait_for_is_done(
        self, hub: TaskHub, app: Functions
    ) -> None:
        done: list[JsonValue] = []

        @app.activity
        def Notes(argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
            done.append(argument)
            return None

        @app.orchestrator
        def Careless(context: OrchestrationContext) -> JsonValue:  # noqa: N802
            context.call_activity("Notes", 1)
            return "done"

        assert run(hub, "Careless").status is RuntimeStatus.COMPLETED
        assert done == [1]

    def test_it_may_clean_up_whatever_happens(
        self, hub: TaskHub, app: Functions, capfd: pytest.CaptureFixture[str]
    ) -> None:
        @app.orchestrator
        def CleansUp(context: OrchestrationContext) -> Steps:  # noqa: N802
            try:
                yield context.wait_for_external_event("Go")
                yield context.call_activity("Charge", 7)
            finally:
                yield context.call_activity("SayHello", "and goodbye")

        run(hub, "CleansUp")
        row = tell(hub, "Go")
        assert row.status is RuntimeStatus.FAILED
        assert len(events(row, EventKind.TASK_SCHEDULED)) == 2
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("argument", [object(), circle()])
    def test_an_argument_that_is_no_json_fails_it(
        self, hub: TaskHub, app: Functions, argument: JsonValue
    ) -> None:
        @app.orchestrator
        def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("SayHello", argument)

        @app.orchestrator
        def Starts(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_sub_orchestrator("HelloSequence", argument)

        for name in ("Calls", "Starts"):
            assert run(hub, name, instance_id=name).status is RuntimeStatus.FAILED

    @pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
    def test_an_activity_takes_some_time_or_fails(
        self, hub: TaskHub, app: Functions, seconds: float
    ) -> None:
        @app.activity
        def Odd(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            context.takes(seconds)
            return None

        @app.orchestrator
        def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("Odd")

        assert run(hub, "Calls").status is RuntimeStatus.FAILED

    @pytest.mark.parametrize("result", [object(), circle(), deep()])
    def test_a_result_of_an_activity_that_is_no_json_fails_it(
        self, hub: TaskHub, app: Functions, result: JsonValue
    ) -> None:
        @app.activity
        def Odd(_argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
            return result

        @app.orchestrator
        def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("Odd")

        row = run(hub, "Calls")
        assert (row.status, kinds(row)[-2]) == ("Failed", EventKind.TASK_FAILED)


class TestNonDeterminism:
    def test_another_kind_of_action_fails_it(self, hub: TaskHub) -> None:
        row = run(hub, "Nondeterministic")
        assert row.status is RuntimeStatus.FAILED
        assert "instead produced a CreateSubOrchestrationAction action" in str(row.output)

    @pytest.mark.parametrize("version", MAJOR_VERSIONS)
    def test_another_activity_fails_it(
        self, clock: ManualClock, app: Functions, version: ExtensionVersion
    ) -> None:
        @app.orchestrator
        def Fickle(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("Slow" if context.is_replaying else "SayHello", "you")

        row = run(TaskHub("RecHub", clock, functions=app, version=version), "Fickle")
        assert row.status is RuntimeStatus.FAILED
        assert "named 'SayHello', but the current orchestration replay instead" in str(row.output)

    def test_another_letter_case_is_the_same_activity(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Fickle(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.call_activity("SAYHELLO" if context.is_replaying else "SayHello"))

        assert run(hub, "Fickle").output == "Hello None!"

    def test_nothing_at_all_fails_it(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Fickle(context: OrchestrationContext) -> Steps:  # noqa: N802
            if not context.is_replaying:
                yield context.call_activity("SayHello", "you")
            yield context.wait_for_external_event("Never")

        row = run(hub, "Fickle")
        assert row.status is RuntimeStatus.FAILED
        assert "Was a change made to the orchestrator code" in str(row.output)

    def test_its_parent_is_told(self, hub: TaskHub) -> None:
        row = run(hub, "Parent", "Nondeterministic")
        assert row.status is RuntimeStatus.FAILED
        assert "Non-Deterministic workflow detected" in str(row.output)
