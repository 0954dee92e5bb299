"""The bodies of answers."""

from exporter.emulator.errors import ApiError
from exporter.emulator.history import shown
from exporter.emulator.instances import Entity, Row
from exporter.emulator.json_text import JsonValue
from exporter.emulator.times import precise, whole_seconds

_SENTENCES = {
    400: "One or more of the arguments submitted is incorrect",
    500: "Something went wrong while processing your request",
}


def instance(row: Row, *, show_input: bool) -> dict[str, JsonValue]:
    """Return an instance or an entity as an item of a listing, and as the body of a status."""
    return {
        "name": row.name,
        "instanceId": row.instance_id,
        "runtimeStatus": row.status,
        "input": row.input if show_input else None,
        "customStatus": row.custom_status,
        "output": row.output,
        "createdTime": whole_seconds(row.created),
        "lastUpdatedTime": whole_seconds(row.updated),
    }


def instance_with_history(
    row: Row, *, show_input: bool, show_results: bool
) -> dict[str, JsonValue]:
    """Return an instance with its events."""
    events = shown(row.history, inputs=show_input, results=show_results)
    return instance(row, show_input=show_input) | {"historyEvents": events}


def entity(row: Entity, *, fetch_state: bool) -> dict[str, JsonValue]:
    """Return an entity as an item of an entity listing."""
    return {
        "entityId": {"name": row.class_name, "key": row.key},
        "lastOperationTime": precise(row.last_operation),
        "state": row.state if fetch_state else None,
    }


def error(failure: ApiError) -> dict[str, JsonValue]:
    """Return the error object of an exception."""
    return {
        "Message": _SENTENCES[failure.status],
        "ExceptionMessage": str(failure),
        "ExceptionType": failure.exception_type,
        "StackTrace": failure.stack_trace,
    }
