"""Samples of the instances over a limit: each is read once, and kept until it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from exporter.api.times import later
from exporter.diagnosis.blame import Blame, trace
from exporter.diagnosis.classify import Reading
from exporter.diagnosis.families import Children
from exporter.diagnosis.knowledge import HubKnowledge, Memory, is_fruitless, is_of
from exporter.diagnosis.nodes import Answer, Node, Orchestration, Read, Stamp
from exporter.diagnosis.scan import Scan, oldest_first
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.over_limit import Clocks, OverLimitInstances
from exporter.ledger.rules import LedgerRules
from exporter.ledger.tracked import TrackedInstance

Result = TypeVar("Result")

# How much earlier (rows show whole seconds) and later than its last message an instance's row can
# show the same turn.
_SAME_TURN = (-1.0, 5.0)
# These waits depend on what is known of their orchestrators.
_OF_EVENTS = (WaitingOn.EXTERNAL_EVENT, WaitingOn.NO_STEP)
# Samples per slice of a few milliseconds.
_SLICE = 500
_MOST_TEXT = 4 << 20


class Sample(msgspec.Struct, frozen=True, gc=False):
    """An instance over a limit whose history was read, as of `stamp`, and what blocks it."""

    instance_id: str
    orchestrator: str
    stamp: Stamp
    since: float
    blame: Blame


@dataclass(slots=True)
class _ReadBudget:
    left: int


class Sampler:
    """
    Samples the instances of one hub that are over a limit.

    After each active sweep `look` finds them, and `cycle` requests at most *reads* reads, a third
    of them for known chains that have changed. At most *most_samples* are kept. A sample stays
    until its instance moves or is back within its limits, even without reads. `knowledge` is how
    orchestrators wait, `children` are those of instances, by the rows of an active sweep.
    """

    def __init__(self, rules: LedgerRules, reads: int = 30, most_samples: int = 5000) -> None:
        self.reads = reads
        self.limits_of = rules.limits_of
        self._most_samples = most_samples
        self._memory = Memory(2 * most_samples)
        self._samples: dict[str, Sample] = {}
        self._counts: Counter[str] = Counter()
        self._text = 0
        self._changed: list[str] = []
        self.scanned = Scan()
        self.knowledge = HubKnowledge()
        self.children: Mapping[str, Children] = {}
        self._known_version = 0

    @property
    def samples(self) -> Mapping[str, Sample]:
        """The samples by instance id."""
        return self._samples

    def look(
        self, tracked: Mapping[str, TrackedInstance], found: OverLimitInstances
    ) -> Generator[None, None, None]:
        """
        Take what was *found* over a limit among the *tracked* instances, for `cycle`.

        Yields every few milliseconds; until the end `tracked` must not change.
        """
        scan = Scan()
        yield from scan.add_all(found, tracked)
        self._memory.begin(tracked, found.at)
        yield from self._drop_moved(scan, tracked)
        self.scanned = scan

    def cycle(
        self, tracked: Mapping[str, TrackedInstance], at: float
    ) -> Generator[Read, Answer, None]:
        """
        Sample what `look` found among the same *tracked* instances, within the budget.

        Those that ended meanwhile are skipped. The caller may stop at any time: what was read is
        kept.
        """
        budget = _ReadBudget(self.reads)
        try:
            yield from self._follow_changes(tracked, budget, at)
            yield from self._look_at_new_ones(tracked, budget, at)
            self._infer_from_queues(tracked, at)
            self._apply_knowledge(tracked, at)
        finally:
            self._memory.end()

    def _drop_moved(self, scan: Scan, tracked: Mapping[str, TrackedInstance]) -> Iterator[None]:
        """Drop samples that moved, and note those with a change in their chain."""
        self._changed = []
        for number, (instance_id, sample) in enumerate(tuple(self._samples.items()), 1):
            if instance_id not in scan.candidate_ids or not is_of(
                sample.stamp, tracked[instance_id]
            ):
                del self._samples[instance_id]
            elif self._may_have_changed(sample):
                self._changed.append(instance_id)
            if number % _SLICE == 0:
                yield
        self._known_version = self.knowledge.version
        self._counts = Counter(sample.orchestrator for sample in self._samples.values())
        self._text = sum(map(_text_of, self._samples.values()))

    def _may_have_changed(self, sample: Sample) -> bool:
        if any(self._memory.get(hop) is None for hop in sample.blame.chain):
            return True
        leaf = sample.blame.leaf
        is_of_events = leaf is not None and leaf.waiting_on in _OF_EVENTS
        return is_of_events and self._known_version != self.knowledge.version

    def _follow_changes(
        self, tracked: Mapping[str, TrackedInstance], budget: _ReadBudget, at: float
    ) -> Generator[Read, Answer, None]:
        """Follow the changed chains again, those that waited longest first."""
        share = _ReadBudget(budget.left // 3)
        budget.left -= share.left
        for instance_id in self._changed:
            instance = tracked.get(instance_id)
            found = yield from _within(share, trace(instance_id, self._memory, self.knowledge))
            if found is not None and instance is not None:
                self._judge(instance_id, instance, found, at)
        budget.left += share.left

    def _look_at_new_ones(
        self, tracked: Mapping[str, TrackedInstance], budget: _ReadBudget, at: float
    ) -> Generator[Read, Answer, None]:
        ranked = oldest_first(
            self.scanned.candidates, self._counts, self.reads, is_wanted=self._is_wanted
        )
        for name, instance_id in ranked:
            instance = tracked.get(instance_id)
            if instance is None or not self._has_room(name):
                continue
            self._infer(instance_id, instance)
            found = yield from _within(budget, trace(instance_id, self._memory, self.knowledge))
            if found is None:
                return
            self._judge(instance_id, instance, found, at)

    def _is_wanted(self, instance_id: str) -> bool:
        return instance_id not in self._samples and not is_fruitless(self._memory.get(instance_id))

    def _judge(
        self, instance_id: str, instance: TrackedInstance, found: tuple[Blame, Node], at: float
    ) -> None:
        """Keep what was found of an instance as a sample, unless it moved meanwhile."""
        blame, node = found
        before = self._samples.pop(instance_id, None)
        if before is not None:
            self._counts[instance.name] -= 1
            self._text -= _text_of(before)
        stamp = _stamp(instance)
        if isinstance(node, Orchestration):
            stamp = node.stamp
        elif before is not None:
            # It could be read before, and has not moved since.
            blame = before.blame
        clocks = Clocks(stamp.status, self.limits_of(instance.name), at)
        if clocks.exceeded(stamp.created, stamp.updated) and not is_fruitless(node):
            self._make_room()
            since = later(stamp.created, stamp.updated) or 0.0
            sample = Sample(instance_id, instance.name, stamp, since, blame)
            self._samples[instance_id] = sample
            self._counts[instance.name] += 1
            self._text += _text_of(sample)

    @property
    def _is_full(self) -> bool:
        return len(self._samples) >= self._most_samples or self._text >= _MOST_TEXT

    def _has_room(self, name: str) -> bool:
        """Return whether there is room, or an orchestrator with more than its share."""
        if not self._is_full:
            return True
        return self._counts[name] + 1 < max(self._counts.values(), default=0)

    def _make_room(self) -> None:
        """Without room, drop the youngest sample of the orchestrator with the most."""
        if not self._is_full:
            return
        largest = max(self._counts, key=self._counts.__getitem__)
        members = (s for s in self._samples.values() if s.orchestrator == largest)
        youngest = max(members, key=lambda sample: (sample.since, sample.instance_id))
        del self._samples[youngest.instance_id]
        self._counts[largest] -= 1
        self._text -= _text_of(youngest)

    def _infer_from_queues(self, tracked: Mapping[str, TrackedInstance], at: float) -> None:
        """Sample instances whose wait is known from the queue of an entity."""
        for sender in self._memory.senders():
            if self._is_full:
                return
            instance = tracked.get(sender)
            is_candidate = sender in self.scanned.candidate_ids
            if instance is None or sender in self._samples or not is_candidate:
                continue
            self._infer(sender, instance)
            found = _at_once(trace(sender, self._memory, self.knowledge))
            if found is not None:
                self._judge(sender, instance, found, at)

    def _apply_knowledge(self, tracked: Mapping[str, TrackedInstance], at: float) -> None:
        """Trace waits for events again if more is known of them than when the cycle began."""
        if self._known_version == self.knowledge.version:
            return
        self._known_version = self.knowledge.version
        for instance_id, sample in tuple(self._samples.items()):
            leaf = sample.blame.leaf
            if leaf is None or leaf.waiting_on not in _OF_EVENTS or instance_id not in tracked:
                continue
            found = _at_once(trace(instance_id, self._memory, self.knowledge))
            if found is not None:
                self._judge(instance_id, tracked[instance_id], found, at)

    def _infer(self, instance_id: str, instance: TrackedInstance) -> None:
        """
        Take what an instance waits on from the rows of others, if its own row agrees.

        Others are its children, and entities' queues that were read. Its row agrees if its last
        turn called the child or sent the message: nothing has come since.
        """
        if instance.updated is None or self._memory.get(instance_id) is not None:
            return
        children = self.children.get(instance_id)
        waits = [
            Wait(WaitingOn.SUB_ORCHESTRATION, child.name, child.created, child.instance_id)
            for child in sorted(children.newest if children else ())
        ]
        queued = self._memory.wait_in_queue(instance_id)
        waits += [queued] if queued is not None else []
        of_last_turn = tuple(wait for wait in waits if _is_of_turn(wait, instance.updated))
        if of_last_turn:
            reading = Reading(of_last_turn, is_partial=True)
            self._memory[instance_id] = Orchestration(
                instance_id, instance.name, _stamp(instance), reading
            )


def _is_of_turn(wait: Wait, updated: float) -> bool:
    earliest, latest = _SAME_TURN
    return wait.since is not None and earliest <= updated - wait.since <= latest


def _text_of(sample: Sample) -> int:
    """Return how many characters of ids a sample keeps."""
    return sum(map(len, sample.blame.chain))


def _stamp(instance: TrackedInstance) -> Stamp:
    return Stamp(instance.created, instance.updated, instance.status)


def _at_once(inner: Generator[Read, Answer, Result]) -> Result | None:
    """Return what *inner* finds without any read, None if it needs one."""
    try:
        next(inner)
    except StopIteration as done:
        result: Result = done.value
        return result
    inner.close()
    return None


def _within(
    budget: _ReadBudget, inner: Generator[Read, Answer, Result]
) -> Generator[Read, Answer, Result | None]:
    """Forward the reads of *inner* while the budget lasts; None if it was too small."""
    try:
        read = next(inner)
        while budget.left > 0:
            budget.left -= 1
            answer = yield read
            read = inner.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result
    inner.close()
    return None
