"""What the providers have in common, and where they differ."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from emulator.api import ExtensionVersion
from emulator.json_text import JsonValue
from emulator.storage.rows import Entity, Row
from emulator.storage.table import EntityQuery, InstanceQuery, Table


class HubNameRefused(ValueError):
    """A storage provider has no hub of a name; the message says what it would take."""


@dataclass(frozen=True, slots=True)
class HubNames:
    """Which names a provider takes: a pattern for the whole name, and the rule in words."""

    provider: str
    pattern: re.Pattern[str]
    rule: str

    def check(self, name: str) -> None:
        """Raise `HubNameRefused` unless a hub can have the name."""
        if not self.allow(name):
            raise HubNameRefused(f"{name!r} is no task hub of {self.provider}: {self.rule}")

    def allow(self, name: str) -> bool:
        """Tell whether a hub can have the name."""
        return self.pattern.fullmatch(name) is not None


TABLES = HubNames(
    "azure-storage",
    re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}"),
    "3 to 45 letters and digits, a letter first",
)
"""Of tables, queues and containers of Azure Storage."""
EVENT_HUBS = HubNames(
    "netherite",
    re.compile(r"[A-Za-z][A-Za-z0-9-]{2,44}"),
    "3 to 45 letters, digits and hyphens, a letter first",
)
"""Of event hubs and containers."""
SQL_TEXT = HubNames("mssql", re.compile(r"[^\x00-\x1f\x7f]{1,50}"), "1 to 50 characters")
"""Of a column of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds that a request takes, and more for every thousand rows that are looked at."""

    request: float = 0.0
    thousand_rows: float = 0.0

    def seconds(self, rows: int) -> float:
        """Return how long a request takes that looks at some rows."""
        return self.request + self.thousand_rows * rows / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    What a provider makes of what happens to instances.

    `continued_keeps_created`: a new generation of an eternal orchestration keeps its createdTime.
    `children_shown_at_once`: rows of sub-orchestrations and entities are there, Pending, before
    they have run. `never_updated`: what has not run was last updated in the year 1.
    `reasons_in_output`: the output of a suspended or resumed instance is the reason.
    `rewinds`: a failed instance can be rewound.
    """

    continued_keeps_created: bool = False
    children_shown_at_once: bool = False
    never_updated: bool = False
    reasons_in_output: bool = True
    rewinds: bool = True


RowT = TypeVar("RowT")
Payload = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Listing(Generic[RowT]):
    """A page: rows, the token of the next one, empty at the end, and how many were looked at."""

    rows: Sequence[RowT]
    token: str
    scanned: int


class Backend(Protocol):
    """A storage provider."""

    name: str
    traits: Traits
    hub_names: HubNames
    one_hub: bool
    """Whether `taskHub` is not looked at, since the database login stands for the hub."""
    waits_without_interval: bool
    """Whether a start with `timeout` alone waits."""

    def list_instances(
        self, table: Table, query: InstanceQuery, token: str, version: ExtensionVersion
    ) -> Listing[Row]:
        """
        Return a page of the instances and entities that match.

        Raises `ApiError` for a token or a page size that the provider does not take.
        """
        ...

    def list_entities(
        self, table: Table, query: EntityQuery, token: str, version: ExtensionVersion
    ) -> Listing[Entity]:
        """
        Return a page of the entities that match; deleted ones take up room but are left out.

        Raises `ApiError` for a token or a page size that the provider does not take.
        """
        ...

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Tell whether the rows of a listing carry their input."""
        ...

    def listed(self, row: Row, payload: Payload) -> Payload:
        """Return what a listing shows of a row, given what everything shows."""
        ...

    def endless_token(self, number: int, version: ExtensionVersion) -> str:
        """Return a token in the provider's form that leads behind the last row."""
        ...


def existing(rows: Sequence[Row]) -> list[Entity]:
    """Return the entities that were not deleted."""
    return [row for row in rows if isinstance(row, Entity) and row.exists]
