"""Histories of a hub and of an exporter that watches it, as a state machine of hypothesis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from hypothesis import HealthCheck, Phase, currently_in_test_context, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from tests.simulation.fault_plan import FAILURES, CommitFault, Fault
from tests.simulation.simulation import MANY, Setup, Simulation
from tests.simulation.workload import EVENTS, Workload, new_id
from tests.simulation.world import AZURE_STORAGE, SQL

SETUPS = st.builds(
    Setup,
    backend=st.sampled_from([AZURE_STORAGE, AZURE_STORAGE, SQL]),
    page_size=st.sampled_from([100, 1, 2, 3, 7]),
    latency=st.sampled_from([0.0, 0.05, 0.3, 2.0]),
    skew=st.sampled_from([0.0, 0.6, -60.0, 60.0, 200.0, -200.0]),
    keeps_state=st.sampled_from([True, True, True, False]),
    has_census=st.booleans(),
    fault_rate=st.sampled_from([0.0, 0.0, 0.05, 0.1, 0.3]),
    fault_seed=st.integers(0, 2**16),
    hold=st.sampled_from([0.0] * 9 + [120.0]),
    most_finishes=st.sampled_from([MANY] * 9 + [6]),
    pause_rate=st.sampled_from([0.0, 0.0, 0.3, 0.8]),
)
WAITS = st.sampled_from([30.0, 0.0, 0.1, 1.0, 5.0, 30.0, 30.0, 150.0])
FAULTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([*FAILURES, *Fault])), max_size=2)
SEEDS = st.integers(0, 2**20)
WHICH = st.integers(0, 30)


class Histories(RuleBasedStateMachine):
    """What happens in the hub, to requests, and to the exporter, in any order."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    subject: ClassVar[type[HubCollector]] = HubCollector

    def __init__(self) -> None:
        super().__init__()
        self.simulation: Simulation | None = None
        self.has_failed = False

    @initialize(
        setup=SETUPS,
        seed=SEEDS,
        lateness=st.sampled_from([30.0, 300.0, 3600.0]),
        lives=st.integers(0, 12),
    )
    def open(self, setup: Setup, seed: int, lateness: float, lives: int) -> None:
        self.lateness = lateness
        self.simulation = Simulation(self.loop, setup, subject=self.subject)
        Workload(self.simulation.world, seed, lateness).plan(lives, 100.0)
        self.simulation.world.advance(200.0)
        self._make(Sweep.ACTIVE)

    @rule(seed=SEEDS, lives=st.integers(1, 8), spread=st.sampled_from([0.0, 5.0, 60.0, 300.0]))
    def bustle(self, seed: int, lives: int, spread: float) -> None:
        Workload(self.now.world, seed, self.lateness).plan(lives, spread)

    @rule(event=st.sampled_from(EVENTS), which=WHICH)
    def happen(self, event: Callable[..., None], which: int) -> None:
        instance_id = self._pick(which)
        if instance_id is not None:
            event(self.now.world, instance_id)

    @rule(wait=WAITS, faults=FAULTS, times=st.integers(1, 4))
    def sweep(self, wait: float, faults: list[tuple[int, Fault]], times: int) -> None:
        self.now.faults.plan(faults)
        for _ in range(times):
            self.now.world.advance(wait)
            self._make(Sweep.ACTIVE)

    @rule(wait=WAITS, faults=FAULTS)
    def look_for_failures(self, wait: float, faults: list[tuple[int, Fault]]) -> None:
        self.now.world.advance(wait)
        self.now.faults.plan(faults)
        if self.now.has_contact:
            self._make(Sweep.FAILED)

    @rule(wait=WAITS, faults=FAULTS, pages=st.integers(1, 6))
    def count_retained(self, wait: float, faults: list[tuple[int, Fault]], pages: int) -> None:
        self.now.world.advance(wait)
        self.now.faults.plan(faults)
        self._count_pages(pages)

    @rule(
        swept=st.sampled_from([(True, True, True), (True, False, True), (False, True, True)]),
        end=st.sampled_from(["Completed", "Failed"]),
    )
    def rewind_within_a_second(self, swept: tuple[bool, bool, bool], end: str) -> None:
        world, client = self.now.world, self.now.client
        instance_id = new_id(world, 0)
        world.start(instance_id)
        client.latency = 0.0
        events = (
            partial(world.finish, instance_id, "Failed"),
            partial(world.rewind, instance_id),
            partial(world.finish, instance_id, end),
        )
        for event, is_swept in zip(events, swept, strict=True):
            event()
            if is_swept:
                self._make(Sweep.ACTIVE)
        client.latency = self.now.setup.latency

    @rule(wait=WAITS, times=st.integers(1, 3), seed=SEEDS)
    def only_active_lists_work(self, wait: float, times: int, seed: int) -> None:
        self.now.faults.recent_lists_fail = True
        for _ in range(times):
            Workload(self.now.world, seed, self.lateness).plan(3, wait)
            self.now.world.advance(wait)
            self._make(Sweep.ACTIVE)
        self.now.faults.recent_lists_fail = False

    @rule(pages=st.integers(1, 2), more=st.integers(0, 3))
    def restart_during_a_census(self, pages: int, more: int) -> None:
        world, client = self.now.world, self.now.client
        if not self.now.setup.has_census or not self.now.has_contact:
            return
        instance_id = new_id(world, 0)
        world.start(instance_id)
        world.finish(instance_id)
        self._count_pages(20 if self.now.census_is_running else 0)
        client.page_size = max(1, sum(1 for _ in world.finished_rows()) - 1)
        self._count_pages(pages)
        self._make(Sweep.ACTIVE)
        world.restart(instance_id)
        self._make(Sweep.ACTIVE)
        self._count_pages(more)
        self.now.client.page_size = self.now.setup.page_size

    @rule(pages=st.integers(1, 4), fault=st.sampled_from([Fault.CUT_EMPTY, Fault.CUT]))
    def end_a_list_early(self, pages: int, fault: Fault) -> None:
        world, client = self.now.world, self.now.client
        for group in range(5):
            world.start(new_id(world, group))
        self._make(Sweep.ACTIVE)
        world.advance(1.0)
        client.page_size = 1
        self.now.faults.plan([(pages, fault)])
        self._make(Sweep.ACTIVE)
        client.page_size = self.now.setup.page_size

    @rule(late=st.sampled_from([10.0, 200.0, 900.0, 2400.0]), stale=st.sampled_from([0.0, 0.9]))
    def show_a_row_late(self, late: float, stale: float) -> None:
        world = self.now.world
        child, created = f"{new_id(world, 2)}:0", world.now - late
        updated = world.now - late * stale
        world.appear(child, "Ship", created=created, updated=updated, status="Completed")

    @rule(wait=st.sampled_from([300.0, 900.0, 1800.0]))
    def stay_away(self, wait: float) -> None:
        self.now.world.advance(wait)

    @rule(seconds=st.sampled_from([5.0, 40.0]), lists=st.booleans())
    def restart_the_host(self, seconds: float, lists: bool) -> None:
        faults = self.now.faults
        faults.restarting_until = self.now.world.now + seconds
        faults.lists_meanwhile = lists
        self._make(Sweep.ACTIVE)

    @rule(wait=WAITS, fault=st.sampled_from(list(CommitFault)))
    def fail_to_commit(self, wait: float, fault: CommitFault) -> None:
        world = self.now.world
        world.advance(wait)
        instance_id = new_id(world, 1)
        world.start(instance_id)
        world.finish(instance_id)
        self.now.faults.commits.append(fault)
        self._make(Sweep.ACTIVE)

    @rule(down=st.sampled_from([0.0, 5.0, 60.0, 1000.0]))
    def kill(self, down: float) -> None:
        self._checked(lambda simulation: simulation.restart(down))

    def teardown(self) -> None:
        if self.simulation is not None and not self.has_failed:
            self._checked(lambda simulation: simulation.settle())

    @property
    def now(self) -> Simulation:
        assert self.simulation is not None
        return self.simulation

    def _count_pages(self, most: int) -> None:
        """Read pages of a census until it ends, at most some; the first begins it."""
        for _ in range(most):
            if self.now.setup.has_census and self.now.has_contact:
                self._make(Sweep.CENSUS)
            if not self.now.census_is_running:
                return

    def _pick(self, which: int) -> str | None:
        ids = [instance_id for instance_id in self.now.world.ids_stored() if instance_id[:1] != "@"]
        return ids[which % len(ids)] if ids else None

    def _make(self, sweep: Sweep) -> None:
        self._checked(lambda simulation: simulation.make(sweep))

    def _checked(self, step: Callable[[Simulation], object]) -> None:
        try:
            step(self.now)
        except BaseException:
            self.has_failed = True
            if currently_in_test_context():
                note("\n".join(["", "What happened in the hub:", *self.now.world.events]))
            raise


def prove(
    loop: asyncio.AbstractEventLoop,
    histories: int,
    *,
    begin: int = 0,
    steps: int = 20,
    shrinks: bool = True,
) -> Counter[str]:
    """
    Run a number of histories of up to *steps*; returns their tally.

    The same *begin* gives the same histories. Raises what the first failing one raises, in its
    shortest form if it *shrinks*.
    """

    @seed(begin)
    class Begun(Histories):
        """The histories of this seed."""

    Simulation.tally.clear()
    Begun.loop = loop
    run_state_machine_as_test(
        Begun,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Simulation.tally.copy()


def summary(tally: Counter[str]) -> str:
    """Return the tally in words."""
    steps = sum(tally[sweep] for sweep in ("active", "failed", "census"))
    return (
        f"{tally['histories']} histories, {steps} sweeps, {tally['kills']} kills,"
        f" {tally['finishes']} finishes, {tally['counted']} of them observable and counted"
    )
