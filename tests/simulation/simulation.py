"""A real collector on virtual time, an exporter's life with it, and the checks of every step."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from emulator.backends.backend import Backend
from exporter.api.errors import ApiError
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from exporter.ledger.rules import LedgerRules
from tests.collector.polled import INTERVALS, polled_hub
from tests.ledger.rules import DEFAULT_RULES
from tests.simulation import checks
from tests.simulation.checks import Labels, Miscounted
from tests.simulation.fault_plan import FaultPlan, Killed
from tests.simulation.memory_state import MemoryState
from tests.simulation.observer import Found, Memory, Observer
from tests.simulation.server import SimulatedClient, Traffic
from tests.simulation.world import AZURE_STORAGE, BEGIN, World

OVERLAP = 120.0
MANY = 2_000_000
# The ruler covers an hour within 32 cycles, two hours within 64.
_CYCLES_UNTIL_SETTLED = 64
_OVERLAPS_IN_REACH = 30
_INTERVALS = dict.fromkeys(INTERVALS, 600.0)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Setup:
    """
    What stays the same through a history; `skew` is the server's clock less the exporter's.

    A small `most_finishes` lets the horizon rise: what is older than the book is history too.
    `pause_rate` is how often a list that may be read in steps pauses after a page.
    """

    backend: Backend = AZURE_STORAGE
    page_size: int = 100
    latency: float = 0.0
    skew: float = 0.0
    keeps_state: bool = True
    has_census: bool = True
    fault_rate: float = 0.0
    fault_seed: int = 0
    hold: float = 0.0
    most_finishes: int = MANY
    pause_rate: float = 0.0


class Simulation:
    """
    A world, and an exporter that watches it.

    Every sweep is followed by the checks of what it published. A kill is followed by a new
    exporter, from the state if there is one.
    """

    tally: ClassVar[Counter[str]] = Counter()
    is_patient: ClassVar[bool] = False

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        setup: Setup,
        *,
        subject: type[HubCollector] = HubCollector,
        rules: LedgerRules | None = None,
        world: World | None = None,
    ) -> None:
        self.setup = setup
        self.world = world or World(setup.backend)
        self.rules = rules or replace(
            DEFAULT_RULES, overlap=OVERLAP, most_finishes=setup.most_finishes
        )
        chance = random.Random(setup.fault_seed)
        self.faults = FaultPlan(setup.fault_rate, random=chance)
        self._loop = loop
        self._subject = subject
        self._served: Counter[Labels] = Counter()
        self._earlier: list[tuple[Counter[Labels], Memory]] = []
        self._latency = setup.latency
        self._chance = random.Random(setup.fault_seed)
        self._pause_rate = setup.pause_rate
        self._horizon_rises = self.rules.most_finishes < MANY
        self._begin_anew()
        self._start()
        self.tally["histories"] += 1

    # -- the exporter --------------------------------------------------------------------------

    def make(self, sweep: Sweep) -> ApiError | None:
        """Make one sweep, or one page of the census, and check what came of it."""
        traffic = self.client.traffic = Traffic()
        memory = self.observer.now
        mark, kept = memory.mark, self.observer.kept
        self.tally[sweep.value] += 1
        try:
            error = self._run(self.collector.make(sweep))
        except Killed:
            self.restart()
            return None
        self._check(exactly=self.observer.kept > kept)
        if sweep is Sweep.ACTIVE and error is None and mark is not None:
            self._check_promise(traffic, mark)
        if sweep is Sweep.ACTIVE and self.setup.backend is AZURE_STORAGE:
            checks.check_reads(traffic, memory)
        return error

    @property
    def has_contact(self) -> bool:
        """Tell whether sweeps are made that wait for first contact."""
        return self.collector.snapshot.sweeps[Sweep.ACTIVE].completed is not None

    @property
    def census_is_running(self) -> bool:
        return self.collector._sweeps.census_is_running

    def restart(self, down: float = 0.0) -> None:
        """Kill the exporter wherever it is, and start another one."""
        self.client.is_dead = True
        self.tally["kills"] += 1
        self._note_served()
        self.world.advance(down)
        if self.setup.keeps_state:
            self.observer.lose()
        else:
            self._earlier.append((self._served, self.observer.durable))
            self._begin_anew()
        self._start()
        checks.check_not_fallen(self._served, self.collector.snapshot.counters)

    def _begin_anew(self) -> None:
        self._served = Counter()
        self.observer = Observer(self.world, self._history, horizon_rises=self._horizon_rises)
        self._state = MemoryState(self.faults, self.observer, keeps=self.setup.keeps_state)

    def _start(self) -> None:
        setup = self.setup
        self.client = SimulatedClient(
            self.world,
            self.faults,
            self.observer,
            page_size=setup.page_size,
            latency=self._latency,
            pauses=lambda: self._chance.random() < self._pause_rate,
        )
        self.collector = self._subject(
            polled_hub("simulated", _INTERVALS, counter_hold=setup.hold, max_histories_per_sweep=0),
            self.client,
            self.rules,
            wall=lambda: self.world.now - setup.skew,
            monotonic=lambda: self.world.now - BEGIN,
            state=self._state,
            # After a page of a census anything may happen.
            census_step=0.0,
        )
        try:
            self._run(self.collector.open())
        except Killed:
            self.restart()

    def _history(self) -> tuple[float | None, float | None]:
        known = self.collector._ledger.known()
        return known.baseline, known.horizon

    def _run(self, work: Coroutine[object, object, Answer]) -> Answer:
        try:
            return self._loop.run_until_complete(work)
        except BaseExceptionGroup as errors:
            if errors.split(Killed)[1] is None:
                raise Killed from errors
            raise

    # -- checks --------------------------------------------------------------------------------

    def _check(self, *, exactly: bool) -> None:
        counters = self.collector.snapshot.counters
        exactly = exactly and not self.setup.hold and not self.is_patient
        checks.check_published(counters, self.observer.durable, exactly=exactly)
        checks.check_not_fallen(self._served, counters)
        if not self._horizon_rises:
            checks.check_contact(self.observer.now, self.setup.latency)
        self._note_served()

    def _note_served(self) -> None:
        for labels, much in self.collector.snapshot.counters["finished"].items():
            self._served[labels] = max(much, self._served[labels])

    def _check_promise(self, traffic: Traffic, mark: float) -> None:
        if (
            self.setup.backend is AZURE_STORAGE
            and not traffic.cuts[Found.RECENT]
            and traffic.recent_began
            and self.collector._sweeps._finished.cursor is None
        ):
            checks.check_promise(
                self.world,
                self.observer.now,
                mark=mark,
                overlap=self.rules.overlap,
                began=traffic.recent_began,
            )

    # -- the end -------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let nothing happen any more until all that can be found must have been; check it."""
        self.quieten()
        reach = 0.0
        if not self.setup.has_census:
            reach = self.world.now - _OVERLAPS_IN_REACH * self.rules.overlap
        for sweep in (Sweep.ACTIVE, Sweep.ACTIVE, Sweep.FAILED, Sweep.FAILED):
            self._quiet(sweep)
        if self.setup.has_census:
            self._complete_census()
            self._complete_census()
        memory = self.observer.now
        for _ in range(_CYCLES_UNTIL_SETTLED):
            if not (lost := checks.missing(self.world, memory, created_from=reach)):
                break
            self._quiet(Sweep.ACTIVE)
        self._wait_for_what_is_held_back()
        counters = self.collector.snapshot.counters
        checks.check_truth(self.world, memory, lost)
        checks.check_published(counters, memory, exactly=True)
        self._check_sum()
        self.tally["finishes"] += len(self.world.finishes)
        self.tally["counted"] += len(memory.counted)

    def _wait_for_what_is_held_back(self) -> None:
        counted = -1
        while self.setup.hold and counted < len(self.observer.now.counted):
            counted = len(self.observer.now.counted)
            self.world.advance(self.setup.hold)
            self._quiet(Sweep.ACTIVE)

    def quieten(self) -> None:
        """Let nothing happen any more, and nothing go wrong."""
        self.faults.cease()
        self.world.rest()
        self._latency = self.client.latency = 0.0
        self._pause_rate = 0.0

    def _quiet(self, sweep: Sweep) -> None:
        self.world.advance(1.0)
        error = self.make(sweep)
        if error is not None:
            raise Miscounted(f"{sweep}: {error}")

    def _complete_census(self) -> None:
        self._quiet(Sweep.CENSUS)
        while self.census_is_running:
            self._quiet(Sweep.CENSUS)

    def _check_sum(self) -> None:
        """Check that exporters without a state, one after the other, count nothing twice."""
        total, twice = Counter(self._served), Counter[Labels]()
        processes = [*(memory for _, memory in self._earlier), self.observer.now]
        seen: set[int] = set()
        for memory in processes:
            for serial in memory.counted.keys() & seen:
                finish = self.world.finishes[serial]
                if finish.at < (memory.contact_began or 0.0) - 3:
                    raise Miscounted(f"counted by two processes: {finish}")
                twice[finish.name, finish.status] += 1
            seen |= memory.counted.keys()
        for served, _ in self._earlier:
            total.update(served)
        truth = Counter[Labels](
            (finish.name, finish.status) for finish in self.world.finishes.values()
        )
        for labels, much in total.items():
            if much > truth[labels] + twice[labels]:
                raise Miscounted(f"finished{labels}: {much} in all, {truth[labels]} in truth")
