"""Whatever stands in a history, something is said of it, and nothing is raised."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.api.wire import HistoryEvent, InstanceStatus
from exporter.diagnosis.blame import Blame, trace
from exporter.diagnosis.classify import Reading, classify
from exporter.diagnosis.nodes import Absence, Answer, entity_of
from exporter.diagnosis.waits import WaitingOn
from tests.diagnosis.test_composed_histories import CASES, answer
from tests.recorded import exchanges

RECORDED = [
    json.loads(entry.body)
    for entry in exchanges()
    if entry.operation == "getInstanceStatus" and '"historyEvents"' in entry.body
]
EVENTS: list[dict[str, Any]] = [event for body in RECORDED for event in body["historyEvents"]] + [
    event for case in CASES for event in case.get("events", ())
]
ENTITIES = [
    json.loads(entry.body)
    for entry in exchanges()
    if entry.file == "entity-waits" and entry.label.endswith("row with input")
]
TYPES = [*sorted({event["EventType"] for event in EVENTS}), "", "Unheard", "timerfired"]
TIMES = st.sampled_from(
    [
        None, "", "soon", "2026-11-23T10:00:00Z", "0001-01-01T00:00:00Z", "2026-11-23T13:27:55.4Z",
        "9999-12-31T23:59:59.9999999Z", "2026-11-23T10:00:00+14:00", "2026-11-23", "10:00",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-23T10:30:00Z",
    ]
)  # fmt: skip
NAMES = st.sampled_from([None, "", "op", "release", "Ship", "@counter@a", "op@2026", "x" * 300])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("@c@k"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "op", "signal", "lockset", "queue", "lockedBy", "parent"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
STATUSES = st.sampled_from(
    ["Running", "Pending", "Suspended", "ContinuedAsNew", "Unknown", "Completed", 8, None]
)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@st.composite
def events(draw: st.DrawFn) -> HistoryEvent:
    """Draw an event that occurred, with a few of its fields changed."""
    event = dict(draw(st.sampled_from(EVENTS)))
    for field in draw(st.sets(st.sampled_from(["Timestamp", "FireAt", "ScheduledTime"]))):
        event[field] = draw(TIMES)
    for field in draw(st.sets(st.sampled_from(["Name", "InstanceId", "FunctionName"]), max_size=2)):
        event[field] = draw(NAMES)
    if draw(st.booleans()):
        value = draw(JSON)
        event["Input"] = draw(st.sampled_from([value, json.dumps(value), "{", "https://x/y"]))
    if draw(st.integers(0, 5)) == 0:
        event["EventType"] = draw(st.sampled_from(TYPES))
    return of_json(event)


def of_json(event: dict[str, Any]) -> HistoryEvent:
    """Return an event; two of its fields stay as they came."""
    kept = {key: raw(event.get(key)) for key in ("Input", "FailureDetails")}
    return msgspec.convert({**event, **kept}, HistoryEvent)


@st.composite
def histories(draw: st.DrawFn) -> list[HistoryEvent]:
    """Draw a history that occurred, with events left out, doubled, moved, changed and added."""
    body = draw(st.sampled_from(RECORDED))
    kept = [of_json(event) for event in body["historyEvents"] if draw(st.integers(0, 9)) > 0]
    changed = draw(st.lists(events(), max_size=6))
    mixed = kept + changed
    return draw(st.permutations(mixed)) if draw(st.booleans()) else mixed


@st.composite
def answers(draw: st.DrawFn, instance_id: str = "order-1") -> InstanceStatus:
    return InstanceStatus(
        instance_id=instance_id,
        name=draw(NAMES),
        runtime_status=draw(STATUSES),
        created_time=draw(TIMES),
        last_updated_time=draw(TIMES),
        custom_status=raw(draw(JSON)),
        history_events=draw(st.none() | histories()),
        input=raw(draw(JSON)),
    )


def check(reading: Reading) -> None:
    for wait in (*reading.waits, *((reading.timer,) if reading.timer else ())):
        for at in (0.0, 1.8e9, 3e11):
            seen = wait.as_of(at)
            assert isinstance(seen.waiting_on, WaitingOn)
            assert seen.since is None or isinstance(seen.since, float)


@settings(max_examples=120, deadline=None)
@given(answers(), st.booleans())
def test_a_mutated_history_is_classified_and_raises_nothing(
    status: InstanceStatus, inputs: bool
) -> None:
    check(classify(status, inputs=inputs))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_blame_ends_whatever_the_reads_bring(data: st.DataObject) -> None:
    blame, asked = followed(data, "order-1")
    assert blame.chain[0] == "order-1"
    assert len(asked) == len(set(asked))
    assert len(blame.chain) <= 100


def followed(data: st.DataObject, start: str) -> tuple[Blame, list[object]]:
    """Trace with answers that chance gives."""
    asked: list[object] = []
    wanted = trace(start, {})
    try:
        read = next(wanted)
        while True:
            asked.append(read)
            answer_: Answer = data.draw(
                st.sampled_from(list(Absence)) | answers(instance_id=read.instance_id)
            )
            read = wanted.send(answer_)
    except StopIteration as done:
        blame, _ = done.value
        assert isinstance(blame, Blame)
        return blame, asked


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(ENTITIES), JSON, JSON)
def test_a_mutated_row_of_an_entity_raises_nothing(
    row: dict[str, Any], custom_status: object, changed: object
) -> None:
    row_input = {**row["input"], "queue": [*row["input"].get("queue", ()), changed]}
    for value in (row["input"], row_input, changed, json.dumps(row_input)):
        status = InstanceStatus(
            instance_id=row["instanceId"],
            custom_status=raw(custom_status),
            input=raw(value),
        )
        entity_of(status, "counter")


def test_json_that_is_nested_too_deep_raises_nothing() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    case = next(case for case in CASES if case["name"] == "a call of an entity")
    status = answer(case)
    assert status.history_events is not None
    sent = msgspec.structs.replace(status.history_events[1], input=msgspec.Raw(b'{"id":' + deep))
    found = classify(msgspec.structs.replace(status, history_events=[sent]), inputs=True)
    assert found.waits[0].waiting_on is WaitingOn.UNKNOWN
    entity = InstanceStatus(instance_id="@c@k", input=msgspec.Raw(b'{"queue":' + deep + b"}"))
    assert entity_of(entity, "c").queue == ()


FIRM = [
    case
    for case in CASES
    if case["expected"]["waiting_on"]
    in ("activity", "http_poll", "sub_orchestration", "retry_backoff", "entity", "entity_lock")
]
UNASKED = HistoryEvent("EventRaised", timestamp="2026-11-23T11:00:00Z", name="Unasked")
SIGNAL = HistoryEvent(
    "EventSent",
    timestamp="2026-11-23T11:00:00.1Z",
    name="op",
    instance_id="@counter@a",
    input=raw('{"op":"add","signal":true,"id":"99999999-1b90-5f77-bfcb-bc6951e3cdb4"}'),
)
RELEASE = msgspec.structs.replace(SIGNAL, name="release", input=raw('{"parent":"order-1"}'))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(FIRM),
    st.lists(st.sampled_from([UNASKED, SIGNAL, RELEASE]), min_size=1, max_size=4),
)
def test_what_nobody_waits_for_changes_no_wait(
    case: dict[str, Any], more: list[HistoryEvent]
) -> None:
    status = answer(case)
    assert status.history_events is not None
    grown = msgspec.structs.replace(status, history_events=[*status.history_events, *more])
    before = classify(status, inputs=True).waits[0]
    assert classify(grown, inputs=True).waits[0] == before
