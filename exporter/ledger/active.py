"""Counts and measures of the active instances."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.api.times import later
from exporter.ledger.counters import Distribution
from exporter.ledger.label_values import OTHER, LabelValues
from exporter.ledger.over_limit import Clocks, Group
from exporter.ledger.rules import SERIES_PER_ORCHESTRATOR, LedgerRules
from exporter.ledger.snapshot import ActiveView, EntityLocks
from exporter.ledger.status import Pair, RuntimeStatus
from exporter.ledger.tracked import TrackedInstance


@dataclass(slots=True)
class _Group:
    """The instances of one orchestrator (by its own name, not its label) in one status."""

    count: int = 0
    created: list[float] = field(default_factory=list)
    updated: list[float] = field(default_factory=list)
    since: list[float] = field(default_factory=list)


class SpreadPairs:
    """
    The pairs under which ages are distributed: each its own, while they are few.

    When a hub shows too many series, distributions fold first: into `_other`, one per status,
    permanently.
    """

    def __init__(self) -> None:
        self._folded = False

    def fold(self, number: int, most: int) -> None:
        """Fold if the *number* of distributions exceeds *most*."""
        self._folded = self._folded or number > most

    def of(self, pair: Pair) -> Pair:
        """Return the pair under which the ages of *pair* are distributed."""
        return (OTHER, pair[1]) if self._folded else pair


def measure(
    tracked: Iterable[TrackedInstance],
    *,
    at: float,
    rules: LedgerRules,
    label_values: LabelValues,
    spreads: SpreadPairs,
    locks: Mapping[str, EntityLocks] | None,
) -> tuple[ActiveView, dict[Group, Clocks]]:
    """
    Aggregate the *tracked* instances of a complete active sweep as of *at*.

    Returns the view, and the groups with at least one instance over a limit.
    """
    groups = _grouped(tracked)
    by_pair: dict[Pair, list[_Measured]] = defaultdict(list)
    over_limit: dict[Group, Clocks] = {}
    for (name, status), group in groups.items():
        label = label_values.label(name)
        measured = _measure_group(group, at, rules)
        by_pair[label, status.value].append(measured)
        clocks = Clocks(status, rules.limits_of(name), at)
        if clocks.exceeded(measured.oldest_created, None) or clocks.exceeded(
            None, measured.waiting_since
        ):
            over_limit[name, status] = clocks
    spread_over: dict[Pair, list[_Measured]] = defaultdict(list)
    spreads.fold(len(by_pair), _room_for_spreads(rules, label_values))
    for pair, parts in by_pair.items():
        spread_over[spreads.of(pair)].extend(parts)
    view = ActiveView(
        instances={pair: sum(part.count for part in parts) for pair, parts in by_pair.items()},
        oldest_created=_smallest(by_pair, "oldest_created"),
        oldest_updated=_smallest(by_pair, "oldest_updated"),
        ages={
            pair: merge((part.ages for part in parts), rules.age_bounds)
            for pair, parts in spread_over.items()
        },
        tracked=sum(group.count for group in groups.values()),
        locks=locks,
        waiting_since=_smallest(by_pair, "waiting_since"),
    )
    return view, over_limit


@dataclass(frozen=True, slots=True)
class _Measured:
    count: int
    oldest_created: float | None
    oldest_updated: float | None
    waiting_since: float | None
    ages: Distribution


def _grouped(tracked: Iterable[TrackedInstance]) -> dict[tuple[str, RuntimeStatus], _Group]:
    groups: dict[tuple[str, RuntimeStatus], _Group] = {}
    for instance in tracked:
        key = (instance.name, instance.status)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        group.count += 1
        created, updated = instance.created, instance.updated
        if created is not None:
            group.created.append(created)
        if updated is not None:
            group.updated.append(updated)
        changed = later(created, updated)
        if changed is not None:
            group.since.append(changed)
    return groups


def _measure_group(group: _Group, at: float, rules: LedgerRules) -> _Measured:
    group.created.sort()
    return _Measured(
        count=group.count,
        oldest_created=group.created[0] if group.created else None,
        oldest_updated=min(group.updated, default=None),
        waiting_since=min(group.since, default=None),
        ages=ages_at(group.created, at, rules.age_bounds),
    )


def _smallest(by_pair: Mapping[Pair, list[_Measured]], attribute: str) -> dict[Pair, float]:
    smallest: dict[Pair, float] = {}
    for pair, parts in by_pair.items():
        known = [value for part in parts if (value := getattr(part, attribute)) is not None]
        if known:
            smallest[pair] = min(known)
    return smallest


def _room_for_spreads(rules: LedgerRules, label_values: LabelValues) -> int:
    """Return how many pairs may have a distribution of their own."""
    left = rules.max_series - len(label_values.labels) * SERIES_PER_ORCHESTRATOR
    return max(0, left) // (len(rules.age_bounds) + 1)


def ages_at(moments: Sequence[float], at: float, bounds: Sequence[float]) -> Distribution:
    """
    Return the ages at *at* of ascending *moments*.

    Moments ahead of it (clocks differ) have the age 0.
    """
    count = len(moments)
    past = bisect_right(moments, at)
    cumulative = (count - bisect_left(moments, at - bound) for bound in bounds)
    return Distribution((*cumulative, count), past * at - sum(moments[:past]))


def merge(parts: Iterable[Distribution], bounds: Sequence[float]) -> Distribution:
    """Add up distributions over the same *bounds*; of none, return the empty one."""
    cumulative = [0] * (len(bounds) + 1)
    total = 0.0
    for part in parts:
        total += part.total
        for place, count in enumerate(part.cumulative):
            cumulative[place] += count
    return Distribution(tuple(cumulative), total)
