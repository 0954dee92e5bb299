"""Which active instances are beyond a limit."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from exporter.diagnosis.classify import told_by_status
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.active import Life
from exporter.ledger.snapshot import LimitInForce
from exporter.ledger.status import RuntimeStatus

Limits = Mapping[str, LimitInForce]

_CLOCK_OF = {RuntimeStatus.PENDING: "pending", RuntimeStatus.RUNNING: "idle"}


@dataclass(frozen=True, slots=True)
class Told:
    """Instances of an orchestrator whose status tells what they wait on, the oldest first."""

    wait: Wait
    count: int
    oldest: tuple[str, ...]


@dataclass(slots=True)
class Scan:
    """
    The instances beyond a limit at a moment, by the name of their orchestrator.

    `over` counts all of them. `told` are those whose status tells enough; `candidates` the others,
    as pairs of when they were last touched and their id.
    """

    over: Counter[str] = field(default_factory=Counter)
    told: dict[tuple[str, WaitingOn], Told] = field(default_factory=dict)
    candidates: dict[str, list[tuple[float, str]]] = field(default_factory=dict)


def scan(
    lives: Mapping[str, Life], sweep: int, at: float, limits_of: Callable[[str], Limits]
) -> Scan:
    """Find the *lives* that were seen in a sweep and are beyond a limit at *at*."""
    found = Scan()
    told: dict[tuple[str, WaitingOn], list[tuple[float, str]]] = defaultdict(list)
    candidates: dict[str, list[tuple[float, str]]] = defaultdict(list)
    limits: dict[str, Limits] = {}
    for instance_id, life in lives.items():
        if life.sweep != sweep:
            continue
        name = life.name
        in_force = limits.get(name)
        if in_force is None:
            in_force = limits[name] = limits_of(name)
        if not is_beyond(life.status, life.created, life.updated, in_force, at):
            continue
        found.over[name] += 1
        since = touched(life.created, life.updated) or 0.0
        kind = told_by_status(life.status, life.created, life.updated)
        if kind is None:
            candidates[name].append((since, instance_id))
        else:
            told[name, kind].append((since, instance_id))
    found.candidates = dict(candidates)
    found.told = {key: _told(key[1], members) for key, members in told.items()}
    return found


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
    limit = limits.get(_CLOCK_OF.get(status, ""))
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
        wanted = (member for member in members if is_wanted(member[1]))
        for place, (since, instance_id) in enumerate(heapq.nsmallest(most, wanted)):
            ranked.append((sampled.get(name, 0) + place, since, instance_id, name))
    for _, _, instance_id, name in sorted(ranked):
        yield name, instance_id


def _told(kind: WaitingOn, members: list[tuple[float, str]]) -> Told:
    oldest = heapq.nsmallest(10, members)
    since = next((since for since, _ in oldest if since), None)
    if kind is WaitingOn.SUSPENDED:
        # What comes to a suspended instance touches its row too.
        since = None
    return Told(
        Wait(kind, since=since), len(members), tuple(instance_id for _, instance_id in oldest)
    )
