"""Continuation tokens of the Azure Storage provider: where the next page begins."""

import base64
import json

from emulator.errors import TokenUnreadable
from emulator.json_text import JsonValue, compact
from emulator.storage.partition import BEYOND_THE_END
from emulator.version import ExtensionVersion


def encode(key: str, version: ExtensionVersion = ExtensionVersion.V3) -> str:
    """
    Return the token of the page that begins at a partition key.

    Both versions name the key in base64, and the row key, which is empty. v2 puts them into a JSON
    object and that into base64 again; v3 puts a space between them: hence the one at the end.
    """
    if version is not ExtensionVersion.V2:
        return _base64(key) + " "
    place: JsonValue = {
        "NextPartitionKey": _base64(key),
        "NextRowKey": "",
        "NextTableName": None,
        "TargetLocation": 0,
    }
    return _base64(compact(place))


def decode(token: str, version: ExtensionVersion = ExtensionVersion.V3) -> str | None:
    """
    Return the partition key at which a page begins, `None` for the first page.

    To v3, rubbish is no error: it stands behind the last row, so that the listing silently ends.
    v2 raises `TokenUnreadable`.
    """
    if not token.strip():
        return None
    if version is ExtensionVersion.V2:
        return _place_in_json(token)
    key, _, _row_key = token.strip().partition(" ")
    return _key(key)


def _place_in_json(token: str) -> str | None:
    try:
        place = json.loads(base64.b64decode(token, validate=True))
    except ValueError as error:  # not base64, or not JSON
        raise TokenUnreadable from error
    # The `null` that old extensions sent for ever is the first page again.
    key = place.get("NextPartitionKey") if isinstance(place, dict) else None
    return _key(key) if isinstance(key, str) else None


def _key(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # not base64, or not text
        return BEYOND_THE_END


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
