"""What a ledger is told once: limits, names, buckets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.ledger.snapshot import LimitInForce

# What one orchestrator shows, without its distributions: gauges and counters, and the durations
# of two statuses.
SERIES_PER_ORCHESTRATOR = 105


def _no_limits(_name: str) -> Mapping[str, LimitInForce]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRules:
    """
    Settings of a ledger, which has no defaults of its own.

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
    label_limit: int
    max_series: int
    age_bounds: tuple[float, ...]
    duration_bounds: tuple[float, ...]
    overlap: float
    lookback: float
    failed_lookback: float
    most_finishes: int
    reason_limit: int
