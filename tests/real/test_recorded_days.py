"""The exporter follows what real hubs went through, as it was recorded, with trouble added."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio
import pytest

from emulator import Emulator, Fault, FaultKind, ManualClock, RealClock, TaskHub, running
from emulator.timelines import Timeline, read_timeline, replay_timeline
from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.api.transport import HubConnections
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.collector.state import Owner
from exporter.collector.state_file import StateFile
from tests.collector.polled import polled_hub
from tests.ledger.rules import DEFAULT_RULES
from tests.real.chaos import FAILING_SHARE, HUB, Scene, chaos
from tests.real.counted import ACCOUNTS, FINISHED, nonzero
from tests.real.daemon import kill_at_request
from tests.real.polling import poll
from tests.real.traffic import finishes_of
from tests.real.trouble import EVERY_FAULT, ShuffledFaults
from tests.real.witness import Witness
from tests.recorded import RECORDINGS

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

FLOW, CRASH = (RECORDINGS / "v3" / name for name in ("flow.json", "crash.json"))
START = 1_795_428_000.0
PATIENT = {"OVERLAP": "2m", "LOOKBACK": "2h"}
REQUESTS_BEFORE_A_KILL = (5, 40)

log = logging.getLogger(__name__)


async def replay_to_the_end(scene: Scene, timeline: Timeline, kills: int, chance: Random) -> None:
    """Show a timeline to an exporter that is killed a few times meanwhile."""
    begin = scene.hub.clock.now()
    replay_timeline(scene.hub, timeline, begin)
    scene.faults.rate = FAILING_SHARE
    for _ in range(kills):
        async with scene.daemon.alive() as program:
            count = chance.randint(*REQUESTS_BEFORE_A_KILL)
            await kill_at_request(program, scene.faults, count)

    async def seconds_left() -> float:
        return begin + timeline.seconds - scene.hub.advance()

    await poll(seconds_left, lambda left: left < 0, within=2 * timeline.seconds)
    scene.faults.rate = 0.0


async def follow(directory: Path, path: Path, *, speed: float, kills: int, seed: int) -> None:
    timeline = read_timeline(path)
    async with chaos(directory, seed=seed, clock=RealClock(speed), settings=PATIENT) as scene:
        async with scene.daemon.alive() as program:
            await scene.contact()
            await program.kill()
        await replay_to_the_end(scene, timeline, kills, Random(seed))
        async with scene.daemon.alive():
            truth = finishes_of(scene.hub)
            end = await scene.until_shown(truth)
            assert nonzero(await end.increase(FINISHED)) == truth
            for family in ACCOUNTS:
                assert await end.increase(family) == await end.shown(family), family
        log.info("%s: %d finishes, %d requests", path.stem, truth.total(), scene.faults.requests)


@pytest.mark.usefixtures("prometheus_at_hand")
class TestDaemon:
    """Nothing in this recording was replaced before it could be read: all finishes count."""

    async def test_a_crash_of_the_host_and_late_rows_lose_nothing(self, tmp_path: Path) -> None:
        await follow(tmp_path, CRASH, speed=40.0, kills=5, seed=1)

    @pytest.mark.nightly
    @pytest.mark.parametrize("seed", range(100, 103))
    async def test_neither_do_they_at_an_eighth_of_the_speed_and_with_many_kills(
        self, tmp_path: Path, seed: int
    ) -> None:
        await follow(tmp_path, CRASH, speed=5.0, kills=20, seed=seed)


# The witness reads every answer to its end, and does not judge rows by what was asked for.
BEYOND_THE_WITNESS = (FaultKind.HUGE, FaultKind.DROPPED_FILTER)
BRISK = tuple(
    Fault(kind=fault.kind, seconds=fault.seconds if fault.kind is FaultKind.CLOCK_SKEW else 0.01)
    for fault in EVERY_FAULT
    if fault.kind not in BEYOND_THE_WITNESS
)


@dataclass
class Observatory:
    """A hub on a clock that the test moves, and what a witness hears beside the collector."""

    hub: TaskHub
    clock: ManualClock
    faults: ShuffledFaults
    witness: Witness
    url: str
    folder: Path
    _written: tuple[int, int] = (0, 0)

    @asynccontextmanager
    async def collector(self) -> AsyncIterator[HubCollector]:
        """Start a collector that goes on from the state of the one before."""
        owner = Owner(HUB, self.url, HUB, "")
        state = StateFile(self.folder, owner, max_age=1e9, wall=self.clock.now)
        async with aclosing(HubConnections(self.witness, connect_seconds=1.0)) as http:
            client = HubClient(
                HUB,
                HubAddress(f"{self.url}/runtime/webhooks/durabletask", HUB),
                http=http,
                key=KeySource(),
                retry=RetryPolicy(2, 0.01, 0.02),
                limits=RequestLimits(0.3, 100, 200),
                host=HostSlots().of("http://hub", 4),
                bodies=BodyBudget(),
            )
            collector = HubCollector(
                polled_hub(HUB.lower(), task_hub=HUB, counter_hold=0.0, max_histories_per_sweep=0),
                client,
                DEFAULT_RULES,
                wall=self.clock.now,
                monotonic=self.clock.now,
                state=state,
            )
            try:
                await collector.open()
                yield collector
            finally:
                state.close()

    async def make(self, collector: HubCollector, sweep: Sweep) -> None:
        """Make a sweep to its end."""
        await collector.make(sweep)
        self._keep_what_is_durable()

    async def make_a_part(self, collector: HubCollector, sweep: Sweep, requests: int) -> None:
        """Make a sweep, but be killed at one of its requests if there are so many."""
        async with anyio.create_task_group() as tasks:

            async def kill() -> None:
                await self.faults.more_requests(requests)
                tasks.cancel_scope.cancel()

            tasks.start_soon(kill)
            await collector.make(sweep)
            tasks.cancel_scope.cancel()
        self._keep_what_is_durable()
        self.witness.forget()

    def _keep_what_is_durable(self) -> None:
        (path,) = self.folder.glob("*.state")
        found = path.stat()
        written = (found.st_ino, found.st_mtime_ns)
        if written != self._written:
            self._written = written
            self.witness.keep()


@asynccontextmanager
async def observatory(directory: Path, seed: int) -> AsyncIterator[Observatory]:
    clock = ManualClock(START)
    hub = TaskHub(HUB, clock)
    hub.faults = faults = ShuffledFaults(seed, BRISK)
    witness = Witness()
    async with running(Emulator(hub, clock=clock)) as url, witness:
        yield Observatory(hub, clock, faults, witness, url, directory)


async def one_life(scene: Observatory, chance: Random, pause: float) -> None:
    """Let a collector make some sweeps, and die in the last of them."""
    async with scene.collector() as collector:
        for _ in range(chance.randint(1, 20)):
            scene.clock.advance(chance.uniform(0.0, 2 * pause))
            (sweep,) = chance.choices((Sweep.ACTIVE, Sweep.FAILED, Sweep.CENSUS), (8, 1, 1))
            await scene.make(collector, sweep)
        scene.clock.advance(chance.uniform(0.0, 2 * pause))
        await scene.make_a_part(collector, Sweep.ACTIVE, chance.randint(1, 6))


async def last_life(scene: Observatory) -> dict[tuple[str, ...], int]:
    """Let a collector look at everything in peace; returns its counters of finishes."""
    async with scene.collector() as collector:
        for sweep in (Sweep.ACTIVE, Sweep.ACTIVE, Sweep.FAILED):
            await scene.make(collector, sweep)
        for _ in range(100):
            await scene.make(collector, Sweep.CENSUS)
            if collector.snapshot.sweeps[Sweep.CENSUS].results["complete"]:
                break
        return {
            pair: count for pair, count in collector.snapshot.counters["finished"].items() if count
        }


async def observe(directory: Path, path: Path, *, seed: int, pause: float) -> Observatory:
    """Follow a timeline with about *pause* seconds between sweeps, which fail and are cut short."""
    timeline, chance, lives = read_timeline(path), Random(seed), 0
    async with observatory(directory, seed) as scene:
        async with scene.collector() as collector:
            await scene.make(collector, Sweep.ACTIVE)
        scene.clock.advance(2.0)
        end = scene.clock.now() + timeline.seconds
        replay_timeline(scene.hub, timeline, scene.clock.now())
        scene.faults.rate = FAILING_SHARE
        while scene.clock.now() <= end:
            await one_life(scene, chance, pause)
            lives += 1
        scene.faults.rate = 0.0
        assert await last_life(scene) == dict(scene.witness.memory.counts)
        log.info(
            "%s, seed %d: %d of %d finishes were observable, %d lives, %d requests, %d failed",
            path.stem,
            seed,
            scene.witness.memory.counts.total(),
            finishes_of(scene.hub).total(),
            lives,
            scene.faults.requests,
            scene.faults.struck_by.total(),
        )
        return scene


class TestObservable:
    """Rows are replaced and purged between sweeps: what a witness could hear is what counts."""

    @pytest.mark.parametrize("seed", [1, 2])
    async def test_restarts_rewinds_and_purges(self, tmp_path: Path, seed: int) -> None:
        scene = await observe(tmp_path, FLOW, seed=seed, pause=0.7)
        assert scene.witness.memory.counts <= finishes_of(scene.hub)

    async def test_a_crash_of_which_everything_can_be_observed(self, tmp_path: Path) -> None:
        scene = await observe(tmp_path, CRASH, seed=1, pause=5.0)
        assert scene.witness.memory.counts == finishes_of(scene.hub)

    @pytest.mark.nightly
    @pytest.mark.parametrize("path", [FLOW, CRASH], ids=lambda path: path.stem)
    @pytest.mark.parametrize("pause", [0.3, 2.0, 20.0])
    @pytest.mark.parametrize("seed", range(100, 105))
    async def test_any_pauses(self, tmp_path: Path, path: Path, seed: int, pause: float) -> None:
        scene = await observe(tmp_path, path, seed=seed, pause=pause)
        assert scene.witness.memory.counts <= finishes_of(scene.hub)
