"""Isolated .NET and Java: their SDK replays, and failures are FailureDetails."""

from emulator.engine.actions import EntityRequest
from emulator.engine.execution import Task
from emulator.engine.failures import Failure, failure_details, read_failure_details
from emulator.engine.workers.conventions import (
    LOCK_ACQUIRED,
    Call,
    Conventions,
    Ending,
    RecordedFailure,
    request_fields,
    response_fields,
)
from emulator.json_text import JsonValue, compact, parsed

# Longer failures lose their type.
_LONGEST_OUTPUT = 30_720
_TASK_FAILED = "Microsoft.DurableTask.TaskFailedException"
_ENTITY_FAILED = "Microsoft.DurableTask.Entities.EntityOperationFailedException"
_NOTHING_KNOWN = "Exception of type 'DurableTask.Core.Exceptions.TaskFailedException' was thrown."
_UNKNOWN = Failure(message="(unknown)", exception_type="(unknown)", has_trace=False)
_NO_REFERENCE = Failure(
    message="Object reference not set to an instance of an object.",
    exception_type="System.NullReferenceException",
)


class Passthrough(Conventions):
    """The conventions of isolated .NET, Java and custom handlers."""

    shows_exists = False
    plain_child_ids = True
    empty_tags = True
    keeps_child_inputs = False

    def activity_failed(self, name: str, failure: Failure) -> RecordedFailure:
        """Return the event of a failed activity."""
        if failure.reason is not None:  # from the extension itself
            return RecordedFailure(reason=failure.reason, details=failure.details())
        if failure.known_functions is not None:
            return RecordedFailure(reason=f"{failure.message}{_known(failure.known_functions)}")
        return RecordedFailure(
            reason=f"Function '{name}' failed with an unhandled exception.",
            failure_details=failure_details(failure),
        )

    def child_failed(self, ending: Ending, _failure: Failure | None) -> RecordedFailure:
        """Return the event of a failed or terminated child; its reason may be any JSON."""
        result = ending.result
        reason = result if isinstance(result, str) else compact(result) if result else ""
        return RecordedFailure(reason=reason, failure_details=ending.failure_details)

    def orchestrator_failed(self, name: str, failure: Failure) -> Ending:
        """Return how a failed orchestrator ends."""
        if failure.known_functions is not None:
            outside: JsonValue = {"message": failure.message, "details": None}
            return Ending(output=outside, result=outside)
        if failure.leaves_worker:
            text = f"Function '{name}' failed with an unhandled exception."
            outside = {"message": text, "details": _of_host(name, failure.message)}
            return Ending(output=outside, result=outside)
        text = f"{failure.exception_type}: {failure.message}".rstrip()
        return Ending(
            output=text if len(text) <= _LONGEST_OUTPUT else failure.message,
            result=failure.message.rstrip(),
            failure_details=failure_details(failure, properties={}),
        )

    def received(self, call: Call, recorded: RecordedFailure) -> Failure:
        """Return the failure that an orchestrator catches."""
        if recorded.failure_details is None and not call.is_activity:
            return _NO_REFERENCE
        known = recorded.failure_details is not None
        cause = read_failure_details(recorded.failure_details) if known else _UNKNOWN
        what = cause.message if known else _NOTHING_KNOWN
        task = f"Task '{call.name}' (#{call.number})"
        return Failure(
            message=f"{task} failed with an unhandled exception: {what}",
            exception_type=_TASK_FAILED,
            cause=cause,
        )

    def request_text(self, request: EntityRequest) -> str:
        """Return a request as in its sender's history."""
        return compact(self._fields(request))

    def queued(self, request: EntityRequest) -> JsonValue:
        """Return a request as in the queue of an entity."""
        return self._fields(request)

    def lock_acquired_text(self) -> str:
        """Return the response that grants a lock."""
        return compact({"result": LOCK_ACQUIRED})

    def result_text(self, result: JsonValue) -> str:
        """Return the response of a successful operation."""
        return compact({"result": None if result is None else compact(result)})

    def failure_text(self, failure: Failure) -> str:
        """Return the response of a failed operation."""
        if failure.known_functions is None:
            details = failure_details(failure, properties={})
            return compact({"result": None, "failureDetails": details})
        missing: dict[str, JsonValue] = {
            "ErrorType": "EntityFunctionNotFound",
            "ErrorMessage": failure.message,
            "StackTrace": None,
            "InnerFailure": None,
            "IsNonRetriable": True,
            "Properties": None,
        }
        return compact(
            {
                "result": failure.message,
                "exceptionType": "entity dispatch failed",
                "failureDetails": missing,
            }
        )

    def read_response(self, text: str, request: EntityRequest, target: str, task: Task) -> None:
        """Complete the task that waits for a response."""
        fields = response_fields(text)
        details = fields.get("failureDetails")
        if details is None:
            result = fields.get("result")
            task.complete(parsed(result if isinstance(result, str) else None))
            return
        what = read_failure_details(details).message
        task.fail(
            Failure(
                message=f"Operation '{request.operation}' of entity '{target}' failed: {what}",
                exception_type=_ENTITY_FAILED,
            )
        )

    def _fields(self, request: EntityRequest) -> dict[str, JsonValue]:
        fields = request_fields(request, typed=False)
        if request.sent is None:
            return fields
        requested = {name: fields.pop(name) for name in ("requestTime",) if name in fields}
        is_lock = bool(request.lockset)
        return {**fields, "IsLockRequest": is_lock, "createTrace": not is_lock, **requested}


def _of_host(name: str, message: str) -> str:
    return (
        "Microsoft.Azure.WebJobs.Host.FunctionInvocationException: Exception while executing"
        f" function: {name}\n ---> Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException:"
        f" Result: Failure\nException: {message}\nStack:    at {name}\n"
        "   --- End of inner exception stack trace ---\n"
        "   at Microsoft.Azure.WebJobs.Host.Executors.FunctionExecutor.ExecuteWithLoggingAsync()"
    )


def _known(functions: tuple[str, ...]) -> str:
    names = ", ".join(f"'{each}'" for each in functions)
    return f" Additional info: The following are the known activity functions: {names}."
