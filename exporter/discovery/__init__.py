"""Hubs that nobody lists: the function apps of Azure that run Durable Functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiscoveryView:
    """Apps by what became of them, failed searches by kind, and when one last succeeded."""

    apps: Mapping[str, int]
    errors: Mapping[str, int]
    last_success: float | None
