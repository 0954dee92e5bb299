"""The keys of rows in the instance table of Azure Storage."""

# Above every key: valid UTF-8 never reaches it, so a walk that starts here finds nothing.
BEYOND_THE_END = chr(0x10FFFF)

_ESCAPES = {ord("^"): "^^", ord("/"): "^0", ord("\\"): "^1", ord("#"): "^2", ord("?"): "^3"} | {
    code: "^" + chr(code + ord("À")) for code in (*range(0x20), *range(0x7F, 0xA0))
}


def partition_key(instance_id: str) -> str:
    """Return the key of an instance's row: the id with forbidden characters escaped."""
    return instance_id.translate(_ESCAPES)
