"""Who is to blame: from an instance over what it waits on to what holds it in the end."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec.structs import replace

from exporter.diagnosis.nodes import Absence, Answer, Entity, Node, Orchestration, Read, examine
from exporter.diagnosis.waits import Wait, WaitingOn, unknown

# Hops from one instance to the next; real chains are short.
MOST_HOPS = 16
# Of many children whose results are due, a few are looked at.
_MOST_CHILDREN = 4


class Known(Protocol):
    """What has been read."""

    def get(self, instance_id: str, /) -> Node | None:
        """Return what an instance or entity was seen to be, None if that is to be read."""
        ...

    def __setitem__(self, instance_id: str, node: Node, /) -> None:
        """Keep what was read."""
        ...


class End(StrEnum):
    """Why a chain ends where it ends."""

    LEAF = "leaf"
    """What is waited on there is no other instance."""
    FINISHED = "finished"
    """The instance at the end has finished, and who waits for it has not been told."""
    MISSING = "missing"
    """The instance at the end has no row: not yet, or no longer."""
    ORPHANED_LOCK = "orphaned_lock"
    """The instance at the end holds the lock, and is not active."""
    CYCLE = "cycle"
    """The instance at the end stands in the chain before: they wait for each other."""
    TOO_DEEP = "too_deep"
    """There are more hops than are followed."""
    UNREAD = "unread"
    """The instance at the end could not be read."""


class Blame(msgspec.Struct, frozen=True, gc=False):
    """
    What holds an instance in the end.

    `chain` are ids from the instance to the end, both included, entities among them. `wait` is what
    the instance itself waits on, None if it is finished; `leaf` what the last in the chain does, or
    the last of whom it is known. `held_by` is who holds the lock that keeps it. `cause` is the id
    that all those share who are held by the same: the end, or one of the cycle.
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
        wait, leaf = self.wait.as_of(at), self.leaf.as_of(at)
        if wait is self.wait and leaf is self.leaf:
            return self
        return replace(self, wait=wait, leaf=leaf)


def ends_in_who_waits(blame: Blame) -> bool:
    """Tell whether `leaf` is the wait of the end itself, not of the last before it."""
    return blame.end in (End.LEAF, End.TOO_DEEP) and not blame.chain[-1].startswith("@")


@dataclass(slots=True)
class _Track:
    """The chain so far, the wait of each orchestration in it, and who holds the first lock."""

    chain: list[str] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    held_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """The ids that come next in a chain, and where they lead: to the next one, or to an end."""

    ids: tuple[str, ...]
    to: Orchestration | None
    end: End
    held_by: str | None = None
    leaf: Wait | None = None


def trace(instance_id: str, known: Known) -> Generator[Read, Answer, tuple[Blame, Node]]:
    """
    Follow the blame from an instance; return it, and what the instance itself was seen to be.

    Asks for reads only of what is not in *known*, which it adds to.
    """
    start = yield from _look(instance_id, known)
    if isinstance(start, Absence):
        end = End.MISSING if start is Absence.MISSING else End.UNREAD
        return Blame((instance_id,), unknown(), unknown(), end, instance_id), start
    if isinstance(start, Entity):
        return (yield from _blame_for_entity(start, known)), start
    if start.reading.is_finished:
        return Blame((instance_id,), None, None, End.FINISHED, instance_id, start.name), start
    blame = yield from _blame_for(start, _Track([instance_id]), known)
    return blame, start


def _look(instance_id: str, known: Known) -> Generator[Read, Answer, Node]:
    node = known.get(instance_id)
    if node is None:
        node = yield from examine(instance_id)
        known[instance_id] = node
    return node


def _blame_for(
    current: Orchestration, track: _Track, known: Known
) -> Generator[Read, Answer, Blame]:
    """Go on from an orchestration, the last in the chain so far, to the end."""
    timer = current.reading.timer
    for _ in range(MOST_HOPS):
        wait, step = yield from _step_from(current, known)
        track.waits[current.instance_id] = wait
        track.held_by = track.held_by or step.held_by
        is_cycle = step.to is not None and step.to.instance_id in track.chain
        track.chain.extend(step.ids)
        if is_cycle:
            return _cycle(track, timer)
        if step.to is None:
            return _ended(track, step.end, step.leaf or wait, current, timer)
        current = step.to
    # The last one is known, but not what holds it.
    wait = current.reading.waits[0]
    track.waits.setdefault(current.instance_id, wait)
    return _ended(track, End.TOO_DEEP, wait, current, timer)


def _blame_for_entity(entity: Entity, known: Known) -> Generator[Read, Answer, Blame]:
    """Follow the blame from an entity: to who holds its lock, if anybody does."""
    wait = Wait(WaitingOn.ENTITY, entity.class_name, entity_ids=(entity.entity_id,))
    step = yield from _to_holder("", wait, known)
    if step.to is None:
        leaf = step.leaf or wait
        return Blame(step.ids, wait, leaf, step.end, step.ids[-1], "", step.held_by)
    track = _Track(list(step.ids), held_by=step.held_by)
    blame = yield from _blame_for(step.to, track, known)
    return replace(blame, wait=wait, timer=None)


def _ended(track: _Track, end: End, leaf: Wait, last: Orchestration, timer: Wait | None) -> Blame:
    # Whoever waits for another one that waits on something without a name waits for that one.
    if not leaf.target and track.chain[0] != last.instance_id:
        leaf = replace(leaf, target=last.name)
    wait = track.waits.get(track.chain[0])
    return Blame(
        tuple(track.chain), wait, leaf, end, track.chain[-1], last.name, track.held_by, timer
    )


def _cycle(track: _Track, timer: Wait | None) -> Blame:
    """Blame the same wait wherever the cycle is entered: the lock or call that is the oldest."""
    members = track.chain[track.chain.index(track.chain[-1]) : -1]
    waits = {member: track.waits[member] for member in members if member in track.waits}
    calls = {member: wait for member, wait in waits.items() if wait.entity_ids} or waits
    leaf = calls[min(calls, key=lambda member: (_age(calls[member]), member))]
    wait = track.waits.get(track.chain[0])
    chain = tuple(track.chain)
    return Blame(chain, wait, leaf, End.CYCLE, min(waits), "", track.held_by, timer)


def _step_from(current: Orchestration, known: Known) -> Generator[Read, Answer, tuple[Wait, _Step]]:
    """
    Return what an orchestration waits on, and the step that it leads to.

    A sub-orchestration that has finished may be one that nobody waits for any more, so what else is
    waited on comes first.
    """
    found: tuple[Wait, _Step] | None = None
    for wait in current.reading.waits[:_MOST_CHILDREN]:
        if wait.child_id is not None:
            step = yield from _to_child(wait.child_id, known)
        elif wait.entity_ids:
            step = yield from _to_holder(current.instance_id, wait, known)
        else:
            step = _Step((), None, End.LEAF)
        if step.end is not End.FINISHED:
            return wait, step
        found = found or (wait, step)
    return found or (unknown(), _Step((), None, End.LEAF))


def _to_child(child_id: str, known: Known) -> Generator[Read, Answer, _Step]:
    child = yield from _look(child_id, known)
    ids = (child_id,)
    if child is Absence.MISSING:
        return _Step(ids, None, End.MISSING)
    if not isinstance(child, Orchestration):
        return _Step(ids, None, End.UNREAD)
    if child.reading.is_finished:
        return _Step(ids, None, End.FINISHED)
    return _Step(ids, child, End.LEAF)


def _to_holder(sender: str, wait: Wait, known: Known) -> Generator[Read, Answer, _Step]:
    """
    Go to who holds the lock that keeps a message from being answered.

    Several locks are taken one after another: those that the sender has are not what it waits for.
    """
    ids: list[str] = []
    for entity_id in wait.entity_ids:
        ids.append(entity_id)
        entity = yield from _look(entity_id, known)
        if isinstance(entity, Absence):
            end = End.MISSING if entity is Absence.MISSING else End.UNREAD
            return _Step(tuple(ids), None, end)
        if isinstance(entity, Orchestration) or entity.locked_by is None:
            return _Step(tuple(ids), None, End.LEAF, leaf=_suspended(entity))
        if entity.locked_by != sender:
            return (yield from _to(entity.locked_by, tuple(ids), known))
    return _Step(tuple(ids), None, End.LEAF)


def _to(holder_id: str, ids: tuple[str, ...], known: Known) -> Generator[Read, Answer, _Step]:
    ids = (*ids, holder_id)
    holder = yield from _look(holder_id, known)
    if holder is Absence.UNREADABLE:
        return _Step(ids, None, End.UNREAD, holder_id)
    if not isinstance(holder, Orchestration) or holder.reading.is_finished:
        return _Step(ids, None, End.ORPHANED_LOCK, holder_id)
    return _Step(ids, holder, End.LEAF, holder_id)


def _suspended(node: Entity | Orchestration) -> Wait | None:
    """Return the wait of those who wait for an entity that somebody suspended."""
    if isinstance(node, Orchestration) or node.suspended_since is None:
        return None
    return Wait(WaitingOn.SUSPENDED, node.class_name, node.suspended_since)


def _age(wait: Wait) -> float:
    return float("inf") if wait.since is None else wait.since
