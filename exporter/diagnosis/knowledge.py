"""What is known of a hub's instances while it holds: what was read, and how orchestrators wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from exporter.api.wire import InstanceStatus
from exporter.diagnosis.classify import gets_events
from exporter.diagnosis.nodes import (
    Absence,
    Answer,
    Entity,
    Node,
    Orchestration,
    Read,
    Stamp,
    text_of,
)
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.app_traits import AppTraits
from exporter.ledger.tracked import TrackedInstance

# What the active sweep does not show may have changed after this time.
UNSEEN_SECONDS = 300.0
# Rows show whole seconds: a change within the second of the last update is invisible.
_SETTLED = 2.0
_MOST_TEXT = 4 << 20
_MOST_ANSWERS = 1000


class _Entry(msgspec.Struct, gc=False):
    node: Node
    read_at: float
    cycle: int
    text: int


class Memory:
    """
    Instances and entities as they were read, at most *most* and 4 Mi characters of them.

    An orchestration stays current while the active sweep shows it unchanged. What no sweep shows,
    such as an entity's queue or a missing row, is read again after a while; so is an entity once
    the holder of its lock has moved.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[str, _Entry] = {}
        self._queued: dict[str, tuple[str, _Entry, Wait]] = {}
        self._tracked: Mapping[str, TrackedInstance] = {}
        self._at = 0.0
        self._cycle = 0

    def begin(self, tracked: Mapping[str, TrackedInstance], at: float) -> None:
        """Begin a cycle at *at* over the *tracked* instances."""
        self._tracked, self._at = tracked, at
        self._cycle += 1
        self._forget_queues()
        text = sum(entry.text for entry in self._entries.values())
        if len(self._entries) <= self._most and text <= _MOST_TEXT:
            return
        outdated = [instance_id for instance_id in self._entries if self.get(instance_id) is None]
        for instance_id in outdated:
            text -= self._entries.pop(instance_id).text
        while len(self._entries) > self._most or text > _MOST_TEXT:
            text -= self._entries.pop(next(iter(self._entries))).text
        self._forget_queues()

    def _forget_queues(self) -> None:
        """Drop outdated queues: others are in them each time."""
        outdated = [
            entity_id
            for entity_id, entry in self._entries.items()
            if isinstance(entry.node, Entity) and self._at - entry.read_at >= UNSEEN_SECONDS
        ]
        for entity_id in outdated:
            del self._entries[entity_id]
        self._queued = {
            sender: place
            for sender, place in self._queued.items()
            if self._entries.get(place[0]) is place[1]
        }

    def end(self) -> None:
        """End a cycle: release what belongs to others."""
        self._tracked = {}

    def get(self, instance_id: str, /) -> Node | None:
        """Return an instance or entity as it was read, None if it must be read."""
        entry = self._entries.get(instance_id)
        if entry is None:
            return None
        return entry.node if self._is_current(instance_id, entry) else None

    def __setitem__(self, instance_id: str, node: Node, /) -> None:
        self._entries.pop(instance_id, None)
        entry = _Entry(node, self._at, self._cycle, text_of(node))
        self._entries[instance_id] = entry
        if isinstance(node, Entity):
            for message in node.queue:
                self._queued[message.sender] = (instance_id, entry, message.wait)

    def senders(self) -> Iterator[str]:
        """Yield the ids of the senders that were in the queue of an entity when it was read."""
        yield from tuple(self._queued)

    def wait_in_queue(self, sender: str) -> Wait | None:
        """Return what an instance waits on by the queue of an entity, if it is in one."""
        entity_id, entry, wait = self._queued.get(sender, ("", None, None))
        if entry is None or self._entries.get(entity_id) is not entry:
            return None
        return wait if self._is_current(entity_id, entry) else None

    def __len__(self) -> int:
        return len(self._entries)

    def _is_current(self, instance_id: str, entry: _Entry) -> bool:
        if entry.cycle == self._cycle:
            return True
        node, instance = entry.node, self._tracked.get(instance_id)
        if isinstance(node, Orchestration) and instance is not None:
            return is_of(node.stamp, instance) and _is_settled(node.stamp, entry.read_at)
        if self._at - entry.read_at >= UNSEEN_SECONDS:
            return False
        return not isinstance(node, Entity) or not self._has_moved(node.locked_by)

    def _has_moved(self, holder_id: str | None) -> bool:
        entry = self._entries.get(holder_id or "")
        if entry is None or not isinstance(entry.node, Orchestration):
            return False
        instance = self._tracked.get(holder_id or "")
        return instance is None or not is_of(entry.node.stamp, instance)


def is_of(stamp: Stamp, instance: TrackedInstance) -> bool:
    """Return whether an instance has not moved since its row had a stamp."""
    return (
        stamp.updated == instance.updated
        and stamp.created == instance.created
        and stamp.status is instance.status
    )


def is_fruitless(node: Node | None) -> bool:
    """Return whether nothing can be learned of what was read."""
    if isinstance(node, Orchestration):
        return node.reading.is_finished
    return node is Absence.MISSING or isinstance(node, Entity)


def _is_settled(stamp: Stamp, read_at: float) -> bool:
    return stamp.updated is None or read_at - stamp.updated >= _SETTLED


@dataclass(slots=True)
class HubKnowledge:
    """
    How the orchestrators of a hub wait, by name.

    In JavaScript, Python and PowerShell a call of a missing function leaves no trace, and looks
    like a wait for an event. So if nothing happened since an instance started, and its orchestrator
    never received an event, the call is suspected.

    `loses_calls`: the worker loses calls. `answers` is whether an orchestrator receives events,
    `completed` the id of a completed instance whose history may be read to learn it. `version`
    grows with whatever may change a wait. `alone` is, by orchestrator and target, whether its
    instances wait for nothing else than a child or an entity of that name. `noted` is called with
    what is learned of events.
    """

    loses_calls: bool = False
    answers: dict[str, bool] = field(default_factory=dict)
    completed: dict[str, str] = field(default_factory=dict)
    version: int = 0
    alone: dict[tuple[str, str], bool] = field(default_factory=dict)
    noted: Callable[..., None] = lambda _name, **_answer: None

    def take(self, traits: AppTraits) -> None:
        """Take what rows show of the app, which also receives what is learned from histories."""
        if self.loses_calls != traits.loses_calls or self.answers is not traits.gets_events:
            self.loses_calls, self.answers = traits.loses_calls, traits.gets_events
            self.version += 1
        if traits.completed.keys() - self.answers.keys() - self.completed.keys():
            self.version += 1
        self.completed = traits.completed
        self.noted = traits.note_events

    def waits_alone(self, node: Orchestration) -> bool:
        """Return whether rows of others show all that an instance waits on."""
        return all(self.alone.get((node.name, wait.target)) for wait in node.reading.waits)

    def learn_waits(self, node: Orchestration) -> None:
        """Note what an instance with a history waits on besides children and entities."""
        waits = node.reading.waits
        leading = [wait for wait in waits if wait.child_id is not None or wait.entity_ids]
        is_alone = len(leading) == len(waits) and not node.reading.older
        for wait in leading:
            key = (node.name, wait.target)
            if key in self.alone or len(self.alone) < _MOST_ANSWERS:
                self.alone[key] = is_alone and self.alone.get(key, True)

    def learn(self, name: str, *, gets_events: bool) -> None:
        """Note whether an orchestrator receives events; one that did stays so."""
        is_known = name in self.answers or len(self.answers) < _MOST_ANSWERS
        if is_known and self.answers.get(name) not in (True, gets_events):
            self.answers[name] = gets_events
            self.version += 1
            self.noted(name, gets_events=gets_events)


def without_step(
    node: Orchestration, knowledge: HubKnowledge
) -> Generator[Read, Answer, Orchestration]:
    """Return *node*, waiting on no step if it may have lost a call."""
    reading = node.reading
    if reading.gets_events:
        knowledge.learn(node.name, gets_events=True)
    if not (knowledge.loses_calls and reading.has_no_step and reading.waits):
        return node
    wait = reading.waits[0]
    if wait.waiting_on is not WaitingOn.EXTERNAL_EVENT:
        return node
    if node.name not in knowledge.answers and node.name in knowledge.completed:
        answer = yield Read(knowledge.completed.pop(node.name))
        if isinstance(answer, InstanceStatus) and answer.name == node.name:
            found = gets_events(answer.history_events or ())
            knowledge.learn(node.name, gets_events=found)
    if knowledge.answers.get(node.name):
        return node
    waits = (replace(wait, waiting_on=WaitingOn.NO_STEP),)
    return replace(node, reading=replace(reading, waits=waits))
