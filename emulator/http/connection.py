"""A client's connection: bodies, answers, disconnects."""

from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from emulator.clock import Clock
from emulator.faults import Fault, FaultKind
from emulator.http.messages import TOKEN_HEADER, Answer, Base

AnswerT = TypeVar("AnswerT")

# The key of the function that closes the connection, in the state of a request's scope.
CLOSE_CONNECTION = "close_connection"
# Limit for clients without a timeout.
PATIENCE_SECONDS = 300.0
# Default delays in seconds.
_DELAYS = {FaultKind.SLOW: 0.0, FaultKind.STARTING: 30.0}
_CHUNK = b'{"name":"Huge","instanceId":"huge","runtimeStatus":"Running"},' * 1000


async def read_body(receive: Receive, maximum: int) -> bytes | None:
    """
    Return the body of a request, `None` if it exceeds *maximum* bytes.

    Raises `ClientDisconnect`.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > maximum:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def while_connected(receive: Receive, answering: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """
    Wait for an answer while the client is connected.

    Raises `ClientDisconnect`.
    """
    answers: list[AnswerT] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
        answers.append(await answering())
        group.cancel_scope.cancel()
    if not answers:
        raise ClientDisconnect
    return answers[0]


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class Delivery:
    """Sends the answer to one request, with the clock's time as `Date`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, clock: Clock) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._clock = clock
        self._skew = 0.0

    async def send(self, answer: Answer, base: Base | None) -> None:
        """Send an answer, with a length from the web hook, in chunks from the local listener."""
        headers = dict(answer.headers)
        if base is not Base.LOCAL or not answer.body:
            headers["content-length"] = str(len(answer.body))
        # HTTP ignores blanks around a value, such as the one at a token's end.
        if answer.token or (answer.token is not None and base is Base.LOCAL):
            headers[TOKEN_HEADER] = answer.token.strip()
        await self._start(answer.status, headers)
        await self._body(answer.body, more=False)

    async def send_faulty(self, fault: Fault, answer: Answer, base: Base | None) -> None:
        """Send an answer as a fault has it."""
        if fault.kind is FaultKind.HANG:
            await self._hang()
        elif fault.kind is FaultKind.CUT:
            await self._cut(answer)
        elif fault.kind is FaultKind.HUGE:
            await self._until_disconnect(self._flood)
        else:
            if fault.kind in _DELAYS:
                seconds = _DELAYS[fault.kind] if fault.seconds is None else fault.seconds
                with anyio.move_on_after(seconds):
                    await self._disconnected()
            if fault.kind is FaultKind.CLOCK_SKEW:
                self._skew = fault.seconds or 0
            await self.send(answer, base)

    async def _hang(self) -> None:
        await self._until_disconnect(anyio.sleep_forever)

    async def _cut(self, answer: Answer) -> None:
        await self._start(
            answer.status, {**answer.headers, "content-length": str(len(answer.body) + 2)}
        )
        await self._body(answer.body[: len(answer.body) // 2], more=True)
        await self._disconnect()

    async def _flood(self) -> None:
        await self._start(200, {"content-type": "application/json; charset=utf-8"})
        await self._body(b"[", more=True)
        while True:
            await self._body(_CHUNK, more=True)
            await checkpoint()  # lets others run while the client keeps up

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        headers["date"] = formatdate(self._clock.now() + self._skew, usegmt=True)
        fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def _body(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _until_disconnect(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        with anyio.move_on_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                await self._disconnected()
                group.cancel_scope.cancel()
        await self._disconnect()

    async def _disconnect(self) -> None:
        # The server completes the answer if this returns before the client disconnects.
        self._scope["state"][CLOSE_CONNECTION]()
        await self._disconnected()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
