"""What the providers have in common, and where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from emulator.backends.hub_names import HubNames
from emulator.backends.traits import Traits
from emulator.json_text import JsonValue
from emulator.storage.queries import EntityQuery, InstanceQuery
from emulator.storage.rows import Entity, Row
from emulator.storage.table import Table
from emulator.version import ExtensionVersion

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
