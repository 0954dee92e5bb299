"""What was read, as long as it is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from exporter.diagnosis.nodes import Absence, Entity, Node, Orchestration, Stamp, text_of
from exporter.diagnosis.waits import Wait
from exporter.ledger.tracked import TrackedInstance

# What the active sweep does not show may have changed after so long.
UNSEEN_SECONDS = 300.0
# Rows show whole seconds: one that was read within the second of its update may move unseen.
_SETTLED = 2.0
_MOST_TEXT = 4 << 20


class _Entry(msgspec.Struct, gc=False):
    node: Node
    read_at: float
    cycle: int
    text: int


class Memory:
    """
    What instances and entities were seen to be, at most *most* of them and 4 Mi of characters.

    An orchestration stays what it was while the active sweep shows it unchanged. What no sweep
    shows, such as an entity's queue or a row that is missing, is read again after a while; so is an
    entity once the holder of its lock has moved.
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
        """Let go of queues that tell nothing any more: others stand in them each time."""
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
        """End a cycle: nothing that belongs to others is kept."""
        self._tracked = {}

    def get(self, instance_id: str, /) -> Node | None:
        """Return what an instance or entity is, None if that is to be read."""
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
        """Yield the ids of those who stood in the queue of an entity when it was read."""
        yield from tuple(self._queued)

    def wait_in_queue(self, sender: str) -> Wait | None:
        """Return what an instance waits on according to the queue of an entity, if any tells."""
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
    """Tell whether an instance has not moved since its row had a stamp."""
    return (
        stamp.updated == instance.updated
        and stamp.created == instance.created
        and stamp.status is instance.status
    )


def is_fruitless(node: Node | None) -> bool:
    """Tell whether there is nothing to say of what was read."""
    if isinstance(node, Orchestration):
        return node.reading.is_finished
    return node is Absence.MISSING or isinstance(node, Entity)


def _is_settled(stamp: Stamp, read_at: float) -> bool:
    return stamp.updated is None or read_at - stamp.updated >= _SETTLED
