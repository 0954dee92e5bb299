"""Recorded timelines of the real extension, watched by the real collector on virtual time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from functools import partial

from emulator.timelines import Change, Timeline
from exporter.collector.snapshot import Sweep
from tests.ledger.rules import DEFAULT_RULES
from tests.simulation.fault_plan import FAILURES, CommitFault, Fault
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.world import World

_KILLS = (CommitFault.KILL_BEFORE, CommitFault.KILL_AFTER)


@dataclass(frozen=True, slots=True)
class Watch:
    """How a timeline is watched: seconds between sweeps, between censuses (0: none), and so on."""

    every: float
    census_every: float = 0.0
    overlap: float = 120.0
    failing: float = 0.2
    kills: int = 10
    seed: int = 0


def replayed(loop: asyncio.AbstractEventLoop, timeline: Timeline, watch: Watch) -> Simulation:
    """Return a simulation in which a timeline has passed; it has not settled."""
    world = World(now=timeline.begin)
    setup = Setup(
        has_census=watch.census_every > 0,
        page_size=50,
        latency=0.01,
        fault_seed=watch.seed,
    )
    rules = replace(DEFAULT_RULES, overlap=watch.overlap, lookback=60 * watch.overlap)
    simulation = Simulation(loop, setup, rules=rules, world=world)
    # What finishes later than this first contact, which nothing disturbs, is to be counted.
    simulation.make(Sweep.ACTIVE)
    simulation.faults.rate, simulation.faults.kinds = watch.failing, FAILURES
    for change in timeline.changes:
        world.after(change.at, partial(_apply, world, change))
    for down, up in timeline.down:
        until = timeline.begin + up
        world.after(down, partial(setattr, simulation.faults, "down_until", until))
    _watch(simulation, watch, timeline.begin + timeline.seconds)
    return simulation


def _apply(world: World, change: Change) -> None:
    row = change.row
    if row is None:
        world.purge(change.instance_id)
    else:
        world.show(
            row.instance_id,
            row.name,
            row.status.value,
            created=row.created,
            updated=row.updated,
        )


def _watch(simulation: Simulation, watch: Watch, until: float) -> None:
    world = simulation.world
    chance = random.Random(watch.seed)
    begin = world.now
    sweeps = int((until - begin) / watch.every) + 1
    kills = [chance.randrange(1, sweeps) for _ in range(watch.kills)]
    census_due = begin + watch.census_every if watch.census_every else float("inf")
    for number in range(1, sweeps):
        world.advance(max(0.0, begin + number * watch.every - world.now))
        for _ in range(kills.count(number)):
            _plan_a_kill(simulation, chance)
        simulation.make(Sweep.ACTIVE)
        if world.now >= census_due and simulation.has_contact:
            simulation.make(Sweep.CENSUS)
            if not simulation.census_is_running:
                census_due += watch.census_every
    world.advance(max(0.0, until + 0.01 - world.now))


def _plan_a_kill(simulation: Simulation, chance: random.Random) -> None:
    if chance.random() < 0.5:
        simulation.faults.plan([(chance.randrange(6), Fault.KILL)])
    else:
        simulation.faults.commits.append(chance.choice(_KILLS))
