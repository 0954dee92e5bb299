"""The record of a hub's sweeps: how often, how long, how they ended."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.telemetry import GET_INSTANCE, ApiTelemetry
from exporter.collector.schedule import Cadence
from exporter.collector.snapshot import (
    ApiUse,
    RequestDurations,
    SweepResult,
    SweepState,
    Trouble,
)


@dataclass(frozen=True, slots=True)
class SweepCost:
    """What a sweep took: pages, rows, seconds, bytes of pages, reads of single instances."""

    pages: float = 0
    rows: float = 0
    seconds: float = 0.0
    bytes: float = 0
    reads: float = 0

    def times(self, factor: float) -> SweepCost:
        """Return what so many of them take."""
        return SweepCost(
            factor * self.pages,
            factor * self.rows,
            factor * self.seconds,
            factor * self.bytes,
            factor * self.reads,
        )


# A sweep that begins later after a complete one was kept from it.
_INTERVALS_ON_TIME = 2


class SweepRecord:
    """Everything that is told of one kind of sweep; times are the exporter's clock."""

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
        """Tell whether a sweep of this kind was ever complete."""
        return self._completed is not None

    @property
    def is_complete(self) -> bool:
        """Tell whether the last sweep was complete."""
        return self._last is SweepResult.COMPLETE

    def resume(self, completed: float) -> None:
        """Go on from a process before, whose last complete sweep ended at *completed*."""
        self._completed = completed
        self._last = SweepResult.COMPLETE

    def read(self, rows: int, refused: int) -> None:
        """Count a page that was read, whatever comes of it."""
        self._pages += 1
        self._rows += rows
        self._refused += refused

    def began(self, at: float, deadline: float, telemetry: ApiTelemetry) -> None:
        """
        Note that a sweep, or its next step, began at *at*, which ends within *deadline* s.

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
        """Note that a step of *seconds* ended at *at*, and the sweep goes on later."""
        self._seconds += seconds
        self._runs_until = at + self._deadline

    @property
    def seconds(self) -> float:
        """How long the last sweep took, without the pauses between its steps."""
        return self._seconds

    @property
    def cost(self) -> SweepCost:
        """What the last sweep took that has ended, from its begin; pauses between steps too."""
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
        """Count a sweep that was due and is not made, for want of budget."""
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
        """Count a sweep whose last step took *seconds*, ended at *at* and had *trouble* if any."""
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
        """Let a sweep that failed be due again at *now*, by the clock of the schedule."""
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


def use_of(telemetry: ApiTelemetry) -> ApiUse:
    """Return what the client counted so far, frozen."""
    return ApiUse(
        requests=dict(telemetry.requests),
        errors=dict(telemetry.errors),
        retries=dict(telemetry.retries),
        response_bytes=dict(telemetry.response_bytes),
        durations={
            operation: RequestDurations(tuple(durations.counts), durations.total)
            for operation, durations in telemetry.durations.items()
        },
    )


def result_of(error: ApiError | None) -> SweepResult:
    """Return how a sweep ended that had an error, or none."""
    if error is None:
        return SweepResult.COMPLETE
    truncated = isinstance(error, ListingTruncated)
    return SweepResult.TRUNCATED if truncated else SweepResult.FAILED


def trouble_of(error: ApiError | None) -> Trouble | None:
    """Return what is told of an error."""
    return Trouble(error.kind.value, error.reason, error.hint) if error else None
