"""JSON as the API writes and reads it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TypeAlias, cast

from emulator.api import JsonUnreadable

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

# `json.dumps` would create one per call.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)

MAXIMUM_DEPTH = 64
"""Maximum nesting, as in the real parser."""

_OPEN_OBJECT = re.compile(r'\s*\{(?:\s*"(?P<name>[^"]*)"\s*:)?\s*', re.ASCII)
_BARE_NAME = re.compile(r"\s*\{\s*[A-Za-z_$][\w$]*", re.ASCII)


def compact(value: JsonValue) -> str:
    """
    Return JSON without spaces and ASCII escapes; NaN and infinities become text.

    Raises `TypeError`, `ValueError` or `RecursionError` for what is not JSON.
    """
    try:
        return _ENCODER.encode(value)
    except ValueError:
        # A number that JSON lacks is written as its name; a cycle raises again.
        return compact(cast("JsonValue", json.loads(json.dumps(value), parse_constant=str)))


def parsed(text: str | None) -> JsonValue:
    """Return stored JSON; text that is not JSON, or too deep, is a string."""
    if text is None:
        return None
    try:
        value = cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return text
    return text if too_deep(value, text) else value


def transported(value: JsonValue) -> JsonValue:
    """
    Return a copy of a value as it arrives after being sent as JSON.

    Raises what `compact` raises.
    """
    try:
        return _copied(value, MAXIMUM_DEPTH)
    except _NotPlainError:
        return parsed(compact(value))


class _NotPlainError(Exception):
    """JSON may change the value."""


def _copied(value: JsonValue, depth: int) -> JsonValue:
    kind = type(value)
    if (
        value is None
        or kind in (str, int, bool)
        or (kind is float and isfinite(cast("float", value)))
    ):
        return value
    if depth and kind is list:
        return [_copied(item, depth - 1) for item in cast("list[JsonValue]", value)]
    if depth and kind is dict:
        fields = cast("dict[str, JsonValue]", value)
        if all(type(name) is str for name in fields):
            return {name: _copied(item, depth - 1) for name, item in fields.items()}
    raise _NotPlainError


def too_deep(value: JsonValue, text: str) -> bool:
    """Return whether a value is nested too deeply, given its text."""
    return text.count("[") + text.count("{") > MAXIMUM_DEPTH and _deeper_than(value, MAXIMUM_DEPTH)


def _deeper_than(value: JsonValue, depth: int) -> bool:
    level: list[JsonValue] = [value]
    for _ in range(depth):
        level = [item for container in level for item in _items(container)]
    return any(isinstance(item, Mapping | list) for item in level)


def _items(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def read_json(body: bytes) -> JsonValue:
    """
    Return a body's JSON value.

    Raises `JsonUnreadable` with the message of the real parser, as far as recorded.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        value = cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise JsonUnreadable(_complaint(text)) from error
    if too_deep(value, text):
        raise JsonUnreadable(f"The reader's MaxDepth of {MAXIMUM_DEPTH} has been exceeded.")
    return value


def _complaint(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        return "Error reading JToken from JsonReader. Path '', line 0, position 0."
    opened = _OPEN_OBJECT.fullmatch(text)
    if opened is not None:
        path = opened["name"] or ""
        return (
            "Unexpected end of content while loading JObject. "
            f"Path '{path}', line 1, position {len(text)}."
        )
    if _BARE_NAME.fullmatch(text):
        return (
            "Unexpected end while parsing unquoted property name. "
            f"Path '', line 1, position {len(text)}."
        )
    return (
        f"Unexpected character encountered while parsing value: {stripped[0]}. "
        "Path '', line 0, position 0."
    )
