"""Requests fail in every way and the exporter is killed again and again: no finish is lost."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from random import Random

import pytest

from emulator import FaultKind, Instance, RuntimeStatus
from tests.real.chaos import FAILING_SHARE, Scene, chaos
from tests.real.counted import (
    ACCOUNTS,
    CREATED,
    FAILURES,
    FINISHED,
    REASONS,
    VANISHED,
    Counted,
    Labels,
    counted,
    nonzero,
)
from tests.real.daemon import kill_at_request
from tests.real.polling import poll
from tests.real.traffic import BRIEF, Traffic, failures_of, finishes_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.proof,
    pytest.mark.usefixtures("prometheus_at_hand"),
]

RATE = 200.0
REQUESTS_BEFORE_A_KILL = (5, 50)
REQUESTS_BEFORE_A_SHOT = (1, 10)
MOST_ATTEMPTS = 10

log = logging.getLogger(__name__)


class Moment(Enum):
    """When the exporter is killed."""

    ANY = "at a request"
    COMMITTED = "after a commit"
    COMMITTING = "while a commit is being written"
    STARTING = "while all of the state is being written"


def moments(times: int) -> tuple[Moment, ...]:
    """Return ten moments, so many times each."""
    some = (Moment.ANY, Moment.COMMITTED, Moment.COMMITTING)
    return (*some * 2, Moment.ANY, Moment.ANY, Moment.COMMITTED, Moment.STARTING) * times


async def kill_repeatedly(scene: Scene, moments: Sequence[Moment], seed: int) -> Counter[Moment]:
    """Start the exporter and kill it, once for each moment, in an order left to chance."""
    chance = Random(f"kills/{seed}")
    killed = Counter[Moment]()
    for moment in chance.sample(moments, len(moments)):
        for _ in range(MOST_ATTEMPTS):
            if await kill_once(scene, moment, chance):
                break
        else:
            pytest.fail(f"{MOST_ATTEMPTS} kills missed the moment {moment.value}")
        killed[moment] += 1
    return killed


async def kill_once(scene: Scene, moment: Moment, chance: Random) -> bool:
    """Let one exporter live for a while; tells whether it was killed at the moment itself."""
    async with scene.daemon.alive() as program:
        if moment is Moment.ANY:
            count = chance.randint(*REQUESTS_BEFORE_A_KILL)
            await kill_at_request(program, scene.faults, count)
            return True
        if moment is Moment.STARTING:
            return await scene.files.kill_while_writing_all(program)
        await scene.until_growing()
        await scene.faults.more_requests(chance.randint(*REQUESTS_BEFORE_A_SHOT))
        if moment is Moment.COMMITTING:
            return await scene.files.kill_while_committing(program)
        await scene.files.kill_after_committing(program)
        return True


async def meet(scene: Scene) -> float:
    """
    Make the first contact while the hub is empty and nothing fails: nothing is history.

    Prometheus, which takes its time, scrapes from then on. Returns when it was.
    """
    async with scene.daemon.alive() as program:
        contact = await scene.contact()
        await program.kill()
    return contact


async def assert_all_is_counted_once(scene: Scene, end: Counted) -> None:
    finishes = {pair: float(count) for pair, count in finishes_of(scene.hub).items()}
    assert nonzero(await end.shown(FINISHED)) == finishes
    assert nonzero(await end.increase(FINISHED)) == finishes
    starts = Counter((start.name,) for start in scene.hub.starts)
    assert nonzero(await end.shown(CREATED)) == starts
    assert set((await end.shown(VANISHED)).values()) == {0.0}


async def assert_failures_are_the_failed_finishes(scene: Scene, end: Counted) -> None:
    failed = {
        name: count
        for (name, status), count in finishes_of(scene.hub).items()
        if status == RuntimeStatus.FAILED
    }
    for family in (FAILURES, REASONS):
        by_orchestrator = Counter[str]()
        for labels, count in (await end.increase(family)).items():
            by_orchestrator[labels[1 if family == FAILURES else -1]] += round(count)
        assert +by_orchestrator == failed
    reasons = {labels[::-1][:2]: count for labels, count in (await end.shown(REASONS)).items()}
    assert reasons == failures_of(scene.hub)


async def assert_prometheus_saw_every_increment(end: Counted) -> None:
    for family in ACCOUNTS:
        assert set((await end.resets(family)).values()) <= {0.0}, family
        assert await end.increase(family) == await end.shown(family), family


async def whole_run(scene: Scene, moments: Sequence[Moment], seed: int, rate: float = RATE) -> None:
    await meet(scene)
    traffic = Traffic(scene.hub, seed=seed, rate=rate)
    traffic.begin()
    scene.faults.rate = FAILING_SHARE
    killed = await kill_repeatedly(scene, moments, seed)
    traffic.end()
    async with scene.daemon.alive():
        await scene.until_over(traffic)
        scene.faults.rate = 0.0
        end = await scene.until_shown(finishes_of(scene.hub))
        await assert_all_is_counted_once(scene, end)
        await assert_failures_are_the_failed_finishes(scene, end)
        await assert_prometheus_saw_every_increment(end)
    assert killed == Counter(moments)
    assert set(scene.faults.struck_by) == set(FaultKind)
    log.info(
        "seed %d: %d lives, killed %s, %d requests, of which failed %s, %d finishes",
        seed,
        scene.daemon.lives,
        {moment.value: count for moment, count in killed.items()},
        scene.faults.requests,
        {kind.value: count for kind, count in scene.faults.struck_by.items()},
        sum(finishes_of(scene.hub).values()),
    )


@pytest.mark.parametrize("seed", [1])
async def test_every_finish_is_counted_once_whatever_fails_and_whenever_it_is_killed(
    tmp_path: Path, seed: int
) -> None:
    async with chaos(tmp_path, seed=seed) as scene:
        await whole_run(scene, moments(1), seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [100])
async def test_every_finish_is_counted_once_through_a_hundred_kills(
    tmp_path: Path, seed: int
) -> None:
    async with chaos(tmp_path, seed=seed) as scene:
        # The longer a listing, the likelier it fails as a whole: fewer rows for a longer run.
        await whole_run(scene, moments(10), seed, rate=RATE / 4)


@dataclass(frozen=True)
class Life:
    """One of several exporters without a state, which was killed at a moment left to chance."""

    begin: float
    end: float
    baseline: float

    async def shown(self, scene: Scene) -> dict[Labels, float]:
        """Return the last that Prometheus saw of its finishes."""
        until = Counted(scene.prometheus, scene.daemon.address, self.end)
        return await until.last(FINISHED, self.begin)

    def possible(self, scene: Scene) -> Counter[Labels]:
        """Count the finishes that it may have counted: neither history nor of the time after it."""
        return Counter(
            (finish.name, finish.status.value)
            for finish in scene.hub.finishes
            if int(finish.updated) >= self.baseline and finish.visible <= self.end
        )


async def short_life(scene: Scene, chance: Random, after: float) -> Life:
    """Let an exporter make contact with a busy hub in peace, then go on through trouble."""
    begin = time.time()
    async with scene.daemon.alive() as program:
        baseline = await scene.contact(after)
        await scene.prometheus.wait_until(f"sum({FINISHED}) > 0")
        scene.faults.rate = FAILING_SHARE
        await kill_at_request(program, scene.faults, chance.randint(*REQUESTS_BEFORE_A_KILL))
        scene.faults.rate = 0.0
    return Life(begin, time.time(), baseline)


async def hurry(scene: Scene, seed: int) -> None:
    """Let a few hundred instances live and finish."""
    begin = len(scene.hub.finishes)
    traffic = Traffic(scene.hub, seed=seed, rate=RATE, kinds=BRIEF)
    traffic.begin()

    async def happened() -> int:
        return finishes_of(scene.hub, begin).total()

    await poll(happened, lambda count: count > RATE, within=120.0)
    traffic.end()
    await scene.until_over(traffic)


def straggle(scene: Scene, life: int) -> None:
    """Let twenty instances run, for as long as nobody catches them."""
    now = scene.hub.clock.now()
    for number in range(20):
        scene.hub.put(
            Instance(
                instance_id=f"straggler-{life}-{number}",
                name="Straggler",
                status=RuntimeStatus.RUNNING,
                created=now,
                updated=now,
            )
        )


def catch(scene: Scene, life: int, numbers: Iterable[int]) -> None:
    """Let some of these instances finish."""
    now = scene.hub.clock.now()
    for number in numbers:
        row = scene.hub.get(f"straggler-{life}-{number}")
        assert isinstance(row, Instance)
        scene.hub.put(replace(row, status=RuntimeStatus.COMPLETED, updated=now))


class TestWithoutState:
    """Each start begins anew, and says so: what finished meanwhile is missing, nothing is twice."""

    @pytest.mark.nightly
    async def test_nothing_is_counted_twice_over_all_lives(self, tmp_path: Path) -> None:
        async with chaos(tmp_path, seed=2, keeps_state=False) as scene:
            after = await meet(scene)
            traffic = Traffic(scene.hub, seed=2, rate=RATE)
            traffic.begin()
            chance = Random("lives without state")
            lives: list[Life] = []
            for _ in range(5):
                lives.append(await short_life(scene, chance, after))
                after = lives[-1].baseline
            traffic.end()
            async with scene.daemon.alive():
                await scene.contact(lives[-1].baseline)
                await scene.until_over(traffic)
                end = await counted(scene.prometheus, scene.daemon.address)
                in_all = Counter(await end.last(FINISHED, lives[-1].end))
                grown = await end.increase(FINISHED)
            for life in lives:
                shown, possible = await life.shown(scene), life.possible(scene)
                assert all(count <= possible[pair] for pair, count in shown.items())
                in_all.update(shown)
            assert grown == dict(in_all)
            truth = finishes_of(scene.hub)
            assert all(count <= truth[pair] for pair, count in grown.items())
            assert 0 < sum(grown.values()) < truth.total()

    async def test_what_finished_between_two_lives_is_missing_and_nothing_else(
        self, tmp_path: Path
    ) -> None:
        async with chaos(tmp_path, seed=3, keeps_state=False) as scene:
            baseline = await meet(scene)
            straggle(scene, life=0)
            seen, missing = Counter[Labels](), Counter[Labels]()
            for life in range(2):
                async with scene.daemon.alive() as program:
                    baseline = await scene.contact(after=baseline)
                    begin = len(scene.hub.finishes)
                    catch(scene, life, range(10, 20))
                    scene.faults.rate = FAILING_SHARE
                    await hurry(scene, seed=2 * life)
                    scene.faults.rate = 0.0
                    seen += finishes_of(scene.hub, begin)
                    await scene.until_shown(finishes_of(scene.hub, begin))
                    await program.kill()
                begin = len(scene.hub.finishes)
                straggle(scene, life + 1)
                catch(scene, life + 1, range(10))
                await hurry(scene, seed=2 * life + 1)
                missing += finishes_of(scene.hub, begin)
            async with scene.daemon.alive():
                await scene.contact(after=baseline)
                end = await scene.until_shown({})
                # What ended with the life before is extrapolated by half a scrape interval.
                rounded = ("Doomed", "Terminated")
                grown = nonzero(await end.increase(FINISHED))
                grown[rounded] = round(grown[rounded])
            assert missing["Straggler", "Completed"] == 20
            assert grown == seen == finishes_of(scene.hub) - missing
