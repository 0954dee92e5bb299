"""Routes: how paths are decoded, and the operation of a method and path."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from emulator.api import ExtensionVersion, Operation

_SLASH = re.compile("(%2F)", re.IGNORECASE)

ANY_METHOD = "*"
# `None` matches any segment but an empty one.
_ROUTES: tuple[tuple[str, tuple[str | None, ...], Operation], ...] = (
    ("POST", ("orchestrators", None), Operation.START),
    ("POST", ("orchestrators", None, None), Operation.START),
    ("GET", ("instances",), Operation.LIST_INSTANCES),
    ("DELETE", ("instances",), Operation.PURGE_INSTANCES),
    ("GET", ("instances", None), Operation.GET_INSTANCE),
    ("DELETE", ("instances", None), Operation.PURGE_INSTANCE),
    ("POST", ("instances", None, "raiseevent", None), Operation.RAISE_EVENT),
    ("POST", ("instances", None, "terminate"), Operation.TERMINATE),
    ("POST", ("instances", None, "suspend"), Operation.SUSPEND),
    ("POST", ("instances", None, "resume"), Operation.RESUME),
    ("POST", ("instances", None, "rewind"), Operation.REWIND),
    ("POST", ("instances", None, "restart"), Operation.RESTART),
    ("GET", ("entities",), Operation.LIST_ENTITIES),
    ("GET", ("entities", None), Operation.LIST_ENTITIES),
    ("GET", ("entities", None, None), Operation.GET_ENTITY),
    ("POST", ("entities", None), Operation.SIGNAL_ENTITY),
    ("POST", ("entities", None, None), Operation.SIGNAL_ENTITY),
    ("DELETE", ("entities", None), Operation.DELETE_ENTITY),
    ("DELETE", ("entities", None, None), Operation.DELETE_ENTITY),
    (ANY_METHOD, ("makeprimary",), Operation.MAKE_PRIMARY),
)


def decode(path: str, version: ExtensionVersion) -> str:
    """
    Decode a path, or a part of it, once.

    v3 decodes a plus as a space, and encoded slashes. v2 does neither.
    """
    if version is not ExtensionVersion.V2:
        return unquote_plus(path)
    parts = _SLASH.split(path)
    return "".join(part if _SLASH.fullmatch(part) else unquote(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, and the variable segments of its path in order."""

    operation: Operation
    arguments: tuple[str, ...] = ()


def find(method: str, path: str, version: ExtensionVersion) -> Route | None:
    """
    Return the route of a decoded path below the base, `None` if there is none.

    Literals match in any letter case, and outer slashes are ignored. Like the real one, it decodes
    variable segments again.
    """
    segments = path.strip("/").split("/")
    for allowed, pattern, operation in _ROUTES:
        if allowed in (method, ANY_METHOD) and _fits(segments, pattern):
            arguments = zip(segments, pattern, strict=True)
            values = (decode(value, version) for value, literal in arguments if literal is None)
            return Route(operation, tuple(values))
    return None


def _fits(segments: Sequence[str], pattern: Sequence[str | None]) -> bool:
    return len(segments) == len(pattern) and all(
        bool(segment) if literal is None else segment.casefold() == literal
        for segment, literal in zip(segments, pattern, strict=True)
    )
