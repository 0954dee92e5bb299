"""The active children of instances, as their own rows name their parents."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping
from itertools import islice

import msgspec

from exporter.ledger.tracked import TrackedInstance

# So many take a few milliseconds.
_SLICE = 20_000
_MOST_CHILDREN = 8


class Child(msgspec.Struct, frozen=True, gc=False, order=True):
    """An active child as its row shows it: created when its parent called it."""

    created: float
    instance_id: str
    name: str


class Children(msgspec.Struct, gc=False):
    """
    The active children of an instance: how many by name, and the few that it called last.

    `first` is when it called the first of them, None where no row tells.
    """

    counts: dict[str, int] = {}
    newest: list[Child] = []
    first: float | None = None

    def add(self, instance_id: str, instance: TrackedInstance) -> None:
        """Add a child."""
        self.counts[instance.name] = self.counts.get(instance.name, 0) + 1
        if instance.created is None:
            return
        if self.first is None or instance.created < self.first:
            self.first = instance.created
        child = Child(instance.created, instance_id, instance.name)
        is_full = len(self.newest) >= _MOST_CHILDREN
        (heapq.heappushpop if is_full else heapq.heappush)(self.newest, child)


def children_of(
    tracked: Mapping[str, TrackedInstance], sweep: int
) -> Generator[None, None, dict[str, Children]]:
    """
    Return the children by their parent's id, active or not, of the *tracked* that a *sweep* saw.

    Yields every few milliseconds; until its end `tracked` must not change.
    """
    found: dict[str, Children] = {}
    members = iter(tracked.items())
    while some := tuple(islice(members, _SLICE)):
        for instance_id, instance in some:
            parent = instance.parent
            if parent is None or instance.sweep != sweep:
                continue
            if parent not in found:
                found[parent] = Children()
            found[parent].add(instance_id, instance)
        yield
    return found
