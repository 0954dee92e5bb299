"""Recorded reads and rows of instances, served over a socket as they were received."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream

from tests.recorded import Exchange, exchange, exchanges

_TOKEN = "x-ms-continuation-token"
_UNFIT_HEADERS = {"transfer-encoding", "content-length", "connection"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an instance: its id in the path, and what is to be shown."""

    instance_id: str
    history: bool
    inputs: bool


def question_of(target: str) -> Question:
    """Return what a read of one instance asks for; inputs are shown unless it says no."""
    parts = urlsplit(target)
    flags = {name: values[0].lower() == "true" for name, values in parse_qs(parts.query).items()}
    return Question(
        unquote(parts.path.rpartition("/")[2]),
        flags.get("showHistory", False),
        flags.get("showInput", True),
    )


def recorded_reads(version: str) -> dict[Question, Exchange]:
    """Return the reads of one version that show the same moment, by what they ask for."""
    reads: dict[Question, Exchange] = {}
    for entry in exchanges(version):
        if entry.file not in ("instance-status", "entity-waits"):
            continue
        if entry.operation != "getInstanceStatus" or "showHistoryOutput=true" in entry.target:
            continue
        if "returnInternalServerErrorOnFailure" not in entry.target:
            reads.setdefault(question_of(entry.target), entry)
    return reads


class _Filtered(msgspec.Struct, rename="camel"):
    """What the filters of a list look at."""

    instance_id: str
    runtime_status: str
    created_time: str


def recorded_rows(version: str) -> tuple[msgspec.Raw, ...]:
    """Return the rows of a list of everything, each as it was received."""
    entry = exchange(version, "list-instances", "showInput=false with a lower bound")
    return tuple(msgspec.json.decode(entry.body, type=list[msgspec.Raw]))


@dataclass(slots=True)
class RecordedServer:
    """
    Answers reads with what was recorded for them, and 404 where nothing was; keeps them.

    Lists are those of *rows* that fit. Its clock stands at *date*, in seconds since the epoch; it
    tells no time where that is None.
    """

    reads: Mapping[Question, Exchange]
    rows: Sequence[msgspec.Raw] = ()
    date: float | None = None
    url: str = ""
    questions: list[Question] = field(default_factory=list)

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            buffer = b""
            while True:
                try:
                    buffer += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                while b"\r\n\r\n" in buffer:
                    head, buffer = buffer.split(b"\r\n\r\n", 1)
                    await stream.send(self._answer(head.decode("latin-1").split(" ")[1]))

    def _answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path.endswith("/instances"):
            return self._list(parse_qs(parts.query))
        question = question_of(target)
        self.questions.append(question)
        entry = self.reads.get(question)
        if entry is None:
            return self._response(404, (), b"")
        return self._response(entry.status, entry.headers, entry.body.encode())

    def _list(self, query: Mapping[str, Sequence[str]]) -> bytes:
        (prefix,) = query.get("instanceIdPrefix", [""])
        statuses = query.get("runtimeStatus", [""])[0].split(",")
        # Both are of whole seconds where they are compared.
        (begin,) = query.get("createdTimeFrom", [""])
        fitting = []
        for row in self.rows:
            shown = msgspec.json.decode(row, type=_Filtered)
            is_of_status = statuses == [""] or shown.runtime_status in statuses
            is_late = shown.created_time[:19] >= begin[:19]
            if shown.instance_id.startswith(prefix) and is_of_status and is_late:
                fitting.append(bytes(row))
        headers = (("Content-Type", "application/json; charset=utf-8"), (_TOKEN, ""))
        return self._response(200, headers, b"[" + b",".join(fitting) + b"]")

    def _response(self, status: int, recorded: Sequence[tuple[str, str]], body: bytes) -> bytes:
        headers = [(n, v) for n, v in recorded if n.lower() not in _UNFIT_HEADERS]
        headers.append(("Content-Length", str(len(body))))
        if self.date is not None:
            headers.append(("Date", formatdate(self.date, usegmt=True)))
        lines = [f"HTTP/1.1 {status} Recorded", *(f"{n}: {v}" for n, v in headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(
    reads: Mapping[Question, Exchange],
    rows: Sequence[msgspec.Raw] = (),
    date: float | None = None,
) -> AsyncGenerator[RecordedServer, None]:
    """Run a server of recorded reads and rows, whose clock stands at *date*."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    server = RecordedServer(reads, rows, date, f"http://127.0.0.1:{port}/durabletask")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.handle)
        yield server
        tasks.cancel_scope.cancel()
    await listener.aclose()
