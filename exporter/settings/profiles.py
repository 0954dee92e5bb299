"""Sets of defaults for a kind of app."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from exporter.settings.values import AnyCase

Profile = Annotated[Literal["steady", "scale-to-zero"], AnyCase]

# What a profile sets stands below whatever the configuration says.
PROFILES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "steady": {},
        # Each request wakes the app: few, all at once, and none for what is merely nice to know.
        "scale-to-zero": {
            "intervals": {"active": "15m", "failed": "1h", "entities": "0", "census": "0"}
        },
    }
)
