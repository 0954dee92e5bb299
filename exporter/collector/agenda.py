"""Which sweep of a hub is due next; times are those of a clock that never jumps."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exporter.collector.records import SweepRecord
from exporter.collector.schedule import Cadence, pause_after
from exporter.collector.snapshot import Sweep, SweepState
from exporter.settings import Intervals

_PAUSE_WITHOUT_BUDGET = 60.0
_PAUSE_AFTER_FAILED_CENSUS = 60.0


class Agenda:
    """
    The records of all sweeps of a hub, and which is due first.

    A census is read in steps, so that it keeps no other sweep waiting.
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

    def start(self, first: float, census_known_for: float) -> None:
        """Make the first sweeps due at *first*, the census once the last one is too old."""
        for sweep, record in self.records.items():
            record.cadence.start(first + (census_known_for if sweep is Sweep.CENSUS else 0.0))

    def next(self, now: float, *, has_contact: bool, census_runs: bool) -> tuple[Sweep, float]:
        """
        Return the sweep that is due first, and when; of several that are due, the most urgent.

        Those that need to know where history ends wait until there was contact.
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
        """Schedule the next cycle: both of its sweeps come as seldom as all of it allows."""
        for sweep in (Sweep.ACTIVE, Sweep.FINISHED):
            self.swept(sweep, started, now, pause)

    def swept(self, sweep: Sweep, started: float, now: float, pause: float) -> None:
        """
        Schedule a sweep that ran from *started* to *now*.

        *pause* is for how many seconds the server asked to be left alone.
        """
        record = self.records[sweep]
        record.cadence.ended(started, now, is_complete=record.is_complete, not_before=pause)

    def census_stepped(self, seconds: float, now: float) -> None:
        """Schedule the next step of a census after one of *seconds*."""
        self._census_step_due = now + pause_after(seconds)

    def census_failed(self, now: float, pause: float) -> None:
        """Schedule the next step of a census after one that failed."""
        self._census_step_due = now + max(_PAUSE_AFTER_FAILED_CENSUS, pause)

    def no_budget(self, sweep: Sweep, now: float, *, census_runs: bool) -> bool:
        """Put off a sweep that the page budget does not allow; False where a census waits."""
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
