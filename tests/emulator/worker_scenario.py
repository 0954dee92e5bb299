"""
How apps of other languages were brought into the state that was recorded.

What was done to an instance, and when, is read from its recorded history; the rest stands here.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from emulator import (
    ActivityContext,
    Emulator,
    EntityContext,
    Functions,
    Keys,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
)
from emulator.engine.execution import Run
from emulator.engine.failures import FunctionMissing
from emulator.engine.functions import unknown_entity, unknown_orchestrator
from emulator.engine.orchestration import Identities
from emulator.engine.workers import Worker
from emulator.json_text import JsonValue
from emulator.times import parse
from tests.emulator.apps import isolated, javascript
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
    those of instances that have continued as new since; `values` the inputs of external events;
    `raised` are time, instance, name and input of events that no history has any longer, `later`
    the seconds for which starts were scheduled. `different` are the instances that the emulator
    answers otherwise about, and why; docs/emulator.md says so too.
    """

    worker: Worker
    functions: Functions
    read: str
    signals: tuple[tuple[str, str, str, str, Any], ...]
    starts: dict[str, tuple[str, Any]]
    values: dict[str, Any] = field(default_factory=dict)
    raised: tuple[tuple[str, str, str, Any], ...] = ()
    later: dict[str, float] = field(default_factory=dict)
    different: dict[str, str] = field(default_factory=dict)


_SIGNALLED = "2026-11-30T02:20:51.6Z"
_ISOLATED_SIGNALLED = "2026-11-30T02:21:17.6Z"
SCENARIOS = {
    Recording.ISOLATED: WorkerScenario(
        worker=Worker.ISOLATED,
        functions=isolated.functions,
        read="2026-11-30T02:32:12Z",
        signals=(
            (_ISOLATED_SIGNALLED, "Counter", "locked", "add", 3),
            (_ISOLATED_SIGNALLED, "Counter", "steps", "add", 7),
            (_ISOLATED_SIGNALLED, "Counter", "Mixed Case-ž", "add", 1),
            (_ISOLATED_SIGNALLED, "Counter", "gone", "add", 1),
            (_ISOLATED_SIGNALLED, "Profile", "jana", "set", {"name": "Jana", "tags": ["a", "b"]}),
            (_ISOLATED_SIGNALLED, "Profile", "big", "big", None),
            (_ISOLATED_SIGNALLED, "Counter", "forwarder", "forward", None),
            (_ISOLATED_SIGNALLED, "Counter", "boom", "explode", None),
            (_ISOLATED_SIGNALLED, "Counter", "boom2", "add", 4),
            (_ISOLATED_SIGNALLED, "Counter", "boom2", "explode", None),
            (_ISOLATED_SIGNALLED, "BrokenEntity", "b1", "get", None),
            (_ISOLATED_SIGNALLED, "Counter", "badop", "nosuchop", None),
            ("2026-11-30T02:21:20.8Z", "Counter", "gone", "delete", None),
            ("2026-11-30T02:27:04.6Z", "Starter", "s1", "begin", None),
            ("2026-11-30T02:27:17.4Z", "Counter", "g", "add", 2),
        ),
        later={"g-later": 7200.0},
        different={
            "eternal-1": "it went on while it was read",
            **dict.fromkeys(
                ("http-1", "http-404", "ph-1"), "answers of emulated addresses are but a number"
            ),
            "event-timeout": "recorded before the host was imitated in full",
            "sends-event": "emulated orchestrators send no events",
            "signals-later": "emulated signals are sent at once",
            **dict.fromkeys(
                ("@slowentity@one", "slow-entity-next"),
                "the recorded host gave the operation up after five minutes",
            ),
            **dict.fromkeys(
                ("entity-broken", "lv-be-1796005917"), "an emulated entity always fails inside"
            ),
            "started-by-entity": "emulated entities start no orchestrations",
        },
        starts={"de-1": ("2026-11-30T02:21:29.9Z", 0)},
        raised=(
            ("2026-11-30T02:21:34.8Z", "de-1", "Item", 1),
            ("2026-11-30T02:21:34.9Z", "de-1", "Item", 1),
        ),
    ),
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
        different={
            "activity-chargesecret": "the host hides secrets in what it sees of a failure",
            "http-polling-default": "an emulated address that says 202 is asked again in 3 s",
        },
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
    steps += [_raised(*raised) for raised in scenario.raised]
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


def _raised(at: str, instance_id: str, name: str, value: object) -> Step:
    target = f"{BASE}/instances/{instance_id}/raiseEvent/{name}"
    return Step(_seconds(at), "POST", target, json.dumps(value))


class RecordedExecutions(Identities):
    """Gives the ids of children that were made for them, so that rows keep their order."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("recorded", recording.version)
        self._executions: dict[str, str] = {}
        self._children: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        self._given: dict[tuple[str, int], str] = {}
        for instance_id, row in rows(recording).items():
            execution, colon, _ = instance_id.rpartition(":")
            if colon and _GUID.fullmatch(execution):
                self._executions[row["parentInstanceId"]] = execution
            elif _GUID.fullmatch(instance_id):
                self._children[row["parentInstanceId"], row["name"]].append(instance_id)

    def child_id(self, parent: Run, number: int, name: str, *, plain: bool) -> str:
        left = self._children[parent.instance_id, name]
        made = super().child_id(parent, number, name, plain=plain)
        call = parent.instance_id, number
        return self._given.setdefault(call, left.popleft() if left else made)

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
    if events and instance_id not in scenario.starts and row["name"] != "Eternal":
        body = events[0].get("Input", body)
    target = f"{BASE}/orchestrators/{row['name']}/{instance_id}"
    yield Step(at, "POST", target, body, later=scenario.later.get(instance_id))
    for event in events:
        yield from _told(instance_id, event, row, scenario)


def _told(
    instance_id: str, event: dict[str, Any], row: dict[str, Any], scenario: WorkerScenario
) -> Iterator[Step]:
    at = _seconds(event["Timestamp"]) - 0.005
    target = f"{BASE}/instances/{instance_id}"
    if event["EventType"] == "EventRaised" and not _GUID.fullmatch(event["Name"]):
        known = json.dumps(scenario.values.get(event["Name"], 1))
        yield Step(at, "POST", f"{target}/raiseEvent/{event['Name']}", event.get("Input", known))
    elif event.get("Data") is not None:
        yield Step(at, "POST", f"{target}/rewind?reason={quote(event['Data'])}")
    elif event["EventType"] in _INTERVENTIONS:
        reason = event.get("Reason", event.get("Input", row["output"]))
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

    def run_entity(self, name: str, context: EntityContext) -> None:
        if not self.has_entity(name):
            known = self._known("entity-unknown", "entity")
            raise FunctionMissing(unknown_entity(name, known), known)
        super().run_entity(name, context)

    def _known(self, instance_id: str, kind: str) -> tuple[str, ...]:
        names = re.search(rf"known {kind} functions: ([^.]*)\.", self._said[instance_id])
        return tuple(re.findall(r"'(\w+)'", names[1])) if names else ()


def _seconds(text: str) -> float:
    seconds = parse(text, 0)
    assert seconds is not None
    return seconds
