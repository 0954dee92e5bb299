"""Which active instances are beyond a limit."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from exporter.diagnosis.classify import told_by_status
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.active import TrackedInstance
from exporter.ledger.snapshot import LimitInForce
from exporter.ledger.status import RuntimeStatus

Limits = Mapping[str, LimitInForce]

_NEVER = float("-inf")
# So many take a few milliseconds.
_SLICE = 4000
# By name, since to look up a member of an enum takes a call, and so does its hash.
_PENDING, _RUNNING = RuntimeStatus.PENDING, RuntimeStatus.RUNNING
# The moments before which instances are beyond a limit: age, pending, idle.
_Bounds = tuple[float, float, float]


class Told(msgspec.Struct, frozen=True, gc=False):
    """Instances of an orchestrator whose status tells what they wait on: the oldest's wait."""

    wait: Wait
    count: int


@dataclass(slots=True)
class Scan:
    """
    The instances beyond a limit at a moment, by the name of their orchestrator.

    `over` counts all of them. `told` are those whose status tells enough; `candidates` the others,
    as pairs of when they were last touched and their id.
    """

    over: Counter[str] = field(default_factory=Counter)
    told: dict[tuple[str, WaitingOn], Told] = field(default_factory=dict)
    candidates: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )


class Scanner:
    """Finds the *tracked* instances over a limit at *at* that a sweep saw."""

    def __init__(
        self,
        tracked: Mapping[str, TrackedInstance],
        sweep: int,
        at: float,
        limits_of: Callable[[str], Limits],
    ) -> None:
        self._tracked = tracked
        self._sweep = sweep
        self._at = at
        self._limits_of = limits_of
        self._bounds: dict[str, _Bounds] = {}
        self._told: dict[tuple[str, WaitingOn], list[float]] = defaultdict(list)
        self.found = Scan()

    def slices(self) -> Iterator[None]:
        """Find them, a few thousand instances at a time; `found` is complete at the end."""
        tracked = iter(tuple(self._tracked.items()))
        while members := tuple(islice(tracked, _SLICE)):
            self._add(members)
            yield
        self.found.told = {
            key: Told(_wait(key[1], min(since)), len(since)) for key, since in self._told.items()
        }
        for name, candidates in self.found.candidates.items():
            self.found.over[name] += len(candidates)
        for (name, _), told in self.found.told.items():
            self.found.over[name] += told.count

    def is_candidate(self, instance_id: str) -> bool:
        """Tell whether an instance is one whose history is to be read."""
        instance = self._tracked.get(instance_id)
        if instance is None or instance.sweep != self._sweep:
            return False
        limits = self._limits_of(instance.name)
        if not is_beyond(instance.status, instance.created, instance.updated, limits, self._at):
            return False
        return told_by_status(instance.status, instance.created, instance.updated) is None

    def _add(self, members: Iterable[tuple[str, TrackedInstance]]) -> None:
        sweep, bounds_of, candidates = self._sweep, self._bounds, self.found.candidates
        for instance_id, instance in members:
            if instance.sweep != sweep:
                continue
            name, created, since = instance.name, instance.created, instance.updated
            if since is None or (created is not None and created > since):
                since = created
            age, pending, idle = bounds_of.get(name) or self._know(name)
            status = instance.status
            bound = idle if status is _RUNNING else pending if status is _PENDING else _NEVER
            if since is None or (since >= bound and (created is None or created >= age)):
                continue
            if status is _RUNNING:
                candidates[name].append((since, instance_id))
            else:
                self._add_rarer(instance_id, instance, since)

    def _add_rarer(self, instance_id: str, instance: TrackedInstance, since: float) -> None:
        kind = told_by_status(instance.status, instance.created, instance.updated)
        if kind is None:
            self.found.candidates[instance.name].append((since, instance_id))
        else:
            self._told[instance.name, kind].append(since)

    def _know(self, name: str) -> _Bounds:
        limits = self._limits_of(name)
        before = {limit: self._at - in_force.seconds for limit, in_force in limits.items()}
        age, pending, idle = (before.get(limit, _NEVER) for limit in ("age", "pending", "idle"))
        bounds = self._bounds[name] = (age, pending, idle)
        return bounds


def is_beyond(
    status: RuntimeStatus,
    created: float | None,
    updated: float | None,
    limits: Limits,
    at: float,
) -> bool:
    """Tell whether an instance is beyond a limit: `age`, `pending` or `idle` (design 5, Clocks)."""
    age = limits.get("age")
    if age is not None and created is not None and created < at - age.seconds:
        return True
    clock = "idle" if status is _RUNNING else "pending" if status is _PENDING else ""
    limit = limits.get(clock)
    since = touched(created, updated)
    return limit is not None and since is not None and since < at - limit.seconds


def touched(created: float | None, updated: float | None) -> float | None:
    """Return the later of two times: a rewound row keeps its old createdTime."""
    if created is None or updated is None:
        return updated if created is None else created
    return max(created, updated)


def oldest_first(
    candidates: Mapping[str, list[tuple[float, str]]],
    sampled: Mapping[str, int],
    most: int,
    *,
    is_wanted: Callable[[str], bool],
) -> Iterator[tuple[str, str]]:
    """
    Yield names and ids of those to look at next, at most so many of each orchestrator.

    The oldest of every orchestrator come first, then the second ones: those that have been sampled
    count, so that none waits for another's many.
    """
    ranked = []
    for name, members in candidates.items():
        known = sampled.get(name, 0)
        # Those that are known are the oldest, as a rule; of a few others there is nothing to say.
        oldest = heapq.nsmallest(known + 2 * most, members)
        wanted = (member for member in oldest if is_wanted(member[1]))
        for place, (since, instance_id) in enumerate(islice(wanted, most)):
            ranked.append((known + place, since, instance_id, name))
    for _, _, instance_id, name in sorted(ranked):
        yield name, instance_id


def told_wait(instance: TrackedInstance) -> Wait | None:
    """Return what the row of an instance tells that it waits on, None where its history has to."""
    kind = told_by_status(instance.status, instance.created, instance.updated)
    return None if kind is None else _wait(kind, touched(instance.created, instance.updated))


def _wait(kind: WaitingOn, since: float | None) -> Wait:
    # What comes to a suspended instance touches its row too.
    return Wait(kind, since=None if kind is WaitingOn.SUSPENDED else since)
