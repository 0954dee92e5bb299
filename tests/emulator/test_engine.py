"""What happens to instances that somebody starts, tells something, suspends, rewinds, purges."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from emulator import (
    ActivityContext,
    Emulator,
    ExtensionVersion,
    FunctionFailed,
    Functions,
    Keys,
    ManualClock,
    OrchestrationContext,
    RuntimeStatus,
    Steps,
    TaskHub,
    Worker,
    running,
)
from emulator.json_text import JsonValue
from emulator.samples import recorded
from emulator.storage.history import EventKind
from tests.emulator.conftest import MAJOR_VERSIONS, NOW, OPTIONS
from tests.emulator.hubs import (
    SETTLING_SECONDS,
    events,
    instance_of,
    kinds,
    move,
    rows,
    run,
    set_clock,
    start,
    status_of,
    tell,
)

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
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


class Api:
    """Asks the API of a hub, and gives everything the time to settle."""

    def __init__(self, hub: TaskHub, client: httpx.AsyncClient) -> None:
        self.hub = hub
        self._client = client

    async def post(self, path: str, value: JsonValue = None, *, settle: bool = True) -> int:
        answer = await self._client.post(path, json=value)
        if settle:
            move(self.hub, SETTLING_SECONDS)
        return answer.status_code

    async def status(self, instance_id: str) -> dict[str, JsonValue]:
        answer = await self._client.get(f"instances/{instance_id}")
        body: dict[str, JsonValue] = answer.json()
        return body


@pytest.fixture
async def api(hub: TaskHub, clock: ManualClock) -> AsyncIterator[Api]:
    async with (
        running(Emulator(hub, clock=clock, keys=Keys(system="k"))) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        yield Api(hub, client)


class TestApproval:
    @pytest.mark.anyio
    async def test_it_waits_for_its_event_and_completes(self, api: Api, hub: TaskHub) -> None:
        assert await api.post("orchestrators/Approval/it") == 202
        move(hub, DAY)
        waiting = await api.status("it")
        assert waiting["runtimeStatus"] == "Running"
        assert waiting["customStatus"] == "waiting for a manager"
        assert await api.post("instances/it/raiseEvent/Approval", {"by": "Eva"}) == 202
        answered = await api.status("it")
        assert (answered["runtimeStatus"], answered["output"]) == ("Completed", {"by": "Eva"})

    @pytest.mark.anyio
    async def test_suspension_holds_it_and_keeps_what_comes(self, api: Api, hub: TaskHub) -> None:
        await api.post("orchestrators/Approval/it")
        await api.post("instances/it/suspend?reason=holiday")
        await api.post("instances/it/raiseEvent/Approval", "granted")
        move(hub, DAY)
        held = await api.status("it")
        assert (held["runtimeStatus"], held["output"]) == ("Suspended", "holiday")
        assert len(events(instance_of(hub, "it"), EventKind.EVENT_RAISED)) == 1
        assert await api.post("instances/it/resume?reason=back") == 202
        resumed = await api.status("it")
        assert (resumed["runtimeStatus"], resumed["output"]) == ("Completed", "granted")

    def test_it_gives_up_after_three_days(self, hub: TaskHub) -> None:
        start(hub, "Approval")
        move(hub, 3 * DAY - 1)
        assert status_of(hub, "it") is RuntimeStatus.RUNNING
        move(hub, 2)
        assert instance_of(hub, "it").output == "nobody answered"

    def test_what_comes_while_suspended_is_taken_in_its_order(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def InOrder(context: OrchestrationContext) -> Steps:  # noqa: N802
            first = yield context.wait_for_external_event("Next")
            second = yield context.wait_for_external_event("Next")
            return [first, second]

        run(hub, "InOrder")
        hub.engine.suspend("it", None, hub.clock.now())
        move(hub, 1)
        tell(hub, "Next", 1)
        assert tell(hub, "Next", 2).status is RuntimeStatus.SUSPENDED
        hub.engine.resume("it", None, hub.clock.now())
        move(hub, 1)
        assert instance_of(hub, "it").output == [1, 2]


class TestSuspension:
    def test_a_timer_that_fires_meanwhile_counts_after_it(self, hub: TaskHub) -> None:
        run(hub, "ShortTimer", 10, seconds=1)
        hub.engine.suspend("it", "wait", hub.clock.now())
        move(hub, 60)
        row = instance_of(hub, "it")
        assert (row.status, len(events(row, EventKind.TIMER_FIRED))) == ("Suspended", 1)
        hub.engine.resume("it", "go", hub.clock.now())
        move(hub, 1)
        assert instance_of(hub, "it").output == "woke"

    def test_an_instance_that_is_suspended_before_it_runs_asks_for_nothing(
        self, hub: TaskHub
    ) -> None:
        start(hub, "HelloSequence")
        hub.engine.suspend("it", "wait", hub.clock.now())
        move(hub, DAY)
        row = instance_of(hub, "it")
        assert row.status is RuntimeStatus.SUSPENDED
        assert kinds(row) == [EventKind.EXECUTION_STARTED, EventKind.EXECUTION_SUSPENDED]
        hub.engine.resume("it", "go", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        assert status_of(hub, "it") is RuntimeStatus.COMPLETED

    def test_a_suspended_one_can_be_terminated(self, hub: TaskHub) -> None:
        run(hub, "WaitsForever")
        hub.engine.suspend("it", "wait", hub.clock.now())
        move(hub, 1)
        hub.engine.terminate("it", "enough", hub.clock.now())
        move(hub, 1)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == ("Terminated", "enough")


class TestRewind:
    @pytest.fixture
    def app(self, app: Functions) -> Functions:
        @app.activity
        def FailsOnce(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            if context.runs_before == 0:
                raise RuntimeError("the bank is closed")
            return "paid"

        @app.orchestrator
        def Saga(context: OrchestrationContext) -> Steps:  # noqa: N802
            reserved = yield context.call_activity("SayHello", "stock")
            paid = yield context.call_activity("FailsOnce")
            return [reserved, paid]

        @app.orchestrator
        def Middle(context: OrchestrationContext) -> Steps:  # noqa: N802
            return [(yield context.call_sub_orchestrator("Saga", instance_id="saga"))]

        @app.orchestrator
        def Top(context: OrchestrationContext) -> Steps:  # noqa: N802
            return [(yield context.call_sub_orchestrator("Middle", instance_id="middle"))]

        return app

    @pytest.mark.anyio
    async def test_a_failed_saga_goes_on_where_it_failed(self, api: Api, hub: TaskHub) -> None:
        await api.post("orchestrators/Saga/it")
        failed = instance_of(hub, "it")
        assert failed.status is RuntimeStatus.FAILED
        assert await api.post("instances/it/rewind?reason=it+is+open", settle=False) == 202
        assert status_of(hub, "it") is RuntimeStatus.PENDING
        move(hub, SETTLING_SECONDS)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == ("Completed", ["Hello stock!", "paid"])
        assert row.created == failed.created
        assert len(events(row, EventKind.TASK_COMPLETED)) == 2

    def test_what_a_rewind_takes_out_leaves_events_that_say_nothing(self, hub: TaskHub) -> None:
        before = kinds(run(hub, "Saga"))
        hub.engine.rewind("it", "it is open", hub.clock.now())
        after = kinds(instance_of(hub, "it"))
        generic = EventKind.GENERIC_EVENT
        assert len(after) == len(before)
        assert [b for b, a in zip(before, after, strict=True) if a is generic] == [
            EventKind.TASK_SCHEDULED,
            EventKind.TASK_FAILED,
            EventKind.EXECUTION_COMPLETED,
        ]

    def test_failed_children_are_rewound_with_their_parent(self, hub: TaskHub) -> None:
        run(hub, "Top")
        family = ("it", "middle", "saga")
        assert {status_of(hub, each) for each in family} == {RuntimeStatus.FAILED}
        hub.engine.rewind("it", "it is open", hub.clock.now())
        assert {status_of(hub, each) for each in family} == {RuntimeStatus.PENDING}
        move(hub, SETTLING_SECONDS)
        assert instance_of(hub, "it").output == [[["Hello stock!", "paid"]]]
        assert {status_of(hub, each) for each in family} == {RuntimeStatus.COMPLETED}

    def test_what_has_not_failed_is_left_alone(self, hub: TaskHub) -> None:
        before = run(hub, "HelloSequence")
        hub.engine.rewind("it", "why", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        assert instance_of(hub, "it") == before

    def test_what_failed_by_chance_has_another_chance(self, hub: TaskHub, app: Functions) -> None:
        @app.activity
        def Tosses(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
            if context.random.random() < 0.5:
                raise RuntimeError("tails")
            return "heads"

        @app.orchestrator
        def Game(context: OrchestrationContext) -> Steps:  # noqa: N802
            return (yield context.call_activity("Tosses"))

        for number in range(20):
            start(hub, "Game", instance_id=f"{number}")
        failures = []
        for _ in range(15):
            move(hub, SETTLING_SECONDS)
            failed = [row for row in hub.instances() if row.status is RuntimeStatus.FAILED]
            failures.append(len(failed))
            for row in failed:
                hub.engine.rewind(row.instance_id, "again", hub.clock.now())
        assert (failures[0] > 5, failures[-1]) == (True, 0)

    def test_one_that_fails_again_can_be_rewound_again(self, hub: TaskHub) -> None:
        run(hub, "FailsItself")
        for times in (1, 2, 3):
            hub.engine.rewind("it", f"attempt {times}", hub.clock.now())
            move(hub, SETTLING_SECONDS)
            assert status_of(hub, "it") is RuntimeStatus.FAILED
        assert len(hub.finishes) == 4


class TestTermination:
    def test_children_of_a_terminated_parent_go_on(self, hub: TaskHub) -> None:
        run(hub, "Parent", "WaitsForever")
        hub.engine.terminate("it", "no longer needed", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        assert status_of(hub, "it") is RuntimeStatus.TERMINATED
        assert status_of(hub, "it:child") is RuntimeStatus.RUNNING
        before = instance_of(hub, "it")
        assert tell(hub, "Never", instance_id="it:child").status is RuntimeStatus.COMPLETED
        assert instance_of(hub, "it") == before

    def test_a_parent_is_told_of_a_terminated_child(self, hub: TaskHub) -> None:
        run(hub, "Parent", "WaitsForever")
        hub.engine.terminate("it:child", "no longer needed", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        row = instance_of(hub, "it")
        assert row.status is RuntimeStatus.FAILED
        (failure,) = events(row, EventKind.SUB_ORCHESTRATION_FAILED)
        assert failure.fields["Reason"] == "no longer needed"

    def test_a_pending_one_ends_as_soon_as_it_runs(self, hub: TaskHub) -> None:
        start(hub, "WaitsForever")
        hub.engine.terminate("it", "a mistake", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == ("Terminated", "a mistake")

    def test_one_that_comes_in_the_turn_of_the_end_counts(self, hub: TaskHub) -> None:
        start(hub, "BigOutput")
        move(hub, 0.019)  # not yet running, so the start comes first in the same turn
        hub.engine.terminate("it", "too late", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        row = instance_of(hub, "it")
        assert (row.status, row.output) == ("Terminated", "too late")

    def test_an_activity_that_is_under_way_does_not_matter(self, hub: TaskHub) -> None:
        start(hub, "HelloSequence")
        move(hub, 0.12)
        hub.engine.terminate("it", "enough", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        row = instance_of(hub, "it")
        assert row.status is RuntimeStatus.TERMINATED
        assert len(events(row, EventKind.TASK_COMPLETED)) < 3
        assert row.history[-1].kind is EventKind.EXECUTION_COMPLETED


class TestHubThatNobodyServes:
    @pytest.mark.anyio
    async def test_it_is_made_on_first_use_and_its_instances_stay_pending(
        self, api: Api, clock: ManualClock
    ) -> None:
        assert await api.post("orchestrators/HelloSequence/it?taskHub=Idle") == 202
        assert await api.post("instances/it/terminate?taskHub=Idle") == 202
        clock.advance(7 * DAY)
        shown = await api.status("it?taskHub=Idle")
        assert shown["runtimeStatus"] == "Pending"
        assert shown["createdTime"] == shown["lastUpdatedTime"] == "2027-01-15T08:00:00Z"

    @pytest.mark.anyio
    async def test_signals_to_its_entities_wait(self, api: Api) -> None:
        assert await api.post("entities/Counter/x?op=add&taskHub=Idle", 1) == 202
        assert await api.post("instances/@counter@x/terminate?taskHub=Idle") == 404


class TestUnknownFunction:
    @pytest.mark.anyio
    async def test_v3_starts_it_and_fails(self, api: Api, hub: TaskHub) -> None:
        assert await api.post("orchestrators/NoSuch/it") == 202
        row = instance_of(hub, "it")
        assert row.status is RuntimeStatus.FAILED
        assert "The function 'NoSuch' doesn't exist" in str(row.output)

    @pytest.mark.anyio
    async def test_v2_refuses_it(self, clock: ManualClock, app: Functions) -> None:
        hub = TaskHub("RecHub", clock, functions=app, version=V2)
        async with (
            running(Emulator(hub, clock=clock)) as url,
            httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
        ):
            assert await Api(hub, client).post("orchestrators/NoSuch/it") == 400
        assert rows(hub) == []

    def test_an_activity_that_nobody_has_fails_its_caller(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.call_activity("NoSuch")

        row = run(hub, "Calls")
        assert row.status is RuntimeStatus.FAILED
        assert "The function 'NoSuch' doesn't exist" in str(row.output)


def busy_day(seed: int, version: ExtensionVersion) -> TaskHub:
    """Return a hub in which every sample function was started and told something."""
    clock = ManualClock(NOW)
    hub = TaskHub("RecHub", clock, functions=recorded.functions, seed=seed, version=version)
    for number, name in enumerate(recorded.functions.orchestrators):
        start(hub, name, "HelloSequence" if name == "Parent" else 2, f"{number}-{name}")
    for key in ("2", "locked"):
        hub.engine.signal("Counter", key, "add", "1", hub.clock.now())
    for name in ("Approval", "Release", "Never", "First", "Second"):
        for row in hub.instances():
            hub.engine.raise_event(row.instance_id, name, "1", hub.clock.now() + 60)
    return hub


def summary(hub: TaskHub) -> object:
    return rows(hub), hub.starts, hub.finishes


class TestRepeatability:
    @pytest.mark.parametrize("version", MAJOR_VERSIONS)
    def test_the_same_seed_gives_the_same_run(self, version: ExtensionVersion) -> None:
        first, second = busy_day(7, version), busy_day(7, version)
        for hub in (first, second):
            move(hub, 1800)
        assert summary(first) == summary(second)

    def test_it_does_not_matter_how_often_somebody_looks(self) -> None:
        once, often = busy_day(7, V3), busy_day(7, V3)
        set_clock(once, NOW + 100)
        for tenths in range(1001):
            set_clock(often, NOW + tenths / 10)
        assert summary(once) == summary(often)

    def test_another_seed_is_another_run(self) -> None:
        first, second = busy_day(1, V3), busy_day(2, V3)
        for hub in (first, second):
            move(hub, 60)
        assert summary(first) != summary(second)


def test_a_caught_failure_is_no_failure(hub: TaskHub, app: Functions) -> None:
    @app.orchestrator
    def Careful(context: OrchestrationContext) -> Steps:  # noqa: N802
        try:
            yield context.call_sub_orchestrator("FailsItself")
        except FunctionFailed as failure:
            return str(failure)

    row = run(hub, "Careful")
    assert row.status is RuntimeStatus.COMPLETED
    assert row.output == (
        "The orchestrator function 'FailsItself' failed: \"The order has no lines\". "
        "See the function execution logs for additional details."
    )


def test_a_row_that_was_only_put_there_is_not_the_engines(hub: TaskHub) -> None:
    hub.put(replace(run(hub, "WaitsForever"), instance_id="put"))
    hub.engine.terminate("put", "why", hub.clock.now())
    hub.engine.rewind("put", "why", hub.clock.now())
    move(hub, SETTLING_SECONDS)
    assert status_of(hub, "put") is RuntimeStatus.RUNNING


@pytest.mark.parametrize("worker", [Worker.DOTNET, Worker.JAVASCRIPT])
def test_functions_are_found_by_their_names_in_any_letters(worker: Worker) -> None:
    app = Functions()

    @app.activity
    def Charge(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
        return context.runs_before

    @app.orchestrator
    def Order(context: OrchestrationContext) -> Steps:  # noqa: N802
        first = yield context.call_activity("CHARGE")
        return [first, (yield context.call_activity("charge"))]

    clock = ManualClock(NOW)
    hub = TaskHub("OrdersHub", clock, functions=app, worker=worker)
    hub.engine.start("oRDER", "it", None, clock.now())
    clock.advance(10)
    hub.advance()
    (row,) = hub.instances()
    assert (row.name, row.status, row.output) == ("oRDER", "Completed", [0, 1])
