"""What a storage provider decides: hub names, paging, and how what happens shows in rows."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from emulator.api import ExtensionVersion
from emulator.json_text import JsonValue
from emulator.storage.rows import Row
from emulator.storage.table import InstanceQuery, Query, Table

RowT = TypeVar("RowT")
Payload = Mapping[str, JsonValue]


class HubNameRefused(ValueError):
    """A storage provider takes no hub of a name; the message gives its rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds per request, and per thousand rows scanned for it."""

    request: float = 0.0
    thousand_rows: float = 0.0

    def seconds(self, rows: int) -> float:
        """Return the duration of a request that scans *rows*."""
        return self.request + self.thousand_rows * rows / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    How a provider stores what happens to instances.

    `continued_keeps_created`: a new generation of an eternal orchestration keeps its createdTime.
    `children_shown_at_once`: rows of sub-orchestrations and entities are Pending until they run.
    `never_updated`: until then they were last updated in the year 1. `reasons_in_output`: the
    output of a suspended or resumed instance is the reason. `rewinds`: supports rewind.
    """

    continued_keeps_created: bool = False
    children_shown_at_once: bool = False
    never_updated: bool = False
    reasons_in_output: bool = True
    rewinds: bool = True


@dataclass(frozen=True, slots=True)
class Listing(Generic[RowT]):
    """A page; `token` is that of the next one, empty at the end; `scanned` counts rows."""

    rows: Sequence[RowT]
    token: str
    scanned: int


class Backend(ABC):
    """
    A storage provider.

    `hub_name_rule` is the pattern `hub_name` in words. `one_hub`: the database login selects the
    hub, and `taskHub` is ignored. `waits_without_interval`: a start with `timeout` alone waits.
    """

    name: str
    hub_name: re.Pattern[str]
    hub_name_rule: str
    traits = Traits()
    one_hub = False
    waits_without_interval = False

    def allows_hub(self, name: str) -> bool:
        """Return whether a hub can have the name."""
        return self.hub_name.fullmatch(name) is not None

    def check_hub(self, name: str) -> None:
        """Raise `HubNameRefused` unless a hub can have the name."""
        if not self.allows_hub(name):
            raise HubNameRefused(f"{name!r} is no task hub of {self.name}: {self.hub_name_rule}")

    @abstractmethod
    def page(
        self, table: Table, query: Query, token: str, version: ExtensionVersion
    ) -> Listing[Row]:
        """
        Return a page of the matching rows; deleted entities take up room on it.

        Raises `ApiError` for an invalid token or page size.
        """

    @abstractmethod
    def endless_token(self, number: int, version: ExtensionVersion) -> str:
        """Return a token behind the last row, another one per number."""

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Return whether the rows of a listing carry their input."""
        return query.show_input

    def listed(self, _row: Row, payload: Payload) -> Payload:
        """Return the item of a listing for a row, given the usual one."""
        return payload
