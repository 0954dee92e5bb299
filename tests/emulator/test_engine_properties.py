"""Whatever is asked of a hub in whatever order, its rows and histories stay consistent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator, ExtensionVersion, Instance, ManualClock, TaskHub, create_app
from emulator.samples.recorded import functions
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import Entity, Row, RuntimeStatus
from tests.emulator.conftest import MAJOR_VERSIONS, NOW
from tests.emulator.hubs import rows

pytestmark = pytest.mark.anyio

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
PENDING, RUNNING, SUSPENDED = (
    RuntimeStatus.PENDING,
    RuntimeStatus.RUNNING,
    RuntimeStatus.SUSPENDED,
)
ENDS = {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED}
# What may follow within one life; `None` stands before the first row. A turn may resume an instance
# and end it, and the first row of a sub-orchestration is that of its first turn.
LEGAL: dict[RuntimeStatus | None, set[RuntimeStatus]] = {
    None: {PENDING, RUNNING, SUSPENDED, *ENDS},
    PENDING: {PENDING, RUNNING, SUSPENDED, *ENDS},
    RUNNING: {RUNNING, SUSPENDED, *ENDS},
    SUSPENDED: {RUNNING, SUSPENDED, *ENDS},
    RuntimeStatus.COMPLETED: set(),
    RuntimeStatus.FAILED: {PENDING},
    RuntimeStatus.TERMINATED: set(),
}
SCHEDULING = {
    EventKind.TASK_COMPLETED: EventKind.TASK_SCHEDULED,
    EventKind.TASK_FAILED: EventKind.TASK_SCHEDULED,
    EventKind.SUB_ORCHESTRATION_COMPLETED: EventKind.SUB_ORCHESTRATION_CREATED,
    EventKind.SUB_ORCHESTRATION_FAILED: EventKind.SUB_ORCHESTRATION_CREATED,
    EventKind.TIMER_FIRED: EventKind.TIMER_CREATED,
}
# What the reference allows as an answer, whatever the state (4.1 to 4.6).
ALLOWED = {
    "start": {V2: {202, 500}, V3: {202, 409}},
    "raiseEvent": {V2: {202, 404, 410}, V3: {202, 404, 410}},
    "terminate": {V2: {202, 404, 410}, V3: {202, 404, 410}},
    "suspend": {V2: {202, 404, 410, 500}, V3: {202, 404, 410, 500}},
    "resume": {V2: {202, 404, 410, 500}, V3: {202, 404, 410, 500}},
    "rewind": {V2: {202, 404, 410, 500}, V3: {202, 404, 412}},
    "restart": {V2: {202, 400, 500}, V3: {202, 400, 409}},
    "purge": {V2: {200, 404}, V3: {200, 404, 412}},
    "purgeMany": {V2: {200, 404}, V3: {200, 404}},
    "signal": {V2: {202}, V3: {202}},
}


# A sub-orchestration that is on its way when its id is purged still comes.
UNDER_WAY_SECONDS = 0.1


class WatchedHub(TaskHub):
    """Checks every row against the one that it replaces; what is purged does not return."""

    def __init__(self, clock: ManualClock, version: ExtensionVersion) -> None:
        self._purged: dict[str, float] = {}
        super().__init__("RecHub", clock, functions=functions, version=version)

    def purge(self, instance_id: str) -> bool:
        there = super().purge(instance_id)
        if there:
            self._purged[instance_id] = self.clock.now()
        return there

    def put(self, row: Row, *, at: float | None = None) -> None:
        before = self.get(row.instance_id)
        super().put(row, at=at)
        if isinstance(row, Instance):
            check_row(row)
            purged = self._purged.get(row.instance_id, row.created)
            assert row.created >= purged - UNDER_WAY_SECONDS
            check_change(before if isinstance(before, Instance) else None, row)
        elif isinstance(row, Entity):
            assert before is None or before.created <= row.created
            assert row.status in (RUNNING, SUSPENDED, RuntimeStatus.TERMINATED)


def check_row(row: Instance) -> None:
    kinds = [event.kind for event in row.history]
    assert row.updated >= row.created
    begins = [EventKind.ORCHESTRATOR_STARTED, EventKind.EXECUTION_STARTED]
    assert not kinds or (kinds[:2] == begins and kinds.count(EventKind.EXECUTION_STARTED) == 1)
    assert (EventKind.EXECUTION_COMPLETED in kinds) == row.status.terminal
    if row.status.terminal:
        assert kinds[-1] is EventKind.EXECUTION_COMPLETED
        assert row.history[-1].fields["OrchestrationStatus"] == row.status
    elif row.status is PENDING:
        assert not kinds or EventKind.GENERIC_EVENT in kinds  # it was rewound
    else:
        pauses = (EventKind.EXECUTION_SUSPENDED, EventKind.EXECUTION_RESUMED)
        last = next((kind for kind in reversed(kinds) if kind in pauses), None)
        assert (last is EventKind.EXECUTION_SUSPENDED) == (row.status is SUSPENDED)
    for index, event in enumerate(row.history):
        check_event(event, row.history[:index])
        assert event.timestamp <= row.updated


def check_event(event: Event, before: Sequence[Event]) -> None:
    scheduling = SCHEDULING.get(event.kind)
    if scheduling is not None:
        assert (scheduling, event.task) in {(e.kind, e.task) for e in before}


def check_change(before: Instance | None, after: Instance) -> None:
    if before is None:
        assert after.status in LEGAL[None]
        return
    assert before.created <= after.created
    another_life = before.status.terminal and before.created < after.created
    if another_life:
        assert after.status in LEGAL[None]
        return
    assert before.updated <= after.updated
    assert before.name == after.name
    assert after.status in LEGAL[before.status]
    if before.created == after.created:
        check_history(before, after)
    else:
        assert before.updated <= after.created  # the next generation begins where the last ends


def check_history(before: Instance, after: Instance) -> None:
    kept = after.history[: len(before.history)]
    if before.status is RuntimeStatus.FAILED:  # it was rewound
        kept = tuple(
            old if new.kind is EventKind.GENERIC_EVENT and new.timestamp == old.timestamp else new
            for old, new in zip(before.history, kept, strict=True)
        )
    assert kept == before.history


@dataclass(frozen=True)
class Step:
    """A request of an operation, or the time that passes when there is none."""

    operation: str
    method: str = ""
    path: str = ""
    body: Any = None
    seconds: float = 0.0


def starts() -> st.SearchStrategy[Step]:
    inputs: dict[str, list[Any]] = {
        "Parent": ["WaitsForever", "OrderSaga", "FailsItself", "Eternal", "Parent"],
        "Retry": [1, 60],
        "ShortTimer": [0, 1, 100],
        "SignalsEntity": ["x", "locked"],
        "CallsEntity": ["x", "locked"],
        "CallsFailingEntity": ["x"],
        "CallsHttp": ["http://x/", "http://x/202", "http://x:9/"],
    }
    eventful = ["Eternal", "Parent", "WaitsForever", "OrderSaga"]
    names = st.sampled_from([*functions.orchestrators, *eventful * 5])
    return names.flatmap(
        lambda name: st.builds(
            lambda instance_id, value: Step(
                "start", "POST", f"orchestrators/{name}/{instance_id}", value
            ),
            IDS,
            st.sampled_from(inputs.get(name, [None, 2])),
        )
    )


def interventions() -> st.SearchStrategy[Step]:
    operations = st.sampled_from(["suspend", "suspend", "resume", "resume", "rewind", "terminate"])
    return st.builds(
        lambda operation, instance_id, reason: Step(
            operation, "POST", f"instances/{instance_id}/{operation}{reason}"
        ),
        operations,
        ANY_IDS,
        st.sampled_from(["", "?reason=why", "?reason=%7B%22a%22:1%7D", "?reason=NaN"]),
    )


def raised() -> st.SearchStrategy[Step]:
    names = st.sampled_from(["Approval", "Never", "NEVER", "First", "Second", "Release", "Other"])
    return st.builds(
        lambda instance_id, name: Step(
            "raiseEvent", "POST", f"instances/{instance_id}/raiseEvent/{name}", {"by": "ops"}
        ),
        ANY_IDS,
        names,
    )


def restarts() -> st.SearchStrategy[Step]:
    return st.builds(
        lambda instance_id, anew: Step(
            "restart", "POST", f"instances/{instance_id}/restart?restartWithNewInstanceId={anew}"
        ),
        ANY_IDS,
        st.booleans(),
    )


def purges() -> st.SearchStrategy[Step]:
    one = st.builds(lambda each: Step("purge", "DELETE", f"instances/{each}"), ANY_IDS)
    since = "instances?createdTimeFrom=2000-01-01T00:00:00Z&runtimeStatus="
    statuses = st.sampled_from(["Completed", "Failed", "Terminated", "Running"])
    return one | st.builds(lambda each: Step("purgeMany", "DELETE", since + each), statuses)


def signals() -> st.SearchStrategy[Step]:
    return st.builds(
        lambda key, operation: Step("signal", "POST", f"entities/Counter/{key}?op={operation}", 1),
        st.sampled_from(["x", "locked"]),
        st.sampled_from(["add", "get", "delete", "explode", "forward", "unknown"]),
    )


IDS = st.sampled_from(["a", "b", "a:child"])
ANY_IDS = st.sampled_from(
    [*"aaaaabbb", "a:child", "b:child", "@counter@x", "@counter@locked", "no"]
)
# Often enough time for one message to arrive, and seldom enough for everything to end.
PAUSES = st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 1.0, 5.0, 100.0]).map(
    lambda seconds: Step("wait", seconds=seconds)
)
WEIGHTS = {
    PAUSES: 9,
    interventions(): 9,
    starts(): 3,
    raised(): 3,
    signals(): 2,
    restarts(): 2,
    purges(): 1,
}
STEPS = st.tuples(
    st.lists(starts(), min_size=2, max_size=4),
    PAUSES,
    st.lists(
        st.sampled_from([s for s, weight in WEIGHTS.items() for _ in range(weight)]).flatmap(
            lambda strategy: strategy
        ),
        min_size=8,
        max_size=30,
    ),
).map(lambda parts: [*parts[0], parts[1], *parts[2]])


@pytest.mark.parametrize("version", MAJOR_VERSIONS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(steps=STEPS)
async def test_any_sequence_of_operations_keeps_the_invariants(
    version: ExtensionVersion, steps: list[Step]
) -> None:
    await take_all(version, steps)


@pytest.mark.nightly
@pytest.mark.parametrize("version", MAJOR_VERSIONS)
@settings(max_examples=600, deadline=None, derandomize=True)
@given(steps=STEPS)
async def test_so_do_many_more(version: ExtensionVersion, steps: list[Step]) -> None:
    await take_all(version, steps)


async def take_all(version: ExtensionVersion, steps: list[Step]) -> None:
    clock = ManualClock(NOW)
    hub = WatchedHub(clock, version)
    transport = httpx.ASGITransport(create_app(Emulator(hub, clock=clock)))
    base = "http://127.0.0.1/durabletask/"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        for step in steps:
            await take(client, hub, step)
        await look(client, hub)


async def take(client: httpx.AsyncClient, hub: WatchedHub, step: Step) -> None:
    if not step.method:
        assert isinstance(hub.clock, ManualClock)
        hub.clock.advance(step.seconds)
        hub.advance()
        return
    body = {} if step.body is None else {"json": step.body}
    answer = await client.request(step.method, step.path, **body)
    assert answer.status_code in ALLOWED[step.operation][hub.version], step


async def look(client: httpx.AsyncClient, hub: WatchedHub) -> None:
    listing = (await client.get("instances?top=1000")).json()
    ids = [row["instanceId"] for row in listing]
    assert ids == sorted({row.instance_id for row in rows(hub)})
    for shown in listing:
        answer = await client.get(f"instances/{shown['instanceId']}?showHistory=true")
        body = answer.json()
        history = body.pop("historyEvents", None)
        assert (body, history is None) == (shown, shown["runtimeStatus"] == "Pending")
        assert answer.status_code == (200 if RuntimeStatus(body["runtimeStatus"]).terminal else 202)
