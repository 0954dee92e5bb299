"""What every active instance of the recorded apps waits on, by metrics and by commands alike."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from exporter.collector.snapshot import Sweep
from tests.cli.asked import ask
from tests.collector.polled import INTERVALS, collector_of
from tests.diagnosis.surveying import limits
from tests.workers.recorded_hub import (
    has_history,
    nothing_but_a_start,
    recorded_app,
    rows_of,
)
from tests.workers.truth import VERSIONS, WAITING, Waiting

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
in_every_app = pytest.mark.parametrize("version", VERSIONS)
in_both_orders = pytest.mark.parametrize("reverse", [False, True], ids=["as listed", "reversed"])
ACTIVE = ("Pending", "Running", "Suspended")
# Functions of which an instance was seen to get an event while another has nothing but its start.
SEEN_TO_GET_EVENTS = {"TwoEvents"}


def wait_of(version: str, instance_id: str) -> set[str]:
    """
    Return the classes under which a wait may be told.

    Whoever waits for a timer or an event may be told as either. In JavaScript a call that was lost
    looks as a wait for an event, and where nothing else has happened it is taken for one.
    """
    wait = WAITING[version][instance_id].wait
    name = rows_of(version)[instance_id]["name"]
    if wait == "event_or_timer":
        return {"timer", "external_event"}
    if wait in ("external_event", "lost") and version == "v3-javascript":
        may_be_lost = instance_id in nothing_but_a_start(version) and name not in SEEN_TO_GET_EVENTS
        return {"no_step"} if may_be_lost else {"external_event"}
    return {"external_event"} if wait == "lost" else {wait}


def assert_told(version: str, told: dict[str, dict[str, Any]]) -> None:
    """Assert that each instance is told as the table says."""
    for instance_id, found in told.items():
        truth = WAITING[version][instance_id]
        assert found["waiting_on"] in wait_of(version, instance_id), (instance_id, found)
        assert (found["target"], found["held_by"]) == (truth.target, truth.held_by), instance_id


@in_every_app
def test_the_table_has_every_active_instance_whose_history_was_read(version: str) -> None:
    active = {each for each, row in rows_of(version).items() if row["runtimeStatus"] in ACTIVE}
    orchestrations = {each for each in active if not each.startswith("@")}
    pending = {each for each in active if rows_of(version)[each]["runtimeStatus"] == "Pending"}
    assert orchestrations & (has_history(version) | pending) == WAITING[version].keys()


@in_every_app
@in_both_orders
async def test_stuck_tells_what_each_waits_on(
    capfd: Capture, version: str, *, reverse: bool
) -> None:
    async with recorded_app(version, reverse=reverse) as (_, settings):
        outcome = await ask(capfd, settings, "stuck", "--all", "--format", "json")
    assert outcome.code == 0
    told = {row["instance_id"]: row for row in json.loads(outcome.out)}
    assert WAITING[version].keys() <= told.keys()
    assert_told(version, {each: told[each] for each in WAITING[version]})


@in_every_app
async def test_why_tells_what_each_waits_on_and_where_its_chain_leads(
    capfd: Capture, version: str
) -> None:
    async with recorded_app(version) as (_, settings):
        told = {}
        for instance_id in WAITING[version]:
            outcome = await ask(capfd, settings, "why", instance_id, "--format", "json")
            assert (outcome.code, outcome.err) == (0, ""), instance_id
            (told[instance_id],) = json.loads(outcome.out)
    assert_told(version, told)
    for instance_id, truth in WAITING[version].items():
        leaf = told[instance_id]["leaf"]
        if truth.leaf is not None:
            found = (leaf["waiting_on"], leaf["target"])
            assert found == in_the_end(version, truth), instance_id


def in_the_end(version: str, truth: Waiting) -> tuple[str, str] | None:
    """Return the wait at the end of a chain, where in JavaScript an event may have been a call."""
    if truth.leaf == ("external_event", "WaitsForever") and version == "v3-javascript":
        return ("no_step", "WaitsForever")
    return truth.leaf


@in_every_app
@in_both_orders
async def test_the_metric_counts_what_why_tells(
    capfd: Capture, version: str, *, reverse: bool
) -> None:
    async with recorded_app(version, reverse=reverse) as (server, settings):
        assert server.date is not None
        date = server.date
        told: Counter[tuple[str, str, str]] = Counter()
        for instance_id in WAITING[version]:
            outcome = await ask(capfd, settings, "why", instance_id, "--format", "json")
            (reason,) = json.loads(outcome.out)
            leaf = reason["leaf"]
            told[reason["orchestrator"], leaf["waiting_on"], leaf["target"]] += 1
        async with collector_of(
            server.url,
            key=None,
            wall=lambda: date,
            rules=limits(pending=5.0, idle=5.0, age=5.0),
            intervals={**INTERVALS, "active": 120.0},
            max_histories_per_sweep=1000,
        ) as (collector, _):
            assert await collector.make(Sweep.ACTIVE) is None
            view = collector.snapshot.diagnosis
    assert view is not None
    assert Counter(view.stalled) + Counter(view.waiting) == told
