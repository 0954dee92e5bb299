"""The fields of a mapping in a file, read once and checked; unread ones are an error."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from emulator.json_text import JsonValue

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MISSING = object()


class FieldProblem(ValueError):
    """A field is missing, invalid or unknown; the message says which and why."""


def seconds_of(value: object, where: str) -> float:
    """Read a duration: `30s`, `5m`, `1h`, or seconds as a number."""
    match = _DURATION.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise FieldProblem(f"{where}: {value!r} is no duration like 30s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2]]


class Fields:
    """Reads the fields of a mapping, which messages call `where`."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, Mapping):
            raise FieldProblem(f"{where}: fields are expected, not {content!r}")
        self.where = where
        self._left: dict[str, object] = {str(name): value for name, value in content.items()}

    def has(self, name: str) -> bool:
        """Return whether there is a field."""
        return name in self._left

    def peek(self, name: str) -> str | None:
        """Return a text without counting it as read, `None` if there is none."""
        value = self._left.get(name)
        return value if isinstance(value, str) else None

    def required(self, name: str) -> object:
        """Return a required field."""
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            raise FieldProblem(f"{self.where}: {name} is missing")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text."""
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            wanted = "is missing" if value is None else f"must be text, not {value!r}"
            raise FieldProblem(f"{self.where}: {name} {wanted}")
        return value

    def number(self, name: str, default: float, *, least: float = 0.0) -> float:
        """Return a number from *least* on."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise FieldProblem(f"{self.where}: {name} must be a number from {least:g} on")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """Return a number from 0 on, `None` if absent."""
        return self.number(name, 0) if name in self._left else None

    def seconds(self, name: str, default: float) -> float:
        """Return a duration."""
        value = self._left.pop(name, default)
        return seconds_of(value, f"{self.where}.{name}")

    def choice(self, name: str, kind: type[ChoiceT], default: ChoiceT) -> ChoiceT:
        """Return a member of an enumeration."""
        return kind(self.one_of(name, [option.value for option in kind], default.value))

    def optional_choice(self, name: str, kind: type[ChoiceT]) -> ChoiceT | None:
        """Return a member of an enumeration, `None` if absent."""
        return self.choice(name, kind, next(iter(kind))) if name in self._left else None

    def one_of(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Return one of some texts, by default the first."""
        value = self._left.pop(name, default or options[0])
        if value not in options:
            raise FieldProblem(
                f"{self.where}: {name} is {value!r}, which is none of {', '.join(options)}"
            )
        return str(value)

    def json(self, name: str) -> JsonValue:
        """Return any value."""
        value: JsonValue = self._left.pop(name, None)  # type: ignore[assignment]
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return a mapping, empty if absent."""
        value = self._left.pop(name, None) or {}
        if not isinstance(value, Mapping):
            raise FieldProblem(f"{self.where}: {name} must have names with fields")
        return {str(key): entry for key, entry in value.items()}

    def items(self, name: str) -> Iterable[object]:
        """Return a list, empty if absent."""
        value = self._left.pop(name, None) or []
        if not isinstance(value, list):
            raise FieldProblem(f"{self.where}: {name} must be a list")
        return value

    def rest(self) -> Mapping[str, object]:
        """Return the unread fields."""
        left, self._left = self._left, {}
        return left

    def finish(self) -> None:
        """Raise `FieldProblem` for unread fields."""
        if self._left:
            raise FieldProblem(f"{self.where}: {', '.join(sorted(self._left))} means nothing here")
