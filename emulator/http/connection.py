"""What comes from a client before its answer is ready: a body, and that it has gone."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Receive

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
