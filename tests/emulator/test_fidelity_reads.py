"""The emulator, holding the rows of the recorded hubs, answers what the real extension answered."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import httpx
import pytest

from exporter.emulator import (
    Emulator,
    Entity,
    ExtensionVersion,
    Instance,
    Keys,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from exporter.emulator.http.payloads import instance_with_history
from exporter.emulator.storage import history as events
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.recorded_rows import Known
from tests.emulator.recordings import FILES, Exchange, recorded
from tests.emulator.replay import ask, differences

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
OWN_HUB = {V2: "RecHubTwo", V3: "RecHub"}
IDLE_HUB = {V2: "IdleHubTwo", V3: "IdleHub"}
# Recorded before anything was changed: what one of them leaves out of a row, another shows.
UNTOUCHED = ("list-instances", "entities", "instance-status")
# Where the rows of the app's own hub are shown at the time of a file.
SOURCES = {
    "list-instances": UNTOUCHED,
    "paging": UNTOUCHED,
    "entities": UNTOUCHED,
    "instance-status": UNTOUCHED,
    "routing": UNTOUCHED,
    "entity-waits": ("entity-waits",),
    "web-hook": ("web-hook",),
    "times": ("times",),
}
EMPTIED = "list after it"  # that is, after the purge of everything
WRITES = ("POST", "DELETE")

pytestmark = pytest.mark.anyio


def is_read(exchange: Exchange) -> bool:
    """Tell whether a request changes nothing; in `routing` none does."""
    changes = exchange.method in WRITES or "makeprimary" in exchange.target
    return exchange.file == "routing" or not changes


READS = [e for v in ExtensionVersion for file in FILES for e in recorded(v, file) if is_read(e)]


@cache
def rows_of(version: ExtensionVersion, *files: str) -> tuple[Instance | Entity, ...]:
    known = Known()
    for file in files:
        known.learn(recorded(version, file))
    return tuple(known.to_rows())


def hub_of(name: str, rows: Iterable[Instance | Entity]) -> TaskHub:
    hub = TaskHub(name, ManualClock(NOW))
    for row in rows:
        hub.put(row)
    return hub


def recorded_hubs(exchange: Exchange) -> Iterator[TaskHub]:
    """Yield the hubs as they were at a recorded request, the app's own first."""
    version = exchange.version
    # Rows change from request to request in `operations`: each one tells what it found.
    moving = Known().learn([exchange]).to_rows() if exchange.file == "operations" else ()
    own = rows_of(version, *SOURCES.get(exchange.file, ()))
    yield hub_of(OWN_HUB[version], [*own, *moving])
    if exchange.file == "pending":
        idle = () if exchange.label == EMPTIED else rows_of(version, "pending")
        yield hub_of(IDLE_HUB[version], idle)
    if version is V2:  # the hub of the other recording was in the same storage
        yield hub_of(OWN_HUB[V3], rows_of(V3, "web-hook"))


@pytest.mark.parametrize("exchange", READS, ids=str)
async def test_an_answer_is_as_recorded(exchange: Exchange) -> None:
    hubs = list(recorded_hubs(exchange))
    keys = Keys(system="systemkey")
    emulator = Emulator(*hubs, clock=hubs[0].clock, keys=keys, version=exchange.version)
    async with (
        running(emulator) as url,
        httpx.AsyncClient(base_url=url, **OPTIONS) as client,
    ):
        answer = await ask(client, exchange)
    assert differences(exchange, answer) == {}


def test_no_file_of_recordings_is_left_out() -> None:
    files = {(e.version, e.file) for e in READS}
    assert files == {(v, f) for v in ExtensionVersion for f in FILES} - {(V2, "times")}


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
        events.generic_event(NOW, None),
        events.execution_suspended(NOW, "why"),
        events.execution_terminated(NOW, "why"),
        events.execution_completed(NOW, "Completed", None),
    )

    @pytest.mark.parametrize("version", ExtensionVersion)
    @pytest.mark.parametrize("inputs", [True, False])
    def test_they_are_shown_as_recorded(self, version: ExtensionVersion, *, inputs: bool) -> None:
        shapes = {
            shape(event)
            for exchange in READS
            if exchange.version is version
            and exchange.body.startswith("{")
            and inputs == ("showInput=false" not in exchange.target)
            for event in exchange.json().get("historyEvents", ())
        }
        row = Instance(
            instance_id="a",
            name="Any",
            status=RuntimeStatus.COMPLETED,
            created=NOW,
            updated=NOW,
            history=self.HISTORY,
        )
        shown = instance_with_history(row, version, show_input=inputs, show_results=False)
        written = {shape(event) for event in json.loads(json.dumps(shown["historyEvents"]))}
        # Not every kind was recorded with inputs.
        kinds = {kind for kind, *_ in shapes}
        assert {(kind, *fields) for kind, *fields in written if kind in kinds} <= shapes


def shape(event: dict[str, Any]) -> tuple[str, ...]:
    return (event["EventType"], *(name for name in event if name != "Result"))
