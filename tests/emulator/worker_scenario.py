"""
How apps of other languages were brought into the state that was recorded.

What was done to an instance, and when, is read from its recorded history; the rest stands here.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from emulator import (
    ActivityContext,
    Emulator,
    Functions,
    Keys,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
)
from emulator.engine.failures import FunctionMissing
from emulator.engine.functions import unknown_orchestrator
from emulator.engine.identities import Identities
from emulator.engine.workers.worker import Worker
from emulator.json_text import JsonValue
from emulator.times import parse
from tests.emulator.apps import javascript
from tests.emulator.recordings import Recording, recorded
from tests.emulator.steps import STEADY, Step

BASE = "/durabletask"
FILES = ("list-instances", "instance-status")
_GUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_INTERVENTIONS = {
    "ExecutionSuspended": "suspend",
    "ExecutionResumed": "resume",
    "ExecutionTerminated": "terminate",
}


@dataclass(frozen=True, kw_only=True)
class WorkerScenario:
    """
    What no history says of a recording.

    `signals` are the time, class, key, operation and input of what clients signalled, `starts`
    those of instances that have continued as new since; `values` the inputs of external events.
    """

    worker: Worker
    functions: Functions
    read: str
    signals: tuple[tuple[str, str, str, str, Any], ...]
    starts: dict[str, tuple[str, Any]]
    values: dict[str, Any] = field(default_factory=dict)


_SIGNALLED = "2026-11-30T02:20:51.6Z"
SCENARIOS = {
    Recording.JAVASCRIPT: WorkerScenario(
        worker=Worker.JAVASCRIPT,
        functions=javascript.functions,
        read="2026-11-30T02:22:52Z",
        signals=(
            (_SIGNALLED, "Counter", "locked", "add", 3),
            (_SIGNALLED, "Counter", "steps", "add", 7),
            (_SIGNALLED, "Counter", "gone", "add", 1),
            (_SIGNALLED, "Profile", "jana", "set", {"name": "Jana", "tags": ["a", "b"]}),
            (_SIGNALLED, "Profile", "big", "big", None),
            (_SIGNALLED, "Counter", "forwarder", "forward", None),
            (_SIGNALLED, "Counter", "second", "add", 1),
            (_SIGNALLED, "Counter", "failing", "explode", None),
            ("2026-11-30T02:20:54.4Z", "Counter", "gone", "delete", None),
            ("2026-11-30T02:22:18.3Z", "Counter", "sleepy", "add", 1),
        ),
        starts={"continues-waiting": ("2026-11-30T02:22:13Z", 0)},
        values={"Approval": True},
    ),
}


def emulator(recording: Recording, clock: ManualClock) -> Emulator:
    """Return an emulator with the recorded app, and nothing in its hub."""
    scenario = SCENARIOS[recording]
    hub = TaskHub(
        "RecHub",
        clock,
        functions=RecordedFunctions(scenario.functions, recording),
        pace=STEADY,
        identities=RecordedExecutions(recording),
        worker=scenario.worker,
    )
    return Emulator(hub, clock=clock, keys=Keys(system="systemkey"))


def begin(recording: Recording) -> str:
    """Return when the first instance was started."""
    return min(str(row["createdTime"]) for row in rows(recording).values())


def setting_up(recording: Recording) -> Iterator[Step]:
    """Yield what was done, in its order."""
    scenario = SCENARIOS[recording]
    steps = [_signal(*signal) for signal in scenario.signals]
    for instance_id, row in rows(recording).items():
        if "parentInstanceId" not in row and not instance_id.startswith("@"):
            steps += _life(instance_id, row, scenario)
    yield from sorted(steps, key=lambda step: step.at or 0)


def rows(recording: Recording) -> dict[str, dict[str, Any]]:
    """Return all that was shown of each instance; a history and an input come with some answers."""
    found: dict[str, dict[str, Any]] = {}
    for exchange in (each for file in FILES for each in recorded(recording, file)):
        if exchange.response["status"] >= 400 or not exchange.body:
            continue
        shown = exchange.json()
        for item in shown if isinstance(shown, list) else [shown]:
            row = found.setdefault(item["instanceId"], {"input": None})
            kept = {} if item["input"] is not None else {"input": row["input"]}
            row |= item | kept
    return found


class RecordedExecutions(Identities):
    """Gives the ids of runs that show in ids of their children, so that rows keep their order."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("recorded", recording.version)
        self._executions: dict[str, str] = {}
        for instance_id, row in rows(recording).items():
            execution, colon, _ = instance_id.rpartition(":")
            if colon and _GUID.fullmatch(execution):
                self._executions[row["parentInstanceId"]] = execution

    def execution_id(self, instance_id: str) -> str:
        return self._executions.get(instance_id) or super().execution_id(instance_id)


def _life(instance_id: str, row: dict[str, Any], scenario: WorkerScenario) -> Iterator[Step]:
    events = row.get("historyEvents", ())
    started = events[0]["Timestamp"] if events else row["createdTime"]
    at, argument = _seconds(started), row["input"]
    if instance_id in scenario.starts:
        begun, argument = scenario.starts[instance_id]
        at = _seconds(begun)
    elif row["name"] == "Eternal":  # a generation earlier
        at, argument = at - 5.06, argument - 1
    body = None if argument is None else json.dumps(argument)
    yield Step(at, "POST", f"{BASE}/orchestrators/{row['name']}/{instance_id}", body)
    for event in events:
        yield from _told(instance_id, event, row, scenario)


def _told(
    instance_id: str, event: dict[str, Any], row: dict[str, Any], scenario: WorkerScenario
) -> Iterator[Step]:
    at = _seconds(event["Timestamp"]) - 0.005
    target = f"{BASE}/instances/{instance_id}"
    if event["EventType"] == "EventRaised" and not _GUID.fullmatch(event["Name"]):
        value = json.dumps(scenario.values.get(event["Name"], 1))
        yield Step(at, "POST", f"{target}/raiseEvent/{event['Name']}", value)
    elif event["EventType"] in _INTERVENTIONS:
        reason = event.get("Reason", row["output"])
        query = f"?reason={quote(reason)}" if reason else ""
        yield Step(at, "POST", f"{target}/{_INTERVENTIONS[event['EventType']]}{query}")


def _signal(at: str, class_name: str, key: str, operation: str, value: object) -> Step:
    body = None if value is None else json.dumps(value, ensure_ascii=False)
    target = f"{BASE}/entities/{class_name}/{quote(key)}?op={operation}"
    return Step(_seconds(at), "POST", target, body)


class RecordedFunctions(Functions):
    """An app that names the functions that it knows as it did when an instance was recorded."""

    def __init__(self, own: Functions, recording: Recording) -> None:
        super().__init__()
        self.include(own)
        self._said: defaultdict[str, str] = defaultdict(str)
        for exchange in recorded(recording, "instance-status"):
            self._said[exchange.label.split(": ")[0]] += exchange.body

    def run_orchestrator(self, name: str, context: OrchestrationContext) -> Steps | JsonValue:
        if not self.has_orchestrator(name):
            known = self._known(context.parent_instance_id or context.instance_id, "orchestrator")
            raise FunctionMissing(unknown_orchestrator(name, known), known)
        return super().run_orchestrator(name, context)

    def run_activity(self, name: str, argument: JsonValue, context: ActivityContext) -> JsonValue:
        try:
            return super().run_activity(name, argument, context)
        except FunctionMissing as missing:
            known = self._known(context.instance_id, "activity")
            raise FunctionMissing(str(missing), known) from missing

    def _known(self, instance_id: str, kind: str) -> tuple[str, ...]:
        names = re.search(rf"known {kind} functions: ([^.]*)\.", self._said[instance_id])
        return tuple(re.findall(r"'(\w+)'", names[1])) if names else ()


def _seconds(text: str) -> float:
    seconds = parse(text, 0)
    assert seconds is not None
    return seconds
