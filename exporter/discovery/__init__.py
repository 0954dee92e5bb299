"""Discovery of function apps in Azure that run Durable Functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiscoveryView:
    """Apps by result, failed searches by error kind, time of the last successful one."""

    apps: Mapping[str, int]
    errors: Mapping[str, int]
    last_success: float | None
