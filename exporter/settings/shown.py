"""What the reference page says of the values that a setting takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """Metadata of a field's type: its values in words. Of several the last one holds."""

    values: str
