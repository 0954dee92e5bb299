"""The scenario of the recordings: what was done, in which order and when."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from emulator import (
    Emulator,
    ExtensionVersion,
    Instance,
    Keys,
    ManualClock,
    RuntimeStatus,
    TaskHub,
)
from emulator.engine.functions import Functions
from emulator.engine.orchestration import Identities
from emulator.samples.recorded import functions
from emulator.times import parse
from tests.emulator.recordings import Recording, recorded
from tests.emulator.steps import STEADY, Step

BASE = "/durabletask"
OWN_HUB = {Recording.V2: "RecHubTwo", Recording.V3_15: "RecHub", Recording.V3: "RecHub"}
IDLE_HUB = {Recording.V2: "IdleHubTwo", Recording.V3_15: "IdleHub"}
# The second at which the recorded hub was set up, and that in which it was first read.
BEGIN = {
    Recording.V2: "2026-11-23T13:45:49.4Z",
    Recording.V3_15: "2026-11-23T13:25:43Z",
    Recording.V3: "2026-11-30T02:10:04Z",
}
READ = {
    Recording.V2: "2026-11-23T13:46:01Z",
    Recording.V3_15: "2026-11-23T13:29:23Z",
    Recording.V3: "2026-11-30T02:10:22Z",
}
# When the eternal one was started to be in the recorded generation when it was read, and with what.
ETERNAL = {
    Recording.V2: ("2026-11-23T13:45:53.8Z", 1),
    Recording.V3_15: ("2026-11-23T13:29:16Z", 12),
    Recording.V3: ("2026-11-30T02:10:15.2Z", 2),
}
# The entities as they were before orchestrations used them: class, key, operation, input.
SIGNALS: tuple[tuple[str, str, str, Any], ...] = (
    ("Counter", "steps", "add", 7),
    ("Counter", "locked", "add", 3),
    ("Counter", "Mixed Case-ž", "add", 1),
    ("Counter", "forwarder", "forward", None),
    ("Counter", "gone", "add", 1),
)
# Its messages were under way for two seconds, so that others came first.
LATE = {Recording.V3_15: "entity-caller-ok"}
# How an instance was brought into the state that it is named after.
FUNCTIONS = {
    "running": "WaitsForever",
    "suspended": "WaitsForever",
    "completed": "HelloSequence",
    "failed": "FailsItself",
    "terminated": "WaitsForever",
}
_GUID = re.compile("[0-9a-f]{32}")
_STARTS_WITHOUT_ID = re.compile(r"/orchestrators/\w+(\?|$)|/restart(\?|$)")
BROUGHT_BY = {"suspended": "suspend?reason=r", "terminated": "terminate?reason=r"}


class RecordedIdentities(Identities):
    """Gives the ids that the real extension made up, so that rows come in the recorded order."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("recorded", recording.version)
        self._instance_ids = _made_up_ids(recording)
        self._executions = _executions_of_parents(recording)

    def instance_id(self) -> str:
        return next(self._instance_ids)

    def execution_id(self, instance_id: str) -> str:
        return self._executions.get(instance_id) or super().execution_id(instance_id)


def emulator(recording: Recording, clock: ManualClock) -> Emulator:
    """Return an emulator with the recorded app's own hub, empty."""
    hub = TaskHub(
        OWN_HUB[recording],
        clock,
        functions=app(recording),
        version=recording.version,
        pace=STEADY,
        identities=RecordedIdentities(recording),
    )
    keys = Keys(system="systemkey")
    if recording is not Recording.V2:
        return Emulator(hub, clock=clock, keys=keys)
    return Emulator(hub, _hub_of_v3(clock), clock=clock, keys=keys)


def app(recording: Recording) -> Functions:
    """Return the functions that the recorded app said it had; some of them were not used."""
    files = ("instance-status", "operations")
    said = "".join(exchange.body for file in files for exchange in recorded(recording, file))
    described = Functions()
    for name, activity in functions.activities.items():
        described.activity(activity, name=name)
    for name in _names(said, "orchestrator"):
        described.orchestrator(functions.orchestrators.get(name, _unused), name=name)
    for name in _names(said, "entity") or functions.entities:
        described.entity(functions.entities.get(name, _unused), name=name)
    return described


def setting_up(recording: Recording) -> Iterator[Step]:
    """Yield what brought the hub into the state in which it was read first."""
    rows = _rows(recording)
    starts = sorted(_starts(recording, rows), key=lambda step: step.at or 0)
    before = [step for step in starts if "HoldsLock" not in step.target]
    first_lock = min(step.at or 0 for step in starts if "HoldsLock" in step.target)
    yield from (step for step in before if (step.at or 0) < first_lock)
    for class_name, key, operation, value in SIGNALS:
        yield _signal(class_name, key, operation, value)
    for key, state in _profiles(recording):
        yield _signal("Profile", key, "set", state)
    yield Step(first_lock, "POST", f"{BASE}/entities/Counter/gone?op=delete")
    yield from (step for step in starts if (step.at or 0) >= first_lock)
    for instance_id, operation, reason in (
        ("suspended-1", "suspend", "maintenance window"),
        ("terminated-1", "terminate", "no longer needed"),
        ("resumed-1", "suspend", "pause"),
        ("resumed-1", "resume", "go on"),
    ):
        target = f"{BASE}/instances/{instance_id}/{operation}?reason={quote(reason)}"
        yield Step(None, "POST", target)


def before_operations(recording: Recording) -> Iterator[Step]:
    """Yield what was started for operations to be tried on."""
    text = " ".join(exchange.target for exchange in recorded(recording, "operations"))
    for instance_id in dict.fromkeys(re.findall(r"op-[a-z]+-\d+", text)):
        state = instance_id.split("-")[1]
        if state in FUNCTIONS:
            yield Step(None, "POST", f"{BASE}/orchestrators/{FUNCTIONS[state]}/{instance_id}")
        if state in BROUGHT_BY:
            yield Step(None, "POST", f"{BASE}/instances/{instance_id}/{BROUGHT_BY[state]}")
    if text:
        yield Step(None, "POST", f"{BASE}/orchestrators/OrderSaga/rewind-activity", '{"id": 5}')


def before_pending(recording: Recording) -> Iterator[Step]:
    """Yield what was started in a hub that nobody serves."""
    for number in range(1, 10) if recorded(recording, "pending") else ():
        target = f"{BASE}/orchestrators/HelloSequence/pend-{number}?taskHub={IDLE_HUB[recording]}"
        yield Step(None, "POST", target, json.dumps({"n": number}))


def before_times(recording: Recording) -> Iterator[Step]:
    """Yield what was started to see what times are compared with."""
    if not recorded(recording, "times"):
        return
    at = _seconds("2026-11-23T13:48:43.6983341Z")
    yield Step(at, "POST", f"{BASE}/orchestrators/HelloSequence/precise-1")


def _names(said: str, kind: str) -> list[str]:
    names = re.search(rf"known {kind} functions: ([^.]*)\.", said)
    return re.findall(r"'(\w+)'", names[1]) if names else []


def _unused(_context: object) -> None:
    raise AssertionError("Nothing in the recordings uses this function")


def _hub_of_v3(clock: ManualClock) -> TaskHub:
    """Return what the other recording left in the same storage, as far as it was read."""
    hub = TaskHub(OWN_HUB[Recording.V3_15], clock, version=ExtensionVersion.V2)
    now = clock.now()
    for name, instance_id in (
        ("WaitsForever", "0b50ea7e84994badbc93814385a680ee"),
        ("HelloSequence", "24e05f36602442769f97632bd69d0ebc"),
    ):
        status = RuntimeStatus.RUNNING
        hub.put(
            Instance(instance_id=instance_id, name=name, status=status, created=now, updated=now)
        )
    return hub


def _rows(recording: Recording) -> dict[str, dict[str, Any]]:
    exchanges = [*recorded(recording, "list-instances"), *recorded(recording, "instance-status")]
    rows: dict[str, dict[str, Any]] = {}
    for exchange in exchanges:
        shown = exchange.json() if exchange.response["status"] < 400 else None
        for item in shown if isinstance(shown, list) else [shown]:
            if item is not None:
                row = rows.setdefault(item["instanceId"], {})
                kept = {} if item["input"] is not None else {"input": row.get("input")}
                row |= item | kept
    return rows


def _starts(recording: Recording, rows: dict[str, dict[str, Any]]) -> Iterator[Step]:
    for instance_id, row in rows.items():
        is_entity = instance_id.startswith("@")
        is_child = ":" in instance_id
        if is_entity or is_child or row["name"] == "Eternal":
            continue  # not started by anybody, or more than once
        events = row.get("historyEvents")
        first = 1 if instance_id == LATE.get(recording) else 0
        at = _seconds(events[first]["Timestamp"] if events else row["createdTime"])
        body = None if row["input"] is None else json.dumps(row["input"])
        target = f"{BASE}/orchestrators/{row['name']}/{instance_id}"
        yield Step(max(at, _seconds(BEGIN[recording])), "POST", target, body)
    begun, generation = ETERNAL[recording]
    target = f"{BASE}/orchestrators/Eternal/eternal-1"
    yield Step(_seconds(begun), "POST", target, str(generation))


def _signal(class_name: str, key: str, operation: str, value: object) -> Step:
    body = None if value is None else json.dumps(value, ensure_ascii=False)
    target = f"{BASE}/entities/{class_name}/{quote(key)}?op={operation}"
    return Step(None, "POST", target, body)


def _profiles(recording: Recording) -> Iterator[tuple[str, Any]]:
    exchanges = [*recorded(recording, "entities"), *recorded(recording, "web-hook")]
    for item in next(e for e in exchanges if "fetchState=true" in e.target).json():
        if item["entityId"]["name"] == "profile":
            yield item["entityId"]["key"], item["state"]


def _made_up_ids(recording: Recording) -> Iterator[str]:
    """Yield the ids that were made up for instances started without one, in their order."""
    operations = recorded(recording, "operations")
    answered = set(_GUID.findall(" ".join(exchange.body for exchange in operations)))
    silent = iter(sorted(_shown_later(recording), key=lambda row: str(row["createdTime"])))
    for exchange in (*operations, *recorded(recording, "pending")):
        answer = exchange.json() if exchange.body.startswith("{") else {}
        made_up = answer.get("id") or answer.get("instanceId") or ""
        if _STARTS_WITHOUT_ID.search(exchange.target) and _GUID.fullmatch(made_up):
            yield made_up
        elif "timeout=" in exchange.target:  # the answer was the output, or a refusal to wait
            yield str(
                next(row for row in silent if row["instanceId"] not in answered)["instanceId"]
            )


def _shown_later(recording: Recording) -> Iterator[dict[str, Any]]:
    """Yield the rows with made-up ids that were listed after all operations, and not before."""
    known = _rows(recording)
    for exchange in recorded(recording, "web-hook"):
        if exchange.body.startswith("["):
            rows = (row for row in exchange.json() if _GUID.fullmatch(row.get("instanceId", "")))
            yield from (row for row in rows if row["instanceId"] not in known)


def _executions_of_parents(recording: Recording) -> dict[str, str]:
    """Return the runs whose ids show in the ids of their sub-orchestrations."""
    executions = {}
    for instance_id, row in _rows(recording).items():
        for event in row.get("historyEvents", ()):
            execution, colon, _ = str(event.get("InstanceId", "")).rpartition(":")
            if colon and execution != instance_id:
                executions[instance_id] = execution
    return executions


def _seconds(text: str) -> float:
    seconds = parse(text, 0)
    assert seconds is not None
    return seconds
