"""How in-process .NET writes failures and messages, and what other workers change of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emulator.engine.actions import EntityRequest
from emulator.engine.context import HTTP_ACTIVITY
from emulator.engine.execution import Task
from emulator.engine.failures import Failure, read_failure, uncaught
from emulator.json_text import JsonValue, compact, parsed
from emulator.times import precise, precise_with_offset

LOCK_ACQUIRED = "Lock Acquisition Completed"

_EXTENSION = "Microsoft.Azure.WebJobs.Extensions.DurableTask"
_NEVER = "0001-01-01T00:00:00"
_CORE_VERSION = "Version=10.0.0.0, Culture=neutral, PublicKeyToken=7cec85d7bea7798e"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFailure:
    """A failure in a history: reason, details as text, FailureDetails as JSON."""

    reason: str
    details: str | None = None
    failure_details: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The output of an ended orchestration's row, and the result in its history."""

    output: JsonValue
    result: JsonValue
    failure_details: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of an activity or a sub-orchestrator, by the number of its action."""

    name: str
    number: int
    is_activity: bool


class Conventions:
    """
    The conventions of in-process .NET; subclasses have those of other workers.

    `schedules_on_yield`: a call is scheduled once its task is yielded. `drops_missing`: calls of
    missing functions are dropped, and their callers hang. `keeps_signal_case`: an entity's signals
    keep the case of the class. `shows_exists`: an entity's row shows that it exists.
    `plain_child_ids`: the ids of sub-orchestrations and their executions are 32 hex digits.
    `empty_tags`: tags are empty, not null. `keeps_child_inputs`: a parent's history has the inputs
    of its children.
    """

    schedules_on_yield = False
    drops_missing = False
    keeps_signal_case = False
    shows_exists = True
    plain_child_ids = False
    empty_tags = False
    keeps_child_inputs = True

    def activity_failed(self, name: str, failure: Failure) -> RecordedFailure:
        """Return the event of a failed activity."""
        reason = failure.reason or f"Activity function '{name}' failed: {failure.message}"
        return RecordedFailure(reason=reason, details=failure.details())

    def child_failed(self, ending: Ending, failure: Failure | None) -> RecordedFailure:
        """Return the event of a failed or terminated child; its reason may be any JSON."""
        result = ending.result
        reason = result if isinstance(result, str) else compact(result) if result else ""
        return RecordedFailure(
            reason=reason, details=(failure or Failure(message=reason)).details()
        )

    def orchestrator_failed(self, name: str, failure: Failure) -> Ending:
        """Return how a failed orchestrator ends."""
        text = f"Orchestrator function '{name}' failed: {failure.message}"
        return Ending(output=text, result=text)

    def received(self, call: Call, recorded: RecordedFailure) -> Failure:
        """Return the failure that an orchestrator catches."""
        failure = read_failure(recorded.details or "")
        if call.name == HTTP_ACTIVITY:
            return failure
        return uncaught("activity" if call.is_activity else "orchestrator", call.name, failure)

    def request_text(self, request: EntityRequest) -> str:
        """Return a request as in its sender's history."""
        kind = "ReleaseMessage" if request.sent is None else "RequestMessage"
        return compact({"$type": _type(kind), **request_fields(request, typed=True)})

    def queued(self, request: EntityRequest) -> JsonValue:
        """Return a request as in the queue of an entity."""
        return request_fields(request, typed=False)

    def lock_acquired_text(self) -> str:
        """Return the response that grants a lock."""
        return response_text({"result": LOCK_ACQUIRED})

    def result_text(self, result: JsonValue) -> str:
        """Return the response of a successful operation."""
        return compact({} if result is None else {"result": compact(result)})

    def failure_text(self, failure: Failure) -> str:
        """Return the response of a failed operation."""
        qualified = f"{failure.qualified_type}, {_CORE_VERSION}"
        return compact({"result": failure.details(), "exceptionType": qualified})

    def read_response(self, text: str, _request: EntityRequest, _target: str, task: Task) -> None:
        """Complete the task that waits for a response."""
        fields = response_fields(text)
        result = fields.get("result")
        content = result if isinstance(result, str) else None
        if "exceptionType" in fields:
            task.fail(self._read_failure(content or ""))
        else:
            task.complete(parsed(content))

    def _read_failure(self, content: str) -> Failure:
        return read_failure(content)


def response_text(fields: Mapping[str, JsonValue]) -> str:
    """Return a response that names its type."""
    return compact({"$type": _type("ResponseMessage"), **fields})


def response_fields(text: str) -> Mapping[str, JsonValue]:
    """Return the fields of an entity's response, none unless it is an object."""
    answer = parsed(text)
    return answer if isinstance(answer, Mapping) else {}


def request_fields(request: EntityRequest, *, typed: bool) -> dict[str, JsonValue]:
    """Return the fields of a message to an entity."""
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
