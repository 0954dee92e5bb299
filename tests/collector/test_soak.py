"""Thousands of cycles with names and ids that never come again: nothing grows."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
import structlog

from exporter.api import times
from exporter.api.query import EntityQuery, InstanceQuery, Query
from exporter.api.times import format_shown_time
from exporter.api.wire import EntityId, EntityRow, InstanceRow, InstanceStatus
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger import unresolved
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from tests.api.paged import ClientOfPages, MadePage
from tests.collector.polled import polled_hub
from tests.ledger.rules import DEFAULT_RULES

pytestmark = [pytest.mark.anyio, pytest.mark.nightly]

START = 1_795_428_000.0
Row = TypeVar("Row", InstanceRow, EntityRow)
CYCLE_SECONDS = 300.0
CYCLES = 2000
ALIVE = 500
LABELS = 50
# What is remembered is full within a few cycles, and what is kept of a day within 288, so that all
# the others show whether it grows.
FAILED_LOOKBACK = 12 * CYCLE_SECONDS
FAILURES_KEPT = 2_000
FINISHES_KEPT = 20_000
TIMES_KEPT = 64


class Churn(ClientOfPages):
    """A hub in which every instance, orchestrator and entity class lives for one cycle."""

    def __init__(self) -> None:
        super().__init__("churn")
        self.cycle = 0

    @property
    def now(self) -> float:
        return START + self.cycle * CYCLE_SECONDS

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        rows = self.entities() if isinstance(query, EntityQuery) else self.instances(query)
        return MadePage(rows, date=self.now, seconds=0.01)

    def instances(self, query: Query[Any]) -> Sequence[InstanceRow]:
        assert isinstance(query, InstanceQuery)
        if query.id_prefix:
            return []
        if "Running" in query.statuses:
            return self.rows(self.cycle, "Running")
        ended = self.rows(self.cycle - 1, "Failed" if self.cycle % 2 else "Completed")
        return [row for row in ended if (row.runtime_status or "") in query.statuses]

    def entities(self) -> Sequence[EntityRow]:
        moment = format_shown_time(self.now)
        return [
            EntityRow(EntityId(f"class{self.cycle}x{number}", str(number)), moment)
            for number in range(100)
        ]

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        return None

    def rows(self, cycle: int, status: str) -> list[InstanceRow]:
        begin = format_shown_time(START + cycle * CYCLE_SECONDS)
        return [
            InstanceRow(
                f"{cycle:08x}{number:024x}", f"Step{cycle}of{number % 40}", status, begin, begin
            )
            for number in range(ALIVE)
        ]


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Thousands of cycles write no logs."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def objects() -> int:
    """Return how many blocks of memory the objects take that somebody still refers to."""
    gc.collect()
    return sys.getallocatedblocks()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def test_two_thousand_cycles_leave_memory_labels_and_tasks_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unresolved, "_MOST_KEPT", FAILURES_KEPT)
    monkeypatch.setattr(times, "_MOST_TIMES", TIMES_KEPT)
    monkeypatch.setattr(times, "_MOST_MINUTES", TIMES_KEPT)
    client = Churn()
    wall: Callable[[], float] = lambda: client.now  # noqa: E731 - a clock
    inputs = polled_hub("churn", counter_hold=0.0, max_histories_per_sweep=0)
    rules = replace(
        DEFAULT_RULES,
        label_limit=LABELS,
        reason_limit=LABELS,
        failed_lookback=FAILED_LOOKBACK,
        most_finishes=FINISHES_KEPT,
    )
    collector = HubCollector(inputs, client, rules, wall=wall, monotonic=wall)
    exposition = Exposition()
    bytes_held: list[list[int]] = [[], [], [], []]
    objects_held: list[list[int]] = [[], [], [], []]
    tasks = len(asyncio.all_tasks())
    for cycle in range(CYCLES):
        client.cycle = cycle
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            assert await collector.make(sweep) is None
        if cycle % 20 == 0:
            text = exposition.body([collector.snapshot], client.now, Format.CLASSIC).text
            bytes_held[cycle * 4 // CYCLES].append(resident())
            objects_held[cycle * 4 // CYCLES].append(objects())
    await anyio.lowlevel.checkpoint()

    known = collector.snapshot.known
    assert len(known.orchestrators) == len(known.entities) == LABELS + 1
    assert len(asyncio.all_tasks()) == tasks
    assert len(text) < 2_000_000
    second, last = (max(bytes_held[quarter]) for quarter in (1, 3))
    assert last <= 1.05 * second, f"{second:,} bytes grew to {last:,}"
    # What is kept of each cycle, if it were a single object, would be one for each since then.
    second, last = (max(objects_held[quarter]) for quarter in (1, 3))
    assert last - second < CYCLES / 4, f"{second:,} objects grew to {last:,}"
    assert collector.snapshot.counters["finished"]["_other", "Failed"] > 100_000
