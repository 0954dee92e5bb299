"""How a hub is polled."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.collector.snapshot import HubIdentity, Sweep


@dataclass(frozen=True, slots=True)
class HubPlan:
    """
    How a hub is polled: intervals in seconds (0 = off), one deadline for every sweep.

    `history_budget` is how many histories are read after an active sweep at most, 0 for none.
    A census is read for `census_step` seconds between two pauses, a page at least. Within a step
    the next page comes while one is used.
    """

    identity: HubIdentity
    intervals: dict[Sweep, float]
    sweep_timeout: float
    stale_after: float
    counter_hold: float
    entity_names: tuple[str, ...] = ()
    page_budget: int | None = None
    first_sweep_after: float = 0.0
    history_budget: int = 0
    census_step: float = 1.0
