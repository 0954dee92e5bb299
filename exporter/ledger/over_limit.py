"""Active instances over a limit, found in one pass after each active sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import chain
from typing import NamedTuple

from exporter.api.times import later
from exporter.ledger.snapshot import ChangeBuffer, OverLimit, Recovered
from exporter.ledger.status import RuntimeStatus
from exporter.ledger.tracked import TrackedInstance

MAX_SAMPLES_PER_ORCHESTRATOR = 5
MAX_SAMPLES = 100

AGE = "age"
# The limit on the time since the last change, by status (design 5, Clocks).
_WAITS = {
    RuntimeStatus.PENDING: "pending",
    RuntimeStatus.RUNNING: "idle",
    RuntimeStatus.SUSPENDED: "suspended",
}
LIMITS_OF_INSTANCES = (*_WAITS.values(), AGE)
_NEVER = float("-inf")

Limits = Mapping[str, float]
Group = tuple[str, RuntimeStatus]
"""What limits apply to: an orchestrator, by its own name, and a status."""


class Clocks:
    """
    Decides which limits an instance exceeds at *at*, by its status and *limits*.

    Age counts from createdTime; a wait from the later of createdTime and lastUpdatedTime, since a
    rewound row keeps its createdTime.
    """

    __slots__ = ("_age", "_by_age", "_by_both", "_by_wait", "_wait")

    def __init__(self, status: RuntimeStatus, limits: Limits, at: float) -> None:
        wait = _WAITS.get(status, "")
        self._age = at - limits[AGE] if AGE in limits else _NEVER
        self._wait = at - limits[wait] if wait in limits else _NEVER
        self._by_age, self._by_wait, self._by_both = (AGE,), (wait,), (AGE, wait)

    def exceeded(self, created: float | None, updated: float | None) -> tuple[str, ...]:
        """Return the names of the limits that are exceeded."""
        changed = later(created, updated)
        waits = changed is not None and changed < self._wait
        if created is not None and created < self._age:
            return self._by_both if waits else self._by_age
        return self._by_wait if waits else ()


class Member(NamedTuple):
    """An instance over *limits*, last changed at *changed*."""

    changed: float
    instance_id: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverLimitInstances:
    """All active instances over a limit at `at`, by orchestrator name."""

    at: float = 0.0
    members: Mapping[str, Sequence[Member]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Member]:
        return chain.from_iterable(self.members.values())


def find_over_limit(
    tracked: Mapping[str, TrackedInstance],
    sweep: int,
    at: float,
    limits_of: Callable[[str], Limits],
    groups: Mapping[Group, Clocks] | None = None,
) -> OverLimitInstances:
    """
    Find the *tracked* instances over a limit at *at* among those that *sweep* saw.

    Only *groups* are searched, all where it is None.
    """
    members: dict[str, list[Member]] = defaultdict(list)
    clocks: dict[Group, Clocks | None] = dict(groups or {})
    if groups is not None and not groups:
        return OverLimitInstances(at)
    for instance_id, instance in tracked.items():
        if instance.sweep != sweep:
            continue
        group = (instance.name, instance.status)
        if group not in clocks:
            unknown = groups is None
            clocks[group] = Clocks(group[1], limits_of(group[0]), at) if unknown else None
        clock = clocks[group]
        if clock is None:
            continue
        limits = clock.exceeded(instance.created, instance.updated)
        if limits:
            changed = later(instance.created, instance.updated) or 0.0
            members[instance.name].append(Member(changed, instance_id, limits))
    return OverLimitInstances(at, dict(members))


class OverLimits:
    """
    Follows from sweep to sweep which instances are over which limit.

    `found` are those of the last sweep; `began` and `ended` note changes. Takes about 100 bytes per
    instance over a limit.
    """

    def __init__(self, limits_of: Callable[[str], Limits], label_of: Callable[[str], str]) -> None:
        self._limits_of = limits_of
        self._label_of = label_of
        self.found = OverLimitInstances()
        self.began: ChangeBuffer[OverLimit] = ChangeBuffer()
        self.ended: ChangeBuffer[Recovered] = ChangeBuffer()
        self._over: dict[str, tuple[str, tuple[str, ...]]] = {}

    def find(
        self,
        tracked: Mapping[str, TrackedInstance],
        sweep: int,
        at: float,
        groups: Mapping[Group, Clocks],
    ) -> tuple[dict[tuple[str, str], int], tuple[OverLimit, ...], int]:
        """
        Find those in *groups* that *sweep* saw over a limit at *at*.

        Returns how many are over each limit, by label and limit; the oldest of them, first one of
        each orchestrator and limit, then the second ones; and the number of instances. What *sweep*
        did not see stays as it was.
        """
        self.found = find_over_limit(tracked, sweep, at, self._limits_of, groups)
        by_limit: dict[tuple[str, str], list[tuple[float, Member]]] = defaultdict(list)
        before, self._over = self._over, {}
        for name, members in self.found.members.items():
            label = self._label_of(name)
            for member in members:
                known = before.get(member.instance_id, ("", ()))[1]
                self._over[member.instance_id] = (label, member.limits)
                for limit in member.limits:
                    since = _since(member, tracked[member.instance_id], limit)
                    by_limit[label, limit].append((since, member))
                    if limit not in known:
                        self.began.add(_sample(member, tracked, label, limit))
        self._note_ended(before, tracked, sweep)
        counts = {key: len(members) for key, members in by_limit.items()}
        over = sum(map(len, self.found.members.values()))
        return counts, _samples(by_limit, tracked), over

    def _note_ended(
        self,
        before: Mapping[str, tuple[str, tuple[str, ...]]],
        tracked: Mapping[str, TrackedInstance],
        sweep: int,
    ) -> None:
        for instance_id, (label, limits) in before.items():
            instance = tracked.get(instance_id)
            if instance is not None and instance.sweep < sweep:
                self._over[instance_id] = (label, limits)
                continue
            still = self._over.get(instance_id, ("", ()))[1]
            for limit in limits:
                if limit not in still:
                    self.ended.add(Recovered(instance_id, label, limit))


def _samples(
    by_limit: Mapping[tuple[str, str], Sequence[tuple[float, Member]]],
    tracked: Mapping[str, TrackedInstance],
) -> tuple[OverLimit, ...]:
    ranked = [
        (rank, since, member, label, limit)
        for (label, limit), members in by_limit.items()
        for rank, (since, member) in enumerate(nsmallest(MAX_SAMPLES_PER_ORCHESTRATOR, members))
    ]
    return tuple(
        _sample(member, tracked, label, limit)
        for _, _, member, label, limit in nsmallest(MAX_SAMPLES, ranked)
    )


def _since(member: Member, instance: TrackedInstance, limit: str) -> float:
    return instance.created or 0.0 if limit == AGE else member.changed


def _sample(
    member: Member, tracked: Mapping[str, TrackedInstance], label: str, limit: str
) -> OverLimit:
    instance = tracked[member.instance_id]
    return OverLimit(
        instance_id=member.instance_id,
        orchestrator=label,
        status=instance.status,
        limit=limit,
        since=_since(member, instance, limit),
        created=instance.created,
        updated=instance.updated,
    )
