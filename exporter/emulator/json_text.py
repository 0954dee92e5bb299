"""JSON as the API writes it, and as it reads what is stored."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)


def compact(value: JsonValue) -> str:
    """Write without spaces and without escaping what is not ASCII."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def parsed(text: str | None) -> JsonValue:
    """Read stored text: what is no JSON is a string."""
    if text is None:
        return None
    try:
        return cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return text
