"""A client's connection: its body in, its answer out, and that it has gone."""

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


async def read_body(receive: Receive, maximum: int) -> bytes | None:
    """
    Read the body of a request, `None` if it is longer than a number of bytes.

    Raises `ClientDisconnect` if it breaks off.
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
    Wait for an answer, which may take as long as the client asked for.

    Raises `ClientDisconnect` if the client goes away first.
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


# Where the server puts the function that closes the connection of a request.
CLOSE_CONNECTION = "close_connection"
# A client without a timeout of its own is let go after this.
PATIENCE_SECONDS = 300.0

# How late the answers to some faults are, in seconds, if they do not say.
_DELAYS = {FaultKind.SLOW: 0.0, FaultKind.STARTING: 30.0}
_CHUNK = b'{"name":"Huge","instanceId":"huge","runtimeStatus":"Running"},' * 1000


class Delivery:
    """Sends the answer to one request; the clock gives the time that its `Date` shows."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, clock: Clock) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._clock = clock
        self._skew = 0.0

    async def whole(self, answer: Answer, base: Base | None) -> None:
        """Send an answer; the web hook says how long it is, the local listener sends chunks."""
        headers = dict(answer.headers)
        if base is not Base.LOCAL or not answer.body:
            headers["content-length"] = str(len(answer.body))
        # HTTP does not count blanks around a value, so the one at a token's end need not travel.
        if answer.token or (answer.token is not None and base is Base.LOCAL):
            headers[TOKEN_HEADER] = answer.token.strip()
        await self._start(answer.status, headers)
        await self._body(answer.body, more=False)

    async def faulty(self, fault: Fault, answer: Answer, base: Base | None) -> None:
        """Send an answer in the way of a fault."""
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
            await self.whole(answer, base)

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
            await checkpoint()  # a client that keeps up would otherwise never let others run

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
        # To return from here while the client listens would make the server complete the answer.
        self._scope["state"][CLOSE_CONNECTION]()
        await self._disconnected()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
