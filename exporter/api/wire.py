"""
What the API answers, as far as the exporter reads it.

The models keep texts as received: what an odd value means is decided where it is used. Unknown
fields are skipped. Inputs and outputs can be large: those that are read stay undecoded.
"""

from __future__ import annotations

import sys
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec.structs import replace

NOTHING = msgspec.Raw(b"null")
# Names are labels, ids and other texts are kept by the hundred thousand.
LONGEST_NAME = 256
LONGEST_TEXT = 1024


class InstanceRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """
    One row of a listing, an orchestration or an entity (reference 2.2, 2.7).

    `runtime_status` is a number if the extension does not know its name (reference 2.3).
    `custom_status` and `output` are undecoded JSON; in listings of MSSQL, JSON strings that contain
    JSON. Roots have no parent, nor have instances that an old provider stored (reference 2.3a).
    """

    instance_id: str
    name: str | None = None
    runtime_status: str | int | None = None
    created_time: str | None = None
    last_updated_time: str | None = None
    custom_status: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    parent_instance_id: str | None = None


class CheckedRow(InstanceRow, frozen=True, gc=False):
    """A row whose decoder has checked status and lengths; all rows of a page are, or none."""


Instance = TypeVar("Instance", bound=InstanceRow)


def parent_of(row: InstanceRow) -> str | None:
    """
    Return the id of the parent orchestration, None for a root.

    An orchestration started by an entity is a root. Siblings share one string.
    """
    parent = row.parent_instance_id
    if not parent or len(parent) > LONGEST_TEXT or (parent[0] == "@" and "@" in parent[1:]):
        return None
    return sys.intern(parent)


def bounded_text(text: str) -> str:
    """Return a text of the app, cut to the length that is kept."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]


def bounded_name(name: str) -> str:
    """Return a name, cut to a length that is still too long for a label of its own."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME + 1]


def bounded_row(row: Instance) -> Instance:
    """Return the row with a bounded name."""
    if row.name is None or len(row.name) <= LONGEST_NAME:
        return row
    return replace(row, name=bounded_name(row.name))


class HistoryEvent(msgspec.Struct, rename="pascal", frozen=True):
    """One event of a history as the extension shows it (reference 3.3, 3.4)."""

    event_type: str
    timestamp: str | None = None
    name: str | None = None
    function_name: str | None = None
    instance_id: str | None = None
    scheduled_time: str | None = None
    scheduled_start_time: str | None = None
    fire_at: str | None = None
    orchestration_status: str | int | None = None
    reason: str | None = None
    input: msgspec.Raw = NOTHING
    failure_details: msgspec.Raw = NOTHING


class InstanceStatus(InstanceRow, rename="camel", frozen=True, gc=False):
    """One instance read by its id, with history and input if requested."""

    history_events: list[HistoryEvent] | None = None
    input: msgspec.Raw = NOTHING


class EntityId(msgspec.Struct, frozen=True, gc=False):
    """Class (in lower case) and key of an entity."""

    name: str
    key: str = ""


class EntityRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """One row of a listing of entities (reference 4.6)."""

    entity_id: EntityId
    last_operation_time: str | None = None


def entity_class(row: InstanceRow) -> str | None:
    """
    Return the class of the entity in *row*, None for an orchestration.

    Orchestrations of extension 3.x can have ids of the form `@class@key`, too: an entity's name is
    its id (Azure Storage) or its class (MSSQL) (reference 2.7).
    """
    if row.instance_id[:1] != "@":
        return None
    name, separator, _ = row.instance_id[1:].partition("@")
    if not separator or not name:
        return None
    if row.name and row.name != row.instance_id and row.name.lower() != name.lower():
        return None
    return name.lower()


_MOST_NAMES = 256
# Making a type takes as long as it saves on a hundred rows.
_FEWEST_ROWS = 100

_ANY = msgspec.json.Decoder(list[InstanceRow])


class InstanceDecoder:
    """
    Decodes pages of instances with certain *statuses*, whose names and statuses are shared strings.

    A msgspec decoder with a literal type looks strings up instead of making new ones, whose hashes
    would be computed again: an eighth of a sweep. It checks rows as well. Its type has the names
    seen so far; a page with a new name, or too long an id, is decoded without it. With too many
    names, as of entities, it is dropped.
    """

    def __init__(self, statuses: tuple[str, ...]) -> None:
        self._statuses = tuple(map(str, statuses))
        self._names: dict[str | None, None] = {}
        self._shared: msgspec.json.Decoder[list[InstanceRow]] | None = None

    def decode(self, body: bytes) -> list[InstanceRow]:
        """Return the rows of a page; raises what msgspec raises."""
        if self._shared is not None:
            try:
                return self._shared.decode(body)
            except msgspec.ValidationError:
                # A new name, an odd status, or not the expected JSON: the general decoder tells.
                pass
        rows = _ANY.decode(body)
        if self._statuses and len(rows) >= _FEWEST_ROWS and len(self._names) <= _MOST_NAMES:
            self._learn(rows)
        return rows

    def _learn(self, rows: list[InstanceRow]) -> None:
        known = len(self._names)
        self._names.update(
            dict.fromkeys(row.name for row in rows if len(row.name or "") <= LONGEST_NAME)
        )
        if len(self._names) > _MOST_NAMES:
            self._shared = None
        elif len(self._names) > known:
            row = msgspec.defstruct(
                "SharedRow",
                [
                    ("instance_id", Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]),
                    ("name", Literal[tuple(self._names)]),
                    ("runtime_status", Literal[self._statuses]),
                ],
                bases=(CheckedRow,),
                rename="camel",
                frozen=True,
                gc=False,
            )
            self._shared = msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # a subclass
