"""A task hub: its name, its rows, its pages and their tokens."""

import base64

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import (
    Emulator,
    Entity,
    ExtensionVersion,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.api import StorageRefused, TokenUnreadable
from emulator.backends.azure_storage import AzureStorage, decode_token, encode_token
from emulator.backends.backend import Backend, HubNameRefused
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.storage.table import BEYOND_THE_END, EntityQuery, InstanceQuery, partition_key
from emulator.synthetic.hub import SyntheticHub
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.hubs import instance

ids = st.text(alphabet="aB0-:@/#^ž", min_size=1, max_size=6)


def walk(hub: TaskHub, query: InstanceQuery) -> list[str]:
    found: list[str] = []
    token, more = "", True
    while more:
        page = hub.list_instances(query, token)
        assert len(page.rows) <= query.top
        found += [row.instance_id for row in page.rows]
        token, more = page.token, bool(page.token)
    return found


class TestWalk:
    @given(
        st.dictionaries(ids, st.sampled_from(RuntimeStatus), max_size=40),
        st.integers(1, 12),
        st.none() | st.integers(1, 12),
    )
    def test_each_row_comes_once_in_ordinal_order(
        self, rows: dict[str, RuntimeStatus], top: int, scan_rows: int | None
    ) -> None:
        hub = TaskHub("OrdersHub", ManualClock(NOW), backend=AzureStorage(scan_rows=scan_rows))
        for instance_id, status in rows.items():
            hub.put(instance(instance_id, status))
        failed = [i for i, status in rows.items() if status is RuntimeStatus.FAILED]
        assert walk(hub, InstanceQuery(top=top)) == sorted(rows, key=partition_key)
        assert walk(hub, InstanceQuery(top=top, statuses=frozenset(["Failed"]))) == sorted(
            failed, key=partition_key
        )

    @given(st.sets(ids, max_size=40), ids, st.integers(1, 12))
    def test_a_prefix_is_a_range_of_ids(self, rows: set[str], prefix: str, top: int) -> None:
        hub = TaskHub("OrdersHub", ManualClock(NOW), backend=AzureStorage(scan_rows=1))
        for instance_id in rows:
            hub.put(instance(instance_id))
        expected = [i for i in sorted(rows, key=partition_key) if i.startswith(prefix)]
        assert walk(hub, InstanceQuery(top=top, id_prefix=prefix)) == expected

    def test_twenty_thousand_rows_are_listed_page_by_page(self, hub: TaskHub) -> None:
        for number in range(20_000):
            hub.put(instance(f"order-{number:05}"))
        assert walk(hub, InstanceQuery(top=500)) == [f"order-{n:05}" for n in range(20_000)]


class TestListing:
    def test_digits_precede_entities_and_capitals_small_letters(self, hub: TaskHub) -> None:
        for instance_id in ("b", "B", "1", "ž"):
            hub.put(instance(instance_id))
        hub.put(Entity(class_name="counter", key="x", last_operation=NOW))
        assert walk(hub, InstanceQuery()) == ["1", "@counter@x", "B", "b", "ž"]

    def test_a_filtered_page_names_the_next_row_that_matches(self, hub: TaskHub) -> None:
        for instance_id, status in zip("abcd", [*RuntimeStatus][:4], strict=True):
            hub.put(instance(instance_id, status))
        query = InstanceQuery(top=1, statuses=frozenset(["Running", "Failed"]))
        assert hub.list_instances(query).token == encode_token("d")

    def test_a_scan_that_finds_nothing_is_an_empty_page_with_a_token(
        self, clock: ManualClock
    ) -> None:
        hub = TaskHub("OrdersHub", clock, backend=AzureStorage(scan_rows=2))
        for instance_id in "abcd":
            hub.put(instance(instance_id))
        page = hub.list_instances(InstanceQuery(statuses=frozenset(["Failed"])))
        assert (page.rows, page.token) == ([], encode_token("c"))

    def test_filters_compare_full_times_inclusively(self, hub: TaskHub) -> None:
        hub.put(instance("a", created=43.698))
        assert walk(hub, InstanceQuery(created_from=43.698)) == ["a"]
        assert walk(hub, InstanceQuery(created_from=43.7)) == []
        assert walk(hub, InstanceQuery(created_to=43.698)) == ["a"]
        assert walk(hub, InstanceQuery(created_to=43.0)) == []

    def test_a_page_of_no_rows_never_gets_further(self, hub: TaskHub) -> None:
        hub.put(instance("a"))
        page = hub.list_instances(InstanceQuery(top=0))
        assert (page.rows, page.token) == ([], encode_token("a"))

    def test_a_page_has_at_most_a_thousand_rows(self, hub: TaskHub) -> None:
        for number in range(1001):
            hub.put(instance(f"{number:04}"))
        page = hub.list_instances(InstanceQuery(top=5000))
        assert (len(page.rows), page.token) == (1000, encode_token("1000"))

    def test_a_negative_page_size_is_refused(self, hub: TaskHub) -> None:
        with pytest.raises(StorageRefused):
            hub.list_instances(InstanceQuery(top=-1))

    def test_deleted_entities_leave_gaps_in_pages(self, hub: TaskHub) -> None:
        for key, exists in (("a", True), ("b", False), ("c", True)):
            hub.put(Entity(class_name="counter", key=key, last_operation=NOW, exists=exists))
        page = hub.list_entities(EntityQuery(top=2))
        assert ([row.key for row in page.rows], page.token) == (["a"], encode_token("@counter@c"))

    def test_entities_are_filtered_by_class_and_time(self, hub: TaskHub) -> None:
        for name, at in (("cart", 10.0), ("counter", 20.0), ("counters", 20.0)):
            hub.put(Entity(class_name=name, key="x", last_operation=at))
        hub.put(instance("@counter@y", name="NoEntity"))
        by_class = hub.list_entities(EntityQuery(class_name="counter"))
        by_time = hub.list_entities(EntityQuery(operated_from=5, operated_to=15))
        assert [row.class_name for row in by_class.rows] == ["counter"]
        assert [row.class_name for row in by_time.rows] == ["cart"]


class TestLog:
    def test_a_life_starts_once_and_finishes_once(self, hub: TaskHub) -> None:
        for status in (RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.COMPLETED):
            hub.put(instance("a", status))
            hub.put(instance("a", status))
        assert [(s.instance_id, s.created) for s in hub.starts] == [("a", NOW - 60)]
        assert [(f.instance_id, f.status) for f in hub.finishes] == [("a", "Completed")]

    def test_a_row_that_appears_late_started_and_finished(self, hub: TaskHub) -> None:
        hub.put(instance("a", RuntimeStatus.FAILED), at=NOW)
        assert (len(hub.starts), hub.finishes[0].visible) == (1, NOW)

    def test_continuing_as_new_is_no_start(self, hub: TaskHub) -> None:
        hub.put(instance("a", created=1.0))
        hub.put(instance("a", created=2.0))
        assert len(hub.starts) == 1

    def test_a_restart_of_an_id_is_a_new_life(self, hub: TaskHub) -> None:
        hub.put(instance("a", RuntimeStatus.COMPLETED, created=1.0))
        hub.put(instance("a", RuntimeStatus.COMPLETED, created=2.0))
        assert (len(hub.starts), len(hub.finishes)) == (2, 2)

    def test_a_rewound_instance_finishes_again(self, hub: TaskHub) -> None:
        for status in (RuntimeStatus.FAILED, RuntimeStatus.PENDING, RuntimeStatus.FAILED):
            hub.put(instance("a", status))
        assert (len(hub.starts), len(hub.finishes)) == (1, 2)

    def test_entities_neither_start_nor_finish(self, hub: TaskHub) -> None:
        hub.put(Entity(class_name="counter", key="x", last_operation=NOW))
        assert (hub.starts, hub.finishes) == ([], [])

    def test_a_purge_takes_old_finished_rows_only(self, hub: TaskHub) -> None:
        hub.put(instance("active", updated=1.0))
        hub.put(instance("old", RuntimeStatus.COMPLETED, updated=1.0))
        hub.put(instance("new", RuntimeStatus.COMPLETED, updated=2.0))
        hub.purge_finished(before=2.0)
        assert [row.instance_id for row in hub.instances()] == ["active", "new"]

    def test_removing_what_is_not_there_does_nothing(self, hub: TaskHub) -> None:
        hub.remove("nothing")
        assert list(hub.instances()) == []

    def test_the_log_can_be_shortened(self, hub: TaskHub) -> None:
        hub.put(instance("a", RuntimeStatus.COMPLETED), at=1.0)
        hub.put(instance("b", RuntimeStatus.COMPLETED), at=2.0)
        hub.forget(before=2.0)
        assert [f.instance_id for f in hub.finishes] == ["b"]
        assert [s.instance_id for s in hub.starts] == ["b"]


def test_a_scan_limit_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="scan_rows"):
        AzureStorage(scan_rows=0)


V2 = ExtensionVersion.V2


class TestToken:
    def test_it_is_the_next_key_and_an_empty_row_key(self) -> None:
        assert encode_token("@counter@forwarder") == "QGNvdW50ZXJAZm9yd2FyZGVy "

    def test_keys_escape_what_azure_tables_forbid(self) -> None:
        assert encode_token(partition_key("a#b")) == "YV4yYg== "
        assert partition_key("^/\\#?\t") == "^^^0^1^2^3^É"

    @given(st.text())
    def test_it_is_understood_with_and_without_its_last_space(self, instance_id: str) -> None:
        key = partition_key(instance_id)
        token = encode_token(key)
        assert decode_token(token) == decode_token(token.strip()) == (key or None)

    @pytest.mark.parametrize("token", ["", " "])
    def test_an_empty_one_is_the_first_page(self, token: str) -> None:
        assert decode_token(token) is None

    @pytest.mark.parametrize("token", ["rubbish", "one two", "one two three", "žluť", "/w=="])
    def test_rubbish_is_behind_the_last_row(self, token: str) -> None:
        assert decode_token(token) == BEYOND_THE_END

    def test_the_null_of_old_extensions_is_a_place_like_any_other(self) -> None:
        assert decode_token("bnVsbA==") == "null"


class TestTokenOfV2:
    def test_it_is_a_json_object_in_base64(self) -> None:
        assert base64.b64decode(encode_token("@counter@forwarder", V2)) == (
            b'{"NextPartitionKey":"QGNvdW50ZXJAZm9yd2FyZGVy","NextRowKey":"",'
            b'"NextTableName":null,"TargetLocation":0}'
        )

    @given(st.text())
    def test_it_leads_to_its_key(self, key: str) -> None:
        assert decode_token(encode_token(key, V2), V2) == key

    @pytest.mark.parametrize("value", ["", " ", "null", "{}", "[]", '{"NextPartitionKey":null}'])
    def test_one_that_names_no_key_is_the_first_page(self, value: str) -> None:
        token = base64.b64encode(value.encode()).decode() if value.strip() else value
        assert decode_token(token, V2) is None

    @pytest.mark.parametrize("token", ["rubbish", "one two", "žluť", "/w==", "b29wcw=="])
    def test_rubbish_is_an_error(self, token: str) -> None:
        with pytest.raises(TokenUnreadable, match="not a valid Base-64 string"):
            decode_token(token, V2)

    def test_a_key_that_is_rubbish_is_behind_the_last_row(self) -> None:
        token = base64.b64encode(b'{"NextPartitionKey":"rubbish"}').decode()
        assert decode_token(token, V2) == BEYOND_THE_END


NAMES = ("Orders2", "orders-hub", "orders hub", "2orders", "ab", "", "o" * 45, "o" * 50, "o" * 51)
TAKEN = {
    "azure-storage": {"Orders2", "o" * 45},
    "netherite": {"Orders2", "orders-hub", "o" * 45},
    "mssql": set(NAMES) - {"", "o" * 51},
}


@pytest.mark.parametrize("backend", [AzureStorage(), MSSQL(), Netherite()], ids=lambda b: b.name)
@pytest.mark.parametrize("name", NAMES)
def test_each_provider_takes_names_by_its_own_rule(backend: Backend, name: str) -> None:
    clock = ManualClock(NOW)
    if name in TAKEN[backend.name]:
        assert TaskHub(name, clock, backend=backend).name == name
        assert SyntheticHub(name, clock, rows=10, backend=backend).name == name
        return
    problem = f"is no task hub of {backend.name}: {backend.hub_name_rule}"
    with pytest.raises(HubNameRefused, match=problem):
        TaskHub(name, clock, backend=backend)
    with pytest.raises(HubNameRefused, match=problem):
        SyntheticHub(name, clock, rows=10, backend=backend)


@pytest.mark.anyio
async def test_a_hub_that_a_request_names_is_made_by_the_rule_of_the_apps_provider() -> None:
    clock = ManualClock(NOW)
    for backend, status in ((AzureStorage(), 500), (Netherite(), 200)):
        app = Emulator(TaskHub("OrdersHub", clock, backend=backend), clock=clock)
        async with (
            running(app) as url,
            httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
        ):
            answer = await client.get("instances", params={"taskHub": "orders-two"})
        assert answer.status_code == status
