"""How histories are shown: reference 3.3 and 3.4, and what they tell of a wait, 3.5."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from emulator import (
    Emulator,
    EntityId,
    ExtensionVersion,
    Instance,
    Keys,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.json_text import JsonValue
from emulator.samples.recorded import functions
from emulator.storage import history
from emulator.storage.history import Event, shown
from tests.emulator.conftest import MAJOR_VERSIONS, NOW, OPTIONS
from tests.emulator.hubs import move, run, signal, start, tell

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
AT = "2027-01-15T08:00:00.75Z"
LATER = "2027-01-15T08:00:01.75Z"
SCHEDULED = "2027-01-15T08:00:00.75+00:00"
STARTED: dict[str, JsonValue] = {
    "EventType": "ExecutionStarted",
    "Input": '{"a":1}',
    "Correlation": None,
    "ParentTraceContext": None,
    "ScheduledStartTime": None,
    "Generation": 0,
    "GenerateNewTrace": False,
    "Timestamp": AT,
    "FunctionName": "F",
}
FAILURE = {"Reason": "why", "Details": "{}", "FailureDetails": None}

# Raw events, and what is shown of them with inputs and results.
SHAPES: list[tuple[list[Event], list[dict[str, JsonValue]]]] = [
    ([history.orchestrator_started(NOW)], []),
    ([history.execution_started(NOW, "F", '{"a":1}')], [STARTED]),
    (
        [history.execution_completed(NOW, "Completed", {"b": 2})],
        [
            {
                "EventType": "ExecutionCompleted",
                "OrchestrationStatus": "Completed",
                "Result": {"b": 2},
                "FailureDetails": None,
                "Timestamp": AT,
            }
        ],
    ),
    (
        [history.task_scheduled(NOW, 0, "A")],
        [
            {
                "EventType": "TaskScheduled",
                "Name": "A",
                "Input": None,
                "ParentTraceContext": None,
                "Tags": None,
                "Timestamp": AT,
            }
        ],
    ),
    (
        [history.task_scheduled(NOW, 0, "A"), history.task_completed(NOW + 1, 0, [1])],
        [
            {
                "EventType": "TaskCompleted",
                "Result": [1],
                "Timestamp": LATER,
                "ScheduledTime": SCHEDULED,
                "FunctionName": "A",
                "Input": None,
            }
        ],
    ),
    (
        [history.task_scheduled(NOW, 0, "A"), history.task_failed(NOW + 1, 0, "why", "{}")],
        [
            {
                "EventType": "TaskFailed",
                **FAILURE,
                "Timestamp": LATER,
                "ScheduledTime": SCHEDULED,
                "FunctionName": "A",
                "Input": None,
            }
        ],
    ),
    (
        [history.sub_orchestration_created(NOW, 0, "S", "child", "1")],
        [
            {
                "EventType": "SubOrchestrationInstanceCreated",
                "Name": "S",
                "InstanceId": "child",
                "Input": "1",
                "ClientSpanId": None,
                "Tags": None,
                "Timestamp": AT,
            }
        ],
    ),
    (
        [
            history.sub_orchestration_created(NOW, 0, "S", "child", "1"),
            history.sub_orchestration_completed(NOW + 1, 0, "done"),
        ],
        [
            {
                "EventType": "SubOrchestrationInstanceCompleted",
                "Result": "done",
                "Timestamp": LATER,
                "ScheduledTime": SCHEDULED,
                "FunctionName": "S",
                "InstanceId": "child",
                "Input": "1",
            }
        ],
    ),
    (
        [
            history.sub_orchestration_created(NOW, 0, "S", "child"),
            history.sub_orchestration_failed(NOW + 1, 0, "why", "{}"),
        ],
        [
            {
                "EventType": "SubOrchestrationInstanceFailed",
                **FAILURE,
                "Timestamp": LATER,
                "ScheduledTime": SCHEDULED,
                "FunctionName": "S",
                "InstanceId": "child",
                "Input": None,
            }
        ],
    ),
    (
        # A timer keeps its first event, and its second one shows when it was made.
        [history.timer_created(NOW, NOW + 1, 0), history.timer_fired(NOW, NOW + 1, 0)],
        [
            {"EventType": kind, "FireAt": LATER, "Timestamp": AT}
            for kind in ("TimerCreated", "TimerFired")
        ],
    ),
    (
        [history.event_raised(NOW, "E", "1")],
        [
            {
                "EventType": "EventRaised",
                "Name": "E",
                "Input": "1",
                "ParentTraceContext": None,
                "Timestamp": AT,
            }
        ],
    ),
    (
        [history.event_sent(NOW, "@c@k", "op", "{}", 0)],
        [
            {
                "EventType": "EventSent",
                "InstanceId": "@c@k",
                "Name": "op",
                "Input": "{}",
                "Timestamp": AT,
            }
        ],
    ),
    (
        [history.execution_suspended(NOW, "why"), history.execution_resumed(NOW + 1, None)],
        [
            {"EventType": "ExecutionSuspended", "Reason": "why", "Timestamp": AT},
            {"EventType": "ExecutionResumed", "Reason": None, "Timestamp": LATER},
        ],
    ),
    (
        [history.execution_terminated(NOW, "why")],
        [{"EventType": "ExecutionTerminated", "Input": "why", "Timestamp": AT}],
    ),
    (
        [history.generic_event(NOW, None)],
        [{"Data": None, "EventType": "GenericEvent", "Timestamp": AT}],
    ),
]


class TestShapes:
    @pytest.mark.parametrize(("raw", "expected"), SHAPES)
    def test_an_event_has_these_fields_in_this_order(
        self, raw: list[Event], expected: list[dict[str, JsonValue]]
    ) -> None:
        events = shown(raw, inputs=True, results=True)
        assert [[*event.items()] for event in events] == [[*event.items()] for event in expected]

    @pytest.mark.parametrize(("raw", "expected"), SHAPES)
    @pytest.mark.parametrize(("inputs", "results"), [(True, False), (False, True), (False, False)])
    def test_inputs_and_results_are_left_out(
        self,
        raw: list[Event],
        expected: list[dict[str, JsonValue]],
        *,
        inputs: bool,
        results: bool,
    ) -> None:
        hidden = {"Input"} - {"Input" if inputs else ""} | {"Result"} - {
            "Result" if results else ""
        }
        kept = [{n: v for n, v in event.items() if n not in hidden} for event in expected]
        assert shown(raw, inputs=inputs, results=results) == kept

    def test_results_go_with_their_own_task(self) -> None:
        raw = [history.task_scheduled(NOW + n, n, f"A{n}") for n in range(3)]
        raw += [
            history.task_completed(NOW + 10, 2, None),
            history.task_completed(NOW + 11, 0, None),
        ]
        names = [
            e.get("FunctionName", e.get("Name")) for e in shown(raw, inputs=True, results=True)
        ]
        assert names == ["A1", "A2", "A0"]

    def test_a_result_without_its_task_is_shown_as_it_is(self) -> None:
        (event,) = shown([history.task_completed(NOW, 7, 1)], inputs=False, results=False)
        assert event == {"EventType": "TaskCompleted", "Timestamp": AT}


FULL = Instance(
    instance_id="it",
    name="F",
    status=RuntimeStatus.COMPLETED,
    created=NOW,
    updated=NOW,
    history=tuple(event for raw, _ in SHAPES[:1] + SHAPES[4:5] + SHAPES[7:8] for event in raw),
)


@pytest.fixture(params=MAJOR_VERSIONS)
def hub(request: pytest.FixtureRequest, clock: ManualClock) -> TaskHub:
    return TaskHub("RecHub", clock, functions=functions, version=request.param)


@pytest.fixture
async def api(hub: TaskHub, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(Emulator(hub, clock=clock, keys=Keys(system="k"))) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        yield client


async def read(api: httpx.AsyncClient, query: str = "showHistory=true") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await api.get(f"instances/it?{query}")).json()["historyEvents"]
    return events


@pytest.mark.anyio
class TestParameters:
    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("showHistory=true", {"Input"}),
            ("showHistory=TRUE&showInput=false", set()),
            ("showHistory=true&showHistoryOutput=true", {"Input", "Result"}),
            ("showHistory=true&showHistoryOutput=true&showInput=false", {"Result"}),
            ("showHistory=true&showHistoryOutput=1&showInput=0", {"Input"}),
        ],
    )
    async def test_they_say_what_events_show(
        self, api: httpx.AsyncClient, hub: TaskHub, query: str, fields: set[str]
    ) -> None:
        hub.put(FULL)
        events = await read(api, query)
        assert {n for event in events for n in event} & {"Input", "Result"} == fields

    @pytest.mark.parametrize(
        "query", ["", "showHistory=1", "showHistoryOutput=true", "showHistory="]
    )
    async def test_without_the_first_there_is_no_history(
        self, api: httpx.AsyncClient, hub: TaskHub, query: str
    ) -> None:
        hub.put(FULL)
        assert "historyEvents" not in (await api.get(f"instances/it?{query}")).json()
        assert "historyEvents" not in (await api.get("instances?showHistory=true")).json()[0]

    async def test_v2_does_not_know_what_v3_added(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(FULL)
        run(hub, "WaitsForever", instance_id="other")
        _, child = await read(api)
        assert ("InstanceId" in child) == (hub.version is V3)
        answer = await api.get("instances/other?showHistory=true")
        (started,) = answer.json()["historyEvents"]
        assert ("GenerateNewTrace" in started) == (hub.version is V3)


# A function, its input, and what is left open in its history when it waits.
WAITS: list[tuple[str, JsonValue, dict[str, int]]] = [
    ("SlowActivity", None, {"TaskScheduled": 1}),
    ("FanOutSlow", None, {"TaskScheduled": 2, "TaskCompleted": 1}),
    ("Parent", "WaitsForever", {"SubOrchestrationInstanceCreated": 1}),
    (
        "ParentAuto",
        None,
        {"SubOrchestrationInstanceCreated": 1, "SubOrchestrationInstanceCompleted": 1},
    ),
    ("ShortTimer", 1000, {"TimerCreated": 1}),
    ("LongTimer", None, {"TimerCreated": 1}),
    ("Approval", None, {"TimerCreated": 1}),
    ("Retry", 600, {"TaskFailed": 1, "TimerCreated": 1}),
    ("CallsHttp", "http://x/202", {"TaskCompleted": 1, "TimerCreated": 1}),
    ("WaitsForever", None, {}),
    ("HoldsLock", None, {"EventSent": 2, "EventRaised": 2}),
]


@pytest.mark.anyio
class TestWaits:
    @pytest.mark.parametrize(("name", "argument", "left"), WAITS)
    async def test_a_history_shows_what_an_instance_waits_for(
        self,
        api: httpx.AsyncClient,
        hub: TaskHub,
        name: str,
        argument: JsonValue,
        left: dict[str, int],
    ) -> None:
        run(hub, name, argument, seconds=2)
        kinds = Counter(event["EventType"] for event in await read(api))
        assert kinds == {"ExecutionStarted": 1} | left

    async def test_a_request_without_an_answer_waits_for_an_entity(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        run(hub, "HoldsLock", instance_id="holder")
        run(hub, "CallsEntity", "locked")
        _, sent = await read(api)
        assert (sent["EventType"], sent["InstanceId"]) == ("EventSent", "@counter@locked")

    async def test_a_lock_request_says_what_it_locks(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        run(hub, "HoldsLock", instance_id="holder")
        run(hub, "HoldsLock")
        _, sent = await read(api)
        assert '"op":null' in sent["Input"]
        assert '"lockset":[' in sent["Input"]

    async def test_a_suspended_one_still_shows_what_it_waited_for(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        run(hub, "SlowActivity")
        hub.engine.suspend("it", "why", hub.clock.now())
        move(hub, 1)
        kinds = [event["EventType"] for event in await read(api)]
        assert kinds == ["ExecutionStarted", "TaskScheduled", "ExecutionSuspended"]

    async def test_a_timer_that_lost_stays_open(self, api: httpx.AsyncClient, hub: TaskHub) -> None:
        run(hub, "Approval")
        tell(hub, "Approval")
        kinds = [event["EventType"] for event in await read(api)]
        assert kinds == ["ExecutionStarted", "TimerCreated", "EventRaised", "ExecutionCompleted"]

    async def test_only_the_current_generation_is_there(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        run(hub, "Eternal", 1, seconds=60)
        started, *others = await read(api)
        assert int(started["Input"]) > 5
        assert len(others) <= 3
        assert (started["Generation"], {e["EventType"] for e in others}) == (
            None,
            {"TaskCompleted", "TimerCreated"},
        )

    async def test_a_pending_one_has_no_history(self, api: httpx.AsyncClient, hub: TaskHub) -> None:
        start(hub, "WaitsForever")
        body = (await api.get("instances/it?showHistory=true")).json()
        assert (body["runtimeStatus"], "historyEvents" in body) == ("Pending", False)

    async def test_an_entity_has_the_start_of_its_last_batch(
        self, api: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        signal(hub, EntityId("Counter", "x"), "add", 1)
        answer = await api.get("instances/@counter@x?showHistory=true")
        (event,) = answer.json()["historyEvents"]
        assert (event["EventType"], event["FunctionName"]) == ("ExecutionStarted", "@counter@x")
