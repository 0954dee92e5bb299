"""How many requests a cycle takes: as many as its news need, however much is stored beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from emulator import Emulator, ManualClock, RuntimeStatus, TaskHub, running
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.emulator import Keys
from emulator.storage.rows import Row
from emulator.storage.table import EntityQuery, InstanceQuery
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass, Orchestrator
from emulator.synthetic.paging import SyntheticPage
from emulator.synthetic.traffic import Traffic
from exporter.collector.snapshot import Sweep
from tests.collector.polled import KEY, collector_of
from tests.ledger.rules import DEFAULT_RULES

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
DAY = 86_400.0
INTERVAL = 30.0
MIX = (
    Orchestrator(
        name="Order",
        longest=900.0,
        statuses={RuntimeStatus.COMPLETED: 9, RuntimeStatus.FAILED: 1},
    ),
)


@dataclass(slots=True)
class Served:
    """What an emulated hub was asked for: pages, and the rows that were on them or looked at."""

    active_pages: int = 0
    finished_pages: int = 0
    entity_rows: int = 0
    scanned: int = 0


class Watched(SyntheticHub):
    """A synthetic hub that counts what it serves, on its own side of the connection."""

    served: Served

    def list_instances(self, query: InstanceQuery, token: str = "") -> SyntheticPage:
        page = super().list_instances(query, token)
        if "Running" in (query.statuses or ()):
            self.served.active_pages += 1
        else:
            self.served.finished_pages += 1
        self.served.scanned += page.scanned
        self.served.entity_rows += self.body(page, id_of).count(b'"@')
        return page

    def list_entities(self, query: EntityQuery, token: str = "") -> SyntheticPage:
        raise AssertionError("no sweep of these tests lists entities")


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a cycle took: requests as the exporter counts them, what was served, and finishes."""

    requests: int
    served: Served
    finishes: int


def id_of(row: Row) -> str:
    return row.instance_id


def hub_of(clock: ManualClock, backend: Backend, *, retained: int, entities: int = 0) -> Watched:
    """A hub in which 60 instances start and end in an interval, beside what stands still."""
    hub = Watched(
        "OrdersHub",
        clock,
        rows=retained,
        active=0,
        orchestrators=MIX,
        entities=[EntityClass(name="cart", rows=entities)] if entities else [],
        newest=START - 2 * DAY,
        traffic=Traffic(begin=START - 1800.0, per_second=2.0, orchestrators=MIX),
        backend=backend,
    )
    hub.served = Served()
    return hub


async def cycles_of(hub: Watched, *, count: int = 2, prefixes: Sequence[str] = ()) -> list[Cycle]:
    """Let a collector meet the hub, and make so many cycles."""
    clock = hub.clock
    assert isinstance(clock, ManualClock)
    emulator = Emulator(
        TaskHub("OwnHub", clock), clock=clock, synthetic=[hub], keys=Keys(system=KEY)
    )
    cycles = []
    async with (
        running(emulator) as url,
        collector_of(
            url,
            wall=clock.now,
            monotonic=clock.now,
            page_size=1000,
            max_pages=1000,
            rules=replace(DEFAULT_RULES, id_prefixes=tuple(prefixes)),
        ) as (collector, _),
    ):
        assert await collector.make(Sweep.ACTIVE) is None
        for _ in range(count):
            clock.advance(INTERVAL)
            hub.served = Served()
            before = collector.snapshot
            assert await collector.make(Sweep.ACTIVE) is None
            after = collector.snapshot
            requests = sum(after.api.requests.values()) - sum(before.api.requests.values())
            finishes = sum(after.counters["finished"].values()) - sum(
                before.counters["finished"].values()
            )
            cycles.append(Cycle(requests, hub.served, finishes))
    return cycles


async def test_a_cycle_takes_the_same_requests_at_1_and_at_100_thousand_retained() -> None:
    few = await cycles_of(hub_of(ManualClock(START), MSSQL(), retained=1000))
    many = await cycles_of(hub_of(ManualClock(START), MSSQL(), retained=100_000))
    assert few == many
    assert all(cycle.finishes > 40 for cycle in many)
    assert all(cycle.requests < 90 for cycle in many)


@pytest.mark.parametrize("retained", [1000, 10_000])
async def test_where_the_table_is_scanned_the_scan_limit_says_how_many_pages(retained: int) -> None:
    scan_rows = 500
    hub = hub_of(ManualClock(START), AzureStorage(scan_rows=scan_rows), retained=retained)
    for cycle in await cycles_of(hub):
        size = cycle.served.scanned // 2
        assert size > retained
        assert cycle.served.active_pages == cycle.served.finished_pages == -(-size // scan_rows)


async def test_without_prefixes_the_rows_of_entities_are_read_once_in_a_cycle() -> None:
    entities = 1500
    hub = hub_of(ManualClock(START), AzureStorage(), retained=1000, entities=entities)
    for cycle in await cycles_of(hub):
        assert cycle.served.entity_rows == entities


async def test_with_prefixes_no_row_of_an_entity_is_read_nor_looked_at() -> None:
    prefixes = (*"0123456789abcdef", "run-")
    hub = hub_of(ManualClock(START), AzureStorage(), retained=1000, entities=5000)
    for cycle in await cycles_of(hub, prefixes=prefixes):
        assert cycle.served.entity_rows == 0
        assert cycle.served.scanned <= 2 * sum(hub.instances.values())
        assert cycle.served.active_pages <= len(prefixes) + 5
        assert cycle.finishes > 40
