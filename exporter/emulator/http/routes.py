"""Which operation a method and a path stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.emulator.http.paths import decode
from exporter.emulator.operations import Operation
from exporter.emulator.version import ExtensionVersion


@dataclass(frozen=True, slots=True)
class Route:
    """An operation and the variable parts of its path, in order."""

    operation: Operation
    arguments: tuple[str, ...] = ()


# A `None` in a path stands for anything but an empty segment.
_ROUTES: tuple[tuple[str, tuple[str | None, ...], Operation], ...] = (
    ("GET", ("instances",), Operation.LIST_INSTANCES),
    ("GET", ("instances", None), Operation.GET_INSTANCE),
    ("GET", ("entities",), Operation.LIST_ENTITIES),
    ("GET", ("entities", None), Operation.LIST_ENTITIES),
    ("GET", ("entities", None, None), Operation.GET_ENTITY),
)


def find(method: str, path: str, version: ExtensionVersion) -> Route | None:
    """
    Return the route of a decoded path below the base, `None` if there is none.

    Literals match in any letter case and slashes around the path do not count. Variable parts are
    decoded a second time: that is how the real one reads them.
    """
    segments = path.strip("/").split("/")
    for allowed, pattern, operation in _ROUTES:
        if method == allowed and _fits(segments, pattern):
            arguments = zip(segments, pattern, strict=True)
            values = (decode(value, version) for value, literal in arguments if literal is None)
            return Route(operation, tuple(values))
    return None


def _fits(segments: Sequence[str], pattern: Sequence[str | None]) -> bool:
    return len(segments) == len(pattern) and all(
        bool(segment) if literal is None else segment.casefold() == literal
        for segment, literal in zip(segments, pattern, strict=True)
    )
