"""What each storage provider makes of the same hub: every row of reference 6.0, and paging 2.5."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from azure.durable_functions import DurableOrchestrationClient, OrchestrationRuntimeStatus
from azure.durable_functions.models.utils import http_utils

from emulator import (
    Emulator,
    Entity,
    ExtensionVersion,
    Instance,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, Latency
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.samples.recorded import functions
from tests.emulator.clients import local_binding
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.hubs import instance, passing

pytestmark = pytest.mark.anyio

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
BACKENDS: dict[str, Callable[[], Backend]] = {
    "azure-storage": AzureStorage,
    "mssql": MSSQL,
    "netherite": Netherite,
}
TOKEN = "x-ms-continuation-token"
FILTER = "createdTimeFrom=2000-01-01T00:00:00Z"
SETTLING_SECONDS = 2.0


class Client:
    """Talks to a hub of a backend, and lets time pass there."""

    def __init__(self, hub: TaskHub, clock: ManualClock, http: httpx.AsyncClient, url: str) -> None:
        self.hub = hub
        self.http = http
        self.url = url
        self.clock = clock

    async def get(self, target: str, token: str | None = None) -> httpx.Response:
        return await self.http.get(target, headers={} if token is None else {TOKEN: token})

    async def seconds(self, target: str) -> float:
        """Return what a request takes, in the time of the hub."""
        began = self.clock.now()
        await self.get(target)
        return self.clock.now() - began

    async def post(self, target: str, body: object = None) -> httpx.Response:
        answer = await self.http.post(target, json=body) if body else await self.http.post(target)
        self.clock.advance(SETTLING_SECONDS)
        self.hub.advance()
        return answer

    async def pages(self, query: str, path: str = "instances") -> list[list[dict[str, object]]]:
        """Follow the tokens from the first page to the end."""
        pages: list[list[dict[str, object]]] = []
        token = ""
        while len(pages) < 100:
            answer = await self.get(f"{path}?{query}", token)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            token = answer.headers[TOKEN]
            if not token:
                return pages
        raise AssertionError("The listing has no end")

    async def ids(self, query: str) -> list[object]:
        return [row["instanceId"] for page in await self.pages(query) for row in page]


@asynccontextmanager
async def client_of(
    backend: Backend, *, version: ExtensionVersion = V3, name: str = "OrdersHub"
) -> AsyncIterator[Client]:
    clock = ManualClock(NOW)
    hub = TaskHub(name, clock, functions=functions, backend=backend, version=version)
    async with (
        running(Emulator(hub, clock=clock)) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as http,
    ):
        yield Client(hub, clock, http, url)


def fill(hub: TaskHub, count: int) -> None:
    for number in range(count):
        # Created in another order than that of the ids.
        hub.put(instance(f"order-{number:04}", created=NOW - (number * 7) % count - 1))


class TestPaging:
    @pytest.mark.parametrize(
        ("backend", "sizes"),
        [
            ("azure-storage", [100, 100, 50]),
            ("mssql", [100, 100, 50]),
            ("netherite", [250]),  # a hundred of each partition
        ],
    )
    async def test_the_default_page(self, backend: str, sizes: list[int]) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 250)
            assert [len(page) for page in await client.pages(FILTER)] == sizes

    @pytest.mark.parametrize(
        ("backend", "top", "status"),
        [
            ("azure-storage", 1000, 200),
            ("azure-storage", 5000, 200),
            ("azure-storage", 0, 200),
            ("azure-storage", -1, 500),
            ("mssql", 32_767, 200),
            ("mssql", 32_768, 400),
            ("mssql", 0, 400),
            ("mssql", -1, 400),
            ("netherite", 100_000, 200),
            ("netherite", 0, 400),
        ],
    )
    async def test_page_sizes(self, backend: str, top: int, status: int) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 3)
            assert (await client.get(f"instances?top={top}")).status_code == status

    @pytest.mark.parametrize(
        ("backend", "token"),
        [
            ("azure-storage", "b3JkZXItMDAwMg=="),
            ("mssql", "1"),
            ("netherite", None),
        ],
    )
    async def test_the_form_of_tokens(self, backend: str, token: str | None) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 60)
            given = (await client.get("instances?top=2")).headers[TOKEN]
        if token is not None:
            assert given == token
        else:
            places = json.loads(given)
            assert len(places) == 12
            assert all(place is None or place.startswith("order-") for place in places)

    @pytest.mark.parametrize(
        ("backend", "token", "status"),
        [
            ("azure-storage", "rubbish", 200),
            ("azure-storage", "", 200),
            ("mssql", "rubbish", 400),
            ("mssql", "-1", 400),
            ("mssql", "40000", 400),
            ("mssql", "", 200),
            ("netherite", "rubbish", 400),
            ("netherite", '["a"]', 400),
            ("netherite", "{}", 400),
            ("netherite", "", 200),
        ],
    )
    async def test_tokens_that_nobody_gave(self, backend: str, token: str, status: int) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 3)
            answer = await client.get("instances?top=2", token)
        assert answer.status_code == status
        if status == 200:
            assert bool(answer.json()) is not bool(token)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("top", [1, 7, 50])
    async def test_all_pages_together_have_each_row_once(self, backend: str, top: int) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 50)
            assert sorted(map(str, await client.ids(f"top={top}"))) == [
                f"order-{number:04}" for number in range(50)
            ]

    async def test_a_full_last_page_of_sql_is_followed_by_one_without_rows(self) -> None:
        async with client_of(MSSQL()) as client:
            fill(client.hub, 4)
            assert [len(page) for page in await client.pages("top=2")] == [2, 2, 0]
            assert [len(page) for page in await client.pages("top=3")] == [3, 1]

    async def test_a_scan_of_azure_storage_ends_a_page_early(self) -> None:
        async with client_of(AzureStorage(scan_rows=20)) as client:
            fill(client.hub, 50)
            client.hub.put(instance("order-0045", RuntimeStatus.FAILED))
            pages = await client.pages("runtimeStatus=Failed")
        assert [len(page) for page in pages] == [0, 0, 1]

    async def test_slow_partitions_of_netherite_answer_with_nothing(self) -> None:
        async with client_of(Netherite(partitions=2, scan_rows=10)) as client:
            fill(client.hub, 50)
            client.hub.put(instance("order-0045", RuntimeStatus.FAILED))
            pages = await client.pages("runtimeStatus=Failed")
        assert pages[0] == []
        assert sum(map(len, pages)) == 1

    async def test_netherite_without_ids_in_memory_does_not_page(self) -> None:
        async with client_of(Netherite(ids_in_memory=False)) as client:
            fill(client.hub, 500)
            assert [len(page) for page in await client.pages("top=1")] == [500]

    async def test_sql_pages_shift_when_rows_go_away(self) -> None:
        async with client_of(MSSQL()) as client:
            fill(client.hub, 6)
            first = await client.get("instances?top=3")
            client.hub.purge(first.json()[0]["instanceId"])
            second = await client.get("instances?top=3", first.headers[TOKEN])
        assert len(first.json()) + len(second.json()) == 5  # one was skipped


class TestOrder:
    async def test_azure_storage_goes_by_id(self) -> None:
        async with client_of(AzureStorage()) as client:
            fill(client.hub, 20)
            ids = await client.ids("top=3")
        assert ids == sorted(map(str, ids))

    async def test_sql_goes_by_creation(self) -> None:
        async with client_of(MSSQL()) as client:
            fill(client.hub, 20)
            rows = [row for page in await client.pages("top=3") for row in page]
        created = [str(row["createdTime"]) for row in rows]
        assert created == sorted(created)

    async def test_netherite_goes_by_id_in_each_partition(self) -> None:
        async with client_of(Netherite(partitions=3)) as client:
            fill(client.hub, 20)
            ids = await client.ids("")
            assert ids != sorted(map(str, ids))
        async with client_of(Netherite(partitions=1)) as client:
            fill(client.hub, 20)
            ids = await client.ids("")
            assert ids == sorted(map(str, ids))


class TestFilters:
    @pytest.mark.parametrize(
        ("backend", "prefix", "found"),
        [
            ("azure-storage", "order_", []),
            ("azure-storage", "order-000", ["order-0001", "order-0002"]),
            ("mssql", "order_000", ["order-0001", "order-0002"]),
            ("mssql", "%0002", ["order-0002"]),
            ("mssql", "order-000[12]", ["order-0001", "order-0002"]),
            ("mssql", "order-000[^1]", ["order-0002"]),
            ("mssql", "order.000", []),
            ("netherite", "order-0001", ["order-0001"]),
        ],
    )
    async def test_prefixes(self, backend: str, prefix: str, found: list[str]) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            for number in (1, 2):
                client.hub.put(instance(f"order-000{number}", created=NOW + number))
            answer = await client.http.get("instances", params={"instanceIdPrefix": prefix})
        assert [row["instanceId"] for row in answer.json()] == found

    @pytest.mark.parametrize(
        ("backend", "query", "shown"),
        [
            ("azure-storage", "showInput=false", True),
            ("azure-storage", f"showInput=false&{FILTER}", False),
            ("mssql", "showInput=false", False),
            ("mssql", "", True),
            ("netherite", "showInput=false", False),
        ],
    )
    async def test_inputs(self, backend: str, query: str, *, shown: bool) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            await client.post("orchestrators/WaitsForever/a", {"n": 1})
            (row,) = (await client.get(f"instances?{query}")).json()
        assert (row["input"] is not None) is shown


class TestRows:
    async def test_sql_lists_json_as_text(self) -> None:
        async with client_of(MSSQL()) as client:
            await client.post("orchestrators/HelloSequence/a", {"n": 1})
            (listed,) = (await client.get("instances")).json()
            single = (await client.get("instances/a")).json()
        assert listed["input"] == '{"n":1}'
        assert listed["customStatus"] == '{"stage":"done","percent":100}'
        assert single["input"] == {"n": 1}
        assert single["output"] == json.loads(listed["output"])

    @pytest.mark.parametrize(
        ("backend", "kept"), [("azure-storage", False), ("mssql", True), ("netherite", False)]
    )
    async def test_what_continues_as_new(self, backend: str, *, kept: bool) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            await client.post("orchestrators/Eternal/a", 1)
            before = (await client.get("instances/a")).json()
            for _ in range(4):
                await client.post("instances/a/raiseEvent/Any", 1)
            after = (await client.get("instances/a")).json()
        assert after["input"] > before["input"]
        assert (after["createdTime"] == before["createdTime"]) is kept

    @pytest.mark.parametrize(
        ("backend", "name"),
        [
            ("azure-storage", "@counter@x"),
            ("mssql", "counter"),
            ("netherite", "@counter@x"),
        ],
    )
    async def test_entities_among_instances(self, backend: str, name: str) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            await client.post("entities/Counter/x?op=add", 1)
            (row,) = (await client.get("instances")).json()
        assert (row["name"], row["instanceId"]) == (name, "@counter@x")
        assert row["runtimeStatus"] == "Running"

    async def test_sql_has_not_updated_what_has_not_run(self) -> None:
        clock = ManualClock(NOW)
        hub = TaskHub("OrdersHub", clock, backend=MSSQL())
        hub.engine.start("Any", "a", None, NOW)
        hub.engine.signal("Counter", "x", "add", "1", NOW)
        clock.advance(SETTLING_SECONDS)
        hub.advance()
        async with (
            running(Emulator(hub, clock=clock)) as url,
            httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as http,
        ):
            rows = (await http.get("instances")).json()
        assert {row["runtimeStatus"] for row in rows} == {"Pending"}
        assert {row["lastUpdatedTime"] for row in rows} == {"0001-01-01T00:00:00Z"}
        assert len(rows) == 2

    @pytest.mark.parametrize(
        ("backend", "at_once"), [("azure-storage", False), ("mssql", True), ("netherite", False)]
    )
    async def test_rows_of_sub_orchestrations(self, backend: str, *, at_once: bool) -> None:
        clock = ManualClock(NOW)
        hub = TaskHub("OrdersHub", clock, functions=functions, backend=BACKENDS[backend]())
        hub.engine.start("Parent", "a", '"WaitsForever"', NOW)
        seen = []
        for _ in range(1000):
            clock.advance(0.001)
            hub.advance()
            child = hub.get("a:child")
            if isinstance(child, Instance):
                seen.append(child.status)
        assert (seen[0] is RuntimeStatus.PENDING) is at_once
        assert seen[-1] is RuntimeStatus.RUNNING

    @pytest.mark.parametrize(
        ("backend", "reason"), [("azure-storage", "r"), ("mssql", None), ("netherite", None)]
    )
    async def test_the_output_of_what_is_suspended(self, backend: str, reason: str | None) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            await client.post("orchestrators/WaitsForever/a")
            await client.post("instances/a/suspend?reason=r")
            row = (await client.get("instances/a")).json()
        assert (row["runtimeStatus"], row["output"]) == ("Suspended", reason)

    async def test_entities_are_listed_by_the_time_that_each_keeps(self) -> None:
        shown = {}
        for name, backend in BACKENDS.items():
            async with client_of(backend()) as client:
                await client.post("entities/Counter/x?op=add", 1)
                await client.post("entities/Counter/x?op=add", 1)
                row = client.hub.entity("counter", "x")
                assert isinstance(row, Entity)
                shown[name] = row.created < NOW + SETTLING_SECONDS
        assert shown == {"azure-storage": False, "mssql": True, "netherite": False}


class TestOperations:
    @pytest.mark.parametrize(
        ("backend", "version", "status"),
        [
            ("azure-storage", V2, 202),
            ("azure-storage", V3, 202),
            ("mssql", V3, 202),
            ("netherite", V2, 500),
            ("netherite", V3, 501),
        ],
    )
    async def test_rewind(self, backend: str, version: ExtensionVersion, status: int) -> None:
        async with client_of(BACKENDS[backend](), version=version) as client:
            await client.post("orchestrators/FailsItself/a")
            assert (await client.post("instances/a/rewind")).status_code == status

    @pytest.mark.parametrize(
        ("backend", "rows"), [("azure-storage", 0), ("mssql", 1), ("netherite", 0)]
    )
    async def test_an_unknown_hub(self, backend: str, rows: int) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            await client.post("orchestrators/WaitsForever/a")
            answer = await client.get("instances?taskHub=NoSuchHub")
        assert len(answer.json()) == rows

    @pytest.mark.parametrize(
        ("backend", "status"), [("azure-storage", 202), ("mssql", 202), ("netherite", 200)]
    )
    async def test_a_start_with_a_timeout_alone(self, backend: str, status: int) -> None:
        async with client_of(BACKENDS[backend]()) as client, passing(client.clock):
            answer = await client.http.post("orchestrators/HelloSequence/a?timeout=60")
        assert answer.status_code == status
        assert (answer.json()[0] == "Hello Tokyo!") if status == 200 else "id" in answer.json()


class TestLatency:
    async def test_a_scan_takes_its_time(self) -> None:
        async with client_of(AzureStorage()) as client:
            fill(client.hub, 50)
            client.hub.latency = Latency(request=10, thousand_rows=10_000)
            async with passing(client.clock):
                scan = await client.seconds("instances?runtimeStatus=Failed")
                point = await client.seconds("instances/order-0001")
        # The requests themselves take some ticks of the clock.
        assert 510 <= scan < 560
        assert 10 <= point < 60


@pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")
class TestOfficialClient:
    """The official Python client reads one page, whatever the backend."""

    @pytest.mark.parametrize(
        ("backend", "first_page"), [("azure-storage", 100), ("mssql", 100), ("netherite", 150)]
    )
    async def test_it_lists_and_filters(self, backend: str, first_page: int) -> None:
        async with client_of(BACKENDS[backend]()) as client:
            fill(client.hub, 150)
            client.hub.put(instance("order-0000", RuntimeStatus.FAILED, created=NOW - 5))
            official: Any = DurableOrchestrationClient(json.dumps(local_binding(client.url)))
            try:
                everything = await official.get_status_all()
                failed = await official.get_status_by(
                    runtime_status=[OrchestrationRuntimeStatus.Failed], instance_id_prefix="order-"
                )
            finally:
                await http_utils._close_session()
        assert len(everything) == first_page
        assert [status.instance_id for status in failed] == ["order-0000"]
