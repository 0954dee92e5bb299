"""The official Python client, through every method that it has, against the local listener."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.durable_functions import (
    DurableOrchestrationClient,
    EntityId,
    OrchestrationRuntimeStatus,
)
from azure.durable_functions.models.utils import http_utils
from azure.functions import HttpRequest

from emulator import Emulator, ExtensionVersion, ManualClock, TaskHub, running
from tests.emulator.app import functions
from tests.emulator.clients import local_binding
from tests.emulator.conftest import NOW
from tests.emulator.hubs import passing

# The client says how it wants its connections cleaned up, which newer servers need no more.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning"),
]

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
Status = OrchestrationRuntimeStatus
SETTLING_SECONDS = 1.0


class App:
    """A function app with a client inside it, which a worker would hand to a function."""

    def __init__(self, url: str, hub: TaskHub, clock: ManualClock) -> None:
        self.hub = hub
        self.clock = clock
        self.url = url
        self.client: Any = DurableOrchestrationClient(json.dumps(local_binding(url)))

    async def start(self, name: str, instance_id: str, value: object = None) -> str:
        started: str = await self.client.start_new(name, instance_id, value)
        self.settle()
        return started

    async def status(self, instance_id: str, **options: bool) -> Any:  # noqa: ANN401 - the client's
        return await self.client.get_status(instance_id, **options)

    def settle(self) -> None:
        self.clock.advance(SETTLING_SECONDS)


@pytest.fixture(params=[V2, V3])
def version(request: pytest.FixtureRequest) -> ExtensionVersion:
    return ExtensionVersion(request.param)


@pytest.fixture
async def app(version: ExtensionVersion) -> AsyncIterator[App]:
    clock = ManualClock(NOW)
    hub = TaskHub("OrdersHub", clock, functions=functions, version=version)
    async with running(Emulator(hub, clock=clock)) as url:
        try:
            yield App(url, hub, clock)
        finally:
            await http_utils._close_session()


class TestStart:
    async def test_without_an_id_it_gets_one(self, app: App) -> None:
        instance_id = await app.client.start_new("HelloSequence")
        app.settle()
        assert len(instance_id) == 32
        status = await app.status(instance_id)
        assert status.runtime_status is Status.Completed
        assert status.output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
        assert status.custom_status == {"stage": "done", "percent": 100}

    async def test_an_input_comes_twice_encoded(self, app: App) -> None:
        assert await app.start("WaitsForever", "a", {"n": 1}) == "a"
        status = await app.status("a", show_input=True)
        assert json.loads(status.input_) == {"n": 1}

    async def test_an_id_that_is_active_is_refused(self, app: App) -> None:
        await app.start("WaitsForever", "a")
        with pytest.raises(Exception, match="already exists"):
            await app.start("WaitsForever", "a")

    async def test_an_unknown_function_is_refused_or_fails(
        self, app: App, version: ExtensionVersion
    ) -> None:
        if version is V2:
            with pytest.raises(Exception, match="The function 'NoSuch' doesn't exist"):
                await app.start("NoSuch", "a")
        else:
            await app.start("NoSuch", "a")
            assert (await app.status("a")).runtime_status is Status.Failed

    async def test_a_version_that_the_app_has_not_waits(
        self, app: App, version: ExtensionVersion
    ) -> None:
        await app.client.start_new("HelloSequence", "a", None, "2.0")
        app.settle()
        expected = Status.Completed if version is V2 else Status.Pending
        assert (await app.status("a")).runtime_status is expected


class TestStatus:
    async def test_a_missing_one_is_false(self, app: App) -> None:
        assert not await app.status("nope")

    async def test_history_comes_with_outputs_when_asked_for(self, app: App) -> None:
        await app.start("HelloSequence", "a")
        plain = await app.status("a", show_history=True)
        full = await app.status("a", show_history=True, show_history_output=True)
        kinds = [event["EventType"] for event in plain.historyEvents]
        assert kinds == ["ExecutionStarted", *["TaskCompleted"] * 3, "ExecutionCompleted"]
        assert "Result" not in plain.historyEvents[1]
        assert full.historyEvents[1]["Result"] == "Hello Tokyo!"

    async def test_all_is_the_first_page(self, app: App) -> None:
        for number in range(105):
            app.hub.engine.start("WaitsForever", f"wait-{number:03}", None, app.clock.now())
        app.settle()
        everything = await app.client.get_status_all()
        assert len(everything) == 100
        assert {status.runtime_status for status in everything} == {Status.Running}
        assert everything[0].created_time.replace(tzinfo=UTC).timestamp() == int(NOW)

    async def test_filters(self, app: App) -> None:
        await app.start("WaitsForever", "order-1")
        app.clock.advance(100)
        await app.start("FailsItself", "order-2")
        await app.start("HelloSequence", "invoice-1")
        later = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=50)

        async def found(**filters: object) -> set[str]:
            return {status.instance_id for status in await app.client.get_status_by(**filters)}

        statuses = [Status.Failed, Status.Completed]
        assert await found(runtime_status=statuses) == {"order-2", "invoice-1"}
        assert await found(instance_id_prefix="order-") == {"order-1", "order-2"}
        assert await found(created_time_from=later) == {"order-2", "invoice-1"}
        assert await found(created_time_to=later) == {"order-1"}
        assert await found(created_time_from=later, runtime_status=[Status.Running]) == set()


class TestOperations:
    async def test_an_event_ends_the_wait(self, app: App) -> None:
        await app.start("Approval", "a")
        await app.client.raise_event("a", "Approval", {"approved": True})
        app.settle()
        status = await app.status("a")
        assert status.runtime_status is Status.Completed
        assert json.loads(status.output) == {"approved": True}

    async def test_suspend_holds_and_resume_lets_go_on(self, app: App) -> None:
        await app.start("WaitsForever", "a")
        await app.client.suspend("a", "maintenance")
        app.settle()
        assert (await app.status("a")).runtime_status is Status.Suspended
        await app.client.raise_event("a", "Never", 1)
        app.settle()
        assert (await app.status("a")).runtime_status is Status.Suspended
        await app.client.resume("a", "go on")
        app.settle()
        assert (await app.status("a")).runtime_status is Status.Completed

    async def test_terminate_ends(self, app: App) -> None:
        await app.start("WaitsForever", "a")
        await app.client.terminate("a", "no longer needed")
        app.settle()
        status = await app.status("a")
        assert (status.runtime_status, status.output) == (Status.Terminated, "no longer needed")

    async def test_a_rewound_saga_completes(self, app: App) -> None:
        await app.start("Refund", "a", 5)
        assert (await app.status("a")).runtime_status is Status.Failed
        await app.client.rewind("a", "the bank is open")
        app.settle()
        status = await app.status("a")
        assert (status.runtime_status, status.output) == (Status.Completed, {"paid": "5"})

    @pytest.mark.parametrize("anew", [True, False])
    async def test_restart(self, app: App, *, anew: bool) -> None:
        await app.start("HelloSequence", "a")
        app.clock.advance(10)
        payload = await app.client.restart("a", restart_with_new_instance_id=anew)
        app.settle()
        assert (payload["id"] != "a") is anew
        status = await app.status(payload["id"])
        assert status.runtime_status is Status.Completed
        assert status.created_time.replace(tzinfo=UTC).timestamp() > NOW + 10

    async def test_purge_of_one(self, app: App, version: ExtensionVersion) -> None:
        await app.start("HelloSequence", "a")
        await app.start("WaitsForever", "b")
        assert (await app.client.purge_instance_history("a")).instances_deleted == 1
        assert (await app.client.purge_instance_history("a")).instances_deleted == 0
        assert not await app.status("a")
        if version is V2:
            assert (await app.client.purge_instance_history("b")).instances_deleted == 1
        else:
            with pytest.raises(Exception, match="412"):
                await app.client.purge_instance_history("b")

    async def test_purge_by_filter(self, app: App) -> None:
        for name, instance_id in (("HelloSequence", "a"), ("FailsItself", "b")):
            await app.start(name, instance_id)
        since = datetime.fromtimestamp(NOW - 10, UTC)

        async def purge(*statuses: OrchestrationRuntimeStatus) -> int:
            result = await app.client.purge_instance_history_by(
                created_time_from=since, runtime_status=list(statuses)
            )
            return int(result.instances_deleted)

        assert [await purge(Status.Failed), await purge(Status.Failed)] == [1, 0]
        assert await purge(Status.Completed, Status.Terminated) == 1

    @pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "rewind"])
    async def test_what_is_not_there_is_an_error(self, app: App, operation: str) -> None:
        with pytest.raises(Exception, match=r"No instance with ID '?nope'? found"):
            await getattr(app.client, operation)("nope", "why")

    @pytest.mark.parametrize("operation", ["terminate", "suspend", "resume"])
    async def test_what_has_ended_is_left_alone(self, app: App, operation: str) -> None:
        await app.start("HelloSequence", "a")
        await getattr(app.client, operation)("a", "why")
        assert (await app.status("a")).runtime_status is Status.Completed

    async def test_what_cannot_be_done_is_an_error(
        self, app: App, version: ExtensionVersion
    ) -> None:
        await app.start("HelloSequence", "done")
        await app.start("WaitsForever", "runs")
        refusal = 'in the "Failed" state' if version is V3 else "only supported on failed"
        with pytest.raises(Exception, match=refusal):
            await app.client.rewind("done", "why")
        with pytest.raises(Exception, match="500"):
            await app.client.resume("runs", "why")
        with pytest.raises(Exception, match="done is gone: either completed or failed"):
            await app.client.raise_event("done", "Any", 1)
        with pytest.raises(Exception, match="No instance with ID nope found"):
            await app.client.raise_event("nope", "Any", 1)


class TestEntities:
    async def test_a_signal_changes_the_state(self, app: App) -> None:
        entity = EntityId("Counter", "steps")
        assert not (await app.client.read_entity_state(entity)).entity_exists
        for _ in range(2):
            await app.client.signal_entity(entity, "add", 4)
            app.settle()
        state = await app.client.read_entity_state(entity)
        # The client encodes inputs twice, so the counter gets text, which it does not add.
        assert (state.entity_exists, state.entity_state) == (True, 0)

    async def test_a_state_comes_back_as_it_was_set(self, app: App) -> None:
        entity = EntityId("Profile", "jana")
        await app.client.signal_entity(entity, "set", {"name": "Jana"})
        app.settle()
        state = await app.client.read_entity_state(entity)
        assert json.loads(state.entity_state) == {"name": "Jana"}
        await app.client.signal_entity(entity, "delete")
        app.settle()
        assert not (await app.client.read_entity_state(entity)).entity_exists

    async def test_an_unknown_class_is_refused(self, app: App) -> None:
        with pytest.raises(Exception, match="unexpected status code 400"):
            await app.client.signal_entity(EntityId("NoSuch", "x"), "add", 1)


class TestResponses:
    REQUEST = HttpRequest("GET", "http://127.0.0.1/api/start", body=b"")

    async def test_of_one_that_completes_in_time(self, app: App) -> None:
        await app.client.start_new("HelloSequence", "a")
        async with passing(app.clock):
            response = await app.client.wait_for_completion_or_create_check_status_response(
                self.REQUEST, "a", 5000, 1
            )
        assert response.status_code == 200
        assert json.loads(response.get_body())[0] == "Hello Tokyo!"

    async def test_of_one_that_does_not(self, app: App) -> None:
        await app.start("WaitsForever", "a")
        response = await app.client.wait_for_completion_or_create_check_status_response(
            self.REQUEST, "a", 2, 1
        )
        assert response.status_code == 202
        assert response.headers["Location"].endswith("/instances/a")

    async def test_management_payloads_name_the_instance(self, app: App) -> None:
        payload = app.client.create_http_management_payload("a")
        assert payload["id"] == "a"
        assert payload["statusQueryGetUri"].endswith("/instances/a")
        response = app.client.create_check_status_response(self.REQUEST, "a")
        assert response.status_code == 202
        links = app.client.get_client_response_links(None, "a")
        assert links == payload
