"""Histories composed from the reference, and what their instances wait on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.api.times import parse_time
from exporter.api.wire import InstanceStatus
from exporter.diagnosis.classify import classify

COMPOSED = Path(__file__).parents[1] / "data" / "histories" / "composed.json"
CASES: list[dict[str, Any]] = json.loads(COMPOSED.read_text("utf-8"))


def answer(case: dict[str, Any]) -> InstanceStatus:
    """Return the case as an answer of the API; its row was updated at half past ten."""
    body = {
        "name": "Order",
        "instanceId": "order-1",
        "runtimeStatus": case["status"],
        "input": None,
        "customStatus": None,
        "output": None,
        "createdTime": "2026-11-23T10:00:00Z",
        "lastUpdatedTime": case.get("updated", "2026-11-23T10:30:00Z"),
    }
    if "events" in case:
        body["historyEvents"] = case["events"]
    return msgspec.json.decode(json.dumps(body), type=InstanceStatus)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_history_tells_what_its_instance_waits_on(case: dict[str, Any]) -> None:
    expected = case["expected"]
    reading = classify(answer(case), inputs=case["inputs"])
    if expected["waiting_on"] is None:
        assert reading.is_finished
        return
    at = parse_time(case["at"])
    assert at is not None
    wait = reading.waits[0].as_of(at)

    assert (wait.waiting_on.value, wait.target) == (expected["waiting_on"], expected["target"])
    assert wait.since == parse_time(expected["since"])
    assert reading.needs_inputs == expected.get("needs_inputs", False)
    assert wait.child_id == expected.get("child")
    if "entities" in expected:
        assert list(wait.entity_ids) == expected["entities"]
    if "request" in expected:
        assert wait.request_id == expected["request"]
    if "fire_at" in expected:
        assert wait.fire_at == parse_time(expected["fire_at"])


def test_the_corpus_has_every_class_and_many_histories() -> None:
    classes = {case["expected"]["waiting_on"] for case in CASES}
    assert len(CASES) >= 40
    assert classes - {None} == {
        "not_started", "activity", "http_poll", "sub_orchestration", "timer", "timer_overdue",
        "retry_backoff", "entity", "entity_lock", "external_event", "suspended",
        "finished_in_history", "unknown",
    }  # fmt: skip
    assert len({case["name"] for case in CASES}) == len(CASES)
