"""Hubs that come, go and change while others are polled: nobody else notices, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import anyio
import pytest

from emulator import Emulator, ManualClock, running, sample_emulator
from emulator.task_hub import finishes_between
from exporter.collector.hub import HubCollector
from exporter.collector.service import Collector, open_collector
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.collector.state_database import StateDatabase
from exporter.collector.state_file import stem_of
from exporter.settings import Settings, load_settings

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
KEY = "k3y"
NAMES = ("OrdersHub", "BillingHub", "ThirdHub")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running(emulator_of()) as url:
        yield url


def emulator_of(clock: ManualClock | None = None) -> Emulator:
    clock = clock or ManualClock(START)
    return sample_emulator(clock=clock, seed=7, hub_names=NAMES, system_key=KEY, history=600.0)


def settings_of(url: str, *hubs: str, **more: str) -> Settings:
    """Return settings for hubs by their task hubs' names; *more* as variables."""
    environ = {
        "INTERVALS__ACTIVE": "0.1s",
        "COUNTER_HOLD": "0",
        **{f"HUBS__{hub.upper()}__URL": url for hub in hubs},
        **{f"HUBS__{hub.upper()}__TASK_HUB": hub for hub in hubs},
        **{f"HUBS__{hub.upper()}__KEY": KEY for hub in hubs},
        **more,
    }
    return load_settings({f"DURABLE_EXPORTER_{name}": value for name, value in environ.items()})


@asynccontextmanager
async def polling(settings: Settings, clock: ManualClock | None = None) -> AsyncIterator[Collector]:
    wall = clock.now if clock else time.time
    async with (
        open_collector(settings, wall=wall, as_daemon=True) as collector,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(collector.run)
        yield collector
        tasks.cancel_scope.cancel()


def shown(collector: Collector) -> dict[str, HubSnapshot]:
    return {snapshot.identity.name: snapshot for snapshot in collector.snapshots()}


def sweeps(collector: Collector, hub: str) -> int:
    return shown(collector)[hub].sweeps[Sweep.ACTIVE].results["complete"]


def errors_of_state(collector: Collector, hub: str) -> Mapping[str, int]:
    use = shown(collector)[hub].state
    assert use is not None
    return use.errors


def of_hub(collector: Collector, name: str) -> HubCollector:
    (found,) = [hub for hub in collector.hubs if hub.snapshot.identity.name == name]
    return found


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def change(collector: Collector, settings: Settings) -> None:
    await collector.apply(await collector.prepare(settings))


def finishes(collector: Collector, hub: str) -> Mapping[tuple[str, ...], int]:
    return shown(collector)[hub].counters["finished"]


def counted(collector: Collector, hub: str) -> dict[tuple[str, ...], int]:
    return {pair: count for pair, count in finishes(collector, hub).items() if count}


class TestHubsThatStay:
    async def test_they_keep_their_task_and_what_is_shown(self, url: str) -> None:
        async with polling(settings_of(url, "OrdersHub", "BillingHub")) as collector:
            await until(lambda: sweeps(collector, "ordershub") > 0)
            before, collected = shown(collector)["ordershub"], of_hub(collector, "ordershub")
            await change(collector, settings_of(url, "OrdersHub", "ThirdHub"))
            assert of_hub(collector, "ordershub") is collected
            assert sweeps(collector, "ordershub") >= before.sweeps[Sweep.ACTIVE].results["complete"]
            assert shown(collector).keys() == {"ordershub", "thirdhub"}
            await until(lambda: sweeps(collector, "thirdhub") > 0)

    async def test_the_same_settings_change_nothing(self, url: str) -> None:
        async with polling(settings_of(url, *NAMES)) as collector:
            before = list(collector.hubs)
            changed = await collector.apply(await collector.prepare(settings_of(url, *NAMES)))
            assert list(collector.hubs) == before
        assert (changed.added, changed.removed, changed.changed, changed.keys) == ([], [], [], [])

    async def test_what_is_made_ready_and_dropped_disturbs_nobody(self, url: str) -> None:
        async with polling(settings_of(url, "OrdersHub")) as collector:
            before = list(collector.hubs)
            await collector.discard(await collector.prepare(settings_of(url, *NAMES)))
            assert list(collector.hubs) == before
            await until(lambda: sweeps(collector, "ordershub") > 2)


class TestChangedHubs:
    async def test_another_change_before_it_has_gone_on_loses_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = ManualClock(START)
        async with (
            running(emulator_of(clock)) as url,
            polling(settings_of(url, "OrdersHub"), clock) as collector,
        ):
            await until(lambda: sweeps(collector, "ordershub") > 1)
            baseline = shown(collector)["ordershub"].known.baseline
            clock.advance(600.0)
            with monkeypatch.context() as slow:
                slow.setattr(HubCollector, "open", lambda _: anyio.sleep_forever())
                await change(collector, settings_of(url, "OrdersHub", MAX_PAGE_SIZE="50"))
            await change(collector, settings_of(url, "OrdersHub", MAX_PAGE_SIZE="60"))
            after = collector.hubs[0]
            await until(lambda: after.snapshot.up)
            assert after.snapshot.known.baseline == baseline

    @pytest.mark.parametrize("with_state", [False, True], ids=["no state", "state"])
    async def test_it_goes_on_from_what_was_known(
        self, url: str, tmp_path: Path, with_state: bool
    ) -> None:
        state = {"STATE_DIR": str(tmp_path)} if with_state else {}
        async with polling(settings_of(url, "OrdersHub", **state)) as collector:
            await until(lambda: sweeps(collector, "ordershub") > 1)
            before = shown(collector)["ordershub"]
            await change(collector, settings_of(url, "OrdersHub", MAX_PAGE_SIZE="50", **state))
            assert shown(collector)["ordershub"].up
            assert finishes(collector, "ordershub") == before.counters["finished"]
            after = collector.hubs[0]
            await until(lambda: after.snapshot.up)
            assert after.snapshot.known.baseline == before.known.baseline
            assert finishes(collector, "ordershub") == before.counters["finished"]
            if with_state:
                use = after.snapshot.state
                assert use is not None
                assert not any(use.errors.values())

    async def test_no_finish_is_lost_or_doubled_whatever_changes(self, tmp_path: Path) -> None:
        clock = ManualClock(START)
        emulator = emulator_of(clock)
        state = {"STATE_DIR": str(tmp_path)}
        async with (
            running(emulator) as url,
            polling(settings_of(url, "OrdersHub", **state), clock) as collector,
        ):
            await until(lambda: any(finishes(collector, "ordershub").keys()))
            highest: dict[tuple[str, ...], int] = {}
            for turn in range(60):
                clock.advance(10.0)
                size = str(20 + turn % 7)
                await change(collector, settings_of(url, "OrdersHub", MAX_PAGE_SIZE=size, **state))
                now = finishes(collector, "ordershub")
                assert all(now[pair] >= count for pair, count in highest.items())
                highest = dict(now)
            finished = finishes_between(emulator.hubs["ordershub"], START, clock.now())
            expected = {pair: count for pair, count in finished.items() if count}
            await until(lambda: counted(collector, "ordershub") == expected)
            seen = sweeps(collector, "ordershub")
            await until(lambda: sweeps(collector, "ordershub") > seen + 2)
            assert counted(collector, "ordershub") == expected
        assert sum(expected.values()) > 50

    async def test_another_hub_under_the_same_name_begins_anew(
        self, url: str, tmp_path: Path
    ) -> None:
        state = {"STATE_DIR": str(tmp_path)}
        first = settings_of(url, "OrdersHub", **state)
        async with polling(first) as collector:
            await until((tmp_path / f"{stem_of('ordershub')}.state").exists)
            other = settings_of(url, "OrdersHub", HUBS__ORDERSHUB__TASK_HUB="BillingHub", **state)
            await change(collector, other)
            assert shown(collector)["ordershub"].identity.hub_name == "BillingHub"
            await until(lambda: sweeps(collector, "ordershub") > 0)
            use = shown(collector)["ordershub"].state
        assert use is not None
        assert use.errors["foreign"] == 1

    async def test_a_state_that_cannot_be_written_shows_nothing_that_is_not_kept(
        self, url: str, tmp_path: Path
    ) -> None:
        state = {"STATE_DIR": str(tmp_path)}
        async with polling(settings_of(url, "OrdersHub", **state)) as collector:
            await until(lambda: sweeps(collector, "ordershub") > 0)
            before = shown(collector)["ordershub"].counters
            with patch.object(StateDatabase, "write", side_effect=OSError(28, "full")):
                await change(collector, settings_of(url, "OrdersHub", MAX_PAGE_SIZE="50", **state))
                await until(lambda: errors_of_state(collector, "ordershub")["write"] > 0)
                assert shown(collector)["ordershub"].counters["finished"] == before["finished"]

    async def test_buckets_are_those_of_the_new_settings(self, url: str) -> None:
        async with polling(settings_of(url, "OrdersHub")) as collector:
            await until(lambda: sweeps(collector, "ordershub") > 0)
            await change(collector, settings_of(url, "OrdersHub", BUCKETS__AGE="1s,5s"))
            await until(lambda: shown(collector)["ordershub"].age_bounds == (1.0, 5.0))
            assert shown(collector)["ordershub"].up


class TestRemovedHubs:
    async def test_what_it_left_is_put_out_of_the_way(self, url: str, tmp_path: Path) -> None:
        """Whoever polls it next counts what this state does not know."""
        state = {"STATE_DIR": str(tmp_path)}
        path = tmp_path / f"{stem_of('billinghub')}.state"
        both = settings_of(url, "OrdersHub", "BillingHub", **state)
        async with polling(both) as collector:
            await until(path.exists)
            await change(collector, settings_of(url, "OrdersHub", **state))
            await until(lambda: not path.exists())
            assert path.with_suffix(".aside").exists()
            await change(collector, both)
            await until(lambda: sweeps(collector, "billinghub") > 0)
            use = shown(collector)["billinghub"].state
        assert use is not None
        assert not any(use.errors.values())

    async def test_one_that_never_answers_is_stopped_at_once(self, url: str) -> None:
        settings = settings_of(
            url, "OrdersHub", HUBS__SILENT__URL="https://192.0.2.1", HUBS__SILENT__PROXY=url
        )
        async with polling(settings) as collector:
            with anyio.fail_after(30):
                await change(collector, settings_of(url, "OrdersHub"))
            assert shown(collector).keys() == {"ordershub"}


class TestShards:
    async def test_only_the_hubs_of_the_shard_are_polled(self, url: str) -> None:
        names = []
        for index in range(2):
            settings = settings_of(url, *NAMES, SHARD=f"{index}/2")
            async with open_collector(settings, as_daemon=True) as collector:
                names += list(shown(collector))
        assert sorted(names) == sorted(name.lower() for name in NAMES)

    async def test_a_shard_that_gets_a_hub_back_does_not_count_what_another_has_counted(
        self, tmp_path: Path
    ) -> None:
        """Three shards, then four, then three again."""
        clock = ManualClock(START)
        emulator = emulator_of(clock)
        async with running(emulator) as url:
            moving = next(name for name in (f"h{n}" for n in range(1000)) if moves(url, name))
            hub = {f"HUBS__{moving.upper()}__TASK_HUB": "OrdersHub"}
            hub |= {f"HUBS__{moving.upper()}__{key}": value for key, value in of(url).items()}
            index = holder(url, moving, 3)
            state = {"STATE_DIR": str(tmp_path), **hub}
            path = tmp_path / f"{stem_of(moving)}.state"

            async with polling(settings_of(url, SHARD=f"{index}/3", **state), clock) as collector:
                await until(path.exists)
                assert (shown(collector)[moving].known.baseline or 0.0) <= START
            clock.advance(600.0)
            async with polling(settings_of(url, SHARD=f"{index}/4", **state), clock) as collector:
                assert moving not in shown(collector)
                await until(lambda: not path.exists())
            async with polling(settings_of(url, SHARD=f"{index}/3", **state), clock) as collector:
                await until(lambda: sweeps(collector, moving) > 0)
                assert (shown(collector)[moving].known.baseline or 0.0) > START + 590.0
                counts = sum(counted(collector, moving).values())
            truth = emulator.hubs["ordershub"]
        meanwhile = sum(finishes_between(truth, START, START + 590.0).values())
        assert meanwhile > 50
        assert counts <= sum(finishes_between(truth, START + 590.0, clock.now()).values())


def of(url: str) -> dict[str, str]:
    return {"URL": url, "KEY": KEY}


def holder(url: str, name: str, count: int) -> int:
    hub = {f"HUBS__{name.upper()}__URL": url}
    held = [bool(settings_of(url, SHARD=f"{i}/{count}", **hub).own_hubs) for i in range(count)]
    return held.index(True)


def moves(url: str, name: str) -> bool:
    return holder(url, name, 4) == 3
