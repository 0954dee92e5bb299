"""`stuck` and `why` of every recorded instance, from the recorded bytes over a socket."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from exporter.settings import Settings, load_settings
from tests.cli.asked import ask, clock_of_commands
from tests.diagnosis.served import recorded_reads, recorded_rows, serving
from tests.diagnosis.test_recorded_waits import FINISHED, WAITS, moments
from tests.recorded import VERSIONS

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
in_both_versions = pytest.mark.parametrize("version", VERSIONS)
# After the last update of what is active: the shortest timer is due by then, and not late yet.
SOON = 30.0
HOUR = 3600.0
# Of the child of `parent-auto` no read was recorded, so that it waits for one that is gone.
STUCK = {"fanout-slow", "slow-1", "parent-auto"}
END = {"parent-auto": "missing", "parent-waits": "leaf", "lock-waiter": "leaf"}
LATE = {"eternal-1": "", "retry-waiting": "Charge"}
# What those of WAITS that wait for another one wait on in the end.
LEAVES = {
    "parent-waits": ("external_event", "WaitsForever"),
    "lock-waiter": ("external_event", "HoldsLock"),
    "entity-caller-blocked": ("external_event", "HoldsLock"),
}


@asynccontextmanager
async def recorded_hub(version: str, late: float) -> AsyncGenerator[Settings, None]:
    """Serve a recorded hub so many seconds after its last update; yields settings for it."""
    date = max(at for each, at in moments(version).items() if each in WAITS) + late
    async with serving(recorded_reads(version), recorded_rows(version), date) as server:
        settings = {"hubs.orders.url": server.url, "limits.idle": "5s", "limits.pending": "5s"}
        with clock_of_commands(lambda: date):
            yield load_settings({}, settings)


async def stuck(
    capfd: Capture, version: str, late: float, *arguments: str
) -> dict[str, dict[str, Any]]:
    async with recorded_hub(version, late) as settings:
        outcome = await ask(capfd, settings, "stuck", "--format", "json", *arguments)
    assert outcome.code == 0
    return {row["instance_id"]: row for row in json.loads(outcome.out)}


@in_both_versions
async def test_stuck_names_what_each_waits_on_as_the_table_says(
    capfd: Capture, version: str
) -> None:
    rows = await stuck(capfd, version, SOON, "--all")
    assert {each: (row["waiting_on"], row["target"]) for each, row in rows.items()} == WAITS
    assert rows["lock-waiter"]["held_by"] == "lock-holder"
    assert rows["entity-caller-blocked"]["held_by"] == "lock-holder"
    assert rows["parent-waits"]["chain"] == ["parent-waits", "parent-waits:child"]


@in_both_versions
async def test_only_those_are_called_stuck_that_are_and_an_hour_later_whose_timer_is_late(
    capfd: Capture, version: str
) -> None:
    soon = await stuck(capfd, version, SOON)
    later = await stuck(capfd, version, HOUR)
    assert soon.keys() == STUCK
    assert later.keys() == STUCK | LATE.keys()
    for instance_id, target in LATE.items():
        row = later[instance_id]
        assert (row["waiting_on"], row["target"]) == ("timer_overdue", target)


@in_both_versions
async def test_why_tells_of_each_what_the_table_says(capfd: Capture, version: str) -> None:
    updated = moments(version)
    orchestrations = {each for each in updated if not each.startswith("@")}
    assert orchestrations - WAITS.keys() == FINISHED & orchestrations
    async with recorded_hub(version, SOON) as settings:
        for instance_id in sorted(orchestrations):
            outcome = await ask(capfd, settings, "why", instance_id, "--format", "json")
            assert (outcome.code, outcome.err) == (0, ""), instance_id
            (reason,) = json.loads(outcome.out)
            told = (reason["waiting_on"], reason["target"])
            assert told == WAITS.get(instance_id, (None, None)), instance_id
            if instance_id in LEAVES:
                leaf = (reason["leaf"]["waiting_on"], reason["leaf"]["target"])
                assert leaf == LEAVES[instance_id]
            if instance_id in WAITS and instance_id != "resumed-1":
                since = datetime.fromisoformat(reason["since"]).timestamp()
                assert since == pytest.approx(updated[instance_id], abs=1.0), instance_id
            has_reason = reason["runtime_status"] in ("Failed", "Terminated")
            assert (reason["failure"] is not None) is has_reason, instance_id
            assert reason["end"] == END.get(instance_id, reason["end"])
            assert reason["timeline"], instance_id
