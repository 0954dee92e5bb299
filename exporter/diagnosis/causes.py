"""Many that wait for the same: one cause, and its victims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.waits import Wait

SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Cause:
    """
    What holds instances in the end.

    `cause` is the id of the instance or entity at the end of their chains, `wait` what it waits on.
    `victims` counts those above it, `samples` are ids of a few, those that wait longest first.
    """

    cause: str
    orchestrator: str
    wait: Wait
    end: End
    victims: int
    samples: tuple[str, ...]


def causes_of(blames: Iterable[Blame]) -> list[Cause]:
    """Group what was blamed, those with the most victims first."""
    groups: dict[str, list[tuple[Blame, Wait]]] = defaultdict(list)
    for blame in blames:
        if blame.leaf is not None:
            groups[blame.cause].append((blame, blame.leaf))
    causes = [_cause(cause, group) for cause, group in groups.items()]
    return sorted(causes, key=lambda cause: (-cause.victims, _age(cause.wait), cause.cause))


def _cause(cause: str, group: list[tuple[Blame, Wait]]) -> Cause:
    # All chains of a group end alike; the shortest one has added nothing to its end.
    shortest, wait = min(group, key=lambda member: (len(member[0].chain), member[0].chain))
    victims = [blame for blame, _ in group if blame.chain[0] != cause]
    victims.sort(key=lambda blame: (_age(blame.wait), blame.chain[0]))
    return Cause(
        cause,
        shortest.leaf_orchestrator,
        wait,
        shortest.end,
        len(victims),
        tuple(blame.chain[0] for blame in victims[:SAMPLES]),
    )


def _age(wait: Wait | None) -> float:
    return float("inf") if wait is None or wait.since is None else wait.since
