"""The reads of a diagnosis: what bounds them, and what stops them."""

from __future__ import annotations

import json
from collections.abc import Generator

import anyio
import pytest

from exporter.api.errors import HubDenied, HubFailed, HubUnreachable
from exporter.collector.hub_diagnosis import HistoryReader, ReadLimits
from exporter.diagnosis.blame import End
from exporter.diagnosis.nodes import Absence, Answer, Read
from tests.api.scripted import SILENCE, answer, client_of, scripted

pytestmark = pytest.mark.anyio

SERVER_ERROR = answer('{"Message":"no","ExceptionMessage":"lost"}', "500 Internal Server Error")
DENIED = answer("", "401 Unauthorized")
MISSING = answer("", "404 Not Found")
BAD_HISTORY = answer('{"Message":"no","ExceptionMessage":"duplicate"}', "400 Bad Request")


def running(instance_id: str, *events: dict[str, object]) -> bytes:
    """Return an answer about an instance that runs."""
    started = {"EventType": "ExecutionStarted", "Timestamp": "2026-11-23T10:00:00Z"}
    body = {
        "name": "Order",
        "instanceId": instance_id,
        "runtimeStatus": "Running",
        "createdTime": "2026-11-23T10:00:00Z",
        "lastUpdatedTime": "2026-11-23T10:00:00Z",
        "historyEvents": [started, *events],
    }
    return answer(json.dumps(body), "202 Accepted")


class Asked:
    """Asks for the same instance again and again; keeps what it is told, and whether it is over."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.answers: list[Answer] = []
        self.closed = False

    def reads(self) -> Generator[Read, Answer, int]:
        try:
            for _ in range(self.times):
                self.answers.append((yield Read("a")))
        finally:
            self.closed = True
        return len(self.answers)


async def test_all_that_is_wanted_is_read_and_the_result_comes_back() -> None:
    asked = Asked(3)
    async with scripted(running("a")) as server, client_of(server) as client:
        reads = await HistoryReader(client).make(asked.reads())
    assert (reads.made, reads.is_complete, reads.result, reads.error) == (3, True, 3, None)
    assert "showHistory=true" in server.requests[0]
    assert "showInput=false" in server.requests[0]


async def test_what_is_wanted_tells_whether_history_and_inputs_are_shown() -> None:
    def wanted() -> Generator[Read, Answer, None]:
        yield Read("a", history=False, inputs=True)

    async with scripted(running("a")) as server, client_of(server) as client:
        await HistoryReader(client).make(wanted())
    assert "showInput=true" in server.requests[0]
    assert "showHistory" not in server.requests[0]


async def test_an_instance_that_cannot_be_read_keeps_no_other_from_it() -> None:
    asked = Asked(4)
    script = (SERVER_ERROR, MISSING, BAD_HISTORY, running("a"))
    async with scripted(*script) as server, client_of(server) as client:
        reads = await HistoryReader(client).make(asked.reads())
    assert reads.is_complete
    assert asked.answers[:3] == [Absence.UNREADABLE, Absence.MISSING, Absence.UNREADABLE]
    assert not isinstance(asked.answers[3], Absence)


async def test_many_that_cannot_be_read_in_a_row_stop_the_reads() -> None:
    asked = Asked(50)
    async with scripted(SERVER_ERROR) as server, client_of(server) as client:
        reads = await HistoryReader(client).make(asked.reads())
    assert isinstance(reads.error, HubFailed)
    assert (reads.made, reads.is_complete, asked.closed) == (5, False, True)
    assert len(server.requests) == 5


async def test_what_is_wrong_with_the_hub_stops_the_reads_at_once() -> None:
    asked = Asked(50)
    async with scripted(DENIED) as server, client_of(server) as client:
        reads = await HistoryReader(client).make(asked.reads())
    assert isinstance(reads.error, HubDenied)
    assert (reads.made, asked.answers, asked.closed) == (1, [], True)


async def test_a_hub_that_is_not_there_stops_the_reads_at_once() -> None:
    async with client_of("http://127.0.0.1:9/durabletask") as client:
        reads = await HistoryReader(client).make(Asked(3).reads())
    assert isinstance(reads.error, HubUnreachable)


async def test_no_more_is_asked_for_once_so_many_bytes_have_come() -> None:
    asked = Asked(50)
    async with scripted(running("a")) as server, client_of(server) as client:
        reader = HistoryReader(client, ReadLimits(bytes=len(running("a")) * 2))
        reads = await reader.make(asked.reads())
    assert 2 <= reads.made <= 4
    assert (reads.is_complete, reads.error, asked.closed) == (False, None, True)
    assert len(asked.answers) == reads.made


async def test_when_the_time_is_over_what_was_read_is_kept() -> None:
    asked = Asked(50)
    async with scripted(running("a"), SILENCE) as server, client_of(server) as client:
        reads = await HistoryReader(client, ReadLimits(timeout=0.2)).make(asked.reads())
    assert (reads.is_complete, reads.error, asked.closed) == (False, None, True)
    assert len(asked.answers) <= 1


async def test_who_is_cancelled_leaves_nothing_open() -> None:
    asked = Asked(50)
    async with scripted(SILENCE) as server, client_of(server) as client:
        with anyio.move_on_after(0) as scope:
            await HistoryReader(client).make(asked.reads())
    assert scope.cancelled_caught
    assert asked.closed


async def test_why_of_an_instance_that_waits_for_an_activity() -> None:
    scheduled: dict[str, object] = {
        "EventType": "TaskScheduled",
        "Name": "Ship",
        "Timestamp": "2026-11-23T10:00:01Z",
    }
    async with scripted(running("a", scheduled)) as server, client_of(server) as client:
        reads = await HistoryReader(client).why("a")
    assert reads.result is not None
    blame, _ = reads.result
    assert (blame.chain, blame.end) == (("a",), End.LEAF)
    assert blame.leaf is not None
    assert (blame.leaf.waiting_on.value, blame.leaf.target) == ("activity", "Ship")


async def test_why_of_an_instance_whose_history_is_refused_is_unknown() -> None:
    async with scripted(BAD_HISTORY) as server, client_of(server) as client:
        reads = await HistoryReader(client).why("a")
    assert reads.result is not None
    blame, node = reads.result
    assert (blame.end, node) == (End.UNREAD, Absence.UNREADABLE)
    assert blame.leaf is not None
    assert blame.leaf.waiting_on.value == "unknown"
