"""The messages between orchestrations and entities, as the JSON text that histories keep."""

from collections.abc import Mapping, Sequence

from emulator.engine.actions import EntityRequest
from emulator.engine.failures import Failure, read_failure
from emulator.engine.tasks import Task
from emulator.json_text import JsonValue, compact, parsed
from emulator.times import precise, precise_with_offset

LOCK_ACQUIRED = "Lock Acquisition Completed"

_EXTENSION = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
_NEVER = "0001-01-01T00:00:00"
_CORE_VERSION = "Version=10.0.0.0, Culture=neutral, PublicKeyToken=7cec85d7bea7798e"


def request_text(request: EntityRequest) -> str:
    """Write a request as its sender's history has it."""
    kind = "ReleaseMessage" if request.sent is None else "RequestMessage"
    return compact({"$type": _type(kind), **_fields(request, typed=True)})


def queued(request: EntityRequest) -> JsonValue:
    """Write a request as it waits in the queue of an entity."""
    return _fields(request, typed=False)


def lock_acquired_text() -> str:
    """Write the answer that gives a lock."""
    return compact({"$type": _type("ResponseMessage"), "result": LOCK_ACQUIRED})


def result_text(result: JsonValue) -> str:
    """Write the answer of an operation that went well; an operation may have no result."""
    return compact({} if result is None else {"result": compact(result)})


def failure_text(failure: Failure) -> str:
    """Write the answer of an operation that failed."""
    qualified = f"{failure.qualified_type}, {_CORE_VERSION}"
    return compact({"result": failure.details(), "exceptionType": qualified})


def read_response(text: str, task: Task) -> None:
    """Complete the task that waits for an answer."""
    answer = parsed(text)
    fields: Mapping[str, JsonValue] = answer if isinstance(answer, Mapping) else {}
    result = fields.get("result")
    content = result if isinstance(result, str) else None
    if "exceptionType" in fields:
        task.fail(read_failure(content or ""))
    else:
        task.complete(parsed(content))


def _fields(request: EntityRequest, *, typed: bool) -> dict[str, JsonValue]:
    if request.sent is None:  # the release of a lock
        return {"parent": request.parent, "id": request.request_id}
    fields: dict[str, JsonValue] = {"op": request.operation}
    if request.signal:
        fields["signal"] = True
    if request.input_text is not None:
        fields["input"] = request.input_text
    fields["id"] = request.request_id
    if request.parent is not None:
        fields["parent"] = request.parent
    if request.execution is not None:
        fields["parentExecution"] = request.execution
    fields["Timestamp"] = precise(request.sent)
    fields["Predecessor"] = _NEVER if request.previous is None else precise(request.previous)
    if request.lockset:
        fields["lockset"] = _lockset(request.lockset, typed=typed)
    if request.position:
        fields["pos"] = request.position
    if request.requested is not None:
        fields["requestTime"] = precise_with_offset(request.requested)
    return fields


def _lockset(ids: Sequence[str], *, typed: bool) -> list[JsonValue]:
    kind = {"$type": _type("EntityId")} if typed else {}
    names = (entity_id.split("@", 2) for entity_id in ids)
    return [{**kind, "name": name, "key": key} for _, name, key in names]


def _type(name: str) -> str:
    return f"{_EXTENSION}.{name}, {_EXTENSION}"
