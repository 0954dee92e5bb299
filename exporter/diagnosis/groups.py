"""Instances that wait alike: by orchestrator and leaf of their chains, then by what blocks them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.causes import SAMPLES, Cause, causes_of
from exporter.diagnosis.waits import Wait, WaitingOn


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """
    Instances of one orchestrator that wait for one thing: `own` themselves, `leaf` in the end.

    A single one has a `blame`; of several whose rows tell enough, `samples` are ids of the oldest.
    """

    orchestrator: str
    own: Wait
    leaf: Wait
    blame: Blame | None = None
    instances: int = 1
    samples: tuple[str, ...] = ()


class WaitGroup(msgspec.Struct, frozen=True, gc=False):
    """
    The instances of an orchestrator that wait on the same in the end.

    `since` is when the oldest of them began to wait, None where unknown; `samples` are ids of
    those that wait longest, `blockers` who blocks several of them, the most first.
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
    longest = heapq.nsmallest(SAMPLES, members, key=lambda each: (_begin(each.own), _ids(each)))
    ids = [instance_id for each in longest for instance_id in _ids(each)]
    since = min(_begin(each.own) for each in members)
    blames = (each.blame for each in members if each.blame is not None)
    return WaitGroup(
        orchestrator,
        waiting_on,
        target,
        sum(each.instances for each in members),
        None if since == _NEVER else since,
        tuple(ids[:SAMPLES]),
        tuple(each for each in causes_of(blames, most_blockers) if _is_worth_naming(each)),
    )


def _is_worth_naming(cause: Cause) -> bool:
    """Tell whether a cause blocks others, or its chains end oddly, as those of a circle."""
    return bool(cause.victims) or cause.end is not End.LEAF


_NEVER = float("inf")


def _begin(wait: Wait) -> float:
    return _NEVER if wait.since is None else wait.since


def _ids(waiting: Waiting) -> tuple[str, ...]:
    return waiting.samples if waiting.blame is None else waiting.blame.chain[:1]


def _rank(group: WaitGroup) -> tuple[bool, int, float, str, str, str]:
    since = _NEVER if group.since is None else group.since
    named = (group.orchestrator, group.waiting_on.value, group.target)
    return not group.means_trouble, -group.instances, since, *named
