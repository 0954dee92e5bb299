"""The fields of a mapping in a file, each read once and checked; what is left over is an error."""

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
    """A field is missing, of the wrong kind, or unknown; the message says which and why."""


def seconds_of(value: object, where: str) -> float:
    """Read a duration: `30s`, `5m`, `1h`, or seconds as a number."""
    match = _DURATION.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise FieldProblem(f"{where}: {value!r} is no duration like 30s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2]]


class Fields:
    """Reads the fields of one mapping; `where` says in messages which."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, Mapping):
            raise FieldProblem(f"{where}: fields are expected, not {content!r}")
        self.where = where
        self._left: dict[str, object] = {str(name): value for name, value in content.items()}

    def has(self, name: str) -> bool:
        """Tell whether a field is there."""
        return name in self._left

    def peek(self, name: str) -> str | None:
        """Return a text that somebody else is to read, `None` if there is none."""
        value = self._left.get(name)
        return value if isinstance(value, str) else None

    def required(self, name: str) -> object:
        """Return a field that must be there."""
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
        """Return a number that is not too small."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise FieldProblem(f"{self.where}: {name} must be a number from {least:g} on")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """Return a number from 0 on, `None` if it is not there."""
        return self.number(name, 0) if name in self._left else None

    def seconds(self, name: str, default: float) -> float:
        """Return a duration."""
        value = self._left.pop(name, default)
        return seconds_of(value, f"{self.where}.{name}")

    def choice(self, name: str, kind: type[ChoiceT], default: ChoiceT) -> ChoiceT:
        """Return one of some names."""
        return kind(self.one_of(name, [option.value for option in kind], default.value))

    def optional_choice(self, name: str, kind: type[ChoiceT]) -> ChoiceT | None:
        """Return one of some names, `None` if it is not there."""
        return self.choice(name, kind, next(iter(kind))) if name in self._left else None

    def one_of(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Return one of some texts, the first if none is given."""
        value = self._left.pop(name, default or options[0])
        if value not in options:
            raise FieldProblem(
                f"{self.where}: {name} is {value!r}, which is none of {', '.join(options)}"
            )
        return str(value)

    def json(self, name: str) -> JsonValue:
        """Return whatever is there."""
        value: JsonValue = self._left.pop(name, None)  # type: ignore[assignment]
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return a mapping, empty if it is not there."""
        value = self._left.pop(name, None) or {}
        if not isinstance(value, Mapping):
            raise FieldProblem(f"{self.where}: {name} must have names with fields")
        return {str(key): entry for key, entry in value.items()}

    def items(self, name: str) -> Iterable[object]:
        """Return a list, empty if it is not there."""
        value = self._left.pop(name, None) or []
        if not isinstance(value, list):
            raise FieldProblem(f"{self.where}: {name} must be a list")
        return value

    def rest(self) -> Mapping[str, object]:
        """Return all that is left, for somebody else to read."""
        left, self._left = self._left, {}
        return left

    def finish(self) -> None:
        """Make sure that nothing is left that nobody has read."""
        if self._left:
            raise FieldProblem(f"{self.where}: {', '.join(sorted(self._left))} means nothing here")
