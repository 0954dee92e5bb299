"""Instances beyond a limit, by their ids: followed from sweep to sweep, the oldest as samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import nsmallest

from exporter.ledger.active import Life
from exporter.ledger.changes import Noted, Recovered
from exporter.ledger.places import Places
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

    def __init__(self, rules: LedgerRules, places: Places) -> None:
        self._rules = rules
        self._places = places
        self.began: Noted[OverLimit] = Noted()
        self.ended: Noted[Recovered] = Noted()
        self._over: dict[str, tuple[str, tuple[str, ...]]] = {}

    def follow(
        self,
        lives: Mapping[str, Life],
        counts: Mapping[tuple[str, str], int],
        at: float,
        sweep: int,
    ) -> tuple[OverLimit, ...]:
        """
        Note who is beyond a limit at *at*; returns the oldest of each orchestrator and limit.

        *lives* not seen in *sweep* stay as they were; *counts* tells how many there are.
        """
        if not self._over and not any(counts.values()):
            return ()
        found: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        over: dict[str, tuple[str, tuple[str, ...]]] = {}
        shared: dict[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]] = {}
        for instance_id, label, beyond in self._beyond(lives, counts, at, sweep):
            known = (label, tuple(limit for limit, _ in beyond))
            over[instance_id] = shared.setdefault(known, known)
            for limit, since in beyond:
                found[label, limit].append((since, instance_id))
        self._compare(over, lives, found, sweep)
        self._over = over
        return _samples(lives, found)

    def _beyond(
        self,
        lives: Mapping[str, Life],
        counts: Mapping[tuple[str, str], int],
        at: float,
        sweep: int,
    ) -> Iterator[tuple[str, str, list[tuple[str, float]]]]:
        """Yield the id and label of who is beyond any limit, with those limits and their clocks."""
        floors: dict[tuple[str, RuntimeStatus], tuple[str, float, float]] = {}
        for instance_id, life in lives.items():
            key = (life.name, life.status)
            known = floors.get(key)
            if known is None:
                known = floors[key] = self._floors(life.name, life.status, counts, at)
            label, created_floor, since_floor = known
            created, updated = life.created, life.updated
            since = updated if created is None or (updated or 0.0) > created else created
            is_old = created is not None and created < created_floor
            is_waiting = since is not None and since < since_floor
            if (is_old or is_waiting) and life.sweep == sweep:
                beyond = []
                if is_old and created is not None:
                    beyond.append(("age", created))
                if is_waiting and since is not None:
                    beyond.append((_WAITS[life.status], since))
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
        lives: Mapping[str, Life],
        found: Mapping[tuple[str, str], list[tuple[float, str]]],
        sweep: int,
    ) -> None:
        """Note what differs from the sweep before, and keep what this one could not tell of."""
        for (label, limit), members in found.items():
            news = [each for each in members if limit not in self._over.get(each[1], ("", ()))[1]]
            for since, instance_id in news:
                self.began.add(_named(instance_id, lives[instance_id], label, limit, since))
        for instance_id, (label, limits) in self._over.items():
            life = lives.get(instance_id)
            if life is not None and life.sweep < sweep:
                over[instance_id] = (label, limits)
                continue
            still = over.get(instance_id, ("", ()))[1]
            for limit in limits:
                if limit not in still:
                    self.ended.add(Recovered(instance_id, label, limit))


def _samples(
    lives: Mapping[str, Life], found: Mapping[tuple[str, str], list[tuple[float, str]]]
) -> tuple[OverLimit, ...]:
    """Return the oldest: first the oldest of every orchestrator and limit, then their seconds."""
    ranked = [
        (rank, since, instance_id, label, limit)
        for (label, limit), members in found.items()
        for rank, (since, instance_id) in enumerate(nsmallest(MOST_PER_ORCHESTRATOR, members))
    ]
    return tuple(
        _named(instance_id, lives[instance_id], label, limit, since)
        for _, since, instance_id, label, limit in nsmallest(MOST_PER_HUB, ranked)
    )


def _named(instance_id: str, life: Life, label: str, limit: str, since: float) -> OverLimit:
    return OverLimit(
        instance_id=instance_id,
        orchestrator=label,
        status=life.status,
        limit=limit,
        since=since,
        created=life.created,
        updated=life.updated,
    )
