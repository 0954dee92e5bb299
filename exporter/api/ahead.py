"""The next page of a listing, asked for while the one before is still being read and decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import anyio

Result = TypeVar("Result")

Attempt = Callable[[bytes, Callable[[bytes], None]], Coroutine[None, None, Result]]
"""Asks once for the page of a token, and tells the token of the next one once that is known."""


@dataclass(slots=True)
class _Request(Generic[Result]):
    token: bytes
    is_asked_for: bool
    following: bytes | None = None
    task: asyncio.Task[Result] | None = None


class Ahead(Generic[Result]):
    """
    The requests of a listing that is read to its end.

    At most one is under way whose page nobody has asked for yet; it begins as soon as the answer
    before has shown its token, if *is_wanted* says that the list goes on there. What it comes to,
    errors included, shows when its page is asked for. Whoever is done has to close it.
    """

    def __init__(self, attempt: Attempt[Result], is_wanted: Callable[[bytes, bytes], bool]) -> None:
        self._attempt = attempt
        self._is_wanted = is_wanted
        self._next: _Request[Result] | None = None
        self._tasks: set[asyncio.Task[Result]] = set()

    def ask(self, token: bytes) -> Awaitable[Result]:
        """Ask for the page of *token*, or go on with the request for it that is under way."""
        request = self._next
        if request is None or request.task is None or request.token != token:
            request = _Request[Result](token, is_asked_for=True)
            return self._attempt(token, partial(self._received, request))
        self._next = None
        self._tasks.discard(request.task)
        request.is_asked_for = True
        if request.following is not None:
            self._begin(request.token, request.following)
        return request.task

    async def aclose(self) -> None:
        """Cancel what nobody will ask for any more, and wait until it has ended."""
        self._next = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            with anyio.CancelScope(shield=True):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _received(self, request: _Request[Result], following: bytes) -> None:
        request.following = following
        if request.is_asked_for:
            self._begin(request.token, following)

    def _begin(self, token: bytes, following: bytes) -> None:
        """Ask for the page after that of *token*, unless that is under way since an earlier try."""
        if not self._is_wanted(token, following):
            return
        if self._next is not None:
            if self._next.token == following:
                return
            if self._next.task is not None:
                self._next.task.cancel()
        request = _Request[Result](following, is_asked_for=False)
        request.task = asyncio.create_task(
            self._attempt(following, partial(self._received, request))
        )
        self._tasks.add(request.task)
        self._next = request
