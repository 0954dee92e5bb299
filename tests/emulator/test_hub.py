import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import Entity, ManualClock, RuntimeStatus, TaskHub
from emulator.api import StorageRefused
from emulator.backends.azure_storage import AzureStorage, encode_token
from emulator.storage.table import EntityQuery, InstanceQuery, partition_key
from tests.emulator.conftest import NOW
from tests.emulator.rows import instance

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
