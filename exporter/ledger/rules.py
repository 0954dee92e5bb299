"""The settings of a ledger: limits, names, buckets, bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.ledger.app_traits import Worker

# Limits that are not times.
FAILURE_RATIO_LIMIT = "failure_ratio"
UNRESOLVED_LIMIT = "unresolved_failures"
# Fewer within an hour are no base of a ratio.
FEWEST_FINISHES = 20
FEWEST_FAILURES = 3
# The limit on the hub as a whole.
STOPPED_LIMIT = "stopped"

# The most series of one orchestrator, without the ages of its instances.
SERIES_PER_ORCHESTRATOR = 77


def _none(_name: str) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRules:
    """
    Settings of a ledger, which has no defaults of its own.

    `limits` are the hub's, by name (`pending`, `idle`, `age`, ...; times in seconds);
    `own_limits_of` returns those that an orchestrator overrides, infinite for `none`. `overlap` and
    `lookback` are the shortest and longest look-back in seconds, `failed_lookback` how long a
    failure counts as unresolved. `most_finishes` bounds the book, `reason_limit` the failure
    reasons with series of their own. With `id_prefixes`, the active sweep lists only instances
    whose ids start with one. `max_series` bounds what the hub shows: beyond it distributions fold
    first, then new names. `worker` is the app's language, None to infer it from failures.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    own_limits_of: Callable[[str], Mapping[str, float]] = _none
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
    worker: Worker | None = None

    def limits_of(self, orchestrator: str) -> Mapping[str, float]:
        """Return the limits of an orchestrator, by name."""
        own = self.own_limits_of(orchestrator)
        return {**self.limits, **own} if own else self.limits
