"""Bodies that have to be JSON, and what the real parser says of those that are not."""

import json
import re
from typing import cast

from emulator.errors import JsonUnreadable
from emulator.json_text import MAXIMUM_DEPTH, JsonValue, too_deep

_OPEN_OBJECT = re.compile(r'\s*\{(?:\s*"(?P<name>[^"]*)"\s*:)?\s*', re.ASCII)
_BARE_NAME = re.compile(r"\s*\{\s*[A-Za-z_$][\w$]*", re.ASCII)


def read_json(body: bytes) -> JsonValue:
    """
    Read a body as one JSON value.

    Raises `JsonUnreadable` with the sentence of the real parser, as far as it was recorded.
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
