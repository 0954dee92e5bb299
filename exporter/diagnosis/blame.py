"""Blocking chains: from an instance over what it waits on to the instance that blocks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec.structs import replace

from exporter.diagnosis.knowledge import HubKnowledge, without_step
from exporter.diagnosis.nodes import (
    Absence,
    Answer,
    Entity,
    Node,
    Orchestration,
    Read,
    examine,
    examine_orchestration,
)
from exporter.diagnosis.waits import Wait, WaitingOn, unknown

# Hops from one instance to the next; real chains are short.
MOST_HOPS = 16
# The most waits that are followed, over all instances of a chain.
_MOST_STEPS = 64


class Known(Protocol):
    """What was read."""

    def get(self, instance_id: str, /) -> Node | None:
        """Return an instance or entity as it was read, None if it must be read."""
        ...

    def __setitem__(self, instance_id: str, node: Node, /) -> None:
        """Keep what was read."""
        ...


class End(StrEnum):
    """Why a chain ends."""

    LEAF = "leaf"
    """The last instance waits on no other instance."""
    FINISHED = "finished"
    """The instance at the end has finished; its result is not delivered yet."""
    MISSING = "missing"
    """The instance at the end has no row: not yet, or not any more."""
    ORPHANED_LOCK = "orphaned_lock"
    """The instance at the end holds the lock, and is not active."""
    CYCLE = "cycle"
    """The instance at the end occurs in the chain before: they wait for each other."""
    TOO_DEEP = "too_deep"
    """The chain has more hops than are followed."""
    UNREAD = "unread"
    """The instance at the end could not be read."""


class Blame(msgspec.Struct, frozen=True, gc=False):
    """
    What blocks an instance.

    `chain` are ids from the instance to the end, both included, entities among them. `wait` is what
    the instance itself waits on, None if it is finished; `leaf` what the last of the chain waits
    on, or the last whose wait is known. `held_by` is the holder of the lock that it waits for.
    `cause` is the id that all instances blocked by the same share: the end, or one of the cycle.
    """

    chain: tuple[str, ...]
    wait: Wait | None
    leaf: Wait | None
    end: End
    cause: str
    leaf_orchestrator: str = ""
    held_by: str | None = None
    timer: Wait | None = None

    def as_of(self, at: float) -> Blame:
        """Return the same at a moment: timers become overdue."""
        if self.wait is None or self.leaf is None:
            return self
        if self.timer is not None and not self.leaf.as_of(at).waiting_on.means_trouble:
            timer = self.timer.as_of(at)
            if timer is not self.timer:
                own = self.chain[:1]
                return replace(self, chain=own, wait=timer, leaf=timer, end=End.LEAF, cause=own[0])
        wait, leaf = self.wait.as_of(at), self.leaf.as_of(at)
        if wait is self.wait and leaf is self.leaf:
            return self
        return replace(self, wait=wait, leaf=leaf)


def ends_in_who_waits(blame: Blame) -> bool:
    """Return whether `leaf` is the wait of the end itself, not of the last before it."""
    return blame.end in (End.LEAF, End.TOO_DEEP) and not blame.chain[-1].startswith("@")


@dataclass(frozen=True, slots=True)
class _Found:
    """
    A chain to its end.

    `waits` holds what each orchestration in it waits on, `last` is the last one whose wait is
    known, and `held_by` the holder of the first lock on the way.
    """

    chain: tuple[str, ...]
    end: End
    leaf: Wait
    waits: Mapping[str, Wait]
    last: Orchestration
    held_by: str | None = None

    @property
    def rank(self) -> int:
        """How much it explains: trouble most, an undelivered result least."""
        if self.end is End.FINISHED:
            return 2
        return 0 if self.leaf.waiting_on.means_trouble else 1


@dataclass(frozen=True, slots=True)
class _Step:
    """The next ids of a chain, and what they lead to: another orchestration, or an end."""

    ids: tuple[str, ...]
    to: Orchestration | None
    end: End
    held_by: str | None = None
    leaf: Wait | None = None


@dataclass(slots=True)
class _Search:
    """What is known, and how many more steps may be followed."""

    known: Known
    knowledge: HubKnowledge
    left: int = _MOST_STEPS


def trace(
    instance_id: str, known: Known, knowledge: HubKnowledge | None = None
) -> Generator[Read, Answer, tuple[Blame, Node]]:
    """
    Follow the blocking chain of an instance; return it, and the instance as it was read.

    Requests only what *known* lacks, and adds to it. If an instance waits on several things, one
    that means trouble counts. *knowledge* is which orchestrators receive events.
    """
    search = _Search(known, knowledge or HubKnowledge())
    start = yield from _look(instance_id, search)
    if isinstance(start, Absence):
        end = End.UNREAD if start is Absence.UNREADABLE else End.MISSING
        return Blame((instance_id,), unknown(), unknown(), end, instance_id), start
    if isinstance(start, Entity):
        return (yield from _blame_for_entity(start, search)), start
    if start.reading.is_finished:
        return Blame((instance_id,), None, None, End.FINISHED, instance_id, start.name), start
    found = yield from _follow(start, (instance_id,), {}, search)
    return _blame(found, start), start


def _look(instance_id: str, search: _Search) -> Generator[Read, Answer, Node]:
    node = search.known.get(instance_id)
    if node is None:
        node = yield from examine(instance_id)
        search.known[instance_id] = node
    if isinstance(node, Orchestration):
        if not node.reading.is_partial:
            search.knowledge.learn_waits(node)
        node = yield from without_step(node, search.knowledge)
    return node


def _follow(
    current: Orchestration, chain: tuple[str, ...], waits: Mapping[str, Wait], search: _Search
) -> Generator[Read, Answer, _Found]:
    """
    Follow an orchestration, the last of the chain so far, to the end that explains most.

    If only rows of others show what it waits on, its own history is read first, unless its
    orchestrator is known to wait on nothing else: it may wait on more.
    """
    if current.reading.is_partial and not search.knowledge.waits_alone(current):
        node: Node = yield from examine_orchestration(current.instance_id)
        search.known[current.instance_id] = node
        if isinstance(node, Orchestration) and not node.reading.is_finished:
            search.knowledge.learn_waits(node)
            current = yield from without_step(node, search.knowledge)
    first = current.reading.waits[0]
    if len(waits) >= MOST_HOPS:
        # The last one is known, but not what blocks it.
        known = {**waits, current.instance_id: first}
        return _Found(chain, End.TOO_DEEP, first, known, current)
    best: _Found | None = None
    for wait in current.reading.waits:
        if best is not None and search.left <= 0:
            break
        search.left -= 1
        found = yield from _follow_wait(current, wait, chain, waits, search)
        if best is None or found.rank < best.rank:
            best = found
        if not best.rank:
            break
    return best or _Found(chain, End.LEAF, first, {**waits, current.instance_id: first}, current)


def _follow_wait(
    current: Orchestration,
    wait: Wait,
    chain: tuple[str, ...],
    waits: Mapping[str, Wait],
    search: _Search,
) -> Generator[Read, Answer, _Found]:
    """Follow one of the things that an orchestration waits on."""
    known = {**waits, current.instance_id: wait}
    step = yield from _step_of(current, wait, search)
    longer = (*chain, *step.ids)
    if step.to is None:
        return _Found(longer, step.end, step.leaf or wait, known, current, step.held_by)
    if step.to.instance_id in chain:
        return _cycle(longer, known, current, step.held_by)
    found = yield from _follow(step.to, longer, known, search)
    return dataclasses.replace(found, held_by=step.held_by or found.held_by)


def _blame_for_entity(entity: Entity, search: _Search) -> Generator[Read, Answer, Blame]:
    """Follow the chain of an entity: to the holder of its lock, if any."""
    wait = Wait(WaitingOn.ENTITY, entity.class_name, entity_ids=(entity.entity_id,))
    step = yield from _to_holder("", wait, search)
    if step.to is None:
        leaf = step.leaf or wait
        return Blame(step.ids, wait, leaf, step.end, step.ids[-1], "", step.held_by)
    found = yield from _follow(step.to, step.ids, {}, search)
    found = dataclasses.replace(found, held_by=step.held_by or found.held_by)
    return replace(_blame(found, step.to), wait=wait, timer=None)


def _blame(found: _Found, start: Orchestration) -> Blame:
    """Return the result for the start of a chain."""
    wait, leaf = found.waits.get(found.chain[0]), found.leaf
    timer = start.reading.timer
    if found.end is End.CYCLE:
        cause = min(found.waits.keys() & _members(found.chain))
        return Blame(found.chain, wait, leaf, found.end, cause, "", found.held_by, timer)
    # What waits for an instance whose own wait has no name waits for that instance.
    if not leaf.target and found.chain[0] != found.last.instance_id:
        leaf = replace(leaf, target=found.last.name)
    name = found.last.name
    return Blame(found.chain, wait, leaf, found.end, found.chain[-1], name, found.held_by, timer)


def _members(chain: tuple[str, ...]) -> set[str]:
    """Return the ids of a cycle, whose last one occurs in the chain before."""
    return set(chain[chain.index(chain[-1]) : -1])


def _cycle(
    chain: tuple[str, ...],
    waits: Mapping[str, Wait],
    last: Orchestration,
    held_by: str | None,
) -> _Found:
    """Choose the same wait wherever the cycle is entered: its oldest lock or call."""
    within = {member: waits[member] for member in waits.keys() & _members(chain)}
    calls = {member: wait for member, wait in within.items() if wait.entity_ids} or within
    leaf = calls[min(calls, key=lambda member: (calls[member].began, member))]
    return _Found(chain, End.CYCLE, leaf, waits, last, held_by)


def _step_of(current: Orchestration, wait: Wait, search: _Search) -> Generator[Read, Answer, _Step]:
    if wait.child_id is not None:
        return (yield from _to_child(wait.child_id, search))
    if wait.entity_ids:
        return (yield from _to_holder(current.instance_id, wait, search))
    return _Step((), None, End.LEAF)


def _to_child(child_id: str, search: _Search) -> Generator[Read, Answer, _Step]:
    child = yield from _look(child_id, search)
    ids = (child_id,)
    if child is Absence.MISSING:
        return _Step(ids, None, End.MISSING)
    if not isinstance(child, Orchestration):
        return _Step(ids, None, End.UNREAD)
    if child.reading.is_finished:
        return _Step(ids, None, End.FINISHED)
    return _Step(ids, child, End.LEAF)


def _to_holder(sender: str, wait: Wait, search: _Search) -> Generator[Read, Answer, _Step]:
    """
    Go to the holder of the lock that keeps a message unanswered.

    Locks are taken one after another: the sender does not wait for those it holds.
    """
    ids: list[str] = []
    for entity_id in wait.entity_ids:
        ids.append(entity_id)
        entity = yield from _look(entity_id, search)
        if isinstance(entity, Absence):
            end = End.MISSING if entity is Absence.MISSING else End.UNREAD
            return _Step(tuple(ids), None, end)
        if isinstance(entity, Orchestration) or entity.locked_by is None:
            return _Step(tuple(ids), None, End.LEAF, leaf=_suspended(entity))
        if entity.locked_by != sender:
            return (yield from _to(entity.locked_by, tuple(ids), search))
    return _Step(tuple(ids), None, End.LEAF)


def _to(holder_id: str, ids: tuple[str, ...], search: _Search) -> Generator[Read, Answer, _Step]:
    ids = (*ids, holder_id)
    holder = yield from _look(holder_id, search)
    if holder is Absence.UNREADABLE:
        return _Step(ids, None, End.UNREAD, holder_id)
    if not isinstance(holder, Orchestration) or holder.reading.is_finished:
        return _Step(ids, None, End.ORPHANED_LOCK, holder_id)
    return _Step(ids, holder, End.LEAF, holder_id)


def _suspended(node: Entity | Orchestration) -> Wait | None:
    """Return the wait for a suspended entity."""
    if isinstance(node, Orchestration) or node.suspended_since is None:
        return None
    return Wait(WaitingOn.SUSPENDED, node.class_name, node.suspended_since)
