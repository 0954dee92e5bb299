"""Which requests are sent first where not all of them may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum


class Priority(IntEnum):
    """What a request is for, the most urgent first."""

    ACTIVE = 0
    FINISHED = 1
    OTHER = 2


priority: ContextVar[Priority] = ContextVar("priority", default=Priority.OTHER)


@contextmanager
def with_priority(urgency: Priority) -> Iterator[None]:
    """Let all requests of the block be as urgent as that."""
    token = priority.set(urgency)
    try:
        yield
    finally:
        priority.reset(token)
