"""JSON as the API writes it."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)


def compact(value: JsonValue) -> str:
    """Write without spaces and without escaping what is not ASCII."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
