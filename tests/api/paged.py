"""What a listing is made of, where no request is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from exporter.api.answers import Answer
from exporter.api.listing import Page

Row = TypeVar("Row")

Attempt = Callable[[bytes, Callable[[bytes], None]], Coroutine[None, None, Answer]]
Fetch = Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Page[Row]]]


def paged(page_of: Callable[[bytes], Awaitable[Page[Row]]]) -> tuple[Attempt, Fetch[Row]]:
    """Return the parts of a `Listing` that gets the page of a token from *page_of*."""

    async def attempt(token: bytes, _received: Callable[[bytes], None]) -> Answer:
        return Answer(200, {}, token, 0.0)

    async def fetch(ask: Callable[[], Awaitable[Answer]]) -> Page[Row]:
        answer = await ask()
        return await page_of(answer.body)

    return attempt, fetch
