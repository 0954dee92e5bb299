"""The task of one hub: sweeps when they are due, publishes what they found, survives failures."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.telemetry import LIST_ENTITIES, LIST_INSTANCES
from exporter.collector.budget import PageBudget
from exporter.collector.clock import ServerClock
from exporter.collector.events import (
    DIAGNOSIS_CRASHED,
    STATE_CRASHED,
    SWEEP_CRASHED,
    HubEvents,
)
from exporter.collector.fair_share import ProcessLimits
from exporter.collector.hub_diagnosis import HubDiagnosis
from exporter.collector.plan import HubPlan
from exporter.collector.records import SweepRecord, result_of, trouble_of, use_of
from exporter.collector.schedule import (
    DUTY_SHARE,
    Cadence,
    pause_after,
    spare_seconds,
    step_end,
)
from exporter.collector.snapshot import (
    HubSnapshot,
    Sweep,
    SweepResult,
    SweepState,
)
from exporter.collector.state import HubState, NoState, StateNotWritten
from exporter.collector.sweeps import HubSweeps, TooManyActive
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import (
    ActiveView,
    CountersView,
    EntityView,
    FinishedView,
    UnfilteredView,
)
from exporter.ledger.state import LedgerState

_PAUSE_WITHOUT_BUDGET = 60.0
_REST_OF_CENSUS = 60.0
# How often it shows while a sweep is under way what was read.
_SHOW_SECONDS = 1.0

Found = TypeVar("Found")


class HubCollector:
    """
    Polls one hub.

    `snapshot` is what is published: it is replaced by one assignment, never changed, and
    *listener* is told. *wall* tells the time that is shown; the schedule follows *monotonic*,
    which never jumps. *state* keeps the ledger over restarts; without it each start begins anew.
    *limits* are those that it shares with other hubs.
    """

    def __init__(
        self,
        plan: HubPlan,
        client: HubClient,
        rules: LedgerRules,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float] = anyio.current_time,
        listener: Callable[[HubSnapshot], None] = lambda _: None,
        state: HubState | None = None,
        limits: ProcessLimits | None = None,
    ) -> None:
        self._plan = plan
        self._client = client
        self._telemetry = client.telemetry
        self._wall = wall
        self._monotonic = monotonic
        self._listener = listener
        self._clock = ServerClock(wall, monotonic)
        self._state = state or NoState()
        self._rules = rules
        self._limits = limits or ProcessLimits()
        self._is_open = False
        self._go_on_from(Ledger(rules))
        self._records = {sweep: SweepRecord(Cadence(plan.intervals[sweep])) for sweep in Sweep}
        self._census_due = math.inf
        self._step_ends = math.inf
        self._entities_listed: EntityView | None = None
        self._sweep = Sweep.ACTIVE
        self._shown = -math.inf
        self._budget = PageBudget(plan.page_budget)
        self._skipped: set[Sweep] = set()
        self._diagnosis = HubDiagnosis(client, rules, plan.history_budget)
        self._events = HubEvents(plan.identity.name)
        self.snapshot = HubSnapshot(
            identity=plan.identity,
            up=False,
            stale_after=plan.stale_after,
            age_bounds=rules.age_bounds,
            duration_bounds=rules.duration_bounds,
            sweeps=self._states(),
            counters=CountersView(),
            known=self._ledger.known(),
            api=use_of(self._telemetry),
            state=self._state.use,
        )

    def _go_on_from(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sweeps = HubSweeps(
            self._client,
            ledger,
            self._clock,
            entity_names=self._plan.entity_names,
            limits=self._limits,
            came=self._page_came,
        )

    async def open(self) -> None:
        """Take up the ledger where it was left, and publish what it holds."""
        self._go_on_from(await self._state.open(self._rules))
        self._is_open = True
        census = self._ledger.census_completed
        if census is not None:
            self._records[Sweep.CENSUS].resume(census)
        counters = self._ledger.counters(self._monotonic(), self._plan.counter_hold)
        self.snapshot = replace(self.snapshot, counters=counters)
        self._publish()

    def hand_over(self) -> LedgerState | None:
        """Return all that it knows, once it is stopped; None if it never took up its ledger."""
        return self._ledger.saved() if self._is_open else None

    async def run(self) -> None:
        """Poll until cancelled; a defect of this program costs one sweep, not the hub."""
        if not await self._survive(self.open, STATE_CRASHED):
            self._state = NoState()
        begin = self._monotonic() + self._plan.first_sweep_after
        for sweep, record in self._records.items():
            record.cadence.start(begin + self._already_known_for(sweep))
        while True:
            sweep, due = self._next()
            release = self._ledger.next_release_time
            await anyio.sleep(max(0.0, min(due, release) - self._monotonic()))
            started = self._monotonic()
            self._step_ends = max(started, self._records[Sweep.ACTIVE].cadence.due)
            if release < due:
                await self._survive(self.publish_accounts, SWEEP_CRASHED)
            elif not self._budget.allows(sweep, self._wall()):
                self._skip(sweep)
            elif not await self._survive(partial(self.make, sweep), SWEEP_CRASHED):
                self._crashed(sweep, started)

    async def _survive(self, work: Callable[[], Awaitable[object]], event: str) -> bool:
        """Do some work; False where a defect of this program ended it, which is logged."""
        try:
            await work()
        except Exception:  # noqa: BLE001 - one hub's defect must not stop the others
            self._events.crashed(event)
            return False
        return True

    def _already_known_for(self, sweep: Sweep) -> float:
        """Return how long the census before the restart will do."""
        completed = self._ledger.census_completed
        if sweep is not Sweep.CENSUS or completed is None:
            return 0.0
        interval = self._records[sweep].cadence.interval
        return max(0.0, min(interval, completed + interval - self._wall()))

    async def collect_once(self) -> ApiError | None:
        """Make every sweep that is on once, the census to its end; returns the first failure."""
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            if not self._records[sweep].cadence.is_on:
                continue
            error = await self.make(sweep)
            while error is None and self._sweeps.census_is_running:
                error = await self.make(Sweep.CENSUS)
            if error is not None:
                return error
        return None

    def _next(self) -> tuple[Sweep, float]:
        """Return the sweep that is due first; of several that are due, the most urgent."""
        dues = {
            Sweep.ACTIVE: self._records[Sweep.ACTIVE].cadence.due,
            Sweep.FAILED: self._due_after_contact(Sweep.FAILED),
            Sweep.ENTITIES: self._records[Sweep.ENTITIES].cadence.due,
            Sweep.CENSUS: self._next_of_census(),
        }
        now = self._monotonic()
        for sweep, due in dues.items():
            if due <= now:
                return sweep, due
        return min(dues.items(), key=lambda item: item[1])

    def _skip(self, sweep: Sweep) -> None:
        """Leave out a sweep that the budget does not allow; a census only waits."""
        now = self._monotonic()
        if sweep is Sweep.CENSUS and self._sweeps.census_is_running:
            self._census_due = now + _PAUSE_WITHOUT_BUDGET
            return
        if sweep not in self._skipped:
            self._events.skipped(sweep, self._plan.page_budget)
        self._skipped.add(sweep)
        self._records[sweep].skipped()
        self._records[sweep].cadence.ended(now, now)
        self._show()

    def _due_after_contact(self, sweep: Sweep) -> float:
        """Return when a sweep is due that needs to know where history ends."""
        has_contact = self.snapshot.up or self._records[Sweep.ACTIVE].has_completed
        return self._records[sweep].cadence.due if has_contact else math.inf

    def _next_of_census(self) -> float:
        """Return when the next step of the census is due."""
        if self._sweeps.census_is_running:
            return self._census_due
        return self._due_after_contact(Sweep.CENSUS)

    async def make(self, sweep: Sweep) -> ApiError | None:
        """Make one sweep, of the census one step, and publish what came of it."""
        if sweep is Sweep.ACTIVE:
            return await self._active_and_finished()
        if sweep is Sweep.FAILED:
            return await self._failed()
        if sweep is Sweep.ENTITIES:
            return await self._entities()
        return await self._census()

    def _may_read(self) -> bool:
        """Return whether the budget has a page beside that which came and is not counted yet."""
        return self._budget.allows(self._sweep, self._wall(), uncounted=1)

    def _goes_on(self) -> bool:
        """Tell whether a sweep of many steps may read on, before the active one is due again."""
        return self._monotonic() < self._step_ends and self._may_read()

    def _page_came(self, rows: int, refused: int) -> None:
        self._records[self._sweep].read(rows, refused)
        self._budget.spend(1, self._wall())
        if self._monotonic() >= self._shown + _SHOW_SECONDS:
            self._show()

    async def _active_and_finished(self) -> ApiError | None:
        started = self._monotonic()
        active = await self._attempt(Sweep.ACTIVE, lambda: self._sweeps.active(self._may_read))
        if active is None:
            raise RuntimeError("an active sweep has no steps")
        if isinstance(active, ApiError) and not isinstance(active, TooManyActive):
            self._went_down(active)
            self._wait_for_next(Sweep.ACTIVE, started, active)
            await self.publish_accounts()
            return active
        failed: ApiError | None = active if isinstance(active, ApiError) else None
        view = None if isinstance(active, ApiError) else active
        self._came_up(view)
        interval = self._plan.intervals[Sweep.ACTIVE]
        if self._step_ends < math.inf:
            self._step_ends = step_end(started, self._monotonic(), interval)
        finished = await self._attempt(
            Sweep.FINISHED, lambda: self._sweeps.finished(DUTY_SHARE * interval, self._goes_on)
        )
        if isinstance(finished, ApiError):
            failed = finished
        self._end_cycle(started, failed)
        if isinstance(finished, FinishedView):
            self.snapshot = replace(self.snapshot, finished=finished)
        await self.publish_accounts()
        if self._diagnosis.is_on and view is not None:
            await self._diagnose(view, started, failed)
        return failed

    async def _diagnose(self, active: ActiveView, started: float, failed: ApiError | None) -> None:
        """Learn what instances beyond a limit wait on; no trouble here is the sweep's."""
        if not await self._survive(partial(self._sample, active, started), DIAGNOSIS_CRASHED):
            # What it knows may be wrong.
            self._diagnosis = HubDiagnosis(self._client, self._rules, self._plan.history_budget)
            self.snapshot = replace(self.snapshot, diagnosis=None)
        self._end_cycle(started, failed or self._diagnosis.trouble)
        self._show()

    async def _sample(self, active: ActiveView, started: float) -> None:
        taken = self._monotonic() - started
        configured = self._records[Sweep.ACTIVE].cadence.configured
        seconds = min(spare_seconds(taken, configured), self._plan.sweep_timeout)
        reads = self._budget.reads(self._plan.history_budget, self._wall())
        made = await self._diagnosis.sample(self._ledger, active, self._clock.now(), seconds, reads)
        self._budget.spend(made.made, self._wall())
        diagnosis = await self._diagnosis.view(self._ledger, active, self._clock.now())
        self._events.diagnosed(made.error, diagnosis)
        self.snapshot = replace(self.snapshot, diagnosis=diagnosis)

    async def _failed(self) -> ApiError | None:
        found = await self._attempt(Sweep.FAILED, lambda: self._sweeps.failed(self._goes_on))
        failed = found if isinstance(found, ApiError) else None
        if found is not None:
            self._wait_after(Sweep.FAILED, failed)
        await self.publish_accounts()
        return failed

    def _end_cycle(self, started: float, error: ApiError | None) -> None:
        """Set when the next cycle is due: both of its sweeps come as seldom as all of it allows."""
        self._wait_for_next(Sweep.ACTIVE, started, error)
        interval = self._records[Sweep.ACTIVE].cadence.interval
        for sweep in (Sweep.ACTIVE, Sweep.FINISHED):
            self._records[sweep].comes_every(interval)

    def _wait_for_next(self, sweep: Sweep, started: float, error: ApiError | None) -> None:
        """Set when a sweep is due again: not before a server that failed asked to be left alone."""
        pause = error.retry_after if error else None
        self._records[sweep].cadence.ended(started, self._monotonic(), not_before=pause or 0.0)

    def _wait_after(self, sweep: Sweep, error: ApiError | None) -> None:
        """Set when a sweep that ended just now is due again."""
        self._wait_for_next(sweep, self._monotonic() - self._records[sweep].seconds, error)

    async def _entities(self) -> ApiError | None:
        found = await self._attempt(Sweep.ENTITIES, self._list_beside)
        failed = found if isinstance(found, ApiError) else None
        if found is not None:
            self._wait_after(Sweep.ENTITIES, failed)
        if isinstance(found, tuple):
            entities, whole = found
            self.snapshot = replace(self.snapshot, entities=entities, whole=whole)
        self._publish()
        return failed

    async def _list_beside(self) -> tuple[EntityView, UnfilteredView | None] | None:
        """List the entities and, where the active sweep leaves any out, all active instances."""
        if self._entities_listed is None:
            self._entities_listed = await self._sweeps.entities(self._goes_on)
        entities = self._entities_listed
        if entities is None or not self._rules.id_prefixes:
            self._entities_listed = None
            return None if entities is None else (entities, None)
        whole = await self._sweeps.whole(self._goes_on)
        if whole is None:
            return None
        self._entities_listed = None
        if whole.outside:
            self._events.outside_prefixes(whole.outside)
        return entities, whole

    async def _census(self) -> ApiError | None:
        """Read on with the census for a step; returns the error that ended it, or None."""
        started = self._monotonic()

        def goes_on() -> bool:
            return self._monotonic() < started + self._plan.census_step and self._goes_on()

        ended = await self._attempt(Sweep.CENSUS, lambda: self._sweeps.census(goes_on))
        now = self._monotonic()
        self._census_due = now + pause_after(now - started)
        if ended is None:
            self._show()
            return None
        error = ended if isinstance(ended, ApiError) else None
        self._wait_after(Sweep.CENSUS, error)
        if error is not None:
            self._census_due = now + max(_REST_OF_CENSUS, error.retry_after or 0.0)
        await self.publish_accounts()
        return error

    async def _attempt(
        self, sweep: Sweep, work: Callable[[], Awaitable[Found]]
    ) -> Found | ApiError | None:
        """
        Make a sweep, or a step of it, within its deadline, and record how it ended.

        *work* returns None or False where the sweep goes on later; so does this then.
        """
        started = self._monotonic()
        self._begin(sweep)
        error: ApiError | None = None
        found: Found | None = None
        try:
            with anyio.fail_after(self._plan.sweep_timeout):
                found = await work() or None
        except TimeoutError:
            error = self._too_slow(sweep)
        except ApiError as failure:
            error = failure
        seconds = self._monotonic() - started
        record = self._records[sweep]
        if error is None and found is None:
            record.paused(self._wall(), seconds)
            return None
        record.ended(result_of(error), self._wall(), seconds, trouble_of(error))
        self._events.swept(sweep, error, record.seconds, record.cost)
        return error or found

    def _begin(self, sweep: Sweep) -> None:
        """Let everybody see that a sweep is under way."""
        self._sweep = sweep
        self._records[sweep].began(self._wall(), self._plan.sweep_timeout)
        self._skipped.discard(sweep)
        self.snapshot = replace(self.snapshot, sweeps=self._states())

    def _states(self) -> dict[Sweep, SweepState]:
        return {sweep: record.state() for sweep, record in self._records.items()}

    def _too_slow(self, sweep: Sweep) -> ListingTruncated:
        operation = LIST_ENTITIES if sweep is Sweep.ENTITIES else LIST_INSTANCES
        error = Failures(self._plan.identity.name, operation).too_slow(
            f"the sweep {sweep.value} was not done within {self._plan.sweep_timeout:g} s"
        )
        self._telemetry.errors[operation, error.kind] += 1
        return error

    def _crashed(self, sweep: Sweep, started: float) -> None:
        """Record a sweep that a defect ended; nothing is done here that could fail in its turn."""
        now = self._monotonic()
        self._records[sweep].ended(SweepResult.FAILED, self._wall(), now - started)
        self._records[sweep].cadence.ended(started, now)
        if sweep is Sweep.CENSUS:
            self._sweeps.abandon_census()
        up = self.snapshot.up and sweep is not Sweep.ACTIVE
        self.snapshot = replace(self.snapshot, up=up, sweeps=self._states())
        self._listener(self.snapshot)

    def _went_down(self, error: ApiError) -> None:
        if self.snapshot.up or self.snapshot.trouble is None:
            self._events.went_down(error)
        self.snapshot = replace(self.snapshot, up=False, trouble=trouble_of(error))

    def _came_up(self, active: ActiveView | None) -> None:
        """Show that the hub answers, and what is *active* where that is known."""
        if not self.snapshot.up:
            self._events.came_up()
            # What it missed would else be stale for an interval of its own, an hour for a census.
            for record in self._records.values():
                record.retry_if_failed(self._monotonic())
        active = active or self.snapshot.active
        self.snapshot = replace(self.snapshot, up=True, trouble=None, active=active)
        self._publish()

    def _publish(self) -> None:
        """Publish what is new, but for what must be durable first."""
        self._events.changed(self._ledger.take_changes(), self._clock.now())
        self.snapshot = replace(
            self.snapshot,
            known=self._ledger.known(),
            retained=self._ledger.retained(),
            unresolved=self._ledger.unresolved.view(),
            state=self._state.use,
        )
        self._show()

    def _show(self) -> None:
        """Publish how polling goes; what the ledger tells is as it was."""
        self._shown = self._monotonic()
        self._events.clock(self._clock.skew, is_ignored=self._clock.is_ignored)
        self.snapshot = replace(
            self.snapshot,
            sweeps=self._states(),
            api=use_of(self._telemetry),
            pages_remaining=self._budget.remaining(self._wall()),
            clock_skew=self._clock.skew,
        )
        self._listener(self.snapshot)

    async def publish_accounts(self) -> None:
        """
        Make the accounts durable, then publish everything.

        A counter that a restart takes back below what was served looks like a reset, and is added
        once more. Where the accounts cannot be kept, their counters stay as they were served.
        """
        counters = self._ledger.counters(self._monotonic(), self._plan.counter_hold)
        try:
            await self._state.commit(self._ledger)
        except StateNotWritten:
            self._ledger.withdraw(self.snapshot.counters)
        else:
            self.snapshot = replace(self.snapshot, counters=counters)
        self._publish()
