"""The bodies of answers."""

from collections.abc import Mapping

from emulator.errors import ApiError, HistoryKeyDuplicated
from emulator.json_text import JsonValue
from emulator.storage.history import EventKind, HistoryRefused, shown
from emulator.storage.rows import Entity, Row
from emulator.times import precise, whole_seconds
from emulator.version import ExtensionVersion

_SENTENCES = {
    400: "One or more of the arguments submitted is incorrect",
    500: "Something went wrong while processing your request",
}

# What events of v3 show and those of v2 do not.
_UNKNOWN_TO_V2: Mapping[str, frozenset[str]] = {
    EventKind.EXECUTION_STARTED: frozenset(["GenerateNewTrace"]),
    EventKind.TASK_SCHEDULED: frozenset(["Tags"]),
    EventKind.SUB_ORCHESTRATION_CREATED: frozenset(["Tags"]),
    EventKind.SUB_ORCHESTRATION_COMPLETED: frozenset(["InstanceId"]),
    EventKind.SUB_ORCHESTRATION_FAILED: frozenset(["InstanceId"]),
}


def instance(row: Row, api: ExtensionVersion, *, show_input: bool) -> dict[str, JsonValue]:
    """Return an instance or an entity as an item of a listing, and as the body of a status."""
    versioned = row.version is not None and api is not ExtensionVersion.V2
    shows_parent = row.parent_id is not None and api is ExtensionVersion.V3
    return {
        "name": row.name,
        **({"version": row.version} if versioned else {}),
        "instanceId": row.instance_id,
        **({"parentInstanceId": row.parent_id} if shows_parent else {}),
        "runtimeStatus": row.status,
        "input": row.input if show_input else None,
        "customStatus": row.custom_status,
        "output": row.output,
        "createdTime": whole_seconds(row.created),
        "lastUpdatedTime": whole_seconds(row.updated),
    }


def instance_with_history(
    row: Row, api: ExtensionVersion, *, show_input: bool, show_results: bool
) -> dict[str, JsonValue]:
    """Return an instance with its events; raises `HistoryKeyDuplicated` where they are refused."""
    try:
        events = shown(row.history, inputs=show_input, results=show_results)
    except HistoryRefused as refused:
        raise HistoryKeyDuplicated(str(refused)) from refused
    if api is ExtensionVersion.V2:
        events = [_event_of_v2(event) for event in events]
    return instance(row, api, show_input=show_input) | {"historyEvents": events}


def _event_of_v2(event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    unknown = _UNKNOWN_TO_V2.get(str(event["EventType"]), frozenset())
    return {name: value for name, value in event.items() if name not in unknown}


def entity(row: Entity, *, fetch_state: bool) -> dict[str, JsonValue]:
    """Return an entity as an item of an entity listing."""
    return {
        "entityId": {"name": row.class_name.lower(), "key": row.key},
        "lastOperationTime": precise(row.last_operation),
        "state": row.state if fetch_state else None,
    }


def error(failure: ApiError) -> dict[str, JsonValue]:
    """Return the error object of an exception."""
    return {
        "Message": failure.sentence or _SENTENCES[failure.status],
        "ExceptionMessage": str(failure),
        "ExceptionType": failure.exception_type,
        "StackTrace": failure.stack_trace,
    }
