"""Injected faults: their kinds, the requests they hit, and how often."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeVar

from emulator.api import Operation


class FaultKind(StrEnum):
    """Kinds of faults."""

    UNAUTHORIZED = "unauthorized"
    """401: unknown key."""
    STOPPED = "stopped"
    """403 with the front end's HTML page of a stopped app."""
    RESTRICTED = "restricted"
    """403 with `x-ms-forbidden-ip`, of an access restriction."""
    FORBIDDEN = "forbidden"
    """403 without a body: a key of the wrong kind."""
    THROTTLED = "throttled"
    """429, with `seconds` as `Retry-After`."""
    ERROR = "error"
    """500 with an error object."""
    ERROR_WITH_BODY = "error_with_body"
    """500 with the usual body."""
    ERROR_WITHOUT_BODY = "error_without_body"
    """500 without a body, from the host."""
    UNAVAILABLE = "unavailable"
    """503 with plain text."""
    STARTING = "starting"
    """503 after `seconds`, 30 by default: the host is starting."""
    HTML = "html"
    """200 with an HTML page."""
    REDIRECT = "redirect"
    """302 to a login page."""
    HANG = "hang"
    """No answer until the client disconnects."""
    CUT = "cut"
    """Half of the body, then a closed connection."""
    HUGE = "huge"
    """An endless body."""
    SLOW = "slow"
    """The usual answer, `seconds` late."""
    MALFORMED = "malformed"
    """Truncated JSON."""
    WRONG_TYPE = "wrong_type"
    """A JSON object instead of an array, an array instead of an object."""
    ENDLESS_TOKEN = "endless_token"  # noqa: S105 - a kind of fault
    """Empty pages with ever new tokens."""
    REPEATED_TOKEN = "repeated_token"  # noqa: S105 - a kind of fault
    """The usual rows with the same token on each page."""
    SILENT_END = "silent_end"
    """The usual rows without a token, although more follow."""
    DROPPED_FILTER = "dropped_filter"
    """The filters by status and creation time are ignored."""
    CLOCK_SKEW = "clock_skew"
    """The usual answer, with a `Date` of `seconds` ahead, or behind if negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    A fault to inject.

    It hits requests of `operations`, `None` for all: after the first `skip`, a random share `rate`
    of them, above 0 and at most 1, up to `times`, `None` for no limit. `seconds` is the delay of
    `SLOW` and `STARTING`, the `Retry-After` of `THROTTLED`, and the skew of `CLOCK_SKEW`.
    """

    kind: FaultKind
    operations: Collection[Operation] | None = None
    times: int | None = None
    skip: int = 0
    seconds: float | None = None
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1, not {self.rate}")
        for name, number in (("times", self.times or 0), ("skip", self.skip)):
            if number < 0:
                raise ValueError(f"{name} must not be negative, not {number}")


class Faults:
    """
    The faults of a hub, in order of precedence.

    `struck` counts the requests that they have hit.
    """

    def __init__(self, seed: int | str = 0) -> None:
        self.struck = 0
        self._pending: list[_Pending] = []
        self._random = Random(f"faults/{seed}")

    @property
    def current(self) -> tuple[Fault, ...]:
        """The faults that are not used up."""
        return tuple(pending.fault for pending in self._pending if pending.left != 0)

    def set(self, *faults: Fault) -> None:
        """Replace all faults; of several for a request, the first applies."""
        self._pending = [_Pending(fault, fault.skip, fault.times) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Add a fault behind the others."""
        self._pending.append(_Pending(fault, fault.skip, fault.times))

    def remove(self, fault: Fault) -> None:
        """Remove a fault, if it is still there."""
        self._pending = [pending for pending in self._pending if pending.fault is not fault]

    def clear(self) -> None:
        """Remove all faults."""
        self._pending = []

    def strike(self, operation: Operation) -> Fault | None:
        """Return and count the fault that hits a request, if any."""
        for pending in self._pending:
            operations = pending.fault.operations
            if pending.left == 0 or (operations is not None and operation not in operations):
                continue
            if pending.skip > 0:
                pending.skip -= 1
                continue
            if pending.fault.rate < 1 and self._random.random() >= pending.fault.rate:
                continue
            if pending.left is not None:
                pending.left -= 1
            self.struck += 1
            return pending.fault
        return None


@dataclass(slots=True)
class _Pending:
    fault: Fault
    skip: int
    left: int | None


def read_fault(fields: Mapping[str, object]) -> Fault:
    """
    Read a fault from JSON or YAML with the fields of `Fault`.

    Raises `ValueError`, which names the mistake and the choices.
    """
    unknown = fields.keys() - _FIELDS
    if unknown:
        raise ValueError(f"A fault has no {_listed(unknown)}; it has {_listed(_FIELDS)}")
    operations = fields.get("operations")
    names = [operations] if isinstance(operations, str) else operations
    return Fault(
        kind=_choice(FaultKind, "kind", fields.get("kind")),
        operations=_operations(names),
        times=None if fields.get("times") is None else int(_number(fields, "times")),
        skip=int(_number(fields, "skip", 0)),
        seconds=None if fields.get("seconds") is None else _number(fields, "seconds"),
        rate=_number(fields, "rate", 1),
    )


def parse_fault(text: str) -> Fault:
    """
    Read `KIND` or `KIND:name=value,name=value`, with operations joined by plus signs.

    Raises `ValueError` like `read_fault`.
    """
    kind, _, options = text.partition(":")
    fields: dict[str, object] = {"kind": kind}
    for option in filter(None, options.split(",")):
        name, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"{option!r} is not of the form name=value")
        fields[name] = value.split("+") if name == "operations" else value
    return read_fault(fields)


_FIELDS = frozenset(("kind", "operations", "times", "skip", "seconds", "rate"))
_ChoiceT = TypeVar("_ChoiceT", bound=StrEnum)


def _operations(names: object) -> Collection[Operation] | None:
    if names is None:
        return None
    if not isinstance(names, list | tuple):
        raise ValueError("operations must be a list of names")  # noqa: TRY004 - of a file's value
    return frozenset(_choice(Operation, "operations", name) for name in names)


def _choice(options: type[_ChoiceT], field: str, value: object) -> _ChoiceT:
    try:
        return options(str(value))
    except ValueError:
        known = _listed(option.value for option in options)
        raise ValueError(f"{field}: {value!r} is none of {known}") from None


def _number(fields: Mapping[str, object], name: str, default: float | None = None) -> float:
    value = fields.get(name, default)
    try:
        return float(str(value))
    except ValueError:
        raise ValueError(f"{name} must be a number, not {value!r}") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
