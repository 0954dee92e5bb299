"""Where rows come from, and where to look for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """How a row was found."""

    ACTIVE = "listed as active"
    READ = "read by its id"
    BASELINE = "listed as finished at first contact"
    RECENT = "listed as finished and created recently"
    FAILED = "listed as failed"
    CENSUS = "listed by the census"


@dataclass(frozen=True, slots=True)
class Search:
    """
    A search for finished instances: list what was created from `begin` on, as `source`.

    `is_usual` tells that it looks back as the ruler says, and no further: then its cost tells what
    that costs.
    """

    begin: float
    source: Source
    is_usual: bool
