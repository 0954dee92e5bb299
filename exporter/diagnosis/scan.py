"""Which of the instances over a limit need their history read."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from exporter.api.times import later
from exporter.diagnosis.classify import waiting_on_by_status
from exporter.diagnosis.groups import SAMPLES, Waiting
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.over_limit import OverLimitInstances
from exporter.ledger.tracked import TrackedInstance

# Instances per slice of a few milliseconds.
_SLICE = 4000


@dataclass(slots=True)
class Scan:
    """
    The instances over a limit, by the name of their orchestrator.

    `over` counts all. `by_status` are those whose status suffices; `candidates` the others, as
    pairs of last change and id; `candidate_ids` are all ids of these.
    """

    over: Counter[str] = field(default_factory=Counter)
    by_status: list[Waiting] = field(default_factory=list)
    candidates: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    candidate_ids: set[str] = field(default_factory=set)

    def add_all(
        self, found: OverLimitInstances, tracked: Mapping[str, TrackedInstance]
    ) -> Iterator[None]:
        """Add what was found and is still *tracked*; yields every few thousand instances."""
        by_status: dict[tuple[str, WaitingOn], list[tuple[float, str]]] = defaultdict(list)
        members = iter(found)
        while some := tuple(islice(members, _SLICE)):
            for member in some:
                instance = tracked.get(member.instance_id)
                if instance is None:
                    continue
                self.over[instance.name] += 1
                kind = waiting_on_by_status(instance.status, instance.created, instance.updated)
                if kind is None:
                    self.candidates[instance.name].append((member.changed, member.instance_id))
                    self.candidate_ids.add(member.instance_id)
                else:
                    by_status[instance.name, kind].append((member.changed, member.instance_id))
            yield
        self.by_status = [_waiting(*key, members) for key, members in by_status.items()]


def oldest_first(
    candidates: Mapping[str, list[tuple[float, str]]],
    sampled: Mapping[str, int],
    most: int,
    *,
    is_wanted: Callable[[str], bool],
) -> Iterator[tuple[str, str]]:
    """
    Yield names and ids of the next instances to read, at most *most* per orchestrator.

    First the oldest of every orchestrator, then the second ones: those already sampled count, so
    that none waits for another's many.
    """
    ranked = []
    for name, members in candidates.items():
        known = sampled.get(name, 0)
        # The known ones are usually the oldest, and a few others unwanted.
        oldest = heapq.nsmallest(known + 2 * most, members)
        wanted = (member for member in oldest if is_wanted(member[1]))
        for place, (since, instance_id) in enumerate(islice(wanted, most)):
            ranked.append((known + place, since, instance_id, name))
    for _, _, instance_id, name in sorted(ranked):
        yield name, instance_id


def wait_by_row(instance: TrackedInstance) -> Wait | None:
    """Return what the row of an instance shows it to wait on, None if its history is needed."""
    kind = waiting_on_by_status(instance.status, instance.created, instance.updated)
    return None if kind is None else _wait(kind, later(instance.created, instance.updated))


def _waiting(name: str, kind: WaitingOn, members: list[tuple[float, str]]) -> Waiting:
    oldest = heapq.nsmallest(SAMPLES, members)
    ids = tuple(instance_id for _, instance_id in oldest)
    wait = _wait(kind, oldest[0][0])
    return Waiting(name, wait, wait, None, len(members), ids)


def _wait(kind: WaitingOn, since: float | None) -> Wait:
    # Messages to a suspended instance touch its row, too.
    return Wait(kind, since=None if kind is WaitingOn.SUSPENDED else since)
