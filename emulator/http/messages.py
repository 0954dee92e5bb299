"""Requests, answers, and the bodies of answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from starlette.types import Scope

from emulator.api import ApiError, ExtensionVersion, HistoryKeyDuplicated
from emulator.http.parameters import Parameters
from emulator.http.routes import decode
from emulator.json_text import JsonValue, compact
from emulator.storage.history import EventKind, HistoryRefused, shown
from emulator.storage.rows import Entity, Row
from emulator.times import precise, whole_seconds

JSON = "application/json; charset=utf-8"
TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105 - the name of a header

_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_READABLE = re.compile(r"%(?:3A|40)", re.IGNORECASE)

_SENTENCES = {
    400: "One or more of the arguments submitted is incorrect",
    500: "Something went wrong while processing your request",
}
# Fields that v2 lacks.
_UNKNOWN_TO_V2: Mapping[str, frozenset[str]] = {
    EventKind.EXECUTION_STARTED: frozenset(["GenerateNewTrace"]),
    EventKind.TASK_SCHEDULED: frozenset(["Tags"]),
    EventKind.SUB_ORCHESTRATION_CREATED: frozenset(["Tags"]),
    EventKind.SUB_ORCHESTRATION_COMPLETED: frozenset(["InstanceId"]),
    EventKind.SUB_ORCHESTRATION_FAILED: frozenset(["InstanceId"]),
}


class Base(StrEnum):
    """Base paths of the API."""

    WEB_HOOK = "/runtime/webhooks/durabletask"
    """The Functions host, with a key."""
    LOCAL = "/durabletask"
    """The listener for the app itself, without a key."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `path` is what follows the base, decoded once."""

    version: ExtensionVersion
    method: str
    base: Base | None
    path: str
    url: str
    headers: Mapping[str, str]
    parameters: Parameters
    body: bytes = b""

    @property
    def origin(self) -> str:
        """The URL's scheme and authority."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An answer; `token` is `None` unless it is a listing, and empty at its end.

    `scanned` counts the rows that it took.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    scanned: int = 0


def read(scope: Scope, version: ExtensionVersion) -> Request:
    """Read a request, without its body, from its ASGI scope."""
    raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:  # the first of a repeated header counts
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    path = decode(raw_path, version)
    base = next((base for base in Base if _below(path, base)), None)
    return Request(
        version=version,
        method=scope["method"],
        base=base,
        path=path[len(base) :] if base else path,
        url=_url(scope["scheme"], headers.get("host", "localhost"), raw_path, query),
        headers=headers,
        parameters=Parameters(query),
    )


def json_answer(
    status: int,
    value: JsonValue,
    *,
    headers: Mapping[str, str] | None = None,
    token: str | None = None,
    scanned: int = 0,
) -> Answer:
    """Answer with a JSON body."""
    fields = {"content-type": JSON, **(headers or {})}
    return Answer(status, _encoded(compact(value)), fields, token, scanned)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, from a JSON escape
        return _HALF_CHARACTER.sub("\ufffd", text).encode()


def error_answer(failure: ApiError) -> Answer:
    """Answer with an error object."""
    return json_answer(failure.status, error_body(failure))


def message_answer(status: int, message: str) -> Answer:
    """Answer with a message alone, as some operations do."""
    return json_answer(status, {"Message": message})


def _below(path: str, base: Base) -> bool:
    return path.lower() == base or path.lower().startswith(f"{base}/")


def _url(scheme: str, host: str, path: str, query: str) -> str:
    # The real one shows `%40counter%40steps` as `@counter@steps`.
    readable = _READABLE.sub(lambda escape: unquote(escape[0]), path)
    return f"{scheme}://{host}{readable}" + (f"?{query}" if query else "")


def instance_body(row: Row, api: ExtensionVersion, *, show_input: bool) -> dict[str, JsonValue]:
    """Return a row as in `GET instances` and `GET instances/{id}`."""
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
    """Return an instance with its history; raises `HistoryKeyDuplicated`."""
    try:
        events = shown(row.history, inputs=show_input, results=show_results)
    except HistoryRefused as refused:
        raise HistoryKeyDuplicated(str(refused)) from refused
    if api is ExtensionVersion.V2:
        events = [_event_of_v2(event) for event in events]
    return instance_body(row, api, show_input=show_input) | {"historyEvents": events}


def _event_of_v2(event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    unknown = _UNKNOWN_TO_V2.get(str(event["EventType"]), frozenset())
    return {name: value for name, value in event.items() if name not in unknown}


def entity_body(row: Entity, *, fetch_state: bool) -> dict[str, JsonValue]:
    """Return an entity as in `GET entities`."""
    return {
        "entityId": {"name": row.class_name.lower(), "key": row.key},
        "lastOperationTime": precise(row.last_operation),
        "state": row.state if fetch_state else None,
    }


def error_body(failure: ApiError) -> dict[str, JsonValue]:
    """Return the error object of an exception."""
    return {
        "Message": failure.sentence or _SENTENCES[failure.status],
        "ExceptionMessage": str(failure),
        "ExceptionType": failure.exception_type,
        "StackTrace": failure.stack_trace,
    }
