"""Faults of requests and commits, by chance or planned."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from exporter.api.classify import Failures
from exporter.api.errors import ApiError


class Killed(BaseException):
    """The process is killed."""


class Fault(Enum):
    """The fate of a request; one that does not fit has no effect."""

    UNAVAILABLE = "503"
    UNREACHABLE = "no answer"
    RUBBISH = "an answer that is not the API's"
    CUT = "a list that ends early"
    CUT_EMPTY = "a list that ends early with an empty page"
    EMPTY = "an empty page with a token"
    UNKNOWN = "a status that is none"
    FALSE_404 = "404 for what exists"
    KILL = "the exporter is killed"


FAILURES = (Fault.UNAVAILABLE, Fault.UNREACHABLE, Fault.RUBBISH)
_ANY = (
    *FAILURES, *FAILURES, *FAILURES,
    Fault.CUT, Fault.CUT_EMPTY, Fault.EMPTY, Fault.UNKNOWN, Fault.FALSE_404,
)  # fmt: skip


class CommitFault(Enum):
    """The fate of a commit of the state."""

    NOT_WRITTEN = "the disk is full"
    KILL_BEFORE = "killed right before it is durable"
    KILL_AFTER = "killed right after it is durable"


def error_of(fault: Fault, operation: str) -> ApiError:
    """Return the client's error for a failure."""
    failures = Failures("simulated", operation)
    if fault is Fault.UNAVAILABLE:
        return failures.of_status(503, {}, b"")
    if fault is Fault.UNREACHABLE:
        return failures.of_exception(TimeoutError(), 20.0)
    return failures.protocol("the answer is not the JSON that was asked for")


@dataclass(slots=True)
class FaultPlan:
    """
    The faults of requests and commits.

    A random share *rate* of requests has a fault of some *kinds*; others are planned. Until
    `down_until` nothing answers; until `restarting_until` the host restarts: reads get 404, and
    lists fail unless `lists_meanwhile`. `recent_lists_fail`: lists of what finished lately fail.
    """

    rate: float = 0.0
    kinds: Sequence[Fault] = _ANY
    random: random.Random = field(default_factory=lambda: random.Random(0))
    down_until: float = 0.0
    restarting_until: float = 0.0
    lists_meanwhile: bool = False
    recent_lists_fail: bool = False
    requests: int = 0
    commits: deque[CommitFault | None] = field(default_factory=deque)
    _planned: dict[int, Fault] = field(default_factory=dict)

    def plan(self, faults: Iterable[tuple[int, Fault]]) -> None:
        """Plan faults, each after a number of requests."""
        for requests, fault in faults:
            self._planned[self.requests + requests + 1] = fault

    def of_list(self, now: float, *, is_recent: bool) -> Fault | None:
        """Return the fault of a page."""
        if now < self.down_until:
            return Fault.UNREACHABLE
        if is_recent and self.recent_lists_fail:
            return Fault.UNAVAILABLE
        if now < self.restarting_until and not self.lists_meanwhile:
            return Fault.UNAVAILABLE
        return self._next()

    def of_read(self, now: float) -> Fault | None:
        """Return the fault of a read."""
        if now < self.down_until:
            return Fault.UNREACHABLE
        if now < self.restarting_until:
            return Fault.FALSE_404
        return self._next()

    def of_commit(self) -> CommitFault | None:
        """Return the fault of a commit."""
        return self.commits.popleft() if self.commits else None

    def cease(self) -> None:
        """End all faults."""
        self.rate = 0.0
        self.restarting_until = 0.0
        self.recent_lists_fail = False
        self.commits.clear()
        self._planned.clear()

    def _next(self) -> Fault | None:
        self.requests += 1
        if self._planned and (fault := self._planned.pop(self.requests, None)):
            return fault
        if self.rate and self.random.random() < self.rate:
            return self.random.choice(self.kinds)
        return None
