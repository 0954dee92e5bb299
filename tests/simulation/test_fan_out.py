"""A crash in the middle of a large fan-out, without a census: nothing lost, and not much read."""

from __future__ import annotations

import asyncio
from functools import partial

from exporter.collector.snapshot import Sweep
from tests.simulation.observer import Found
from tests.simulation.simulation import OVERLAP, Setup, Simulation

CHILDREN = 1000
INTERVAL = 30.0
# Look-backs of 120 s to 7,200 s: the overlap, and six doublings of it.
LEVELS = 6
CYCLES = 256


def test_a_thousand_late_rows_are_counted_once_and_listed_again_a_bounded_number_of_times(
    loop: asyncio.AbstractEventLoop,
) -> None:
    simulation = Simulation(loop, Setup(has_census=False))
    world = simulation.world
    world.start("parent", "Parent")
    simulation.make(Sweep.ACTIVE)
    world.advance(10.0)
    scheduled = world.now
    for number in range(CHILDREN):
        late = 60.0 + 300.0 * number / CHILDREN
        appear = partial(
            world.appear,
            f"execution:{number:04}",
            "Child",
            created=scheduled,
            updated=scheduled + late - (50.0 if number % 3 else 0.0),
            status="Failed" if number % 10 == 0 else "Completed",
        )
        world.after(late, appear)
    world.after(400.0, partial(world.finish, "parent"))
    simulation.faults.down_until = world.now + 55.0

    listed = 0
    for _ in range(CYCLES):
        world.advance(INTERVAL)
        simulation.make(Sweep.ACTIVE)
        listed += simulation.client.traffic.rows[Found.RECENT]

    counters = simulation.collector.snapshot.counters
    assert counters["finished"]["Child", "Completed"] == 900
    assert counters["finished"]["Child", "Failed"] == 100
    assert counters["finished"]["Parent", "Completed"] == 1
    # A row is listed by the cycle that follows it, and again as often as the mean look-back,
    # (1 + n/2) overlaps, has intervals; each of the n levels may meet it once more by chance.
    mean_look_back = (1 + LEVELS / 2) * OVERLAP
    times = 1 + mean_look_back / INTERVAL + LEVELS
    print(f"{listed / CYCLES:.0f} rows a cycle, {times * CHILDREN / CYCLES:.0f} at most")  # noqa: T201
    assert CHILDREN <= listed <= times * (CHILDREN + 1)
    simulation.settle()
