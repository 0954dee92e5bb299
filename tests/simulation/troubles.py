"""What can go wrong with a request, and when it does."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from exporter.api.classify import Failures
from exporter.api.errors import ApiError


class Killed(BaseException):
    """The process ends here, whatever it is doing."""


class Fault(Enum):
    """What becomes of a request; what does not fit it leaves it alone."""

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
    """What becomes of an attempt to keep the state."""

    NOT_WRITTEN = "the disk is full"
    KILL_BEFORE = "killed right before it is durable"
    KILL_AFTER = "killed right after it is durable"


def error_of(fault: Fault, operation: str) -> ApiError:
    """Return the error that the client makes of a failure."""
    failures = Failures("simulated", operation)
    if fault is Fault.UNAVAILABLE:
        return failures.of_status(503, {}, b"")
    if fault is Fault.UNREACHABLE:
        return failures.of_exception(TimeoutError(), 20.0)
    return failures.protocol("the answer is not the JSON that was asked for")


@dataclass(slots=True)
class Troubles:
    """
    Decides the fate of each request.

    A share *rate* of them has a fault of some *kinds* by chance; others are planned, by how many
    requests from then on. Until `down_until` nobody answers; until `restarting_until` the host
    restarts: reads answer 404, and lists fail unless `lists_meanwhile`. `recent_lists_fail` is the
    failure of one kind of list alone.
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
        """Let requests fail, each after so many others."""
        for requests, fault in faults:
            self._planned[self.requests + requests + 1] = fault

    def of_list(self, now: float, *, is_recent: bool) -> Fault | None:
        """Return what becomes of a page that is asked for."""
        if now < self.down_until:
            return Fault.UNREACHABLE
        if is_recent and self.recent_lists_fail:
            return Fault.UNAVAILABLE
        if now < self.restarting_until and not self.lists_meanwhile:
            return Fault.UNAVAILABLE
        return self._next()

    def of_read(self, now: float) -> Fault | None:
        """Return what becomes of an instance that is asked for."""
        if now < self.down_until:
            return Fault.UNREACHABLE
        if now < self.restarting_until:
            return Fault.FALSE_404
        return self._next()

    def of_commit(self) -> CommitFault | None:
        """Return what becomes of keeping the state."""
        return self.commits.popleft() if self.commits else None

    def cease(self) -> None:
        """Nothing goes wrong from now on."""
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
