"""Failures of functions, as histories and outputs tell of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.json_text import JsonValue, compact, parsed

_CORE = "System.Private.CoreLib"
_ARGUMENT = -2147024809
_INVALID_OPERATION = -2146233079
_EXCEPTION = -2146233088
_EXTENSION = "Microsoft.Azure.WebJobs.Extensions.DurableTask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    Why a function failed: the exception of the real one that stands for it.

    `function` is the frame of its stack trace, `reason` overrides what a history says. `fields` are
    the exception as JSON where it is not of the usual form, `more` what follows the usual form.
    """

    message: str
    exception_type: str = "System.InvalidOperationException"
    assembly: str = _CORE
    result_code: int = _INVALID_OPERATION
    function: str = ""
    reason: str | None = None
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    more: Mapping[str, JsonValue] = field(default_factory=dict)

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


class NonDeterministic(Exception):
    """An orchestrator did something else than the last time that it ran."""


def failure_of(error: Exception, function: str) -> Failure:
    """Return what the failure of a function looks like, given what it raised."""
    if isinstance(error, FunctionFailed):
        return error.failure
    if isinstance(error, ValueError):
        return Failure(
            message=str(error),
            exception_type="System.ArgumentException",
            result_code=_ARGUMENT,
            function=function,
            more={"ParamName": None},
        )
    return Failure(message=str(error) or type(error).__name__, function=function)


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
