"""
When sweeps are due, and how the last ones went.

The schedule follows a monotonic clock; records follow the exporter's wall clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.api.telemetry import GET_INSTANCE, ApiTelemetry
from exporter.collector.snapshot import (
    DUTY_SHARE,
    Sweep,
    SweepResult,
    SweepState,
    Trouble,
)
from exporter.settings import Intervals

# The share of a cycle for histories, if none of its time is left.
_LEAST_EXTRA = 0.25
_LEAST_SECONDS = 0.25
# A sweep that begins later after a complete one was delayed.
_INTERVALS_ON_TIME = 2
_PAUSE_WITHOUT_BUDGET = 60.0
_PAUSE_AFTER_FAILED_CENSUS = 60.0


class Cadence:
    """The rhythm of one kind of sweep; *configured* is its interval in seconds, 0 for off."""

    def __init__(self, configured: float) -> None:
        self.configured = configured
        self.interval = configured
        self.due = math.inf

    @property
    def is_on(self) -> bool:
        """Whether the sweep is made at all."""
        return self.configured > 0

    def start(self, first: float) -> None:
        """Make the first sweep due at *first*."""
        if self.is_on:
            self.due = first

    def ended(
        self, started: float, now: float, *, is_complete: bool, not_before: float = 0.0
    ) -> None:
        """
        Set when the next sweep is due, after one that ran from *started* to *now*.

        Only a complete one shows which interval the hub allows. *not_before* is the pause that the
        server asked for, in seconds from *now*.
        """
        interval = interval_for(now - started, self.configured)
        if is_complete:
            self.interval = interval
        self.due = max(started + interval, now + not_before)

    def due_by(self, now: float) -> None:
        """Make the next sweep due at *now* at the latest."""
        if self.is_on:
            self.due = min(self.due, now)


def interval_for(seconds: float, configured: float) -> float:
    """Return the interval of a sweep that takes *seconds*: as configured, or stretched."""
    return max(configured, seconds / DUTY_SHARE)


def step_end(started: float, now: float, configured: float) -> float:
    """
    Return until when a cycle that began at *started* may read a listing in steps.

    That is its share of the interval, or as long again as it took up to *now*, if that is longer.
    """
    return max(started + DUTY_SHARE * configured, now + (now - started))


def spare_seconds(taken: float, configured: float) -> float:
    """
    Return how long a cycle that has *taken* seconds may continue with less important work.

    What is left of its share of the interval, and always a little: a slow hub stretches its
    interval anyway.
    """
    return max(DUTY_SHARE * configured - taken, taken * _LEAST_EXTRA, _LEAST_SECONDS)


def pause_after(seconds: float) -> float:
    """Return the pause after a step of the census that took *seconds*."""
    return seconds * (1 / DUTY_SHARE - 1)


@dataclass(frozen=True, slots=True)
class SweepCost:
    """What a sweep took: pages, rows, seconds, bytes of pages, reads of single instances."""

    pages: float = 0
    rows: float = 0
    seconds: float = 0.0
    bytes: float = 0
    reads: float = 0

    def times(self, factor: float) -> SweepCost:
        """Return the cost of *factor* sweeps."""
        return SweepCost(
            factor * self.pages,
            factor * self.rows,
            factor * self.seconds,
            factor * self.bytes,
            factor * self.reads,
        )


class SweepRecord:
    """The record of one kind of sweep; times are the exporter's clock."""

    def __init__(self, cadence: Cadence) -> None:
        self.cadence = cadence
        self._completed: float | None = None
        self._duration: float | None = None
        self._last: SweepResult | None = None
        self._is_on_time = False
        self._runs_until = 0.0
        self._deadline = 0.0
        self._began: float | None = None
        self._at_begin = self._at_end = SweepCost()
        self._seconds = 0.0
        self._results = {result.value: 0 for result in SweepResult}
        self._pages = 0
        self._rows = 0
        self._refused = 0
        self._trouble: Trouble | None = None

    @property
    def has_completed(self) -> bool:
        """Whether a sweep of this kind was ever complete."""
        return self._completed is not None

    @property
    def is_complete(self) -> bool:
        """Whether the last sweep was complete."""
        return self._last is SweepResult.COMPLETE

    def resume(self, completed: float) -> None:
        """Continue after a process whose last complete sweep ended at *completed*."""
        self._completed = completed
        self._last = SweepResult.COMPLETE

    def seconds_left(self, wall: float) -> float:
        """Return for how many seconds after *wall* the last complete sweep suffices."""
        interval = self.cadence.configured
        return max(0.0, min(interval, (self._completed or 0.0) + interval - wall))

    def read(self, rows: int, refused: int) -> None:
        """Count a page, whatever comes of it."""
        self._pages += 1
        self._rows += rows
        self._refused += refused

    def began(self, at: float, deadline: float, telemetry: ApiTelemetry) -> None:
        """
        Note that a sweep, or its next step, began at *at* and ends within *deadline* seconds.

        *telemetry* is what the client has counted so far.
        """
        self._deadline, self._runs_until = deadline, at + deadline
        if self._began is None:
            self._began = at
            on_time = (self._completed or 0.0) + _INTERVALS_ON_TIME * self.cadence.interval
            self._is_on_time = self.is_complete and at <= on_time
            self._seconds = 0.0
            self._at_begin = self._cost_of_all(telemetry)

    def paused(self, at: float, seconds: float) -> None:
        """Note that a step of *seconds* ended at *at*, before the end of the sweep."""
        self._seconds += seconds
        self._runs_until = at + self._deadline

    @property
    def seconds(self) -> float:
        """How long the last sweep took, without the pauses between its steps."""
        return self._seconds

    @property
    def cost(self) -> SweepCost:
        """The cost of the last ended sweep; requests in the pauses between its steps count."""
        begin, end = self._at_begin, self._at_end
        return SweepCost(
            end.pages - begin.pages,
            end.rows - begin.rows,
            self._seconds,
            end.bytes - begin.bytes,
            end.reads - begin.reads,
        )

    def _cost_of_all(self, telemetry: ApiTelemetry) -> SweepCost:
        sizes = telemetry.response_bytes
        reads = sum(n for (name, _), n in telemetry.requests.items() if name == GET_INSTANCE)
        size = sizes.total() - sizes[GET_INSTANCE]
        return SweepCost(self._pages, self._rows, bytes=size, reads=reads)

    def skipped(self) -> None:
        """Count a due sweep that the page budget does not allow."""
        self._last = SweepResult.SKIPPED_BUDGET
        self._results[self._last.value] += 1

    def ended(
        self,
        result: SweepResult,
        at: float,
        seconds: float,
        telemetry: ApiTelemetry,
        trouble: Trouble | None = None,
    ) -> None:
        """Count a sweep whose last step took *seconds* and ended at *at*, with *trouble* if any."""
        self._at_end = self._cost_of_all(telemetry)
        self._trouble = trouble
        self._last = result
        self._results[result.value] += 1
        self._seconds += seconds
        self._duration = self._seconds
        self._began = None
        if result is SweepResult.COMPLETE:
            self._completed = at

    def retry_if_failed(self, now: float) -> None:
        """Make a sweep that failed due at *now*, by the clock of the schedule."""
        if self._trouble is not None:
            self.cadence.due_by(now)

    def state(self) -> SweepState:
        """Return the record as it is now."""
        return SweepState(
            interval=self.cadence.interval,
            configured=self.cadence.configured if self.cadence.is_on else None,
            completed=self._completed,
            duration=self._duration,
            results=dict(self._results),
            pages=self._pages,
            rows=self._rows,
            refused=self._refused,
            running_since=self._began if self._is_on_time else None,
            runs_until=self._runs_until,
            trouble=self._trouble,
        )


class Agenda:
    """
    The records of all sweeps of a hub, and which is due first.

    A census is read in steps, so that no other sweep waits for it.
    """

    def __init__(self, intervals: Intervals) -> None:
        configured = {
            Sweep.ACTIVE: intervals.active,
            Sweep.FINISHED: intervals.active,
            Sweep.FAILED: intervals.failed,
            Sweep.CENSUS: intervals.census,
            Sweep.ENTITIES: intervals.entities,
        }
        self.records: Mapping[Sweep, SweepRecord] = {
            sweep: SweepRecord(Cadence(seconds)) for sweep, seconds in configured.items()
        }
        self._census_step_due = math.inf

    def start(self, first: float, wall: float) -> None:
        """Make the first sweeps due at *first*; a resumed census when its interval ends."""
        for sweep, record in self.records.items():
            resumed = record.seconds_left(wall) if sweep is Sweep.CENSUS else 0.0
            record.cadence.start(first + resumed)

    def next(self, now: float, *, has_contact: bool, census_runs: bool) -> tuple[Sweep, float]:
        """
        Return the sweep that is due first, and when; of several, the most urgent.

        Sweeps that depend on where history ends wait for first contact.
        """
        dues = {
            sweep: self.records[sweep].cadence.due
            for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS)
        }
        if not has_contact and not self.records[Sweep.ACTIVE].has_completed:
            dues[Sweep.FAILED] = dues[Sweep.CENSUS] = math.inf
        if census_runs:
            dues[Sweep.CENSUS] = self._census_step_due
        for sweep, due in dues.items():
            if due <= now:
                return sweep, due
        return min(dues.items(), key=lambda item: item[1])

    def states(self) -> dict[Sweep, SweepState]:
        """Return the records as they are now."""
        return {sweep: record.state() for sweep, record in self.records.items()}

    def cycle_ended(self, started: float, now: float, pause: float) -> None:
        """Schedule both sweeps of the next cycle, by the time that all of it took."""
        for sweep in (Sweep.ACTIVE, Sweep.FINISHED):
            self.swept(sweep, started, now, pause)

    def swept(self, sweep: Sweep, started: float, now: float, pause: float) -> None:
        """
        Schedule a sweep that ran from *started* to *now*.

        *pause* is the one that the server asked for, in seconds.
        """
        record = self.records[sweep]
        record.cadence.ended(started, now, is_complete=record.is_complete, not_before=pause)

    def census_stepped(self, seconds: float, now: float, failed: float | None) -> None:
        """
        Schedule the next step of a census after one of *seconds*.

        *failed* is the pause that the server asked for if the step failed, None if it did not.
        """
        pause = pause_after(seconds) if failed is None else max(_PAUSE_AFTER_FAILED_CENSUS, failed)
        self._census_step_due = now + pause

    def no_budget(self, sweep: Sweep, now: float, *, census_runs: bool) -> bool:
        """Postpone a sweep that the budget does not allow; False if a running census pauses."""
        if sweep is Sweep.CENSUS and census_runs:
            self._census_step_due = now + _PAUSE_WITHOUT_BUDGET
            return False
        self.records[sweep].skipped()
        self.swept(sweep, now, now, 0.0)
        return True

    def retry_failed(self, now: float) -> None:
        """Make what failed while the hub was down due at *now*: it would be stale for long."""
        for record in self.records.values():
            record.retry_if_failed(now)
