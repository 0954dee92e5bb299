"""Many that wait for the same: one cause, and its victims."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from exporter.diagnosis.blame import Blame, End, ends_in_who_waits
from exporter.diagnosis.waits import Wait

SAMPLES = 10
MOST_CAUSES = 100


class Cause(msgspec.Struct, frozen=True, gc=False):
    """
    What holds instances in the end.

    `cause` is the id of the instance or entity at the end of their chains, `wait` what it waits on;
    where nobody knows that or it waits on nothing, as who holds a lock and is gone, `wait` is what
    others wait for it to do, and `orchestrator` is empty.
    `victims` counts those above it, `samples` are ids of a few, those that wait longest first.
    """

    cause: str
    orchestrator: str
    wait: Wait
    end: End
    victims: int
    samples: tuple[str, ...]


def causes_of(blames: Iterable[Blame], most: int = MOST_CAUSES) -> list[Cause]:
    """Group what was blamed; the causes with the most victims first, and at most so many."""
    groups: dict[str, list[tuple[Blame, Wait]]] = defaultdict(list)
    for blame in blames:
        if blame.leaf is not None:
            groups[blame.cause].append((blame, blame.leaf))
    largest = heapq.nsmallest(most, groups.items(), key=_rank)
    return [_cause(cause, group) for cause, group in largest]


def _rank(item: tuple[str, list[tuple[Blame, Wait]]]) -> tuple[int, float, str]:
    cause, group = item
    victims = sum(blame.chain[0] != cause for blame, _ in group)
    return -victims, min(_age(wait) for _, wait in group), cause


def _cause(cause: str, group: list[tuple[Blame, Wait]]) -> Cause:
    # All chains of a group end alike; the shortest one has added nothing to its end.
    shortest, wait = min(group, key=lambda member: (len(member[0].chain), member[0].chain))
    victims = [blame for blame, _ in group if blame.chain[0] != cause]
    longest = heapq.nsmallest(SAMPLES, victims, key=lambda b: (_age(b.wait), b.chain[0]))
    return Cause(
        cause,
        shortest.leaf_orchestrator if ends_in_who_waits(shortest) else "",
        wait,
        shortest.end,
        len(victims),
        tuple(blame.chain[0] for blame in longest),
    )


def _age(wait: Wait | None) -> float:
    return float("inf") if wait is None or wait.since is None else wait.since
