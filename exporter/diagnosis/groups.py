"""Instances that wait alike: by orchestrator and leaf of their chains, then by what blocks them."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from exporter.diagnosis.blame import Blame, End, ends_in_who_waits
from exporter.diagnosis.waits import Wait, WaitingOn

SAMPLES = 10
MOST_CAUSES = 100


class Cause(msgspec.Struct, frozen=True, gc=False):
    """
    What blocks instances.

    `cause` is the id of the instance or entity at the end of their chains, `wait` what it waits on.
    If that is unknown, or it waits on nothing, as a missing holder of a lock, `wait` is what others
    wait for it to do, and `orchestrator` is empty. `blocked` counts the instances above it,
    `samples` are the ids of those that wait longest.
    """

    cause: str
    orchestrator: str
    wait: Wait
    end: End
    blocked: int
    samples: tuple[str, ...]


def causes_of(blames: Iterable[Blame], most: int = MOST_CAUSES) -> list[Cause]:
    """Group chains by their cause; at most *most*, those that block most instances first."""
    groups: dict[str, list[tuple[Blame, Wait]]] = defaultdict(list)
    for blame in blames:
        if blame.leaf is not None:
            groups[blame.cause].append((blame, blame.leaf))
    largest = heapq.nsmallest(most, groups.items(), key=_cause_rank)
    return [_cause(cause, group) for cause, group in largest]


def _cause_rank(item: tuple[str, list[tuple[Blame, Wait]]]) -> tuple[int, float, str]:
    cause, group = item
    blocked = sum(blame.chain[0] != cause for blame, _ in group)
    return -blocked, min(wait.began for _, wait in group), cause


def _cause(cause: str, group: list[tuple[Blame, Wait]]) -> Cause:
    # All chains of a group end alike; the shortest adds least to the end.
    shortest, wait = min(group, key=lambda member: (len(member[0].chain), member[0].chain))
    blocked = [blame for blame, _ in group if blame.chain[0] != cause]
    longest = heapq.nsmallest(SAMPLES, blocked, key=_wait_rank)
    return Cause(
        cause,
        shortest.leaf_orchestrator if ends_in_who_waits(shortest) else "",
        wait,
        shortest.end,
        len(blocked),
        tuple(blame.chain[0] for blame in longest),
    )


def _wait_rank(blame: Blame) -> tuple[float, str]:
    return math.inf if blame.wait is None else blame.wait.began, blame.chain[0]


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """
    Instances of one orchestrator that wait for one thing: `own` themselves, `leaf` at the end.

    A single one has a `blame`; of several whose rows suffice, `samples` are ids of the oldest.
    """

    orchestrator: str
    own: Wait
    leaf: Wait
    blame: Blame | None = None
    instances: int = 1
    samples: tuple[str, ...] = ()


class WaitGroup(msgspec.Struct, frozen=True, gc=False):
    """
    The instances of an orchestrator whose chains end in the same wait.

    `since` is when the oldest of them began to wait, None where unknown; `samples` are ids of those
    that wait longest, `blockers` what blocks several of them, most blocked first.
    """

    orchestrator: str
    waiting_on: WaitingOn
    target: str
    instances: int
    since: float | None
    samples: tuple[str, ...]
    blockers: tuple[Cause, ...]

    @property
    def means_trouble(self) -> bool:
        """Whether they are stalled; the others wait as expected."""
        return self.waiting_on.means_trouble


def groups_of(waiting: Iterable[Waiting], most_blockers: int = SAMPLES) -> list[WaitGroup]:
    """Group instances; first what means trouble, then the largest, then what waits longest."""
    groups: dict[tuple[str, WaitingOn, str], list[Waiting]] = defaultdict(list)
    for each in waiting:
        groups[each.orchestrator, each.leaf.waiting_on, each.leaf.target].append(each)
    made = (_group(key, members, most_blockers) for key, members in groups.items())
    return sorted(made, key=_rank)


def _group(
    key: tuple[str, WaitingOn, str], members: list[Waiting], most_blockers: int
) -> WaitGroup:
    orchestrator, waiting_on, target = key
    longest = heapq.nsmallest(SAMPLES, members, key=lambda each: (each.own.began, _ids(each)))
    ids = [instance_id for each in longest for instance_id in _ids(each)]
    since = min(each.own.began for each in members)
    blames = (each.blame for each in members if each.blame is not None)
    return WaitGroup(
        orchestrator,
        waiting_on,
        target,
        sum(each.instances for each in members),
        None if since == math.inf else since,
        tuple(ids[:SAMPLES]),
        tuple(each for each in causes_of(blames, most_blockers) if _is_worth_naming(each)),
    )


def _is_worth_naming(cause: Cause) -> bool:
    """Return whether a cause blocks others, or its chains end oddly, as those of a cycle."""
    return bool(cause.blocked) or cause.end is not End.LEAF


def _ids(waiting: Waiting) -> tuple[str, ...]:
    return waiting.samples if waiting.blame is None else waiting.blame.chain[:1]


def _rank(group: WaitGroup) -> tuple[bool, int, float, str, str, str]:
    since = math.inf if group.since is None else group.since
    named = (group.orchestrator, group.waiting_on.value, group.target)
    return not group.means_trouble, -group.instances, since, *named
