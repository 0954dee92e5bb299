"""Continuation tokens of the Azure Storage provider: where the next page begins."""

import base64

HEADER = "x-ms-continuation-token"
# Above every key: valid UTF-8 never reaches it, so a walk that starts here finds nothing.
BEYOND_THE_END = chr(0x10FFFF)

_ESCAPES = {ord("^"): "^^", ord("/"): "^0", ord("\\"): "^1", ord("#"): "^2", ord("?"): "^3"} | {
    code: "^" + chr(code + ord("À")) for code in (*range(0x20), *range(0x7F, 0xA0))
}


def partition_key(instance_id: str) -> str:
    """Return the key of an instance's row: the id with forbidden characters escaped."""
    return instance_id.translate(_ESCAPES)


def encode(key: str) -> str:
    """
    Return the token of the page that begins at a partition key.

    The base64 of the key, a space, and the base64 of the row key, which is empty: hence the space
    at the end.
    """
    return base64.b64encode(key.encode()).decode() + " "


def decode(token: str) -> str | None:
    """
    Return the partition key at which a page begins, `None` for the first page.

    Rubbish is no error: it stands behind the last row, so that the listing silently ends.
    """
    if not token.strip():
        return None
    key, _, _row_key = token.strip().partition(" ")
    try:
        return base64.b64decode(key, validate=True).decode()
    except ValueError:  # not base64, or not text
        return BEYOND_THE_END
