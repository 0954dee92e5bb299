"""What a ledger is told once: limits, names, buckets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.ledger.snapshot import LimitInForce

AGE_BOUNDS = (
    60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0,
    43_200.0, 86_400.0, 259_200.0, 604_800.0, 2_592_000.0,
)  # fmt: skip
DURATION_BOUNDS = (
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0,
)  # fmt: skip

# What one orchestrator shows, without its distributions: gauges and counters, and the durations
# of two statuses.
SERIES_PER_ORCHESTRATOR = 105


def _no_limits(_name: str) -> Mapping[str, LimitInForce]:
    return {}


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """
    Settings of a ledger.

    `limits_of` gives the limits of an orchestrator by name (`pending`, `idle`, `age`, `success`,
    `retention`); those that are `none` are left out. `overlap` and `lookback` are the shortest and
    the longest look-back of the ruler, in seconds; `failed_lookback` how long a failure counts as
    unresolved. `most_finishes` bounds the book, `reason_limit` the failure reasons told apart.
    Where *id_prefixes* are given, the active sweep lists only instances whose ids begin so.
    `max_series` bounds what the hub shows: beyond it distributions fold first, then new names.
    """

    limits_of: Callable[[str], Mapping[str, LimitInForce]] = _no_limits
    orchestrators: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    id_prefixes: tuple[str, ...] = ()
    label_limit: int = 200
    max_series: int = 20_000
    age_bounds: tuple[float, ...] = field(default=AGE_BOUNDS)
    duration_bounds: tuple[float, ...] = field(default=DURATION_BOUNDS)
    overlap: float = 120.0
    lookback: float = 7200.0
    failed_lookback: float = 604_800.0
    most_finishes: int = 2_000_000
    reason_limit: int = 200
