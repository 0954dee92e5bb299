"""The synthetic hub against hubs that hold the same rows."""

import base64
import json
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import (
    Emulator,
    Entity,
    ExtensionVersion,
    Fault,
    FaultKind,
    Instance,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.api import ApiError, Operation
from emulator.backends import netherite
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, Latency
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.http import reads
from emulator.http.messages import Answer, Base, Request, error_answer
from emulator.http.parameters import Parameters
from emulator.http.routes import find
from emulator.storage.table import InstanceQuery
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.layout import BLOCK_ROWS
from emulator.synthetic.mix import EntityClass, Orchestrator
from emulator.synthetic.population import Choice
from emulator.times import precise
from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.api.query import InstanceQuery as AskedInstances
from exporter.api.transport import HubConnections
from exporter.ledger.status import ACTIVE, TERMINAL
from tests.api.paged import all_rows
from tests.api.scripted import connections
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.hubs import passing

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
TOKEN = "x-ms-continuation-token"
BACKENDS: dict[str, Backend] = {
    "azure-storage": AzureStorage(),
    "azure-storage that scans": AzureStorage(scan_rows=700),
    "azure-storage that scans little": AzureStorage(scan_rows=3),
    "mssql": MSSQL(),
    "netherite": Netherite(partitions=5),
    "netherite that scans": Netherite(partitions=5, scan_rows=90),
}
MIX = (
    Orchestrator(
        name="ProcessOrder",
        share=3,
        input={"text": 'a "quoted" žluť'},
        output=[1, {"deep": None}],
        statuses={
            RuntimeStatus.COMPLETED: 80,
            RuntimeStatus.FAILED: 7,
            RuntimeStatus.RUNNING: 5,
            RuntimeStatus.PENDING: 2,
            RuntimeStatus.SUSPENDED: 1,
        },
    ),
    Orchestrator(
        name="Report",
        longest=3600,
        custom_status="half",
        statuses={RuntimeStatus.TERMINATED: 1, RuntimeStatus.COMPLETED: 2},
    ),
)
ENTITIES = (
    EntityClass(name="counter", rows=400, state={"n": 1}),
    EntityClass(name="cart", rows=1000, deleted=30, locked=4),
)
ROWS = 2500


def synthetic(
    backend: Backend | None = None, *, rows: int = ROWS, version: ExtensionVersion = V3
) -> SyntheticHub:
    return SyntheticHub(
        "BigHub",
        ManualClock(NOW),
        rows=rows,
        active=min(41, rows),
        orchestrators=MIX,
        entities=ENTITIES,
        backend=backend,
        version=version,
    )


def rows_of(hub: SyntheticHub) -> list[Instance | Entity]:
    return [hub.population.row(position) for position in range(hub.population.size)]


@cache
def twins(backend: str, version: ExtensionVersion = V3) -> tuple[SyntheticHub, TaskHub]:
    """A synthetic hub, and one that holds the same rows."""
    hub = synthetic(BACKENDS[backend], version=version)
    held = TaskHub("Held", hub.clock, backend=hub.backend, version=version)
    for row in rows_of(hub):
        held.put(row)
    return hub, held


def answers(
    hubs: tuple[SyntheticHub, TaskHub], path: str, query: Mapping[str, str], token: str = ""
) -> tuple[Answer, Answer]:
    """What both hubs answer to a listing."""
    hub, held = hubs
    parameters = Parameters(urlencode(query))
    headers = {TOKEN: token} if token else {}
    request = Request(hub.version, "GET", Base.LOCAL, path, "", headers, parameters)
    route = find("GET", path, hub.version)
    assert route is not None
    listing = {
        Operation.LIST_INSTANCES: reads.list_instances,
        Operation.LIST_ENTITIES: reads.list_entities,
        Operation.GET_INSTANCE: reads.get_instance,
        Operation.GET_ENTITY: reads.get_entity,
    }[route.operation]
    try:
        expected = listing(held, request, route)
    except ApiError as failure:
        expected = error_answer(failure)
    try:
        given_one = listing(hub, request, route)
    except ApiError as failure:
        given_one = error_answer(failure)
    return given_one, expected


def assert_alike(
    hubs: tuple[SyntheticHub, TaskHub], path: str, query: Mapping[str, str], token: str = ""
) -> str:
    """Both hubs answer the same, to the byte; returns the token."""
    given_one, expected = answers(hubs, path, query, token)
    assert given_one.body.decode() == expected.body.decode()
    assert given_one == expected
    return given_one.token or ""


@pytest.fixture(autouse=True, scope="module")
def partitions_by_offset() -> Iterator[None]:
    """Let rows belong to partitions of Netherite as they do in synthetic hubs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netherite, "crc32", lambda instance_id: int(instance_id[-3:]))
        yield


HUBS = st.one_of(
    st.sampled_from(sorted(BACKENDS)).map(twins),
    st.just("azure-storage that scans").map(lambda name: twins(name, V2)),
)
ROW_IDS = st.integers(0, ROWS + 1399).map(twins("mssql")[0].population.id_at)
PREFIXES = st.one_of(
    st.sampled_from(("", "r", "run-", "@", "@c", "@cart@", "@counter@", "zzz", "A", "!")),
    ROW_IDS,
    st.tuples(ROW_IDS, st.integers(1, 32)).map(lambda pair: pair[0][: pair[1]]),
)
CREATED = [row.created for row in rows_of(synthetic())]
TIMES = st.one_of(
    st.sampled_from(CREATED), st.floats(CREATED[0] - 90, CREATED[-1] + 90, allow_nan=False)
).map(precise)
STATUSES = st.lists(st.sampled_from([*RuntimeStatus, "Bogus", "99"]), min_size=1).map(",".join)
TOPS = st.one_of(
    st.integers(1, 1100), st.sampled_from((-1, 0, 1, 2, 959, 960, 961, 1000, 5000))
).map(str)


def queries(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({}, optional=fields)


BOOLEANS = st.sampled_from(("true", "false"))
OF_INSTANCES = queries(
    createdTimeFrom=TIMES,
    createdTimeTo=TIMES,
    runtimeStatus=STATUSES,
    instanceIdPrefix=PREFIXES,
    showInput=BOOLEANS,
    top=TOPS,
)
OF_ENTITIES = queries(
    lastOperationTimeFrom=TIMES, lastOperationTimeTo=TIMES, fetchState=BOOLEANS, top=TOPS
)
ENTITY_PATHS = st.sampled_from(
    ("/entities", "/entities/Cart", "/entities/counter", "/entities/c", "/entities/nope")
)


@st.composite
def tokens(draw: st.DrawFn, hubs: tuple[SyntheticHub, TaskHub]) -> str:
    """Places anywhere, and what nobody gave."""
    rubbish = st.sampled_from(("", "rubbish", "-1", "99999", '["a"]', "[]"))
    backend = hubs[0].backend
    if isinstance(backend, MSSQL):
        return draw(st.one_of(rubbish, st.integers(0, 50).map(str)))
    ids = st.one_of(ROW_IDS, PREFIXES)
    if isinstance(backend, Netherite):
        count = backend.partitions
        places = st.lists(st.one_of(st.none(), ids), min_size=count, max_size=count)
        return draw(st.one_of(rubbish, places.map(json.dumps)))
    return draw(st.one_of(rubbish, ids.map(lambda key: base64.b64encode(key.encode()).decode())))


class TestListings:
    @settings(max_examples=30)
    @given(data=st.data(), hubs=HUBS, query=OF_INSTANCES)
    def test_any_page_of_instances(
        self,
        data: st.DataObject,
        hubs: tuple[SyntheticHub, TaskHub],
        query: dict[str, str],
    ) -> None:
        token = data.draw(tokens(hubs))
        following = assert_alike(hubs, "/instances", query, token)
        if following:
            assert_alike(hubs, "/instances", query, following)

    @settings(max_examples=30)
    @given(data=st.data(), hubs=HUBS, path=ENTITY_PATHS, query=OF_ENTITIES)
    def test_any_page_of_entities(
        self,
        data: st.DataObject,
        hubs: tuple[SyntheticHub, TaskHub],
        path: str,
        query: dict[str, str],
    ) -> None:
        token = data.draw(tokens(hubs))
        following = assert_alike(hubs, path, query, token)
        if following:
            assert_alike(hubs, path, query, following)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("query", [{}, {"runtimeStatus": "Failed,Running"}])
    @pytest.mark.parametrize("top", [300, 960, 1000])
    def test_every_page_from_the_first_to_the_last(
        self, backend: str, query: dict[str, str], top: int
    ) -> None:
        hubs = twins(backend)
        if "little" in backend and query:
            query = {**query, "instanceIdPrefix": hubs[0].population.id_at(2000)[:30]}
        token = assert_alike(hubs, "/instances", {**query, "top": str(top)})
        while token:
            token = assert_alike(hubs, "/instances", {**query, "top": str(top)}, token)

    def test_the_same_question_gets_the_same_bytes(self) -> None:
        query = InstanceQuery(top=1000, statuses=frozenset(["Failed"]))
        style = reads.InstanceStyle(AzureStorage(), V3, True)
        hub, other = synthetic(), synthetic()
        bodies = {of.body(of.list_instances(query), style) for of in (hub, hub, other)}
        assert len(bodies) == 1

    def test_another_seed_makes_other_rows(self) -> None:
        clock = ManualClock(NOW)
        first, second = (SyntheticHub("BigHub", clock, rows=900, seed=seed) for seed in (1, 2))
        assert [row.name for row in rows_of(first)] != [row.name for row in rows_of(second)]
        assert first.instances == second.instances

    def test_sql_has_no_wildcards_here(self) -> None:
        given_one, _ = answers(twins("mssql"), "/instances", {"instanceIdPrefix": "run_"})
        assert given_one.status == 400
        assert b"wildcards" in given_one.body

    def test_a_hub_without_rows(self) -> None:
        hub = SyntheticHub("BigHub", ManualClock(NOW), rows=0)
        page = hub.list_instances(InstanceQuery())
        assert (hub.body(page, lambda row: row.name), page.token) == (b"[]", "")
        assert hub.get("run-") is None


class TestSingleRows:
    @settings(max_examples=30)
    @given(hubs=HUBS, instance_id=st.one_of(ROW_IDS, PREFIXES.filter(bool)), history=BOOLEANS)
    def test_any_id(
        self, hubs: tuple[SyntheticHub, TaskHub], instance_id: str, history: str
    ) -> None:
        query = {"showHistory": history, "returnInternalServerErrorOnFailure": "true"}
        given_one, expected = answers(hubs, f"/instances/{instance_id}", query)
        assert given_one == expected
        assert given_one.status in (200, 202, 404, 500)

    @settings(max_examples=30)
    @given(hubs=HUBS, number=st.integers(0, 1399))
    def test_any_entity(self, hubs: tuple[SyntheticHub, TaskHub], number: int) -> None:
        _, class_name, key = hubs[0].population.id_at(number).split("@")
        given_one, expected = answers(hubs, f"/entities/{class_name}/{key}", {})
        assert given_one == expected
        row = hubs[0].population.row(number)
        assert isinstance(row, Entity)
        assert given_one.status == (200 if row.exists else 404)


class TestRows:
    def test_they_are_as_many_of_each_kind_as_was_asked_for(self) -> None:
        hub = synthetic()
        counted = Counter(
            (row.name, row.status) for row in rows_of(hub) if isinstance(row, Instance)
        )
        assert counted == hub.instances
        active = {key: count for key, count in counted.items() if not key[1].terminal}
        assert (counted.total(), sum(active.values())) == (ROWS, 41)
        completed, terminated = (
            counted["Report", status]
            for status in (RuntimeStatus.COMPLETED, RuntimeStatus.TERMINATED)
        )
        assert completed == pytest.approx(2 * terminated, abs=2)

    def test_numbers_of_rows_are_kept_exactly(self) -> None:
        wanted = {
            RuntimeStatus.COMPLETED: 9_998_765,
            RuntimeStatus.FAILED: 1200,
            RuntimeStatus.RUNNING: 35,
        }
        mix = [Orchestrator(name="One", statuses=wanted)]
        hub = SyntheticHub("BigHub", ManualClock(NOW), rows=10_000_000, orchestrators=mix)
        assert hub.instances == {("One", status): count for status, count in wanted.items()}
        assert sum(count for _, count in hub.population.counted) == 10_000_000

    def test_entities_exist_are_deleted_or_locked(self) -> None:
        entities = [row for row in rows_of(synthetic()) if isinstance(row, Entity)]
        carts = [row for row in entities if row.class_name == "cart"]
        assert (len(entities), len(carts)) == (1400, 1000)
        assert sum(not row.exists for row in carts) == 30
        assert synthetic().entities == {"cart": 970, "counter": 400}
        assert sum(row.locked_by is not None for row in carts) == 4

    def test_ids_and_times_ascend_along_the_line(self) -> None:
        rows = rows_of(synthetic())
        assert [row.instance_id for row in rows] == sorted({row.instance_id for row in rows})
        assert [row.created for row in rows] == sorted({row.created for row in rows})
        assert all(row.created <= row.updated <= NOW for row in rows)

    def test_the_active_ones_are_the_newest_and_spread(self) -> None:
        hub = SyntheticHub("BigHub", ManualClock(NOW), rows=100_000, active=50)
        active = hub.population.view(Choice(frozenset(map(str, ACTIVE))))
        places = [active.position(rank) // BLOCK_ROWS for rank in range(active.size)]
        assert len(places) == 50
        assert len(set(places)) >= 48
        assert min(places) > 50

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"rows": -1}, "-1 instances"),
            ({"rows": 10, "active": 11}, "11 of 10"),
            ({"rows": 10, "id_prefix": "1-"}, "cannot begin"),
            ({"rows": 10, "id_prefix": "a" * 30}, "cannot begin"),
            ({"rows": 10, "entities": [ENTITIES[0], ENTITIES[0]]}, "named once"),
            (
                {
                    "rows": 10,
                    "active": 5,
                    "orchestrators": [
                        Orchestrator(name="One", statuses={RuntimeStatus.COMPLETED: 1})
                    ],
                },
                "No share",
            ),
        ],
    )
    def test_what_cannot_be(self, arguments: dict[str, object], problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            SyntheticHub("BigHub", ManualClock(NOW), **arguments)  # type: ignore[arg-type] # broken

    def test_what_no_class_of_entities_can_be(self) -> None:
        with pytest.raises(ValueError, match="lower case"):
            EntityClass(name="Cart", rows=1)
        with pytest.raises(ValueError, match="fewer rows"):
            EntityClass(name="cart", rows=1, deleted=2)
        with pytest.raises(ValueError, match="longest"):
            Orchestrator(name="One", longest=1e9)


class TestMemory:
    def test_ten_million_rows_take_what_ten_thousand_take(self) -> None:
        small, large = (peak_of_pages(rows) for rows in (10_000, 10_000_000))
        assert large < 1.1 * small


def peak_of_pages(rows: int) -> int:
    """The most bytes held while a hub is made and serves pages."""
    style = reads.InstanceStyle(AzureStorage(), V3, False)
    tracemalloc.start()
    try:
        hub = synthetic(rows=rows)
        for position in range(0, hub.population.size, hub.population.size // 30):
            token = base64.b64encode(hub.population.id_at(position).encode()).decode()
            hub.body(hub.list_instances(InstanceQuery(top=1000), token), style)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@asynccontextmanager
async def served(*, own: Backend | None = None) -> AsyncIterator[tuple[SyntheticHub, str]]:
    hub = synthetic()
    emulator = Emulator(TaskHub("OwnHub", hub.clock, backend=own), clock=hub.clock, synthetic=[hub])
    async with running(emulator) as url:
        yield hub, url


@pytest.mark.anyio
class TestServed:
    async def test_the_exporters_own_client_reads_it(self) -> None:
        async with served() as (hub, url), connections() as http:
            client = client_of(f"{url}{Base.WEB_HOOK}", http)
            seen = Counter[tuple[str, str]]()
            for statuses in (ACTIVE, TERMINAL):
                listing = client.list_instances(AskedInstances(statuses=tuple(map(str, statuses))))
                seen.update(
                    (str(row.name), str(row.runtime_status))
                    for row in await all_rows(client, listing)
                    if not row.instance_id.startswith("@")
                )
            entities = len(await all_rows(client, client.list_entities()))
            one = await client.read_instance(hub.population.id_at(1500), history=True)
            none = await client.read_instance("run-1")
        assert seen == {(name, str(status)): n for (name, status), n in hub.instances.items()}
        assert entities == 1400 - 30
        assert one is not None
        assert one.history_events
        assert none is None

    @pytest.mark.parametrize("own", [AzureStorage(), MSSQL()])
    async def test_it_stands_beside_the_apps_own_hub(self, own: Backend) -> None:
        async with served(own=own) as (_, url), httpx.AsyncClient(**OPTIONS) as http:
            base = f"{url}{Base.LOCAL}/instances"
            assert len((await http.get(f"{base}?taskHub=bighub&top=3")).json()) == 3
            assert (await http.get(base)).json() == []

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("POST", "orchestrators/ProcessOrder"),
            ("DELETE", "instances"),
            ("POST", "instances/run-1/terminate"),
            ("POST", "entities/cart/1"),
        ],
    )
    async def test_it_cannot_be_changed(self, method: str, target: str) -> None:
        async with served() as (_, url), httpx.AsyncClient(**OPTIONS) as http:
            answer = await http.request(method, f"{url}{Base.LOCAL}/{target}?taskHub=BigHub")
        assert answer.status_code == 501
        assert answer.json() == {"Message": "BigHub is synthetic: it can only be read."}

    async def test_faults_strike_it(self) -> None:
        async with served() as (hub, url), httpx.AsyncClient(**OPTIONS) as http:
            target = f"{url}{Base.LOCAL}/instances?taskHub=BigHub&runtimeStatus=Failed"
            hub.faults.set(Fault(kind=FaultKind.THROTTLED), Fault(kind=FaultKind.ENDLESS_TOKEN))
            assert (await http.get(target)).status_code == 429
            hub.faults.set(Fault(kind=FaultKind.ENDLESS_TOKEN))
            assert (await http.get(target)).headers[TOKEN]

    async def test_a_scan_takes_its_time(self) -> None:
        async with served() as (hub, url), httpx.AsyncClient(**OPTIONS) as http:
            assert isinstance(hub.clock, ManualClock)
            hub.latency = Latency(thousand_rows=10)
            target = f"{url}{Base.LOCAL}/instances?taskHub=BigHub&runtimeStatus=Canceled"
            async with passing(hub.clock):
                assert (await http.get(target)).json() == []
            assert hub.clock.now() - NOW >= 39  # seconds for 3,900 rows

    def test_all_hubs_are_of_one_version(self) -> None:
        clock = ManualClock(NOW)
        with pytest.raises(ValueError, match="one version"):
            Emulator(TaskHub("OwnHub", clock), clock=clock, synthetic=[synthetic(version=V2)])


def client_of(base_url: str, http: HubConnections) -> HubClient:
    return HubClient(
        "big",
        HubAddress(base_url, "BigHub"),
        http=http,
        key=KeySource(),
        retry=RetryPolicy(0, 0.0, 0.0),
        limits=RequestLimits(10.0, 1000, 100),
        host=HostSlots().of("http://hub", 1),
        bodies=BodyBudget(),
    )
