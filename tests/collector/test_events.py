"""What is logged of a hub."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from emulator import Fault, FaultKind, ManualClock, running, sample_emulator, truth
from exporter.api.errors import ErrorKind
from exporter.collector import events
from exporter.collector.snapshot import Sweep
from exporter.ledger.reasons import Category, FailureReason
from exporter.ledger.snapshot import (
    MOST_NAMED,
    ChangeBatch,
    Failed,
    LedgerChanges,
    OverLimit,
    Recovered,
    Resolved,
)
from exporter.ledger.status import RuntimeStatus
from tests.collector.polled import KEY, collector_of
from tests.ledger.rules import DEFAULT_RULES

pytestmark = pytest.mark.anyio

START = 1_795_428_000.0
Log = Sequence[MutableMapping[str, Any]]


def called(log: Log, event: str) -> list[Mapping[str, Any]]:
    return [each for each in log if each["event"] == event]


class TestSweeps:
    async def test_each_is_one_line_with_what_it_took(self) -> None:
        clock = ManualClock(START)
        emulator = sample_emulator(clock=clock, seed=11, system_key=KEY, history=3600.0)
        with capture_logs() as log:
            async with (
                running(emulator) as url,
                collector_of(url, wall=clock.now) as (collector, _),
            ):
                await collector.collect_once()
                states = collector.snapshot.sweeps
        complete = called(log, events.SWEEP_COMPLETE)
        assert sorted(each["sweep"] for each in complete) == sorted(Sweep)
        for each in complete:
            assert each["log_level"] == "info"
            assert each["hub"] == "ordershub"
            state = states[Sweep(each["sweep"])]
            assert (each["pages"], each["rows"]) == (state.pages, state.rows)

    async def test_going_down_and_coming_up_is_told_once_each(self) -> None:
        clock = ManualClock(START)
        emulator = sample_emulator(clock=clock, seed=11, system_key=KEY, history=60.0)
        faults = emulator.hubs["ordershub"].faults
        with capture_logs() as log:
            async with (
                running(emulator) as url,
                collector_of(url, wall=clock.now) as (collector, _),
            ):
                await collector.collect_once()
                faults.set(Fault(kind=FaultKind.UNAUTHORIZED))
                for _ in range(3):
                    await collector.collect_once()
                faults.clear()
                await collector.collect_once()
        changes = [e["event"] for e in log if e["event"] in (events.HUB_UP, events.HUB_DOWN)]
        assert changes == [events.HUB_UP, events.HUB_DOWN, events.HUB_UP]
        (down,) = called(log, events.HUB_DOWN)
        assert down["kind"] == ErrorKind.AUTH.value
        assert down["hint"]
        assert len(called(log, events.SWEEP_FAILED)) == 3
        assert KEY not in str(log)


class TestInstances:
    async def test_who_is_over_a_limit_and_who_failed_is_told_by_id(self) -> None:
        clock = ManualClock(START)
        emulator = sample_emulator(clock=clock, seed=11, system_key=KEY, history=7200.0)
        limits = {"idle": 600.0, "pending": 60.0}
        rules = replace(DEFAULT_RULES, limits=limits)
        with capture_logs() as log:
            async with (
                running(emulator) as url,
                collector_of(url, wall=clock.now, rules=rules) as (
                    collector,
                    _,
                ),
            ):
                for _ in range(6):
                    await collector.collect_once()
                    clock.advance(600.0)
                shown = collector.snapshot
        over = called(log, events.OVER_LIMIT)
        failed = called(log, events.INSTANCE_FAILED)
        assert over
        assert failed
        known = {name for name, _ in truth(emulator.hubs["ordershub"]).instances}
        assert {each["orchestrator"] for each in (*over, *failed)} <= known
        assert all(each["seconds"] > 60 for each in over)
        assert len({(each["instance_id"], each["limit"]) for each in over}) == len(over)
        left_out = sum(
            each["instances"]
            for each in called(log, events.SUPPRESSED)
            if each["of"] == events.INSTANCE_FAILED
        )
        counted = sum(
            count
            for (_, status), count in shown.counters["finished"].items()
            if status == RuntimeStatus.FAILED.value
        )
        assert len(failed) + left_out == counted

    def test_each_change_has_its_event_and_what_is_left_out_is_counted(self) -> None:
        over = OverLimit("o", "Order", RuntimeStatus.RUNNING, "idle", START - 90.4, None, None)
        reason = FailureReason(Category.ACTIVITY, "Charge", "TimeoutException")
        changes = LedgerChanges(
            over_limit=ChangeBatch((over,) * MOST_NAMED, 5),
            recovered=ChangeBatch((Recovered("r", "Order", "age"),)),
            failed=ChangeBatch((Failed("f", "Order", reason, None),), 1),
            resolved=ChangeBatch((Resolved("s", "Order"),)),
            replaced=True,
        )
        with capture_logs() as log:
            events.HubEvents("orders").changed(changes, START)
        assert len(called(log, events.OVER_LIMIT)) == MOST_NAMED
        assert called(log, events.OVER_LIMIT)[0] == {
            "event": events.OVER_LIMIT,
            "log_level": "warning",
            "hub": "orders",
            "instance_id": "o",
            "orchestrator": "Order",
            "runtime_status": "Running",
            "limit": "idle",
            "seconds": 90,
        }
        (failed,) = called(log, events.INSTANCE_FAILED)
        assert (failed["category"], failed["failed_function"], failed["error_type"]) == (
            "activity",
            "Charge",
            "TimeoutException",
        )
        assert [e["log_level"] for e in called(log, events.HUB_REPLACED)] == ["warning"]
        assert [e["instance_id"] for e in called(log, events.WITHIN_LIMIT)] == ["r"]
        assert [e["instance_id"] for e in called(log, events.FAILURE_RESOLVED)] == ["s"]
        assert [(e["of"], e["instances"]) for e in called(log, events.SUPPRESSED)] == [
            (events.OVER_LIMIT, 5),
            (events.INSTANCE_FAILED, 1),
        ]

    def test_where_nothing_changed_nothing_is_logged(self) -> None:
        none = LedgerChanges(ChangeBatch(), ChangeBatch(), ChangeBatch(), ChangeBatch())
        with capture_logs() as log:
            events.HubEvents("orders").changed(none, START)
        assert log == []
