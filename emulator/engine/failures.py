"""Failures of functions, as histories and outputs show them."""

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from emulator.json_text import JsonValue, compact, parsed

ValueT = TypeVar("ValueT")

_CORE = "System.Private.CoreLib"
_ARGUMENT = -2147024809
_INVALID_OPERATION = -2146233079
_EXCEPTION = -2146233088
_EXTENSION = "Microsoft.Azure.WebJobs.Extensions.DurableTask"


def attempt(call: Callable[[], ValueT]) -> ValueT | Exception:
    """Return what a user's code returns, or the exception that it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - only its function fails
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    The exception that failed a function.

    `exception_type` is its .NET type, `error_type` that in other languages. `function` is the frame
    of its stack trace; `reason` overrides that of the history. `fields` replace its usual JSON,
    `more` follow it. `cause` is the inner exception, `properties` are an app's own, and
    `known_functions` those of an app that misses the called one. `leaves_worker`: nothing in an
    isolated worker caught it, so the host reports it.
    """

    message: str
    exception_type: str = "System.InvalidOperationException"
    assembly: str = _CORE
    result_code: int = _INVALID_OPERATION
    function: str = ""
    reason: str | None = None
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    more: Mapping[str, JsonValue] = field(default_factory=dict)
    error_type: str = ""
    cause: "Failure | None" = None
    properties: Mapping[str, JsonValue] | None = None
    known_functions: tuple[str, ...] | None = None
    leaves_worker: bool = False
    has_trace: bool = True

    @property
    def qualified_type(self) -> str:
        """The assembly-qualified type."""
        return f"{self.exception_type}, {self.assembly}"

    def details(self) -> str:
        """Return the JSON text of the exception in histories."""
        usual: dict[str, JsonValue] = {
            "ClassName": self.exception_type,
            "Message": self.message,
            "Data": None,
            "InnerException": None,
            "HelpURL": None,
            "StackTraceString": f"   at Functions.{self.function}()",
            "RemoteStackTraceString": None,
            "RemoteStackIndex": 0,
            "ExceptionMethod": None,
            "HResult": self.result_code,
            "Source": "rec",
            "WatsonBuckets": None,
            **self.more,
        }
        return compact({"$type": self.qualified_type, **(self.fields or usual)})


class FunctionFailed(Exception):
    """Raised in an orchestrator whose callee failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class FunctionMissing(LookupError):
    """An app has no function of a name; `known` are its others of that kind."""

    def __init__(self, message: str, known: tuple[str, ...]) -> None:
        super().__init__(message)
        self.known = known


class NonDeterministic(Exception):
    """A replay differs from the history."""


def failure_of(error: Exception, function: str) -> Failure:
    """Return the failure of a function that raised *error*."""
    if isinstance(error, FunctionFailed):
        return error.failure
    if isinstance(error, FunctionMissing):
        return Failure(message=str(error), function=function, known_functions=error.known)
    error_type = type(error).__name__
    failure = Failure(message=str(error) or error_type, function=function, error_type=error_type)
    if error_type not in vars(builtins):  # the app's own
        return replace(failure, message=str(error), exception_type=error_type, assembly="app")
    if isinstance(error, ValueError):
        parameter: dict[str, JsonValue] = {"ParamName": None}
        kind = "System.ArgumentException"
        return replace(failure, exception_type=kind, result_code=_ARGUMENT, more=parameter)
    return failure


def failure_details(
    failure: Failure, properties: Mapping[str, JsonValue] | None = None
) -> dict[str, JsonValue]:
    """Return the FailureDetails; *properties* are the default for the app's own."""
    own = failure.properties if failure.properties is not None else properties
    cause = failure.cause
    return {
        "ErrorType": failure.error_type if failure.properties else failure.exception_type,
        "ErrorMessage": failure.message,
        "StackTrace": f"   at {failure.function}()" if failure.has_trace else None,
        "InnerFailure": None if cause is None else failure_details(cause, properties),
        "IsNonRetriable": False,
        "Properties": None if own is None else dict(own),
    }


def read_failure_details(details: JsonValue) -> Failure:
    """Return the failure of FailureDetails in a history."""
    fields = details if isinstance(details, Mapping) else {}
    inner = fields.get("InnerFailure")
    properties = fields.get("Properties")
    return Failure(
        message=str(fields.get("ErrorMessage")),
        exception_type=str(fields.get("ErrorType")),
        error_type=str(fields.get("ErrorType")),
        cause=None if inner is None else read_failure_details(inner),
        properties=properties if isinstance(properties, Mapping) and properties else None,
        has_trace=fields.get("StackTrace") is not None,
    )


def uncaught(kind: str, name: str, failure: Failure) -> Failure:
    """Return the failure that an in-process orchestrator catches."""
    return Failure(
        message=f"The {kind} function '{name}' failed: \"{failure.message}\". "
        "See the function execution logs for additional details.",
        exception_type=f"{_EXTENSION}.FunctionFailedException",
        assembly=_EXTENSION,
        result_code=_EXCEPTION,
        function=name,
    )


def connection_refused(address: str) -> Failure:
    """Return the failure of an HTTP call to a closed port."""
    message = f"Connection refused ({address})"
    socket_error: JsonValue = {
        "$type": "System.Net.Sockets.SocketException, System.Net.Primitives",
        "ClassName": "System.Net.Sockets.SocketException",
        "Message": "Connection refused",
        "Data": None,
        "InnerException": None,
        "HelpURL": None,
        "StackTraceString": "   at System.Net.Sockets.Socket.ConnectAsync()",
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": -2147467259,
        "Source": "System.Net.Sockets",
        "WatsonBuckets": None,
        "NativeErrorCode": 111,
    }
    fields: dict[str, JsonValue] = {
        "HttpRequestError": 2,
        "StatusCode": None,
        "Message": message,
        "Data": {"$type": f"System.Collections.ListDictionaryInternal, {_CORE}"},
        "InnerException": socket_error,
        "HelpLink": None,
        "Source": "System.Net.Http",
        "HResult": -2147467259,
        "StackTrace": "   at System.Net.Http.HttpConnectionPool.ConnectToTcpHostAsync()",
    }
    return Failure(
        message=message,
        exception_type="System.Net.Http.HttpRequestException",
        assembly="System.Net.Http",
        reason=message,
        fields=fields,
    )


def read_failure(details: str) -> Failure:
    """Return the failure of the details in a history."""
    fields = parsed(details)
    if not isinstance(fields, Mapping):
        return Failure(message=details)
    exception_type, _, assembly = str(fields.get("$type", "")).partition(", ")
    return Failure(
        message=str(fields.get("Message")),
        exception_type=exception_type,
        assembly=assembly,
        fields={name: value for name, value in fields.items() if name != "$type"},
    )
