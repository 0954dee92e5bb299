"""Query parameters; like the real API, it ignores what it cannot parse."""

import re
from urllib.parse import unquote_plus

from emulator import times
from emulator.api import ArgumentInvalid
from emulator.storage.rows import RuntimeStatus
from emulator.storage.table import DEFAULT_TOP, EntityQuery, InstanceQuery

# The limit for a number of seconds.
_LONGEST_SECONDS = 1e9
_INTEGER = re.compile(r"(?P<sign>[+-]?)0*(?P<digits>\d{1,10})", re.ASCII)
_BY_NUMBER = dict(enumerate(RuntimeStatus))
_NAMES = frozenset(RuntimeStatus)
_UNKNOWN = -1


class Parameters:
    """The parameters of a query string, by name in any letter case."""

    def __init__(self, query: str) -> None:
        self._values: dict[str, str] = {}
        for pair in query.split("&"):
            name, _, value = (unquote_plus(part.strip()) for part in pair.partition("="))
            name, value = name.strip().casefold(), value.strip()
            # Repeated parameters are joined by commas, which only lists of statuses allow.
            self._values[name] = f"{self._values[name]},{value}" if name in self._values else value

    def text(self, name: str) -> str | None:
        """Return a value, `None` if absent."""
        return self._values.get(name.casefold())

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return `true` or `false`, in any letter case, else the default."""
        return {"true": True, "false": False}.get((self.text(name) or "").lower(), default)

    def integer(self, name: str, *, default: int) -> int:
        """Return a 32-bit integer, else the default."""
        number = _integer(self.text(name) or "")
        return default if number is None else number

    def number(self, name: str) -> float | None:
        """Return a number of seconds above 0, else `None`."""
        try:
            number = float(self.text(name) or "")
        except ValueError:
            return None
        return number if 0 < number < _LONGEST_SECONDS else None

    def time(self, name: str, now: float) -> float | None:
        """Return a time, `None` if absent or unreadable."""
        return times.parse(self.text(name) or "", now)

    def statuses(self, name: str) -> frozenset[str] | None:
        """
        Return the statuses to filter by, `None` without any.

        They are exact names or their numbers; other 32-bit numbers match nothing. `Unknown` raises
        `ArgumentInvalid`.
        """
        items = (item.strip() for item in (self.text(name) or "").split(","))
        return frozenset(status for item in items if (status := _status(item))) or None

    def without(self, *names: str) -> "Parameters":
        """Return a copy without some parameters."""
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
