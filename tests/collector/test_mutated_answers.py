"""Whatever an app answers, nothing crashes, the other hubs are shown, and memory is bounded."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest
import structlog

from exporter.api.errors import ApiError
from exporter.collector.events import HubEvents
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger.ledger import Ledger
from exporter.ledger.records import Unsaved
from exporter.ledger.state import decoded, healed
from tests.collector.mutating import MutatedHub, Mutator
from tests.collector.polled import polled_hub
from tests.ledger.rules import DEFAULT_RULES
from tests.metrics.snapshots import busy_snapshot
from tests.web.looking import app_of

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
LIMITS = dict.fromkeys(("pending", "idle", "age"), 600.0)
RULES = replace(DEFAULT_RULES, limits=LIMITS, label_limit=50, reason_limit=50)
MOST_GROWTH = 96 << 20


class Clock:
    """The exporter's own, which goes on from cycle to cycle."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def collector_of(client: MutatedHub, clock: Clock) -> HubCollector:
    inputs = polled_hub("mutated", counter_hold=0.0, max_histories_per_sweep=3)
    return HubCollector(inputs, client, RULES, wall=clock.now, monotonic=clock.now)


async def check_shown(collector: HubCollector, clock: Clock) -> None:
    """Everything answers, and shows the hub whose answers are right as if it were alone."""
    hubs = [busy_snapshot("healthy"), collector.snapshot]
    transport = httpx.ASGITransport(app_of(lambda: hubs, clock.now))
    alone = httpx.ASGITransport(app_of(lambda: hubs[:1], clock.now))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://all") as client,
        httpx.AsyncClient(transport=alone, base_url="http://one") as single,
    ):
        for path in ("/", "/hubs/healthy", "/hubs/mutated", "/api/v1/hubs", "/api/v1/hubs/mutated"):
            assert (await client.get(path)).status_code == 200, path
        for kind in ("text/plain", "application/openmetrics-text"):
            shown = await client.get("/metrics", headers={"accept": kind})
            wanted = await single.get("/metrics", headers={"accept": kind})
            assert of_healthy(wanted.text) <= of_healthy(shown.text)


def of_healthy(text: str) -> set[str]:
    return {line for line in text.splitlines() if 'task_hub="healthy"' in line}


def check_state(collector: HubCollector, clock: Clock) -> None:
    """What is kept can be read again, and is the same."""
    unsaved = Unsaved.take(collector._ledger.records, whole=True)
    kept = decoded(unsaved.encoded())
    assert kept == collector._ledger.saved()
    Ledger(RULES, healed(kept, clock.now()))


async def feed(seed: int, answers: int) -> HubCollector:
    """Poll until there were so many answers; nothing may be raised but errors of the API."""
    clock = Clock()
    client = MutatedHub(Mutator(Random(seed), clock.now))
    collector = collector_of(client, clock)
    highest: dict[tuple[str, ...], int] = {}
    cycle = 0
    while client.answers < answers:
        cycle += 1
        clock.at += 30.0
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            error = await collector.make(sweep)
            assert error is None or isinstance(error, ApiError)
        finished = dict(collector.snapshot.counters["finished"])
        assert all(finished[labels] >= count for labels, count in highest.items())
        highest = finished
        if cycle % 100 == 0:
            await check_shown(collector, clock)
            check_state(collector, clock)
    return collector


@pytest.fixture(autouse=True)
def _no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def crashed(_: HubEvents, event: str) -> None:
        raise AssertionError(event)

    monkeypatch.setattr(HubEvents, "crashed", crashed)


async def test_ten_thousand_answers_crash_nothing_and_hide_no_other_hub() -> None:
    before = resident()
    collector = await feed(seed=1, answers=10_000)
    assert collector.snapshot.sweeps[Sweep.ACTIVE].results["complete"] > 100
    assert resident() - before < MOST_GROWTH


@pytest.mark.nightly
async def test_a_million_answers_do_not_either() -> None:
    before = resident()
    for seed in range(2, 12):
        await feed(seed=seed, answers=100_000)
    assert resident() - before < MOST_GROWTH
