"""What is true of a hub right now: the numbers that an exporter of it should show."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emulator.storage.rows import RuntimeStatus
from emulator.task_hub import TaskHub

Pair = tuple[str, RuntimeStatus]


@dataclass(frozen=True, slots=True)
class Truth:
    """
    The state of a hub at a time.

    Orchestrations are counted by name and status; the oldest times are whole seconds, cut as the
    API cuts them. Entities are those that exist, by class.
    """

    at: float
    instances: Mapping[Pair, int]
    oldest_created: Mapping[Pair, int]
    oldest_updated: Mapping[Pair, int]
    entities: Mapping[str, int]


def truth(hub: TaskHub) -> Truth:
    """Return the truth at the hub's own time."""
    now = hub.advance()
    rows = list(hub.instances())
    pairs = [(row.name, row.status) for row in rows]
    return Truth(
        at=now,
        instances=Counter(pairs),
        oldest_created=_oldest(zip(pairs, (row.created for row in rows), strict=True)),
        oldest_updated=_oldest(zip(pairs, (row.updated for row in rows), strict=True)),
        entities=Counter(entity.class_name for entity in hub.entities() if entity.exists),
    )


def finishes_between(hub: TaskHub, after: float, until: float) -> Mapping[Pair, int]:
    """Count what finished after a time and not after another, by name and status."""
    hub.advance()
    return Counter(
        (finish.name, finish.status) for finish in hub.finishes if after < finish.updated <= until
    )


def _oldest(times: Iterable[tuple[Pair, float]]) -> Mapping[Pair, int]:
    oldest: dict[Pair, int] = {}
    for pair, time in times:
        oldest[pair] = min(oldest.get(pair, int(time)), int(time))
    return oldest
