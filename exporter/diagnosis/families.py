"""Families of instances: active children by their rows, orphans, and family trees."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

import msgspec

from exporter.api.wire import HistoryEvent, InstanceRow, InstanceStatus
from exporter.diagnosis.history import CHILD_COMPLETED, CHILD_CREATED, CHILD_FAILED
from exporter.diagnosis.nodes import Absence, Answer, Read
from exporter.ledger.status import ACTIVE, RuntimeStatus
from exporter.ledger.tracked import TrackedInstance

# Instances per slice of a few milliseconds.
_SLICE = 20_000
_MOST_CHILDREN = 8
# One sweep may miss what another sees.
_SWEEPS_BELIEVED = 2
# Rows came up to 318 s late (reference 6.1): a parent is gone only after longer.
_LATEST_ROW = 600.0
# How often an active parent that no listing shows is read again.
_SWEEPS_BETWEEN_READS = 20
_MOST_KEPT = 10_000
# Real families are a few generations deep.
MOST_GENERATIONS = 16
MOST_SHOWN = 50


class Child(msgspec.Struct, frozen=True, gc=False, order=True):
    """An active child by its row; created when its parent called it."""

    created: float
    instance_id: str
    name: str


class Children(msgspec.Struct, gc=False):
    """
    The active children of an instance: how many by name, and the few called last.

    `first` is when it called the first of them, None where no row shows it.
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
    Return the children in *tracked* that *sweep* saw, by the id of their parent, active or not.

    Yields every few milliseconds; until the end `tracked` must not change.
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


class _Seen(Enum):
    ENDED = "finished"
    GONE = "no row in any answer"
    ACTIVE = "active, though no listing shows it"


class _Parent(msgspec.Struct, gc=False):
    """The state of a parent in a sweep, and in how many sweeps in a row."""

    seen: _Seen
    sweep: int
    sweeps: int = 1

    @property
    def is_over(self) -> bool:
        if self.seen is _Seen.GONE:
            return self.sweeps >= _SWEEPS_BELIEVED
        return self.seen is _Seen.ENDED


class Orphans:
    """
    Finds orphans: active sub-orchestrations whose parent has finished or is gone (design 4.5).

    Parents that are not active are to be read by id. A finished one is believed at once, until seen
    active again; a missing one after two sweeps, and ten minutes after it called a child.
    """

    def __init__(self) -> None:
        self._parents: dict[str, _Parent] = {}
        self._children: Mapping[str, Children] = {}
        self._at = 0.0

    def look(self, children: Mapping[str, Children], active: Container[str], at: float) -> None:
        """Take the *children* of a sweep at *at* by their parent; forget parents that came back."""
        self._at = at
        self._children = {each: of for each, of in children.items() if each not in active}
        self._parents = {
            each: parent for each, parent in self._parents.items() if each in self._children
        }

    def to_read(self, sweep: int, most: int) -> list[str]:
        """Return at most *most* parents that must be read in a *sweep*."""
        wanted = (each for each in self._children if self._is_wanted(each, sweep))
        return [each for each, _ in zip(wanted, range(most), strict=False)]

    def _is_wanted(self, instance_id: str, sweep: int) -> bool:
        parent = self._parents.get(instance_id)
        if parent is None:
            return True
        if parent.seen is _Seen.ACTIVE:
            return sweep - parent.sweep >= _SWEEPS_BETWEEN_READS
        return not parent.is_over and sweep > parent.sweep

    def saw(self, parent: str, status: RuntimeStatus | None, sweep: int) -> None:
        """Note the status of a parent that was read, None if it is certainly not stored."""
        seen = _Seen.GONE if status is None else _Seen.ENDED
        if status in ACTIVE:
            seen = _Seen.ACTIVE
        known = self._parents.get(parent)
        if known is not None and known.seen is seen:
            known.sweeps += known.sweep < sweep
            known.sweep = sweep
        elif known is not None or len(self._parents) < _MOST_KEPT:
            self._parents[parent] = _Parent(seen, sweep)

    def parents(self) -> dict[str, bool]:
        """Map the parents that have ended to whether they are gone."""
        return {
            each: parent.seen is _Seen.GONE
            for each, parent in self._parents.items()
            if parent.is_over and not (parent.seen is _Seen.GONE and self._may_be_late(each))
        }

    def _may_be_late(self, parent: str) -> bool:
        first = self._children[parent].first
        return first is not None and self._at - first < _LATEST_ROW

    def counts(self, called: Iterable[str], label_of: Callable[[str], str]) -> dict[str, int]:
        """Return the number of orphans by label, 0 for those of *called* without any."""
        counts: Counter[str] = Counter()
        for parent in self.parents():
            for name, count in self._children[parent].counts.items():
                counts[label_of(name)] += count
        return {label: counts[label] for label in dict.fromkeys((*map(label_of, called), *counts))}


# A child without a result is active, or its result is in transit.
_STATUSES = {
    CHILD_CREATED: RuntimeStatus.RUNNING,
    CHILD_FAILED: RuntimeStatus.FAILED,
    CHILD_COMPLETED: RuntimeStatus.COMPLETED,
}


def head_of(instance_id: str, parent_of: Callable[[str], str | None]) -> str:
    """
    Return the first ancestor of an instance, itself if it has none.

    *parent_of* returns None where the search ends. Of a cycle, or beyond 16 generations, returns
    the last one that was reached.
    """
    seen = {instance_id}
    for _ in range(MOST_GENERATIONS):
        parent = parent_of(instance_id)
        if parent is None or parent in seen:
            break
        seen.add(parent)
        instance_id = parent
    return instance_id


class Member(msgspec.Struct, frozen=True):
    """
    An instance of a family, and its children by status.

    `left_out` counts further children by status. The status of a child that was not read is that in
    its parent's history.
    """

    instance_id: str
    orchestrator: str
    runtime_status: str
    children: list[Member] = []
    left_out: dict[str, int] = {}


@dataclass(slots=True)
class _Tree:
    """A family while it is read: at most `left` more are shown, those on the *path* always."""

    path: frozenset[str]
    left: int = MOST_SHOWN
    seen: set[str] = field(default_factory=set)


def family_of(row: InstanceRow) -> Generator[Read, Answer, Member | None]:
    """
    Return the family of an instance from its root, None if it has neither parent nor child.

    Requests histories: of the ancestors, then of their descendants. A parent that is an entity or
    gone ends the way up.
    """
    path = [row.instance_id]
    root: InstanceRow = row
    while (parent := root.parent_instance_id) and len(path) < MOST_GENERATIONS:
        if parent in path or parent.startswith("@"):
            break
        answer = yield Read(parent, history=False)
        if isinstance(answer, Absence):
            break
        root = answer
        path.append(parent)
    tree = _Tree(frozenset(path))
    status = str(root.runtime_status)
    member = yield from _member(root.instance_id, root.name or "", status, tree)
    return member if len(path) > 1 or member.children or member.left_out else None


def _member(
    instance_id: str, name: str, status: str, tree: _Tree
) -> Generator[Read, Answer, Member]:
    tree.left -= 1
    tree.seen.add(instance_id)
    answer = yield Read(instance_id)
    if answer is Absence.REFUSED:
        answer = yield Read(instance_id, history=False)
    if isinstance(answer, InstanceStatus):
        name, status = answer.name or name, str(answer.runtime_status)
    events = (answer.history_events if isinstance(answer, InstanceStatus) else None) or ()
    children: list[Member] = []
    left_out: Counter[str] = Counter()
    for child_id, child_name, child_status in _children(events):
        if child_id in tree.seen:
            continue
        if child_id not in tree.path and tree.left <= 0:
            left_out[child_status] += 1
        elif child_id not in tree.path and child_status == RuntimeStatus.COMPLETED:
            # The history of a completed child adds nothing.
            tree.left -= 1
            children.append(Member(child_id, child_name, child_status))
        else:
            children.append((yield from _member(child_id, child_name, child_status, tree)))
    return Member(instance_id, name, status, children, dict(left_out))


def _children(events: Sequence[HistoryEvent]) -> list[tuple[str, str, str]]:
    """Return id, name and status of the children in a history, unfinished ones first."""
    found = [
        (event.instance_id, event.name or event.function_name or "", _STATUSES[event.event_type])
        for event in events
        if event.event_type in _STATUSES and event.instance_id
    ]
    order = list(_STATUSES.values())
    found.sort(key=lambda child: order.index(child[2]))
    return [(child_id, name, status.value) for child_id, name, status in found]
