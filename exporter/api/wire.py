"""
What the API answers, as far as the exporter reads it.

The models keep texts as they came: what an odd value means is decided where it is used. Unknown
fields are skipped. Inputs and outputs can be large: those that are read stay undecoded.
"""

from __future__ import annotations

import msgspec

NOTHING = msgspec.Raw(b"null")


class InstanceRow(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """
    One row of a list of instances, an orchestration or an entity (reference 2.2, 2.7).

    `runtime_status` is a number where the status is newer than the extension's own list
    (reference 2.3). `custom_status` and `output` are raw JSON, which nobody has decoded yet; in
    lists of MSSQL they are JSON strings that hold JSON.
    """

    instance_id: str
    name: str | None = None
    runtime_status: str | int | None = None
    created_time: str | None = None
    last_updated_time: str | None = None
    custom_status: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING


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
