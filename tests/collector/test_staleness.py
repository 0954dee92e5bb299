"""What is removed as stale stays removed until a sweep completes, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.classify import Failures
from exporter.api.telemetry import LIST_INSTANCES, ApiTelemetry
from exporter.collector.schedule import Cadence, SweepRecord
from exporter.collector.snapshot import Sweep, SweepResult
from exporter.collector.sweeps import HubSweeps
from exporter.ledger.snapshot import ActiveView
from tests.collector.test_hub import cycles_of_half_a_minute

STALE_AFTER = 900.0
DEADLINE = 900.0
HANGS = 250.0

RESULTS = st.sampled_from((None, *SweepResult))
SECONDS = st.floats(0.0, DEADLINE)
STEPS = st.lists(st.tuples(RESULTS, SECONDS, SECONDS), max_size=30)


def is_shown(record: SweepRecord, now: float) -> bool:
    state = record.state()
    if state.completed is None:
        return False
    return now - state.completed <= max(STALE_AFTER, state.intervals(5, now))


@given(STEPS)
def test_what_was_removed_comes_back_with_a_complete_sweep_alone(
    steps: list[tuple[SweepResult | None, float, float]],
) -> None:
    """Each step pauses and then runs; None is one of a sweep that goes on later."""
    record, telemetry, now = SweepRecord(Cadence(30.0)), ApiTelemetry(), 0.0
    record.ended(SweepResult.COMPLETE, now, 0.0, telemetry)
    before = True
    for result, pause, seconds in steps:
        interval = record.state().interval
        for moment in (now + pause / 2, now + pause):
            assert is_shown(record, moment) <= before
            before = is_shown(record, moment)
        now += pause
        if result is SweepResult.SKIPPED_BUDGET:
            record.skipped()
            continue
        record.began(now, DEADLINE, telemetry)
        for moment in (now + seconds / 2, now + seconds):
            assert is_shown(record, moment) <= before
            before = is_shown(record, moment)
        started, now = now, now + seconds
        if result is None:
            record.paused(now, seconds)
        else:
            record.ended(result, now, seconds, telemetry)
            record.cadence.ended(started, now, is_complete=record.is_complete)
        if result is SweepResult.COMPLETE:
            assert is_shown(record, now)
            before = True
        else:
            assert record.state().interval == interval


@pytest.mark.anyio
async def test_a_hub_that_hangs_shows_nothing_old_for_longer_than_one_that_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_767_225_600.0]
    async with cycles_of_half_a_minute(now) as collector:
        assert await collector.make(Sweep.ACTIVE) is None
        completed = now[0]

        async def hanging(_sweeps: HubSweeps, _goes_on: Callable[[], bool]) -> ActiveView:
            now[0] += HANGS
            raise Failures("ordershub", LIST_INSTANCES).of_exception(TimeoutError(), 60.0)

        monkeypatch.setattr(HubSweeps, "active", hanging)
        while now[0] < completed + 3 * STALE_AFTER:
            assert await collector.make(Sweep.ACTIVE) is not None
            shown = collector.snapshot
            assert not shown.up
            assert shown.sweeps[Sweep.ACTIVE].interval == 30.0
            assert shown.is_fresh(Sweep.ACTIVE, now[0]) == (now[0] - completed <= shown.stale_after)
            assert not shown.may_be_judged(Sweep.ACTIVE, now[0])
            now[0] += 2 * HANGS - HANGS
