"""Query parameters, read as leniently as the real API does: what it cannot parse, it ignores."""

import re
from urllib.parse import unquote_plus

from emulator import times
from emulator.api import ArgumentInvalid
from emulator.storage.rows import RuntimeStatus
from emulator.storage.table import DEFAULT_TOP, EntityQuery, InstanceQuery

# Longer ones do not fit into 32 bits, and some not into Python's patience.
_LONGEST_SECONDS = 1e9
_INTEGER = re.compile(r"(?P<sign>[+-]?)0*(?P<digits>\d{1,10})", re.ASCII)
_BY_NUMBER = dict(enumerate(RuntimeStatus))
_NAMES = frozenset(RuntimeStatus)
_UNKNOWN = -1


class Parameters:
    """The parameters of a query string, by names in any letter case."""

    def __init__(self, query: str) -> None:
        self._values: dict[str, str] = {}
        for pair in query.split("&"):
            name, _, value = (unquote_plus(part.strip()) for part in pair.partition("="))
            name, value = name.strip().casefold(), value.strip()
            # A repeated parameter is one value with commas, which only a list of statuses survives.
            self._values[name] = f"{self._values[name]},{value}" if name in self._values else value

    def text(self, name: str) -> str | None:
        """Return a value, which may be empty, or `None` if the parameter is absent."""
        return self._values.get(name.casefold())

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a boolean; anything but `true` and `false` in any letter case is the default."""
        return {"true": True, "false": False}.get((self.text(name) or "").lower(), default)

    def integer(self, name: str, *, default: int) -> int:
        """Return a whole number of 32 bits; anything else is the default."""
        number = _integer(self.text(name) or "")
        return default if number is None else number

    def number(self, name: str) -> float | None:
        """Return a number of seconds, `None` if it is absent, unreadable, or not above 0."""
        try:
            number = float(self.text(name) or "")
        except ValueError:
            return None
        return number if 0 < number < _LONGEST_SECONDS else None

    def time(self, name: str, now: float) -> float | None:
        """Return a time, `None` if it is absent or unreadable."""
        return times.parse(self.text(name) or "", now)

    def statuses(self, name: str) -> frozenset[str] | None:
        """
        Return the statuses to filter by, `None` if no item of the list is one.

        Names count in their exact case, and so do their numbers; a number of 32 bits without a name
        is kept and matches nothing. `Unknown` raises `ArgumentInvalid`.
        """
        items = (item.strip() for item in (self.text(name) or "").split(","))
        return frozenset(status for item in items if (status := _status(item))) or None

    def without(self, *names: str) -> "Parameters":
        """Return a copy in which some parameters are absent."""
        dropped = {name.casefold() for name in names}
        copy = Parameters("")
        copy._values = {n: v for n, v in self._values.items() if n not in dropped}
        return copy


def instance_query(parameters: Parameters, now: float) -> InstanceQuery:
    """Read the parameters of `GET instances`."""
    return InstanceQuery(
        created_from=parameters.time("createdTimeFrom", now),
        created_to=parameters.time("createdTimeTo", now),
        statuses=parameters.statuses("runtimeStatus"),
        id_prefix=parameters.text("instanceIdPrefix"),
        top=parameters.integer("top", default=DEFAULT_TOP),
        show_input=parameters.boolean("showInput", default=True),
    )


def entity_query(parameters: Parameters, class_name: str | None, now: float) -> EntityQuery:
    """Read the parameters of `GET entities` and `GET entities/{name}`."""
    return EntityQuery(
        class_name=None if class_name is None else class_name.lower(),
        operated_from=parameters.time("lastOperationTimeFrom", now),
        operated_to=parameters.time("lastOperationTimeTo", now),
        top=parameters.integer("top", default=DEFAULT_TOP),
        fetch_state=parameters.boolean("fetchState", default=False),
    )


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    number = None if match is None else int(match["sign"] + match["digits"])
    return number if number is not None and -(2**31) <= number < 2**31 else None


def _status(item: str) -> str | None:
    number = _integer(item)
    if item == "Unknown" or number == _UNKNOWN:
        raise ArgumentInvalid("Requested value 'Unknown' was not found.")
    if number is not None:
        return _BY_NUMBER.get(number, str(number))
    return item if item in _NAMES else None
