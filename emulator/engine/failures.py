"""Failures of functions, as histories and outputs tell of them."""

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from emulator.json_text import JsonValue, compact, parsed

ValueT = TypeVar("ValueT")


def attempt(call: Callable[[], ValueT]) -> ValueT | Exception:
    """Call a user's code; returns what it returned, or the exception that it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it fails its function and nothing else
        return error


_CORE = "System.Private.CoreLib"
_ARGUMENT = -2147024809
_INVALID_OPERATION = -2146233079
_EXCEPTION = -2146233088
_EXTENSION = "Microsoft.Azure.WebJobs.Extensions.DurableTask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    Why a function failed: the exception of the real one that stands for it.

    `exception_type` is what .NET calls it, `error_type` what other languages do. `function` is the
    frame of its stack trace, `reason` overrides what a history says. `fields` are the exception as
    JSON where it is not of the usual form, `more` what follows the usual form. `cause` is its inner
    exception, `properties` are what an app adds to structured errors. `known_functions` are those
    of the app where the one that was called is not among them. `leaves_worker`: the host tells of
    it, as nothing in an isolated worker has caught it.
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
        """The exception's type with its assembly."""
        return f"{self.exception_type}, {self.assembly}"

    def details(self) -> str:
        """Return the exception as the JSON text that histories keep of it."""
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
    """Raised in an orchestrator where something that it called has failed; it may be caught."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class FunctionMissing(LookupError):
    """An app has no function of a name; `known` are those of the kind that it has."""

    def __init__(self, message: str, known: tuple[str, ...]) -> None:
        super().__init__(message)
        self.known = known


class NonDeterministic(Exception):
    """An orchestrator did something else than the last time that it ran."""


def failure_of(error: Exception, function: str) -> Failure:
    """Return what the failure of a function looks like, given what it raised."""
    if isinstance(error, FunctionFailed):
        return error.failure
    if isinstance(error, FunctionMissing):
        return Failure(message=str(error), function=function, known_functions=error.known)
    error_type = type(error).__name__
    failure = Failure(message=str(error) or error_type, function=function, error_type=error_type)
    if error_type not in vars(builtins):  # an exception of the app's own
        return replace(failure, message=str(error), exception_type=error_type, assembly="app")
    if isinstance(error, ValueError):
        parameter: dict[str, JsonValue] = {"ParamName": None}
        kind = "System.ArgumentException"
        return replace(failure, exception_type=kind, result_code=_ARGUMENT, more=parameter)
    return failure


def failure_details(
    failure: Failure, properties: Mapping[str, JsonValue] | None = None
) -> dict[str, JsonValue]:
    """Return the FailureDetails of a failure; *properties* where the app has added none."""
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
    """Return the failure whose FailureDetails a history keeps."""
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
    """Return what an orchestrator sees of the failure of an activity or a sub-orchestration."""
    return Failure(
        message=f"The {kind} function '{name}' failed: \"{failure.message}\". "
        "See the function execution logs for additional details.",
        exception_type=f"{_EXTENSION}.FunctionFailedException",
        assembly=_EXTENSION,
        result_code=_EXCEPTION,
        function=name,
    )


def connection_refused(address: str) -> Failure:
    """Return the failure of an HTTP call that nobody answers."""
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
    """Return the failure whose details a history keeps."""
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
