"""What a real hub did, watched at several cadences while requests fail and exporters are killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from emulator.timelines import read_timeline
from exporter.collector.snapshot import Sweep
from tests.simulation import checks
from tests.simulation.mutants import without_ruler
from tests.simulation.replay import Watch, replayed
from tests.simulation.simulation import Simulation

RECORDED = Path(__file__).parents[1] / "data" / "recordings" / "v3"
# The recorded hubs lived for 73 and 379 s: the shorter one is watched with a shorter overlap too.
FLOW = read_timeline(RECORDED / "flow.json")
CRASH = read_timeline(RECORDED / "crash.json")
TIMELINES = {"flow": (FLOW, 10.0), "crash": (CRASH, 120.0)}
CADENCES = (1.0, 5.0, 15.0)


def replay(
    loop: asyncio.AbstractEventLoop, name: str, every: float, census_every: float, seed: int
) -> Counter[str]:
    """Replay, settle, and return how many finishes there were, and how many were counted."""
    timeline, overlap = TIMELINES[name]
    watch = Watch(every, census_every, overlap=overlap, seed=seed)
    simulation = replayed(loop, timeline, watch)
    simulation.settle()
    return Counter(
        finishes=len(simulation.world.finishes),
        counted=sum(simulation.collector.snapshot.counters["finished"].values()),
        observed=len(simulation.observer.now.counted),
    )


@pytest.mark.parametrize("name", TIMELINES)
@pytest.mark.parametrize(("every", "census_every"), [(5.0, 0.0), (15.0, 60.0)])
def test_finishes_of_a_recorded_hub_are_those_that_could_be_observed(
    loop: asyncio.AbstractEventLoop, name: str, every: float, census_every: float
) -> None:
    found = replay(loop, name, every, census_every, seed=1)
    assert found["counted"] == found["observed"]
    assert found["counted"] > 0.6 * found["finishes"]


@pytest.mark.nightly
def test_finishes_of_a_recorded_hub_are_exact_in_168_replays(
    loop: asyncio.AbstractEventLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    total: Counter[str] = Counter()
    Simulation.tally.clear()
    for name, every, census_every, seed in product(TIMELINES, CADENCES, (0.0, 60.0), range(14)):
        total += replay(loop, name, every, census_every, seed)
        total["replays"] += 1
    with capsys.disabled():
        print(f"\n{dict(total)}, {Simulation.tally['kills']} kills")  # noqa: T201 - the result
    assert total["replays"] == 168
    assert total["counted"] == total["observed"]


@pytest.mark.parametrize("every", CADENCES[1:])
def test_a_fixed_overlap_would_have_missed_finishes_of_the_crash(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    without_ruler(monkeypatch)
    simulation = replayed(loop, CRASH, Watch(every, kills=0, failing=0.0))
    simulation.quieten()
    for _ in range(3):
        assert simulation.make(Sweep.ACTIVE) is None
    missed = checks.missing(simulation.world, simulation.observer.now, created_from=0.0)
    print(f"every {every:g} s: {len(missed)} of {len(simulation.world.finishes)} missed")  # noqa: T201
    assert missed
