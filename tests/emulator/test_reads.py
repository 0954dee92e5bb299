import httpx
import pytest

from emulator import (
    Emulator,
    Entity,
    ExtensionVersion,
    Instance,
    ManualClock,
    RuntimeStatus,
    TaskHub,
)
from emulator.backends.azure_storage import encode_token
from emulator.storage import history as events
from tests.emulator.conftest import NOW
from tests.emulator.hubs import instance

pytestmark = pytest.mark.anyio

TOKEN = "x-ms-continuation-token"


class TestKeys:
    @pytest.mark.parametrize(
        ("header", "code", "status"),
        [
            ("the-system-key", None, 200),
            ("the-master-key", None, 200),
            (None, "the-system-key", 200),
            (None, None, 401),
            ("", None, 401),
            ("wrong", None, 401),
            ("wrong", "the-system-key", 401),
            ("the-system-key", "wrong", 200),
            ("another", None, 403),
        ],
    )
    async def test_the_web_hook_wants_the_right_key(
        self, base_url: str, header: str | None, code: str | None, status: int
    ) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.get(
                f"{base_url}/runtime/webhooks/durabletask/instances",
                params={} if code is None else {"code": code},
                headers={} if header is None else {"x-functions-key": header},
            )
        assert answer.status_code == status
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        assert (answer.content == b"") == (status != 200)

    async def test_the_local_listener_wants_none(self, local: httpx.AsyncClient) -> None:
        assert (await local.get("instances")).status_code == 200


class TestListingInstances:
    async def test_a_row_has_all_fields_in_order(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("žluť", argument={"a": 1}))
        answer = await web_hook.get("instances")
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.text == (
            '[{"name":"ProcessOrder","instanceId":"žluť","runtimeStatus":"Running",'
            '"input":{"a":1},"customStatus":null,"output":null,'
            '"createdTime":"2027-01-15T07:59:00Z","lastUpdatedTime":"2027-01-15T07:59:30Z"}]'
        )

    async def test_the_web_hook_ends_a_listing_without_the_token_header(
        self, web_hook: httpx.AsyncClient, local: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a"))
        through_hook, inside = await web_hook.get("instances"), await local.get("instances")
        assert (through_hook.headers.get(TOKEN), inside.headers.get(TOKEN)) == (None, "")

    async def test_the_web_hook_sends_lengths_and_the_local_listener_chunks(
        self, web_hook: httpx.AsyncClient, local: httpx.AsyncClient
    ) -> None:
        through_hook, inside = await web_hook.get("instances"), await local.get("instances")
        assert through_hook.headers["content-length"] == "2"
        assert inside.headers["transfer-encoding"] == "chunked"

    async def test_pages_follow_each_other_by_token(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        for instance_id in "abc":
            hub.put(instance(instance_id))
        first = await web_hook.get("instances?top=2")
        second = await web_hook.get("instances?top=2", headers={TOKEN: first.headers[TOKEN]})
        assert [row["instanceId"] for row in first.json() + second.json()] == ["a", "b", "c"]
        assert TOKEN not in second.headers

    async def test_of_two_tokens_the_first_counts(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        for instance_id in "abc":
            hub.put(instance(instance_id))
        headers = [(TOKEN, encode_token(key).strip()) for key in "cb"]
        answer = await web_hook.get("instances", headers=headers)
        assert [row["instanceId"] for row in answer.json()] == ["c"]

    async def test_the_date_is_of_the_hubs_clock(
        self, web_hook: httpx.AsyncClient, clock: ManualClock
    ) -> None:
        clock.advance(60)
        answer = await web_hook.get("instances")
        assert answer.headers.get_list("date") == ["Fri, 15 Jan 2027 08:01:00 GMT"]


class TestInstanceStatus:
    @pytest.mark.parametrize("status", [*RuntimeStatus])
    async def test_only_active_ones_say_where_to_look_again(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, status: RuntimeStatus
    ) -> None:
        hub.put(instance("a", status))
        answer = await web_hook.get("instances/a?showInput=false")
        shown = (answer.headers.get("location"), answer.headers.get("retry-after"))
        expected = (None, None) if status.terminal else (str(answer.url), "5")
        assert answer.status_code == (200 if status.terminal else 202)
        assert shown == expected

    async def test_a_failure_is_a_500_on_request(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a", RuntimeStatus.FAILED, output="why"))
        answer = await web_hook.get("instances/a?returnInternalServerErrorOnFailure=true")
        assert (answer.status_code, answer.json()["output"]) == (500, "why")

    async def test_a_missing_one_is_an_empty_404(self, web_hook: httpx.AsyncClient) -> None:
        answer = await web_hook.get("instances/a")
        assert (answer.status_code, answer.content) == (404, b"")

    async def test_the_input_can_be_left_out(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a", argument=[1]))
        assert (await web_hook.get("instances/a")).json()["input"] == [1]
        assert (await web_hook.get("instances/a?showInput=false")).json()["input"] is None

    @pytest.mark.parametrize(
        ("instance_id", "path"),
        [
            ("a b", "a%20b"),
            ("a b", "a+b"),
            ("a b", "a%2Bb"),
            ("a+b", "a%252Bb"),
            ("seq-1", "seq%252D1"),
            ("a%e", "a%25e"),
            ("žluť", "%C5%BElu%C5%A5"),
            ("@counter@x", "%40counter%40x/"),
            ("parent:child", "parent%3Achild"),
        ],
    )
    async def test_ids_are_decoded_twice(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, instance_id: str, path: str
    ) -> None:
        hub.put(instance(instance_id))
        url = httpx.URL(f"{web_hook.base_url}instances/{path}")
        assert (await web_hook.get(url)).json()["instanceId"] == instance_id

    @pytest.mark.parametrize(
        ("instance_id", "path"),
        [
            ("a b", "a%20b"),
            ("a+b", "a+b"),
            ("a+b", "a%2Bb"),
            ("a%2Fb", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("seq-1", "seq%252D1"),
            ("a%e", "a%25e"),
        ],
    )
    async def test_v2_leaves_pluses_and_encoded_slashes_in_ids(
        self,
        web_hook: httpx.AsyncClient,
        emulator: Emulator,
        hub: TaskHub,
        instance_id: str,
        path: str,
    ) -> None:
        emulator.version = ExtensionVersion.V2
        hub.put(instance(instance_id))
        url = httpx.URL(f"{web_hook.base_url}instances/{path}")
        assert (await web_hook.get(url)).json()["instanceId"] == instance_id


class TestHistory:
    ROW = Instance(
        instance_id="a",
        name="ProcessOrder",
        status=RuntimeStatus.COMPLETED,
        created=NOW,
        updated=NOW + 2,
        output="sent",
        history=(
            events.execution_started(NOW, "ProcessOrder", '{"id":1}'),
            events.task_scheduled(NOW + 0.5, 0, "ChargeCard"),
            events.task_scheduled(NOW + 0.5, 1, "ShipParcel"),
            events.task_completed(NOW + 1, 0, {"paid": True}),
            events.execution_completed(NOW + 2, "Completed", "sent"),
        ),
    )

    async def test_results_replace_what_was_scheduled(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(self.ROW)
        answer = await web_hook.get("instances/a?showHistory=true&showInput=false")
        assert [event["EventType"] for event in answer.json()["historyEvents"]] == [
            "ExecutionStarted",
            "TaskScheduled",
            "TaskCompleted",
            "ExecutionCompleted",
        ]
        assert answer.json()["historyEvents"][2] == {
            "EventType": "TaskCompleted",
            "Timestamp": "2027-01-15T08:00:01.75Z",
            "ScheduledTime": "2027-01-15T08:00:01.25+00:00",
            "FunctionName": "ChargeCard",
        }

    async def test_inputs_and_results_come_on_request(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(self.ROW)
        answer = await web_hook.get("instances/a?showHistory=true&showHistoryOutput=true")
        started, _, completed, ended = answer.json()["historyEvents"]
        assert started["Input"] == '{"id":1}'
        assert (completed["Result"], completed["Input"]) == ({"paid": True}, None)
        assert ended["Result"] == "sent"

    async def test_a_pending_instance_has_none(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a", RuntimeStatus.PENDING))
        answer = await web_hook.get("instances/a?showHistory=true")
        assert "historyEvents" not in answer.json()


class TestEntities:
    async def test_the_key_may_be_empty(self, web_hook: httpx.AsyncClient, hub: TaskHub) -> None:
        hub.put(Entity(class_name="counter", key="", last_operation=NOW, state=0))
        answer = await web_hook.get("entities/Counter/$")
        assert (answer.status_code, answer.json()) == (200, 0)

    async def test_a_state_may_be_null(self, web_hook: httpx.AsyncClient, hub: TaskHub) -> None:
        hub.put(Entity(class_name="counter", key="x", last_operation=NOW))
        answer = await web_hook.get("entities/counter/x")
        assert (answer.status_code, answer.text) == (200, "null")


class TestHubs:
    async def test_an_unknown_hub_is_created_and_remembered(
        self, web_hook: httpx.AsyncClient, emulator: Emulator
    ) -> None:
        answer = await web_hook.get("instances?taskHub=Typo")
        assert (answer.status_code, answer.text) == (200, "[]")
        assert set(emulator.hubs) == {"ordershub", "typo"}

    async def test_a_refused_request_creates_nothing(
        self, base_url: str, emulator: Emulator
    ) -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"{base_url}/runtime/webhooks/durabletask/instances?taskHub=Typo")
        assert set(emulator.hubs) == {"ordershub"}

    @pytest.mark.parametrize("name", ["no-such-hub", "1hub", "h" * 60, "x"])
    async def test_a_name_that_storage_refuses_is_an_error(
        self, web_hook: httpx.AsyncClient, name: str
    ) -> None:
        answer = await web_hook.get("instances", params={"taskHub": name})
        kind = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"
        assert (answer.status_code, answer.json()["ExceptionType"]) == (500, kind)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no-such-hub", "Invalid table name."),
            ("1hub", "Invalid table name."),
            ("h" * 60, "Invalid container name length."),
        ],
    )
    async def test_v2_checks_names_by_itself(
        self, web_hook: httpx.AsyncClient, emulator: Emulator, name: str, message: str
    ) -> None:
        emulator.version = ExtensionVersion.V2
        answer = await web_hook.get("instances", params={"taskHub": name})
        assert answer.status_code == 400
        assert answer.json()["ExceptionMessage"].startswith(message)

    async def test_v2_knows_only_its_own_hub_in_any_letter_case(
        self, web_hook: httpx.AsyncClient, emulator: Emulator
    ) -> None:
        emulator.version = ExtensionVersion.V2
        names = ("ordersHUB", "Other", "other", "Other")
        answers = [await web_hook.get("instances", params={"taskHub": name}) for name in names]
        assert [answer.status_code for answer in answers] == [200, 200, 500, 200]


class TestRoutes:
    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "POST", "PATCH"])
    async def test_another_method_is_a_404(self, web_hook: httpx.AsyncClient, method: str) -> None:
        answer = await web_hook.request(method, "instances")
        assert (answer.status_code, answer.content) == (404, b"")

    @pytest.mark.parametrize("path", ["/instances", "/runtime/webhooks/other/instances"])
    async def test_another_base_is_a_404(self, base_url: str, path: str) -> None:
        async with httpx.AsyncClient(base_url=base_url) as client:
            assert (await client.get(path)).status_code == 404

    async def test_letter_case_does_not_matter(self, base_url: str) -> None:
        async with httpx.AsyncClient(base_url=base_url) as client:
            assert (await client.get("/DurableTask/INSTANCES/")).status_code == 200
