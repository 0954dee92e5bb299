"""What the client counts about its own requests."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field

DURATION_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
NO_ANSWER = "none"

LIST_INSTANCES = "listInstances"
LIST_ENTITIES = "listEntities"
GET_INSTANCE = "getInstanceStatus"
OPERATIONS = (LIST_INSTANCES, LIST_ENTITIES, GET_INSTANCE)


@dataclass(slots=True)
class Durations:
    """A histogram of request durations; `counts` are per bucket, not cumulative."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    total: float = 0.0


@dataclass(slots=True)
class ApiTelemetry:
    """Counters of one hub's requests, by operation; every attempt counts."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    response_bytes: Counter[str] = field(default_factory=Counter)
    durations: defaultdict[str, Durations] = field(default_factory=lambda: defaultdict(Durations))

    def attempt(self, operation: str, code: str, seconds: float, size: int) -> None:
        """Count one attempt and its answer; *code* is the status or `none`."""
        self.requests[operation, code] += 1
        self.response_bytes[operation] += size
        durations = self.durations[operation]
        durations.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        durations.total += seconds
