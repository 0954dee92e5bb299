"""Instances beyond a limit, by their ids: followed from sweep to sweep, the oldest as samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import nsmallest

from exporter.ledger.active import TrackedInstance
from exporter.ledger.changes import ChangeBuffer, Recovered
from exporter.ledger.label_values import LabelValues
from exporter.ledger.rules import LedgerRules
from exporter.ledger.snapshot import OverLimit
from exporter.ledger.status import RuntimeStatus

MOST_PER_ORCHESTRATOR = 5
MOST_PER_HUB = 100

_WAITS = {RuntimeStatus.PENDING: "pending", RuntimeStatus.RUNNING: "idle"}


class OverLimits:
    """
    Knows which instances were beyond which limit in the last active sweep.

    It costs a pass over the instances of those orchestrators that have any, and about 100 bytes for
    each that is beyond a limit; nothing where none is.
    """

    def __init__(self, rules: LedgerRules, label_values: LabelValues) -> None:
        self._rules = rules
        self._places = label_values
        self.began: ChangeBuffer[OverLimit] = ChangeBuffer()
        self.ended: ChangeBuffer[Recovered] = ChangeBuffer()
        self._over: dict[str, tuple[str, tuple[str, ...]]] = {}

    def follow(
        self,
        tracked: Mapping[str, TrackedInstance],
        counts: Mapping[tuple[str, str], int],
        at: float,
        sweep: int,
    ) -> tuple[OverLimit, ...]:
        """
        Note who is beyond a limit at *at*; returns the oldest of each orchestrator and limit.

        *tracked* instances not seen in *sweep* stay as they were; *counts* is their number.
        """
        if not self._over and not any(counts.values()):
            return ()
        found: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        over: dict[str, tuple[str, tuple[str, ...]]] = {}
        shared: dict[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]] = {}
        for instance_id, label, beyond in self._beyond(tracked, counts, at, sweep):
            known = (label, tuple(limit for limit, _ in beyond))
            over[instance_id] = shared.setdefault(known, known)
            for limit, since in beyond:
                found[label, limit].append((since, instance_id))
        self._compare(over, tracked, found, sweep)
        self._over = over
        return _samples(tracked, found)

    def _beyond(
        self,
        tracked: Mapping[str, TrackedInstance],
        counts: Mapping[tuple[str, str], int],
        at: float,
        sweep: int,
    ) -> Iterator[tuple[str, str, list[tuple[str, float]]]]:
        """Yield the id and label of who is beyond any limit, with those limits and their clocks."""
        floors: dict[tuple[str, RuntimeStatus], tuple[str, float, float]] = {}
        for instance_id, instance in tracked.items():
            key = (instance.name, instance.status)
            known = floors.get(key)
            if known is None:
                known = floors[key] = self._floors(instance.name, instance.status, counts, at)
            label, created_floor, since_floor = known
            created, updated = instance.created, instance.updated
            since = updated if created is None or (updated or 0.0) > created else created
            is_old = created is not None and created < created_floor
            is_waiting = since is not None and since < since_floor
            if (is_old or is_waiting) and instance.sweep == sweep:
                beyond = []
                if is_old and created is not None:
                    beyond.append(("age", created))
                if is_waiting and since is not None:
                    beyond.append((_WAITS[instance.status], since))
                yield instance_id, label, beyond

    def _floors(
        self, name: str, status: RuntimeStatus, counts: Mapping[tuple[str, str], int], at: float
    ) -> tuple[str, float, float]:
        """Return the label of a group, and before when its ages and waits are beyond a limit."""
        label = self._places.label(name)
        limits = self._rules.limits_of(name)

        def floor(limit: str | None) -> float:
            if limit is None or limit not in limits or not counts.get((label, limit)):
                return float("-inf")
            return at - limits[limit].seconds

        return label, floor("age"), floor(_WAITS.get(status))

    def _compare(
        self,
        over: dict[str, tuple[str, tuple[str, ...]]],
        tracked: Mapping[str, TrackedInstance],
        found: Mapping[tuple[str, str], list[tuple[float, str]]],
        sweep: int,
    ) -> None:
        """Note what differs from the sweep before, and keep what this one could not tell of."""
        for (label, limit), members in found.items():
            news = [each for each in members if limit not in self._over.get(each[1], ("", ()))[1]]
            for since, instance_id in news:
                self.began.add(_named(instance_id, tracked[instance_id], label, limit, since))
        for instance_id, (label, limits) in self._over.items():
            instance = tracked.get(instance_id)
            if instance is not None and instance.sweep < sweep:
                over[instance_id] = (label, limits)
                continue
            still = over.get(instance_id, ("", ()))[1]
            for limit in limits:
                if limit not in still:
                    self.ended.add(Recovered(instance_id, label, limit))


def _samples(
    tracked: Mapping[str, TrackedInstance], found: Mapping[tuple[str, str], list[tuple[float, str]]]
) -> tuple[OverLimit, ...]:
    """Return the oldest: first the oldest of every orchestrator and limit, then their seconds."""
    ranked = [
        (rank, since, instance_id, label, limit)
        for (label, limit), members in found.items()
        for rank, (since, instance_id) in enumerate(nsmallest(MOST_PER_ORCHESTRATOR, members))
    ]
    return tuple(
        _named(instance_id, tracked[instance_id], label, limit, since)
        for _, since, instance_id, label, limit in nsmallest(MOST_PER_HUB, ranked)
    )


def _named(
    instance_id: str, instance: TrackedInstance, label: str, limit: str, since: float
) -> OverLimit:
    return OverLimit(
        instance_id=instance_id,
        orchestrator=label,
        status=instance.status,
        limit=limit,
        since=since,
        created=instance.created,
        updated=instance.updated,
    )
