"""Every recorded instance is classified as what it was known to do, from the recorded bytes."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from exporter.collector.hub_diagnosis import HistoryReader
from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.nodes import Absence, Entity, Orchestration
from exporter.diagnosis.waits import Wait, WaitingOn
from tests.api.scripted import client_of
from tests.diagnosis.served import RecordedServer, recorded_reads, serving
from tests.recorded import VERSIONS, exchanges

pytestmark = pytest.mark.anyio

# An hour later: the longest pause of the recordings is over by then, no day has passed.
LATER = 3600.0
FINISHED = {
    "seq-1", "fanout-5", "timer-short", "http-1", "entity-caller-ok", "entity-signaller",
    "terminated-1", "order-1001", "retry-exhausted", "order-1002", "parent-fails", "parent-ok",
    "http-down", "entity-explodes", "nondeterministic", "unknown-function",
}  # fmt: skip
# What each of the others waits on itself, and what those wait on who are to blame in the end.
WAITS: dict[str, tuple[str, str]] = {
    "fanout-slow": ("activity", "Slow"),
    "slow-1": ("activity", "Slow"),
    "approval-1": ("timer", ""),
    "waits-1": ("external_event", ""),
    "two-events": ("external_event", ""),
    "progress-1": ("external_event", ""),
    "resumed-1": ("external_event", ""),
    "timer-20d": ("timer", ""),
    "retry-waiting": ("retry_backoff", "Charge"),
    "eternal-1": ("timer", ""),
    "parent-waits": ("sub_orchestration", "WaitsForever"),
    "parent-waits:child": ("external_event", ""),
    "parent-auto": ("sub_orchestration", "WaitsForever"),
    "lock-holder": ("external_event", ""),
    "lock-waiter": ("entity_lock", "counter"),
    "entity-caller-blocked": ("entity", "counter"),
    "suspended-1": ("suspended", ""),
}


def moments(version: str) -> dict[str, float]:
    """Return the last update of every recorded instance, read by hand from the status."""
    found = {}
    for entry in exchanges():
        if entry.version == version and entry.label.endswith(": status"):
            row = json.loads(entry.body)
            found[row["instanceId"]] = datetime.fromisoformat(row["lastUpdatedTime"]).timestamp()
    return found


async def why(server: RecordedServer, instance_id: str) -> tuple[Blame, object]:
    async with client_of(server.url) as client:
        reads = await HistoryReader(client).why(instance_id)
    assert reads.is_complete
    assert reads.result is not None
    return reads.result


def classified(wait: Wait | None) -> tuple[str, str] | None:
    return None if wait is None else (wait.waiting_on.value, wait.target)


@pytest.mark.parametrize("version", VERSIONS)
async def test_all_recorded_instances_do_what_the_table_says(version: str) -> None:
    updated = moments(version)
    orchestrations = {instance_id for instance_id in updated if not instance_id.startswith("@")}
    found: dict[str, tuple[str, str] | None] = {}
    async with serving(recorded_reads(version)) as server:
        for instance_id in sorted(orchestrations):
            blame, node = await why(server, instance_id)
            assert isinstance(node, Orchestration)
            now = updated[instance_id] + 2.0
            found[instance_id] = classified(blame.as_of(now).wait)

    expected = {**WAITS, **dict.fromkeys(FINISHED & orchestrations)}
    assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_wait_begins_when_the_history_says(version: str) -> None:
    updated = moments(version)
    async with serving(recorded_reads(version)) as server:
        for instance_id in sorted(set(WAITS) - {"resumed-1"}):
            blame, _ = await why(server, instance_id)
            assert blame.wait is not None
            assert blame.wait.since == pytest.approx(updated[instance_id], abs=1.0), instance_id


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_hour_later_only_the_timers_that_are_due_are_overdue(version: str) -> None:
    updated = moments(version)
    overdue: dict[str, object] = {}
    async with serving(recorded_reads(version)) as server:
        for instance_id in WAITS:
            blame, _ = await why(server, instance_id)
            wait = blame.as_of(updated[instance_id] + LATER).wait
            if wait is not None and wait.waiting_on is WaitingOn.TIMER_OVERDUE:
                overdue[instance_id] = (wait.target, round(wait.since or 0.0))
    assert overdue == {
        "eternal-1": ("", pytest.approx(updated["eternal-1"] + 5, abs=1)),
        "retry-waiting": ("Charge", pytest.approx(updated["retry-waiting"] + 600, abs=1)),
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_parent_leads_to_what_its_child_waits_on(version: str) -> None:
    async with serving(recorded_reads(version)) as server:
        blame, _ = await why(server, "parent-waits")
    assert blame.chain == ("parent-waits", "parent-waits:child")
    assert classified(blame.leaf) == ("external_event", "WaitsForever")
    assert blame.end is End.LEAF


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("waiter", ["lock-waiter", "entity-caller-blocked"])
async def test_who_waits_for_a_locked_entity_is_led_to_the_holder_and_its_wait(
    version: str, waiter: str
) -> None:
    async with serving(recorded_reads(version)) as server:
        blame, _ = await why(server, waiter)
    assert blame.chain == (waiter, "@counter@locked", "lock-holder")
    assert blame.held_by == "lock-holder"
    assert classified(blame.leaf) == ("external_event", "HoldsLock")


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_entity_leads_to_who_holds_it_and_shows_who_waits(version: str) -> None:
    async with serving(recorded_reads(version)) as server:
        blame, node = await why(server, "@counter@locked")
        assert blame.chain == ("@counter@locked", "lock-holder")
        assert isinstance(node, Entity)
        assert [(m.sender, m.wait.waiting_on.value) for m in node.queue] == [
            ("lock-waiter", "entity_lock"),
            ("entity-caller-blocked", "entity"),
        ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_inputs_are_read_only_where_a_message_to_an_entity_is_unanswered(
    version: str,
) -> None:
    async with serving(recorded_reads(version)) as server:
        for instance_id in WAITS:
            await why(server, instance_id)
        asked = [question for question in server.questions if question.history]
        with_inputs = {question.instance_id for question in asked if question.inputs}
    assert with_inputs == {"lock-waiter", "entity-caller-blocked"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_instance_that_is_not_there_is_said_to_be_missing(version: str) -> None:
    async with serving(recorded_reads(version)) as server:
        blame, node = await why(server, "nope")
    assert (blame.end, node) == (End.MISSING, Absence.MISSING)
