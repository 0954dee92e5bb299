"""Hubs on raw sockets that answer as no app should, and one that answers well."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

from exporter.api.times import format_shown_time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CREATED = format_shown_time(1_795_428_000.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: what it asks for, from which token on."""

    target: str
    top: int
    token: str

    @property
    def is_of_active(self) -> bool:
        """Tell whether the active instances are listed."""
        return "Running" in self.target


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Hub:
    """A hub that answers as its `answer` says, which may be changed; counts the requests."""

    answer: Answer
    url: str = ""
    requests: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until somebody ends it."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.requests += 1
                target = head.split(" ", 2)[1]
                top = re.search(r"[?&]top=(\d+)", target)
                token = re.search(r"(?im)^x-ms-continuation-token: (.*)$", head)
                await self.answer(
                    Asked(target, int(top[1]) if top else 1, token[1].strip() if token else ""),
                    writer,
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            writer.transport.abort()


@asynccontextmanager
async def listening(hub: Hub) -> AsyncIterator[Hub]:
    """Serve *hub* on a free port of loopback."""
    server = await asyncio.start_server(hub.serve, "127.0.0.1", 0)
    hub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield hub
    finally:
        server.close()
        for task in list(hub.tasks):
            task.cancel()
        await asyncio.gather(*hub.tasks, return_exceptions=True)


def row(number: int, size: int = 0) -> dict[str, object]:
    """Return a running instance with a custom status of *size* characters."""
    return {
        "name": "ProcessOrder",
        "instanceId": f"{number:08}",
        "runtimeStatus": "Running",
        "customStatus": "x" * size or None,
        "createdTime": CREATED,
        "lastUpdatedTime": CREATED,
    }


def send(writer: asyncio.StreamWriter, body: bytes, *, token: str = "") -> None:
    """Answer with *body*, and the token of the next page if there is one."""
    following = f"x-ms-continuation-token: {token}\r\n".encode() if token else b""
    writer.write(HEAD + following + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def good(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with three active instances, and nothing else."""
    send(
        writer, json.dumps([row(each) for each in range(3)] if asked.is_of_active else []).encode()
    )


def paged(rows: int, size: int) -> Answer:
    """Answer with so many active instances of a *size*, as many a page as are asked for."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        begin = int(asked.token or 0)
        end = min(rows, begin + asked.top) if asked.is_of_active else begin
        page = json.dumps([row(each, size) for each in range(begin, end)]).encode()
        send(writer, page, token=str(end) if 0 < end < rows else "")

    return answer


def in_one_page(rows: int) -> Answer:
    """Answer with all of so many instances, whatever is asked for."""
    page = json.dumps([row(each) for each in range(rows)]).encode()

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        send(writer, page)

    return answer


def with_tokens(follow: Callable[[str], str]) -> Answer:
    """Answer with one row and the token that follows the one that was sent."""
    numbers = iter(range(1 << 30))

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = json.dumps([row(next(numbers))] if asked.is_of_active else []).encode()
        send(writer, body, token=follow(asked.token))

    return answer


endless = with_tokens(lambda token: str(int(token or 0) + 1))
circle = with_tokens(lambda token: {"": "A", "A": "B", "B": "C", "C": "A"}[token])


@cache
def zeros(megabytes: int, times: int) -> bytes:
    """Return so many MB of zeros, compressed so many *times*."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    block = bytes(1 << 20)
    packed = b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed, 9)
    return packed


def compressed(megabytes: int, *, codings: int = 1, status: bytes = b"200 OK") -> Answer:
    """Answer with zeros in a chain of *codings*."""
    body = zeros(megabytes, codings)
    chain = b", ".join([b"gzip"] * codings)

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %b\r\nContent-Encoding: %b\r\n" % (status, chain))
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return answer


def raw(text: bytes, *, closes: bool = True) -> Answer:
    """Answer with these bytes, and close the connection or say nothing more."""

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        if closes:
            writer.close()
        else:
            await asyncio.sleep(3600.0)

    return answer


async def without_end(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer with a list that never ends, as fast as it is read."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def dripping(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer a byte every now and then."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
    while True:
        await asyncio.sleep(0.2)
        writer.write(b"1\r\n \r\n")
        await writer.drain()
