"""Synthetic hubs in which instances start and end."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Entity, Instance, ManualClock, RuntimeStatus, TaskHub
from emulator.backends import netherite
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.storage.table import InstanceQuery
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass, Orchestrator
from emulator.synthetic.traffic import Traffic
from emulator.times import precise
from tests.emulator.conftest import NOW
from tests.emulator.test_synthetic import assert_alike

BACKENDS: dict[str, Backend] = {
    "azure-storage": AzureStorage(),
    "azure-storage that scans": AzureStorage(scan_rows=70),
    "mssql": MSSQL(),
    "netherite": Netherite(partitions=5, scan_rows=90),
}
MIX = (
    Orchestrator(
        name="Order",
        longest=120.0,
        output="done",
        statuses={RuntimeStatus.COMPLETED: 3, RuntimeStatus.FAILED: 1, RuntimeStatus.RUNNING: 1},
    ),
    Orchestrator(name="Report", longest=600.0, statuses={RuntimeStatus.TERMINATED: 1}),
)
PER_SECOND = 2.0
AGES = (0, 1, 59, 60, 61, 700, 1111)


def moving(clock: ManualClock, backend: Backend | None = None, *, age: float = 0.0) -> SyntheticHub:
    """A hub of few rows that stand still, and of traffic that began some seconds ago."""
    return SyntheticHub(
        "BigHub",
        clock,
        rows=1000,
        active=20,
        entities=[EntityClass(name="cart", rows=30)],
        newest=NOW - 7200.0,
        traffic=Traffic(begin=NOW - age, per_second=PER_SECOND, orchestrators=MIX),
        backend=backend,
    )


def rows_of(hub: SyntheticHub) -> list[Instance | Entity]:
    hub.advance()
    return [hub.population.row(position) for position in range(hub.population.size)]


def of_traffic(hub: SyntheticHub) -> dict[str, Instance]:
    return {
        row.instance_id: row
        for row in rows_of(hub)
        if isinstance(row, Instance) and row.created >= NOW - 60.0
    }


@cache
def twins(backend: str, age: float) -> tuple[SyntheticHub, TaskHub]:
    """A hub with traffic, and one that holds the rows that it has."""
    hub = moving(ManualClock(NOW), BACKENDS[backend], age=age)
    held = TaskHub("Held", hub.clock, backend=hub.backend)
    for row in rows_of(hub):
        held.put(row)
    return hub, held


@pytest.fixture(autouse=True, scope="module")
def partitions_by_offset() -> Iterator[None]:
    """Let rows belong to partitions of Netherite as they do in synthetic hubs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netherite, "crc32", lambda instance_id: int(instance_id[-3:]))
        yield


HUBS = st.builds(twins, st.sampled_from(sorted(BACKENDS)), st.sampled_from(AGES))
QUERIES = st.fixed_dictionaries(
    {"top": st.sampled_from(("1", "7", "100", "1000"))},
    optional={
        "createdTimeFrom": st.floats(NOW - 1200.0, NOW + 9.0).map(precise),
        "createdTimeTo": st.floats(NOW - 1200.0, NOW + 9.0).map(precise),
        "runtimeStatus": st.sampled_from(("Running", "Completed,Failed", "Terminated")),
        "instanceIdPrefix": st.sampled_from(("run-", "run-t", "run-0", "@", "run-t00000", "s")),
    },
)


class TestListings:
    @settings(max_examples=30)
    @given(hubs=HUBS, query=QUERIES)
    def test_any_listing_is_that_of_a_hub_that_holds_the_rows(
        self, hubs: tuple[SyntheticHub, TaskHub], query: dict[str, str]
    ) -> None:
        token = assert_alike(hubs, "/instances", query)
        for _ in range(12):
            if not token:
                return
            token = assert_alike(hubs, "/instances", query, token)

    @settings(max_examples=30)
    @given(hubs=HUBS, data=st.data())
    def test_any_row_is_read_as_it_is_listed(
        self, hubs: tuple[SyntheticHub, TaskHub], data: st.DataObject
    ) -> None:
        hub, held = hubs
        instance_id = hub.population.id_at(data.draw(st.integers(0, hub.population.size - 1)))
        assert_alike((hub, held), f"/instances/{instance_id}", {"showHistory": "true"})

    def test_what_is_listed_follows_the_clock(self) -> None:
        clock = ManualClock(NOW)
        hub = moving(clock)
        running = InstanceQuery(top=1000, statuses=frozenset(["Running"]), id_prefix="run-t")
        counts = []
        for _ in range(4):
            page = hub.list_instances(running)
            counts.append(hub.body(page, lambda row: row.instance_id).count(b"run-t"))
            clock.advance(20.0)
        assert counts == sorted(set(counts))


class TestTraffic:
    def test_instances_start_at_its_pace(self) -> None:
        clock = ManualClock(NOW)
        hub = moving(clock)
        assert len(of_traffic(hub)) == 1
        clock.advance(180.0)
        assert len(of_traffic(hub)) == 1 + PER_SECOND * 180

    def test_each_runs_for_its_time_and_stays_as_it_ended(self) -> None:
        clock = ManualClock(NOW)
        hub = moving(clock)
        seen = [of_traffic(hub)]
        for _ in range(22):
            clock.advance(37.0)
            seen.append(of_traffic(hub))
        ends = seen[-1]
        for number, rows in enumerate(seen):
            now = floor(NOW + 37.0 * number)  # a hub shows what was when the second began
            for instance_id, row in rows.items():
                end = ends[instance_id]
                assert row.created == end.created <= now
                if row.status.terminal:
                    assert row == end
                    assert row.updated <= now
                elif end.status.terminal:
                    assert (row.name, row.output) == (end.name, None)
                    assert row.updated == row.created <= now < end.updated

    def test_as_many_end_as_start_once_it_is_under_way(self) -> None:
        clock = ManualClock(NOW)
        hub = moving(clock, age=600.0)
        before = Counter(hub.instances)
        clock.advance(60.0)
        after = Counter(hub.instances)
        changed = {key: after[key] - count for key, count in before.items() if after[key] != count}
        assert changed == {
            ("Order", RuntimeStatus.COMPLETED): 45,
            ("Order", RuntimeStatus.FAILED): 15,
            ("Report", RuntimeStatus.TERMINATED): 60,
        }

    def test_the_rest_of_the_hub_stands_still(self) -> None:
        clock = ManualClock(NOW)
        hub = moving(clock)
        before = rows_of(hub)[:1030]
        clock.advance(600.0)
        assert rows_of(hub)[:1030] == before

    def test_what_no_traffic_can_be(self) -> None:
        with pytest.raises(ValueError, match="per_second"):
            Traffic(begin=NOW, per_second=0.0, orchestrators=MIX)
        with pytest.raises(ValueError, match="per_second"):
            Traffic(begin=NOW, per_second=32.0, orchestrators=MIX)
        with pytest.raises(ValueError, match="per_second"):
            Traffic(begin=NOW, per_second=3.0, orchestrators=MIX)
        with pytest.raises(ValueError, match="begins after"):
            moving(ManualClock(NOW), age=999_999.0)
