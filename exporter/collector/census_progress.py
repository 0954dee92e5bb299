"""How far the census of a hub has come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from exporter.collector.sweeps import SweepCost


@dataclass(slots=True)
class CensusProgress:
    """
    A census is made page by page, between the other sweeps; `seconds` is what it took so far.

    `moved` is when its last page came.
    """

    began: float = 0.0
    moved: float = 0.0
    step_due: float = math.inf
    seconds: float = 0.0
    failures: int = 0
    cost: SweepCost = field(default_factory=SweepCost)
