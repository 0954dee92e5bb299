"""A process that serves one canned page again and again: its cost is none of the measured ones."""

from __future__ import annotations

import asyncio
import json
import sys

ORCHESTRATORS = ("ProcessOrder", "ApprovalWorkflow", "PaymentSaga", "NightlyReport")
TERMINAL = ("Completed", "Completed", "Completed", "Failed", "Terminated")
HEAD = (
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n{token}Content-Length: {length}\r\n\r\n"
)


def row(number: int, status: str) -> dict[str, object]:
    """Return a row as the API writes it; ids ascend."""
    day = f"2026-{1 + number % 10:02}-{1 + number % 27:02}"
    output = {"ok": True, "step": number % 7} if status == "Completed" else None
    return {
        "name": ORCHESTRATORS[number % len(ORCHESTRATORS)],
        "instanceId": f"{number:032x}",
        "runtimeStatus": status,
        "input": None,
        "customStatus": None,
        "output": output,
        "createdTime": f"{day}T{number % 24:02}:00:00Z",
        "lastUpdatedTime": f"{day}T{number % 24:02}:09:09Z",
    }


def body(active: bool, rows: int = 1000) -> bytes:
    """Return the body of a page of *rows* active or finished instances."""
    statuses = ("Running",) if active else TERMINAL
    page = [row(number, statuses[number % len(statuses)]) for number in range(rows)]
    return json.dumps(page, separators=(",", ":")).encode()


class Pages(asyncio.Protocol):
    """Answers every request with the page that its status filter asks for."""

    def __init__(self, answers: dict[bool, bytes]) -> None:
        self._answers = answers
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            request, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            self._transport.write(self._answers[b"Running" in request])


async def main() -> None:
    """Serve on a free port of loopback, whose number is the first line printed."""
    answers = {}
    for active in (False, True):
        content = body(active)
        answers[active] = HEAD.format(token="", length=len(content)).encode() + content
    server = await asyncio.get_running_loop().create_server(lambda: Pages(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
