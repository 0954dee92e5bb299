"""Which of the instances over a limit need their history read."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from exporter.api.times import later
from exporter.diagnosis.classify import told_by_status
from exporter.diagnosis.groups import SAMPLES
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.over_limit import OverLimitInstances
from exporter.ledger.tracked import TrackedInstance

# So many take a few milliseconds.
_SLICE = 4000


class Told(msgspec.Struct, frozen=True, gc=False):
    """Instances of an orchestrator whose status tells what they wait on: the oldest's wait."""

    wait: Wait
    count: int
    samples: tuple[str, ...]


@dataclass(slots=True)
class Scan:
    """
    The instances over a limit, by the name of their orchestrator.

    `over` counts all of them. `told` are those whose status tells enough; `candidates` the others,
    as pairs of when they last changed and their id; `candidate_ids` are the ids of all of these.
    """

    over: Counter[str] = field(default_factory=Counter)
    told: dict[tuple[str, WaitingOn], Told] = field(default_factory=dict)
    candidates: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    candidate_ids: set[str] = field(default_factory=set)

    def add_all(
        self, found: OverLimitInstances, tracked: Mapping[str, TrackedInstance]
    ) -> Iterator[None]:
        """Add what was found and is still *tracked*; yields every few thousand instances."""
        told: dict[tuple[str, WaitingOn], list[tuple[float, str]]] = defaultdict(list)
        members = iter(found)
        while some := tuple(islice(members, _SLICE)):
            for member in some:
                instance = tracked.get(member.instance_id)
                if instance is None:
                    continue
                self.over[instance.name] += 1
                kind = told_by_status(instance.status, instance.created, instance.updated)
                if kind is None:
                    self.candidates[instance.name].append((member.changed, member.instance_id))
                    self.candidate_ids.add(member.instance_id)
                else:
                    told[instance.name, kind].append((member.changed, member.instance_id))
            yield
        self.told = {key: _told(key[1], members) for key, members in told.items()}


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
    return None if kind is None else _wait(kind, later(instance.created, instance.updated))


def _told(kind: WaitingOn, members: list[tuple[float, str]]) -> Told:
    oldest = heapq.nsmallest(SAMPLES, members)
    ids = tuple(instance_id for _, instance_id in oldest)
    return Told(_wait(kind, oldest[0][0]), len(members), ids)


def _wait(kind: WaitingOn, since: float | None) -> Wait:
    # What comes to a suspended instance touches its row too.
    return Wait(kind, since=None if kind is WaitingOn.SUSPENDED else since)
