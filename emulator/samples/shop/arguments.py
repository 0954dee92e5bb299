"""What functions are given, where anybody may have started them with anything."""

from collections.abc import Mapping

from emulator.json_text import JsonValue


def number(argument: JsonValue, name: str, default: int = 0) -> int:
    """Return a whole number among the arguments."""
    value = argument.get(name) if isinstance(argument, Mapping) else None
    return value if isinstance(value, int) else default


def text(argument: JsonValue, name: str, default: str = "") -> str:
    """Return a text among the arguments."""
    value = argument.get(name) if isinstance(argument, Mapping) else None
    return value if isinstance(value, str) else default
