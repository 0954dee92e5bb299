"""Waiting for a foreign process, which has no event to wait for."""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

PAUSE = 0.05

T = TypeVar("T")


class NeverHappened(AssertionError):
    """What was polled for did not come in time."""


async def poll(read: Callable[[], Awaitable[T]], done: Callable[[T], bool], *, within: float) -> T:
    """
    Read until `done` accepts what was read, and return that; the tests' only pause is here.

    Raises `NeverHappened` with the last reading after `within` seconds.
    """
    last: T | None = None
    with anyio.move_on_after(within):
        for _ in range(math.ceil(within / PAUSE)):
            last = await read()
            if done(last):
                return last
            await anyio.sleep(PAUSE)
    raise NeverHappened(f"not within {within:g} s; last reading: {last!r}")
