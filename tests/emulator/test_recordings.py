"""The emulator, holding the rows of the recorded hub, answers what the real extension answered."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from exporter.emulator import (
    Emulator,
    Entity,
    Instance,
    Keys,
    ManualClock,
    QueuedRequest,
    RuntimeStatus,
    TaskHub,
    running,
)
from exporter.emulator import history as events
from exporter.emulator.times import parse
from tests.emulator.conftest import NOW

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings" / "v3"
LISTINGS = ("list-instances", "paging", "entities", "routing")
# Not the same in two recordings of one hub, or the server's own business.
VOLATILE = {"StackTrace", "createdTime", "lastUpdatedTime"}

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Exchange:
    file: str
    label: str
    request: dict[str, Any]
    response: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.label}"

    @property
    def headers(self) -> dict[str, str]:
        shown = {name.lower(): value for name, value in self.response["headers"]}
        # A blank at the end is no part of a header's value.
        return {name: value.strip() for name, value in shown.items()}


def recorded(*files: str) -> list[Exchange]:
    return [
        Exchange(file, entry["label"], entry["request"], entry["response"])
        for file in files
        for entry in json.loads((RECORDINGS / f"{file}.json").read_text("utf-8"))["exchanges"]
    ]


def body_of(file: str, label: str) -> Any:  # noqa: ANN401 - JSON
    (found,) = [e for e in recorded(file) if e.label == label]
    return json.loads(found.response["body"])


def seconds(text: str) -> float:
    return cast("float", parse(text, NOW))


def recorded_instances() -> Iterator[Instance]:
    for row in body_of("list-instances", "plain"):
        if not row["instanceId"].startswith("@"):
            yield Instance(
                instance_id=row["instanceId"],
                name=row["name"],
                status=RuntimeStatus(row["runtimeStatus"]),
                created=seconds(row["createdTime"]),
                updated=seconds(row["lastUpdatedTime"]),
                input=row["input"],
                custom_status=row["customStatus"],
                output=row["output"],
            )


def recorded_entities() -> Iterator[Entity]:
    existing = {
        (item["entityId"]["name"], item["entityId"]["key"]): item
        for item in body_of("entities", "all with state")
    }
    for row in body_of("list-instances", "plain"):
        if row["instanceId"].startswith("@"):
            _, name, key = row["instanceId"].split("@")
            item = existing.get((name, key), {})
            queue = row["input"].get("queue", ())
            yield Entity(
                class_name=name,
                key=key,
                last_operation=seconds(item.get("lastOperationTime", row["createdTime"])),
                state=item.get("state"),
                exists=bool(item),
                locked_by=row["customStatus"].get("lockedBy"),
                queue=tuple(
                    QueuedRequest(
                        parent=q["parent"], operation=q["op"], request_id=q["id"], sent=0.0
                    )
                    for q in queue
                ),
            )


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    hub = TaskHub("RecHub", ManualClock(NOW))
    rows: list[Instance | Entity] = [*recorded_instances(), *recorded_entities()]
    for row in rows:
        hub.put(row)
    emulator = Emulator(hub, clock=hub.clock, keys=Keys(system="systemkey"))
    async with (
        running(emulator) as url,
        httpx.AsyncClient(base_url=url, timeout=10) as client,
    ):
        yield client


async def ask(client: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
    through_hook = request["target"].startswith("/runtime")
    host = "127.0.0.1:7071" if through_hook else "127.0.0.1:17071"
    # h11 refuses to send a value with a blank at its end.
    headers = {"host": host} | {name: v.strip() for name, v in request["headers"].items()}
    return await client.request(
        request["method"], request["target"], headers=headers, content=request["body"]
    )


def steady(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a body says apart from what cannot be the same."""
    if isinstance(value, list):
        return [steady(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_entity = str(value.get("instanceId", "")).startswith("@")
    dropped = VOLATILE | ({"input"} if is_entity else set())
    kept = {name: "…" if name in dropped else steady(item) for name, item in value.items()}
    if "lastOperationTime" in kept:  # the seventh digit is beyond a float
        kept["lastOperationTime"] = f"{seconds(kept['lastOperationTime']):.5f}"
    return kept


@pytest.mark.parametrize("exchange", recorded(*LISTINGS), ids=str)
async def test_an_answer_is_as_recorded(client: httpx.AsyncClient, exchange: Exchange) -> None:
    answer = await ask(client, exchange.request)
    body = exchange.response["body"]
    assert answer.status_code == exchange.response["status"]
    assert {name: answer.headers.get(name) for name in exchange.headers} == exchange.headers
    assert ("x-ms-continuation-token" in answer.headers) == (
        "x-ms-continuation-token" in exchange.headers
    )
    if body:
        # As text, so that the order of fields counts.
        assert json.dumps(steady(answer.json())) == json.dumps(steady(json.loads(body)))
    else:
        assert answer.content == b""


class TestEvents:
    """Each kind of event has the fields of the real one, in the same order."""

    HISTORY = (
        events.execution_started(NOW, "Any", None),
        events.task_scheduled(NOW, 0, "Done"),
        events.task_completed(NOW, 0, None),
        events.task_scheduled(NOW, 1, "Broken"),
        events.task_failed(NOW, 1, "why"),
        events.task_scheduled(NOW, 2, "Waiting"),
        events.sub_orchestration_created(NOW, 3, "Done", "child"),
        events.sub_orchestration_completed(NOW, 3, None),
        events.sub_orchestration_created(NOW, 4, "Waiting", "other-child"),
        events.timer_created(NOW, NOW + 60),
        events.timer_fired(NOW, NOW + 60),
        events.event_sent(NOW, "@counter@x", "op", "{}"),
        events.event_raised(NOW, "Approval", True),
        events.execution_suspended(NOW, "why"),
        events.execution_terminated(NOW, "why"),
        events.execution_completed(NOW, "Completed", None),
    )

    @pytest.mark.parametrize("inputs", [True, False])
    def test_they_are_shown_as_recorded(self, *, inputs: bool) -> None:
        shapes = {
            (event["EventType"], *(name for name in event if name != "Result"))
            for exchange in recorded("instance-status", "entity-waits", "operations")
            if "showHistory=true" in exchange.request["target"]
            and exchange.response["body"]
            and inputs == ("showInput=false" not in exchange.request["target"])
            for event in json.loads(exchange.response["body"])["historyEvents"]
        }
        shown = events.shown(self.HISTORY, inputs=inputs, results=False)
        # Not every kind was recorded with inputs.
        kinds = {kind for kind, *_ in shapes}
        written = {(event["EventType"], *event) for event in shown if event["EventType"] in kinds}
        assert written <= shapes
