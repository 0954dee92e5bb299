"""Full garbage collections run when idle, and all garbage is collected."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from emulator import running
from exporter.cli.process import collect_garbage, tuned_garbage_collection
from exporter.cli.serve import serve
from exporter.collector.service import Collector, open_collector
from exporter.diagnosis.view import blame_by_row
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.active import SpreadPairs, measure
from exporter.ledger.book import Book
from exporter.ledger.finish_windows import FinishWindows
from exporter.ledger.label_values import LabelValues
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.tracked import TrackedInstance
from exporter.metrics import catalogue as c
from exporter.metrics.family import Series, Spread
from exporter.metrics.lines import LineWriter
from exporter.settings import Settings, load_settings
from tests.cli.process import KEY, frozen_emulator
from tests.ledger.rules import DEFAULT_RULES

DICTS_REST = sys.version_info < (3, 14)
HUBS = ("OrdersHub", "BillingHub")


class Circle:
    """A reference cycle, which only the garbage collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def by_hand() -> Iterator[None]:
    """Disable automatic collections."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settings_of(url: str, *hubs: str) -> Settings:
    environ = {"LISTEN_ADDRESS": "127.0.0.1:0"}
    for hub in hubs:
        prefix = f"HUBS__{hub.upper()}__"
        environ |= {f"{prefix}URL": url, f"{prefix}TASK_HUB": hub, f"{prefix}KEY": KEY}
    return load_settings({f"DURABLE_EXPORTER_{name}": text for name, text in environ.items()})


@pytest.mark.usefixtures("by_hand")
def test_what_was_there_before_is_left_aside_and_all_else_is_looked_through() -> None:
    thresholds = gc.get_threshold()
    gc.collect()
    # Python 3.12 leaves some of its own objects aside by itself.
    aside = gc.get_freeze_count()
    before = Circle()
    old = weakref.ref(before)
    with tuned_garbage_collection():
        during = Circle()
        new = weakref.ref(during)
        count = gc.get_freeze_count()
        for _ in range(3):
            gc.collect()
            assert 0 < gc.get_freeze_count() <= count
        del before, during
        gc.collect()
        assert new() is None
        assert old() is not None
        # A full one comes by itself only after many more others than usual.
        assert gc.get_threshold()[2] > thresholds[2]
    gc.collect()
    assert old() is None
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() <= aside


@pytest.mark.anyio
@pytest.mark.usefixtures("by_hand")
async def test_a_full_round_waits_until_nobody_is_answered() -> None:
    asked: list[bool] = []
    left = weakref.ref(Circle())

    def is_idle() -> bool:
        asked.append(left() is None)
        return len(asked) == 3

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: collect_garbage(is_idle, every=0.0))
        with anyio.fail_after(60):
            while left() is not None:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert asked[:3] == [False, False, False]


@pytest.mark.anyio
@pytest.mark.usefixtures("by_hand")
async def test_a_full_round_comes_in_the_end_where_somebody_is_answered_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exporter.cli.process._IDLE_CHECK_SECONDS", 0.0)
    left = weakref.ref(Circle())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: collect_garbage(lambda: False, every=0.0))
        with anyio.fail_after(60):
            while left() is not None:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.usefixtures("by_hand")
async def test_a_full_round_frees_what_was_known_of_a_removed_hub() -> None:
    async with running(frozen_emulator(hub_names=HUBS)) as url:
        with tuned_garbage_collection():
            async with (
                open_collector(settings_of(url, *HUBS), jitter=lambda: 0.0) as collector,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(collector.run)
                await swept(collector)
                gc.collect()
                hubs = {hub.snapshot.identity.name: weakref.ref(hub) for hub in collector.hubs}
                await collector.apply(await collector.prepare(settings_of(url, HUBS[0])))
                await anyio.wait_all_tasks_blocked()
                gc.collect()
                assert [name for name, hub in hubs.items() if hub()] == ["ordershub"]
                tasks.cancel_scope.cancel()


async def swept(collector: Collector) -> None:
    with anyio.fail_after(60):
        while not all(snapshot.up for snapshot in collector.snapshots()):
            await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_the_daemon_keeps_its_full_rounds_for_rest() -> None:
    thresholds, during = gc.get_threshold(), []
    async with running(frozen_emulator(hub_names=HUBS)) as url, anyio.create_task_group() as tasks:
        settings = settings_of(url, *HUBS)

        def listening(_settings: Settings, _port: int) -> None:
            during.append((gc.get_threshold()[2] > thresholds[2], gc.get_freeze_count() > 0))
            tasks.cancel_scope.cancel()

        await serve(settings, listening=listening)
    assert during == [(True, True)]
    assert gc.get_threshold() == thresholds


def steps_of_a_round() -> int:
    """
    Return how many objects a full round looks at, each time that one leads to them counted.

    From Python 3.14 on every dict is looked through, at a tenth of a microsecond for each entry:
    there only what entries lead to counts that could be part of a circle.
    """
    gc.collect()
    return sum(
        1 + sum(gc.is_tracked(below) or DICTS_REST for below in gc.get_referents(each))
        for each in gc.get_objects()
    )


def tracked(count: int) -> object:
    return {
        f"order-{number}": TrackedInstance("Order", RuntimeStatus.RUNNING, 1.0, 2.0, number)
        for number in range(count)
    }


def finishes(count: int) -> object:
    windows = FinishWindows({})
    for second in range(count):
        windows.add(("Order", RuntimeStatus.COMPLETED.value), 10_000 + second)
    return windows, windows.view(10_000.0 + count, 0.0)


def book(count: int) -> object:
    book = Book()
    for number in range(count):
        book.add(64 * number, number)
    book.freeze(64.0 * (count + 10))
    return book


def label_sets(count: int) -> object:
    names = [f"Order{number}" for number in range(count)]
    numbers = [((name, RuntimeStatus.RUNNING), 1.0) for name in names]
    spread = Spread((1.0, 2.0), (1, 1, 1), 1.0)
    spreads = [((name, "Failed"), spread) for name in names]
    writer = LineWriter((("task_hub", "Orders"),))
    return writer, writer.write(
        [Series(c.INSTANCES, numbers), Series(c.INSTANCE_AGE, spreads=spreads)]
    )


def aggregates(count: int) -> object:
    rules = replace(DEFAULT_RULES, label_limit=2000)
    over = [TrackedInstance(f"Order{n}", RuntimeStatus.PENDING, 1.0, 2.0, 1) for n in range(count)]
    return measure(
        over,
        at=10.0,
        rules=rules,
        label_values=LabelValues(2000),
        spreads=SpreadPairs(),
        locks=None,
    )


def blames(count: int) -> object:
    wait = Wait(WaitingOn.ACTIVITY, "Charge", 1.0)
    return {
        f"order-{number}": blame_by_row(f"order-{number}", "Order", wait) for number in range(count)
    }


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("work", [tracked, finishes, book, label_sets, aggregates, blames])
def test_what_there_is_most_of_is_no_work_for_the_collector(work: Callable[[int], object]) -> None:
    with tuned_garbage_collection():
        kept = [work(1)]
        before = steps_of_a_round()
        kept.append(work(1000))
        assert steps_of_a_round() - before < 200
