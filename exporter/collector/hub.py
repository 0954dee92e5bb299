"""The collector of one hub: a sweep is due, runs, is made durable, then published."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.telemetry import LIST_ENTITIES, LIST_INSTANCES
from exporter.collector.budgets import PageBudget, ProcessLimits
from exporter.collector.clock import ServerClock
from exporter.collector.events import DIAGNOSIS_CRASHED, STATE_CRASHED, SWEEP_CRASHED, HubEvents
from exporter.collector.hub_diagnosis import HubDiagnosis
from exporter.collector.polling_inputs import PollingInputs, identity_of
from exporter.collector.publication import Publication
from exporter.collector.schedule import Agenda, SweepCost, spare_seconds, step_end
from exporter.collector.snapshot import (
    DUTY_SHARE,
    HubSnapshot,
    Sweep,
    SweepResult,
    result_of,
    trouble_of,
    use_of,
)
from exporter.collector.state import HubState, LearnedFacts, NoState, StateNotWritten
from exporter.collector.sweeps import HubSweeps, TooManyActive
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import ActiveView, CountersView, EntityView, FinishedView
from exporter.ledger.state import LedgerState

# How often a long sweep shows its progress.
_PROGRESS_SECONDS = 10.0
_CENSUS_STEP_SECONDS = 1.0
_CLOSE_SECONDS = 5.0

Found = TypeVar("Found")


class HubCollector:
    """
    Polls one hub.

    Each event - the end of a sweep or step, the end of a counter's hold - is first made durable,
    then published: `snapshot` is replaced in one assignment, never changed, and *listener* is
    called. Until its first active sweep ends, a collector that took over from another shows that
    one's snapshot.

    *wall* is the displayed time; the schedule follows *monotonic*. *state* keeps the ledger across
    restarts; without it each start is a new baseline. *limits* are shared with other hubs. Only if
    it *holds* do new counter series show their base first. A census is read for *census_step*
    seconds between two pauses, but at least one page.
    """

    def __init__(
        self,
        inputs: PollingInputs,
        client: HubClient,
        rules: LedgerRules,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float] = anyio.current_time,
        listener: Callable[[HubSnapshot], None] = lambda _: None,
        state: HubState | None = None,
        limits: ProcessLimits | None = None,
        first_sweep_after: float = 0.0,
        holds: bool = True,
        census_step: float = _CENSUS_STEP_SECONDS,
    ) -> None:
        self.inputs = inputs
        self._hub = inputs.hub
        self._client = client
        self._rules = rules
        self._wall = wall
        self._monotonic = monotonic
        self._state = state or NoState()
        self._limits = limits or ProcessLimits()
        self._first_sweep_after = first_sweep_after
        self._census_step = census_step
        self._scope: anyio.CancelScope | None = None
        self._ended: anyio.Event | None = None
        self._handed_over: LedgerState | None = None
        self._is_open = False
        self._clock = ServerClock(wall, monotonic)
        self._use_ledger(Ledger(rules))
        self._agenda = Agenda(self._hub.intervals)
        self._budget = PageBudget(self._hub.max_pages_per_day)
        self._diagnosis = HubDiagnosis(client, rules, self._hub.max_histories_per_sweep)
        self._events = HubEvents(self._hub.name)
        self._sweep = Sweep.ACTIVE
        self._step_ends = math.inf
        self._progress_due = math.inf
        self._entities_listed: EntityView | None = None
        self._out_of_budget: set[Sweep] = set()
        first = HubSnapshot(
            identity=identity_of(self._hub),
            up=False,
            stale_after=self._hub.stale_after,
            age_bounds=rules.age_bounds,
            duration_bounds=rules.duration_bounds,
            sweeps=self._agenda.states(),
            counters=CountersView(),
            known=self._ledger.known(),
            api=use_of(client.telemetry),
            state=self._state.use,
            is_diagnosed=self._diagnosis.is_on,
        )
        self._publication = Publication(
            first,
            progress=self._progress,
            listener=listener,
            events=self._events,
            monotonic=monotonic,
            hold=self._hub.counter_hold if holds else 0.0,
        )

    @property
    def snapshot(self) -> HubSnapshot:
        """What is published."""
        return self._publication.snapshot

    def _use_ledger(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sweeps = HubSweeps(
            self._client,
            ledger,
            self._clock,
            entity_names=self._hub.entities,
            limits=self._limits,
            came=self._page_came,
        )

    # -- the task ------------------------------------------------------------------------------

    def start(self, tasks: TaskGroup) -> None:
        """Poll until stopped."""
        self._ended = anyio.Event()
        tasks.start_soon(self._run_until_stopped, self._ended)

    async def _run_until_stopped(self, ended: anyio.Event) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                await self.run()
        finally:
            ended.set()

    async def stop(self) -> None:
        """Cancel the task and wait for its end."""
        if self._scope is not None:
            self._scope.cancel()
        if self._ended is not None:
            await self._ended.wait()

    async def take_over(self, other: HubCollector) -> None:
        """Continue with the state and knowledge of *other*, a stopped collector of the same hub."""
        self._handed_over = await anyio.to_thread.run_sync(other._hand_over)
        self._state = other._state
        self._publication.show_until_a_sweep_has_ended(other.snapshot)

    def _hand_over(self) -> LedgerState | None:
        return self._ledger.saved() if self._is_open else self._handed_over

    def reread_key(self) -> bool:
        """Read the key again; return whether it changed."""
        return self._client.reread_key()

    async def disconnect(self) -> None:
        """Close the connections, abandoning those that do not end in time."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._client.aclose()

    def release_state(self) -> None:
        """Release the state for another process."""
        self._state.close()

    # -- the events ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Poll until cancelled; a defect of the exporter costs one sweep, not the hub."""
        if not await self._survive(self.open, STATE_CRASHED):
            self._state = NoState()
        self._agenda.start(self._monotonic() + self._first_sweep_after, self._wall())
        while True:
            sweep, due = self._agenda.next(
                self._monotonic(),
                has_contact=self._publication.draft.up,
                census_runs=self._sweeps.census_is_running,
            )
            release = self._ledger.next_release_time
            await anyio.sleep(max(0.0, min(due, release) - self._monotonic()))
            started = self._monotonic()
            self._step_ends = max(started, self._agenda.records[Sweep.ACTIVE].cadence.due)
            if release < due:
                await self._survive(self.publish, SWEEP_CRASHED)
            elif not self._budget.allows(sweep, self._wall()):
                self._skip(sweep)
            elif not await self._survive(partial(self.make, sweep), SWEEP_CRASHED):
                self._crashed(sweep, started)

    async def open(self) -> None:
        """Continue with the ledger that was saved or handed over, and publish what it holds."""
        ledger = await self._take_over_ledger()
        self._use_ledger(ledger or await self._state.open(self._rules))
        self._client.expect_row_bytes(self._state.learned.row_bytes)
        self._is_open, self._handed_over = True, None
        census = self._ledger.retained.completed
        if census is not None:
            self._agenda.records[Sweep.CENSUS].resume(census)
        self._publication.show_restored(self._ledger, self._state, self._clock.now())

    async def _take_over_ledger(self) -> Ledger | None:
        """Return a ledger that continues what was handed over, None if it cannot be saved."""
        if self._handed_over is None:
            return None
        ledger = await anyio.to_thread.run_sync(Ledger, self._rules, self._handed_over)
        try:
            await self._state.commit(ledger)
        except StateNotWritten:
            return None
        return ledger

    async def _survive(self, work: Callable[[], Awaitable[object]], event: str) -> bool:
        """Do some work; log a defect of the exporter that ends it, and return False."""
        try:
            await work()
        except Exception:  # noqa: BLE001 - one hub's defect must not stop the others
            self._events.crashed(event)
            return False
        return True

    def _skip(self, sweep: Sweep) -> None:
        """Skip a sweep that the budget does not allow; a census only pauses."""
        runs = self._sweeps.census_is_running
        if not self._agenda.no_budget(sweep, self._monotonic(), census_runs=runs):
            return
        if sweep not in self._out_of_budget:
            self._events.skipped(sweep, self._hub.max_pages_per_day)
        self._out_of_budget.add(sweep)
        self._publication.show_progress()

    def _crashed(self, sweep: Sweep, started: float) -> None:
        """Record a sweep that a defect ended; nothing here may fail in turn."""
        now = self._monotonic()
        self._agenda.records[sweep].ended(
            SweepResult.FAILED, self._wall(), now - started, self._client.telemetry
        )
        self._agenda.swept(sweep, started, now, 0.0)
        if sweep is Sweep.CENSUS:
            self._sweeps.abandon_census()
        self._publication.show_crashed(sweep, self._agenda.states())

    async def collect_once(self) -> ApiError | None:
        """Make every enabled sweep once, the census to its end; return the first failure."""
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            if not self._agenda.records[sweep].cadence.is_on:
                continue
            error = await self.make(sweep)
            while error is None and self._sweeps.census_is_running:
                error = await self.make(Sweep.CENSUS)
            if error is not None:
                return error
        return None

    def cost_of(self, sweep: Sweep) -> SweepCost:
        """Return what the last sweep of a kind took."""
        return self._agenda.records[sweep].cost

    # -- the sweeps ----------------------------------------------------------------------------

    async def make(self, sweep: Sweep) -> ApiError | None:
        """Make one sweep, or one step of the census, and publish the result."""
        match sweep:
            case Sweep.FAILED:
                return await self._make_listing(
                    sweep, lambda: self._sweeps.failed(self._may_continue)
                )
            case Sweep.ENTITIES:
                return await self._make_listing(sweep, self._list_entities)
            case Sweep.CENSUS:
                return await self._make_listing(sweep, self._step_census)
            case _:
                return await self._make_cycle()

    async def _make_cycle(self) -> ApiError | None:
        """List active and recently finished instances as one event; then read histories."""
        started = self._monotonic()
        active = await self._attempt(Sweep.ACTIVE, lambda: self._sweeps.active(self._may_read))
        if active is None:
            raise RuntimeError("an active sweep has no steps")
        if isinstance(active, ApiError) and not isinstance(active, TooManyActive):
            self._publication.hub_is_down(active)
            self._agenda.swept(Sweep.ACTIVE, started, self._monotonic(), _pause(active))
            await self.publish()
            return active
        failed: ApiError | None = active if isinstance(active, ApiError) else None
        interval = self._hub.intervals.active
        if self._step_ends < math.inf:
            self._step_ends = step_end(started, self._monotonic(), interval)
        finished = await self._attempt(
            Sweep.FINISHED,
            lambda: self._sweeps.finished(DUTY_SHARE * interval, self._may_continue),
        )
        if isinstance(finished, ApiError):
            failed = finished
        if self._publication.hub_is_up():
            self._agenda.retry_failed(self._monotonic())
        if isinstance(active, ActiveView):
            self._publication.draft = replace(self._publication.draft, active=active)
        if isinstance(finished, FinishedView):
            self._publication.draft = replace(self._publication.draft, finished=finished)
        self._agenda.cycle_ended(started, ended := self._monotonic(), _pause(failed))
        await self.publish()
        if self._diagnosis.is_on and isinstance(active, ActiveView):
            # The time that the disk took is no load of the hub.
            await self._diagnose(active, started + self._monotonic() - ended, failed)
        return failed

    async def _diagnose(self, active: ActiveView, started: float, failed: ApiError | None) -> None:
        """Diagnose instances over a limit; trouble here is not the sweep's."""
        if not await self._survive(partial(self._sample, active, started), DIAGNOSIS_CRASHED):
            # Its knowledge may be wrong.
            self._diagnosis = HubDiagnosis(
                self._client, self._rules, self._hub.max_histories_per_sweep
            )
            self._publication.draft = replace(
                self._publication.draft, diagnosis=None, is_diagnosed=False
            )
        pause = _pause(failed or self._diagnosis.trouble)
        self._agenda.cycle_ended(started, self._monotonic(), pause)
        self._publication.show_progress()

    async def _sample(self, active: ActiveView, started: float) -> None:
        taken = self._monotonic() - started
        seconds = min(spare_seconds(taken, self._hub.intervals.active), self._hub.timeouts.sweep)
        reads = self._budget.reads(self._hub.max_histories_per_sweep, self._wall())
        made = await self._diagnosis.sample(self._sweeps, self._clock.now(), seconds, reads)
        self._budget.spend(made.made, self._wall())
        diagnosis = await self._diagnosis.view(self._ledger, active, self._clock.now())
        self._events.diagnosed(made.error, diagnosis)
        self._publication.draft = replace(
            self._publication.draft, diagnosis=diagnosis, is_diagnosed=True
        )

    async def _make_listing(
        self, sweep: Sweep, work: Callable[[], Awaitable[object]]
    ) -> ApiError | None:
        """Make a sweep of its own, or a step of it; until it is done, it stays due."""
        started = self._monotonic()
        found = await self._attempt(sweep, work)
        now = self._monotonic()
        error = found if isinstance(found, ApiError) else None
        if sweep is Sweep.CENSUS:
            failed = None if error is None else _pause(error)
            self._agenda.census_stepped(now - started, now, failed)
        if found is None:
            self._publication.show_progress()
            return None
        # As if it had run without the pauses between its steps.
        began = now - self._agenda.records[sweep].seconds
        self._agenda.swept(sweep, began, now, _pause(error))
        await self.publish()
        return error

    async def _list_entities(self) -> bool:
        """List the entities and, if the active sweep lists by prefixes, all active instances."""
        if self._entities_listed is None:
            self._entities_listed = await self._sweeps.entities(self._may_continue)
        entities, unfiltered = self._entities_listed, None
        if entities is None:
            return False
        if self._rules.id_prefixes:
            unfiltered = await self._sweeps.unfiltered(self._may_continue)
            if unfiltered is None:
                return False
            if unfiltered.outside:
                self._events.outside_prefixes(unfiltered.outside)
        self._entities_listed = None
        self._publication.draft = replace(
            self._publication.draft, entities=entities, unfiltered=unfiltered
        )
        return True

    async def _step_census(self) -> bool:
        ends = self._monotonic() + self._census_step
        return await self._sweeps.census(lambda: self._monotonic() < ends and self._may_continue())

    async def _attempt(
        self, sweep: Sweep, work: Callable[[], Awaitable[Found]]
    ) -> Found | ApiError | None:
        """
        Make a sweep, or a step of it, within its deadline, and record how it ended.

        Returns None if the sweep is not done: *work* returned None or False.
        """
        started = self._monotonic()
        record = self._agenda.records[sweep]
        self._sweep = sweep
        # A cycle is one event: between its two lists the records are ahead of what is published.
        is_second = sweep is Sweep.FINISHED
        self._progress_due = math.inf if is_second else started + _PROGRESS_SECONDS
        self._out_of_budget.discard(sweep)
        record.began(self._wall(), self._hub.timeouts.sweep, self._client.telemetry)
        error: ApiError | None = None
        found: Found | None = None
        try:
            with anyio.fail_after(self._hub.timeouts.sweep):
                found = await work() or None
        except TimeoutError:
            error = self._too_slow(sweep)
        except ApiError as failure:
            error = failure
        seconds = self._monotonic() - started
        if error is None and found is None:
            record.paused(self._wall(), seconds)
            return None
        record.ended(
            result_of(error), self._wall(), seconds, self._client.telemetry, trouble_of(error)
        )
        self._events.swept(sweep, error, record.cost)
        return error or found

    def _too_slow(self, sweep: Sweep) -> ListingTruncated:
        operation = LIST_ENTITIES if sweep is Sweep.ENTITIES else LIST_INSTANCES
        error = Failures(self._hub.name, operation).too_slow(
            f"the sweep {sweep.value} was not done within {self._hub.timeouts.sweep:g} s"
        )
        self._client.telemetry.errors[operation, error.kind] += 1
        return error

    def _may_read(self) -> bool:
        """Return whether the budget allows a page after the one that just came."""
        return self._budget.allows(self._sweep, self._wall(), uncounted=1)

    def _may_continue(self) -> bool:
        """Return whether a sweep in steps may read on before the active one is due again."""
        return self._monotonic() < self._step_ends and self._may_read()

    def _page_came(self, rows: int, refused: int) -> None:
        self._agenda.records[self._sweep].read(rows, refused)
        self._budget.spend(1, self._wall())
        if (now := self._monotonic()) >= self._progress_due:
            self._progress_due = now + _PROGRESS_SECONDS
            self._publication.show_progress()

    async def publish(self) -> None:
        """Make the accounts durable, then publish everything."""
        self._state.learned = LearnedFacts(self._client.row_bytes)
        await self._publication.commit(self._ledger, self._state, self._clock.now())

    def _progress(self, draft: HubSnapshot) -> HubSnapshot:
        self._events.clock(self._clock.skew, is_ignored=self._clock.is_ignored)
        return replace(
            draft,
            sweeps=self._agenda.states(),
            api=use_of(self._client.telemetry),
            pages_remaining=self._budget.remaining(self._wall()),
            clock_skew=self._clock.skew,
        )


def _pause(error: ApiError | None) -> float:
    """Return the pause that a failing server asked for, in seconds."""
    return (error.retry_after if error else None) or 0.0
