"""The histories that break other ways to count, one by one, before the real collector."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from emulator.backends.backend import Backend
from exporter.collector.snapshot import Sweep
from tests.simulation.fault_plan import CommitFault, Fault, Killed
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.world import AZURE_STORAGE, SQL

Watch = Callable[..., Simulation]


@pytest.fixture
def watch(loop: asyncio.AbstractEventLoop) -> Watch:
    """Return a function that begins a simulation and makes first contact with those *before*."""

    def begin(*before: str, age: float = 600.0, **setup: object) -> Simulation:
        simulation = Simulation(loop, Setup(**setup))  # type: ignore[arg-type] # as each test says
        for instance_id in before:
            simulation.world.start(instance_id)
        simulation.world.advance(age)
        assert simulation.make(Sweep.ACTIVE) is None
        return simulation

    return begin


def finishes(simulation: Simulation) -> dict[str, int]:
    """Return what is shown as finished by status, without the zeros."""
    return shown(simulation, "finished", 1)


def shown(simulation: Simulation, family: str, label: int = 0) -> dict[str, int]:
    series = simulation.collector.snapshot.counters[family]
    return {labels[label]: count for labels, count in series.items() if count}


def sweep(simulation: Simulation, *, wait: float = 30.0) -> None:
    simulation.world.advance(wait)
    assert simulation.make(Sweep.ACTIVE) is None


def census(simulation: Simulation) -> None:
    simulation.make(Sweep.CENSUS)
    while simulation.census_is_running:
        simulation.make(Sweep.CENSUS)


def test_counted_then_killed_then_restarted_then_listed_again_by_the_census(watch: Watch) -> None:
    simulation = watch("a", "b", page_size=1)
    for instance_id in "ab":
        simulation.world.finish(instance_id)
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 2}

    simulation.restart(down=60.0)
    sweep(simulation)
    census(simulation)

    assert finishes(simulation) == {"Completed": 2}


def test_killed_before_the_state_was_written_nothing_was_published_that_the_restart_lacks(
    watch: Watch,
) -> None:
    simulation = watch(*"abcde")
    for instance_id in "abcde":
        simulation.world.finish(instance_id)
    simulation.faults.commits.append(CommitFault.KILL_BEFORE)
    before = simulation.collector

    simulation.make(Sweep.ACTIVE)

    assert simulation.collector is not before
    assert not any(before.snapshot.counters["finished"].values())
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 5}


def test_recent_lists_fail_five_times_while_active_lists_succeed(watch: Watch) -> None:
    simulation = watch(has_census=False)
    simulation.faults.recent_lists_fail = True
    simulation.world.after(100.0, lambda: simulation.world.start("y"))
    simulation.world.after(110.0, lambda: simulation.world.finish("y"))
    for _ in range(5):
        simulation.world.advance(300.0)
        assert simulation.make(Sweep.ACTIVE) is not None
    simulation.faults.recent_lists_fail = False
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 1}


def test_finished_before_first_contact_and_reached_by_a_later_look_back(watch: Watch) -> None:
    simulation = watch("a", age=10.0, page_size=1)
    other = Simulation(simulation._loop, Setup(), world=simulation.world)
    simulation.world.finish("a")
    simulation.world.advance(70.0)
    for _ in range(8):
        sweep(other)
    census(other)
    assert finishes(other) == {}


def test_a_census_shows_a_finish_and_the_id_is_restarted_before_the_census_ends(
    watch: Watch,
) -> None:
    simulation = watch("z", page_size=1)
    world = simulation.world
    world.finish("z")
    world.start("a")
    world.finish("a")
    simulation.make(Sweep.CENSUS)
    assert simulation.census_is_running
    sweep(simulation)
    world.restart("a")
    sweep(simulation)
    census(simulation)
    assert finishes(simulation) == {"Completed": 2}

    world.finish("a")
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 3}


def test_an_id_restarted_every_half_minute_under_a_long_census(watch: Watch) -> None:
    simulation = watch("a", *(f"z{number:03}" for number in range(70)), page_size=1)
    world = simulation.world
    for number in range(70):
        world.finish(f"z{number:03}")
    for _ in range(60):
        world.finish("a")
        simulation.make(Sweep.CENSUS)
        sweep(simulation, wait=15.0)
        world.restart("a")
        sweep(simulation, wait=15.0)
    assert finishes(simulation) == {"Completed": 70 + 60}


def test_two_lists_are_never_in_flight_at_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = watch(*(f"a{number}" for number in range(9)), page_size=2, latency=3.0)
    world, client = simulation.world, simulation.client
    page, until = client._page_of, world.now + 3600.0
    in_flight, pages = [0], [0]

    async def watched_page(*arguments: object) -> object:
        in_flight[0] += 1
        pages[0] += 1
        assert in_flight[0] == 1
        if world.now > until:
            raise Killed
        await anyio.lowlevel.checkpoint()
        found = await page(*arguments)  # type: ignore[arg-type] # handed on
        in_flight[0] -= 1
        return found

    async def sleep(seconds: float) -> None:
        world.advance(seconds)

    monkeypatch.setattr(client, "_page_of", watched_page)
    monkeypatch.setattr(anyio, "sleep", sleep)
    for number in range(9):
        world.after(number * 300.0, partial(world.finish, f"a{number}"))
    with pytest.raises(Killed):
        simulation._run(simulation.collector.run())
    assert pages[0] > 40
    assert finishes(simulation) == {"Completed": 9}


def test_the_host_answers_404_for_ten_seconds_while_it_restarts(watch: Watch) -> None:
    simulation = watch("a", "b", "c", age=9000.0)
    world, faults = simulation.world, simulation.faults
    for lists in (False, True):
        faults.restarting_until, faults.lists_meanwhile = world.now + 10.0, lists
        world.finish("b" if lists else "a")
        world.advance(1.0)
        simulation.make(Sweep.ACTIVE)
        world.advance(20.0)
        sweep(simulation)
    assert shown(simulation, "vanished") == {}
    assert finishes(simulation) == {"Completed": 2}


def test_a_read_finds_nothing_and_the_second_opinion_fails(watch: Watch) -> None:
    simulation = watch("a", age=9000.0)
    simulation.world.finish("a")
    simulation.faults.plan([(1, Fault.FALSE_404), (2, Fault.UNAVAILABLE)])
    sweep(simulation)
    assert simulation.client.traffic.reads == 2
    assert shown(simulation, "vanished") == {}
    assert finishes(simulation) == {"Completed": 1}


def test_rows_appear_in_a_crash_loop_with_a_last_updated_time_many_minutes_old(
    watch: Watch,
) -> None:
    simulation = watch(has_census=False)
    world = simulation.world
    for _ in range(33):
        sweep(simulation)
    scheduled = world.now - 900.0
    world.appear("p:1", "Ship", created=scheduled, updated=scheduled + 5.0, status="Completed")
    for _ in range(32):
        sweep(simulation)
    assert finishes(simulation) == {"Completed": 1}


@pytest.mark.parametrize("skew", [-60.0, 60.0, -200.0, 200.0])
def test_the_clock_of_the_exporter_is_minutes_off(watch: Watch, skew: float) -> None:
    simulation = watch(skew=skew, has_census=False)
    world = simulation.world
    for number in range(100):
        world.after(number * 7.0, partial(world.start, f"a{number}"))
        world.after(number * 7.0 + 2, partial(world.finish, f"a{number}"))
    for _ in range(25):
        sweep(simulation)
    assert finishes(simulation) == {"Completed": 100}


def test_rows_ten_to_forty_minutes_late_after_a_long_outage(watch: Watch) -> None:
    simulation = watch(has_census=False)
    world = simulation.world
    simulation.faults.down_until = world.now + 1800.0
    for late in range(10, 41):
        appears = 1800.0 + 30.0 * (late - 10)
        created = world.now + appears - 60.0 * late
        appear = partial(
            world.appear,
            f"p:{late}",
            "Ship",
            created=created,
            updated=world.now + appears,
            status="Completed",
        )
        world.after(appears, appear)
    for _ in range(6):
        world.advance(300.0)
        simulation.make(Sweep.ACTIVE)
    for _ in range(32 + 90):
        sweep(simulation)
    assert finishes(simulation) == {"Completed": 31}


@pytest.mark.parametrize("backend", [AZURE_STORAGE, SQL], ids=lambda each: each.name)
def test_failed_rewound_and_completed_within_one_second(watch: Watch, backend: Backend) -> None:
    simulation = watch(backend=backend)
    world = simulation.world
    world.start("a")
    world.finish("a", "Failed")
    sweep(simulation, wait=0.1)
    world.rewind("a")
    world.finish("a", "Completed")
    sweep(simulation, wait=0.1)
    assert finishes(simulation) == {"Failed": 1, "Completed": 1}
    assert len({int(finish.at) for finish in world.finishes.values()}) == 1


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_EMPTY])
def test_a_list_ends_early_with_status_200_and_no_token(watch: Watch, fault: Fault) -> None:
    ids = [f"a{number:03}" for number in range(300)]
    simulation = watch(*ids, page_size=10)
    world = simulation.world
    world.finish("a299")
    world.advance(30.0)
    simulation.faults.plan([(3, fault)])

    assert simulation.make(Sweep.ACTIVE) is None

    assert simulation.client.traffic.active_lists == 2
    assert simulation.client.traffic.reads == 1
    view = simulation.collector.snapshot.active
    assert view is not None
    assert sum(view.instances.values()) == 299
    assert finishes(simulation) == {"Completed": 1}
    assert shown(simulation, "vanished") == {}


def test_active_at_first_contact_and_finished_before_the_first_census_reaches_it(
    watch: Watch,
) -> None:
    simulation = watch("a", "b", age=90_000.0, page_size=1)
    simulation.world.finish("b")
    census(simulation)
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 1}


def test_a_read_answers_unknown_then_active_again(watch: Watch) -> None:
    simulation = watch("a", "b", "c", "d", page_size=2)
    world, faults = simulation.world, simulation.faults
    world.finish("a")
    world.advance(30.0)
    faults.plan([(2, Fault.UNKNOWN)])
    assert simulation.make(Sweep.ACTIVE) is None
    assert shown(simulation, "finished") == shown(simulation, "vanished") == {}

    world.finish("b")
    world.restart("b")
    faults.plan([(0, Fault.CUT)])
    sweep(simulation)
    sweep(simulation)
    assert finishes(simulation) == {"Completed": 1}
    assert shown(simulation, "vanished") == {}
