"""
What the API answers, as far as the exporter reads it.

The models keep texts as received: what an odd value means is decided where it is used. Unknown
fields are skipped. Inputs and outputs can be large: those that are read stay undecoded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec.structs import replace

NOTHING = msgspec.Raw(b"null")
# Names are labels, ids and other texts are kept by the hundred thousand.
LONGEST_NAME = 256
LONGEST_TEXT = 1024


class InstanceRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """
    One row of a list of instances, an orchestration or an entity (reference 2.2, 2.7).

    `runtime_status` is a number where the status is newer than the extension's own list
    (reference 2.3). `custom_status` and `output` are raw JSON, which nobody has decoded yet; in
    lists of MSSQL they are JSON strings that hold JSON. Roots have no parent, nor has any instance
    that an old provider stored (reference 2.3a).
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
    """A row whose decoder has checked its status, and how long its id and its name are."""


Instance = TypeVar("Instance", bound=InstanceRow)


def are_checked(rows: Sequence[InstanceRow]) -> bool:
    """Return whether the rows of a page, which one decoder made, are checked."""
    return bool(rows) and isinstance(rows[0], CheckedRow)


def parent_of(row: InstanceRow) -> str | None:
    """
    Return the id of the orchestration that started that of *row*, None where it is a root.

    One that an entity started is a root, too. Siblings share one text.
    """
    parent = row.parent_instance_id
    if not parent or len(parent) > LONGEST_TEXT or is_entity_id(parent):
        return None
    return sys.intern(parent)


def is_entity_id(instance_id: str) -> bool:
    """Tell whether an id has the form of an entity's."""
    return instance_id[:1] == "@" and "@" in instance_id[1:]


def bounded_text(text: str) -> str:
    """Return a text of the app, cut where it is too long to be kept."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]


def bounded_name(name: str) -> str:
    """Return a name; one that is too long is cut, and still too long for a label of its own."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME + 1]


def bounded_row(row: Instance) -> Instance:
    """Return a row whose name is bounded."""
    if row.name is None or len(row.name) <= LONGEST_NAME:
        return row
    return replace(row, name=bounded_name(row.name))


def bounded_rows(rows: Sequence[InstanceRow]) -> tuple[Sequence[InstanceRow], Sequence[str]]:
    """Return the rows of a page whose ids are short enough, with bounded names, and their ids."""
    ids = [row.instance_id for row in rows]
    if are_checked(rows):
        return rows, ids
    longest_name = max((len(name or "") for name in {row.name for row in rows}), default=0)
    if longest_name <= LONGEST_NAME and max(map(len, ids), default=0) <= LONGEST_TEXT:
        return rows, ids
    kept = [bounded_row(row) for row in rows if len(row.instance_id) <= LONGEST_TEXT]
    return kept, [row.instance_id for row in kept]


class HistoryEvent(msgspec.Struct, rename="pascal", frozen=True):
    """One event of a history in the shape that the extension gives it (reference 3.3, 3.4)."""

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
    """One instance as read by its id, with its history and its input where they were asked for."""

    history_events: list[HistoryEvent] | None = None
    input: msgspec.Raw = NOTHING


class EntityId(msgspec.Struct, frozen=True, gc=False):
    """Class and key of an entity; the class comes in lower case."""

    name: str
    key: str = ""


class EntityRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """One row of a list of entities (reference 4.6)."""

    entity_id: EntityId
    last_operation_time: str | None = None


def entity_class(row: InstanceRow) -> str | None:
    """
    Return the class of the entity that *row* shows, or None where it is an orchestration.

    An id of the form `@class@key` is not enough: extension 3.x lets an orchestration take one.
    An entity's name is its id (Azure Storage) or its class (MSSQL) (reference 2.7).
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
# To make a type takes as long as a hundred rows are faster with it, of every page that has them.
_FEWEST_ROWS = 100

_ANY = msgspec.json.Decoder(list[InstanceRow])


class InstanceDecoder:
    """
    Decodes the pages of lists of instances with certain *statuses*.

    A decoder that knows all texts that may come looks them up instead of making a new one for
    every row, and whoever counts by them need not compute their hashes: an eighth of a sweep. What
    it decodes is checked with that. It knows the names that came before; a page with another one,
    or with an id that is too long, is decoded once more without it, and teaches it. Where names are
    many, as those of entities are, it is given up.
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
                # A new name, an odd status, or not what was asked for at all: the other one tells.
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
