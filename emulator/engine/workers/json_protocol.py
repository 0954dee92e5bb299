"""JavaScript, Python and PowerShell: workers that return their actions as JSON."""

from dataclasses import replace

from emulator.engine.failures import Failure, failure_details, read_failure_details
from emulator.engine.workers.conventions import (
    Call,
    Conventions,
    Ending,
    RecordedFailure,
    response_text,
)
from emulator.json_text import JsonValue, compact

_TRACE = (
    "   at System.Threading.Tasks.Task.ThrowIfExceptional(Boolean includeTaskCanceledExceptions)\n"
    "   at System.Threading.Tasks.Task`1.GetResultCore(Boolean waitCompletionNotification)"
)
_EXCEPTION = -2146233088
_CORE = "System.Private.CoreLib"
# Errors of Python that stand for JavaScript's Error.
_PLAIN_ERRORS = frozenset(("", "Exception", "LookupError", "RuntimeError", "ValueError"))


class JsonProtocol(Conventions):
    """The conventions of all languages of the JSON protocol."""

    schedules_on_yield = True
    drops_missing = True

    def activity_failed(self, name: str, failure: Failure) -> RecordedFailure:
        """Return the event of a failed activity."""
        if failure.reason is not None:  # from the extension itself
            return RecordedFailure(reason=failure.reason, details=failure.details())
        if failure.properties is not None:
            # Numbers become doubles in transit.
            numbers = {key: _double(value) for key, value in failure.properties.items()}
            return RecordedFailure(
                reason=f"Activity function '{name}' failed with an unhandled exception.",
                failure_details=failure_details(replace(failure, properties=numbers)),
            )
        text = self.text_of(failure)
        reason = f"Activity function '{name}' failed: {text}"
        return RecordedFailure(reason=reason, details=compact(self._exception(failure, text)))

    def child_failed(self, ending: Ending, failure: Failure | None) -> RecordedFailure:
        """Return the event of a failed or terminated child; its reason may be any JSON."""
        if failure is None:
            return super().child_failed(ending, None)
        details = f"Message: {failure.message}, StackTrace: {_TRACE}"
        return RecordedFailure(
            reason=str(ending.result), details=details, failure_details=ending.failure_details
        )

    def orchestrator_failed(self, name: str, failure: Failure) -> Ending:
        """Return how a failed orchestrator ends."""
        if failure.properties is None:
            return super().orchestrator_failed(name, failure)
        numbers = {key: _whole(value) for key, value in failure.properties.items()}
        output = f"{failure.error_type}: {failure.message}"
        return Ending(
            output=output,
            result=f"Orchestrator function '{name}' failed: {output}",
            failure_details=failure_details(replace(failure, properties=numbers)),
        )

    def received(self, _call: Call, recorded: RecordedFailure) -> Failure:
        """Return the failure that an orchestrator catches."""
        if recorded.failure_details is not None and recorded.details is None:
            return read_failure_details(recorded.failure_details)
        return Failure(message=f"{recorded.reason} \n {recorded.details}")

    def result_text(self, result: JsonValue) -> str:
        """Return the response of a successful operation."""
        return response_text({} if result is None else {"result": compact(result)})

    def text_of(self, failure: Failure) -> str:
        """Return an activity's error message as the worker sends it."""
        return failure.message

    def trace_of(self, failure: Failure) -> str:
        """Return an activity's stack trace in the worker."""
        return f"{failure.message}\n    at {failure.function}"

    def _exception(self, failure: Failure, text: str) -> dict[str, JsonValue]:
        trace = self.trace_of(failure)
        rpc: JsonValue = {
            "$type": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException,"
            " Microsoft.Azure.WebJobs.Script",
            "IsUserException": False,
            "RemoteStackTrace": trace,
            "RemoteMessage": text,
            "RemoteTypeName": None,
            "Message": f"Result: Failure\nException: {text}\nStack: {trace}",
            "Data": {"$type": f"System.Collections.ListDictionaryInternal, {_CORE}"},
            "InnerException": None,
            "HelpLink": None,
            "Source": _CORE,
            "HResult": _EXCEPTION,
            "StackTrace": "   at Microsoft.Azure.WebJobs.Script.Description.WorkerFunctionInvoker",
        }
        return {
            "$type": f"System.Exception, {_CORE}",
            "ClassName": "System.Exception",
            "Message": text,
            "Data": None,
            "InnerException": rpc,
            "HelpURL": None,
            "StackTraceString": None,
            "RemoteStackTraceString": None,
            "RemoteStackIndex": 0,
            "ExceptionMethod": None,
            "HResult": _EXCEPTION,
            "Source": None,
            "WatsonBuckets": None,
        }


def _double(value: JsonValue) -> JsonValue:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, float) and value.is_integer() else value


class JavaScript(JsonProtocol):
    """JavaScript and TypeScript."""

    keeps_signal_case = True

    def trace_of(self, failure: Failure) -> str:
        """Return an activity's stack trace in the worker."""
        kind = "Error" if failure.error_type in _PLAIN_ERRORS else failure.error_type
        return f"{kind}: {failure.message}\n    at {failure.function} (functions.js)"

    def failure_text(self, failure: Failure) -> str:
        """Return the response of a failed operation: an Error is `{}` as JSON."""
        thrown: JsonValue = failure.message if failure.error_type == "string" else {}
        return response_text({"result": compact(thrown), "exceptionType": "Error"})

    def _read_failure(self, content: str) -> Failure:
        thrown = content.strip('"')
        return Failure(message="[object Object]" if thrown == "{}" else thrown)


class Python(JsonProtocol):
    """Python: error messages of activities begin with the type."""

    def text_of(self, failure: Failure) -> str:
        """Return an activity's error message as the worker sends it."""
        return f"{failure.error_type}: {failure.message}" if failure.error_type else failure.message

    def trace_of(self, failure: Failure) -> str:
        """Return an activity's stack trace in the worker."""
        return f"Traceback (most recent call last):\n  File {failure.function}\n"

    def failure_text(self, failure: Failure) -> str:
        """Return the response of a failed operation."""
        return response_text({"result": compact(failure.message), "exceptionType": "Error"})

    def _read_failure(self, content: str) -> Failure:
        return Failure(message=content.strip('"'))


class PowerShell(Python):
    """PowerShell: error messages without a type."""

    def text_of(self, failure: Failure) -> str:
        """Return an activity's error message as the worker sends it."""
        return failure.message
