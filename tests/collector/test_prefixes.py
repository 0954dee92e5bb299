"""Hubs that are listed by the beginnings of their ids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator import Emulator, ManualClock, TaskHub, running, sample_emulator, truth
from emulator.backends.azure_storage import AzureStorage
from emulator.emulator import Keys
from exporter.collector.snapshot import Sweep
from tests.collector.polled import INTERVALS, KEY, collector_of
from tests.collector.test_hub import TERMINAL, by_status, plain
from tests.ledger.rules import DEFAULT_RULES

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
EVERYTHING = (*"0123456789abcdef", *"ghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


async def test_it_shows_the_truth_of_all_prefixes_together() -> None:
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=11, system_key=KEY, history=3600.0)
    hub = emulator.hubs["ordershub"]
    async with (
        running(emulator) as url,
        collector_of(
            url,
            wall=clock.now,
            rules=replace(DEFAULT_RULES, id_prefixes=EVERYTHING),
            max_pages=1000,
        ) as (collector, _),
    ):
        assert await collector.collect_once() is None
        begin = len(hub.finishes)
        for _ in range(5):
            clock.advance(30.0)
            assert await collector.make(Sweep.ACTIVE) is None
        while await collector.make(Sweep.CENSUS) or collector._sweeps.census_is_running:
            pass
        snapshot = collector.snapshot
    assert snapshot.active is not None
    assert snapshot.retained is not None
    assert plain(snapshot.active.instances) == by_status(hub, terminal=False)
    assert plain(snapshot.retained.instances) == by_status(hub, terminal=True)
    assert sum(snapshot.counters["finished"].values()) == len(hub.finishes) - begin


async def test_entities_and_what_is_outside_come_from_a_listing_of_all() -> None:
    clock = ManualClock(START)
    emulator = sample_emulator(clock=clock, seed=11, system_key=KEY, history=3600.0)
    hub = emulator.hubs["ordershub"]
    inside = tuple(prefix for prefix in EVERYTHING if prefix != "n")
    async with (
        running(emulator) as url,
        collector_of(
            url, wall=clock.now, rules=replace(DEFAULT_RULES, id_prefixes=inside), max_pages=1000
        ) as (collector, _),
    ):
        assert await collector.collect_once() is None
        snapshot = collector.snapshot
    assert snapshot.active is not None
    assert snapshot.active.locks is None
    assert snapshot.unfiltered is not None
    assert snapshot.unfiltered.outside == sum(
        row.instance_id.startswith("n") and row.status not in TERMINAL for row in hub.instances()
    )
    assert snapshot.unfiltered.outside > 0
    assert sum(lock.locked for lock in snapshot.unfiltered.locks.values()) == 1
    assert snapshot.entities is not None
    assert snapshot.entities.entities == truth(hub).entities


async def test_no_entity_row_is_read_and_requests_do_not_grow_with_them() -> None:
    clock = ManualClock(START)
    requests = []
    for entities in (10, 5000):
        hub = with_entities(clock, entities)
        async with (
            running(Emulator(hub, clock=clock, keys=Keys(system=KEY))) as url,
            collector_of(
                url,
                wall=clock.now,
                rules=replace(DEFAULT_RULES, id_prefixes=tuple("0123456789abcdef")),
                intervals={**INTERVALS, Sweep.ENTITIES: 0.0, Sweep.CENSUS: 0.0},
            ) as (collector, _),
        ):
            assert await collector.make(Sweep.ACTIVE) is None
            before = sum(collector.snapshot.api.requests.values())
            clock.advance(30.0)
            assert await collector.make(Sweep.ACTIVE) is None
            requests.append(sum(collector.snapshot.api.requests.values()) - before)
            assert collector.snapshot.sweeps[Sweep.ACTIVE].rows == 2 * 40
    assert requests[0] == requests[1]


def with_entities(clock: ManualClock, entities: int) -> TaskHub:
    source = sample_emulator(clock=ManualClock(START), seed=3, history=600.0).hubs["ordershub"]
    row = next(row for row in source.instances() if row.status == "Running")
    hub = TaskHub("OrdersHub", clock, backend=AzureStorage(scan_rows=100))
    for number in range(40):
        hub.put(replace(row, instance_id=f"{number * 6:02x}{number:030x}"))
    for number in range(entities):
        name = f"@cart@{number:06}"
        hub.put(replace(row, instance_id=name, name=name))
    return hub
