"""The operations that only read."""

from exporter.emulator.errors import ArgumentInvalid, PageSizeInvalid, PageSizeNegative
from exporter.emulator.http import payloads, tokens
from exporter.emulator.http.messages import Answer, Request, json_answer, message_answer
from exporter.emulator.http.parameters import Parameters, entity_query, instance_query
from exporter.emulator.http.routes import Route
from exporter.emulator.json_text import JsonValue
from exporter.emulator.storage.rows import Row, RuntimeStatus
from exporter.emulator.task_hub import TaskHub
from exporter.emulator.version import ExtensionVersion

# How the API spells the empty key of an entity.
EMPTY_KEY = "$"
# What a caller is told to wait before it asks again for an instance that is not finished.
POLL_AGAIN_SECONDS = 5


def list_instances(hub: TaskHub, request: Request, _route: Route) -> Answer:
    """Answer `GET instances`: orchestrations and entities, a page at a time."""
    query = instance_query(request.parameters, hub.clock.now())
    _check_page_size(query.top, request.version)
    page = hub.list_instances(query, _begin(request))
    rows = [
        payloads.instance(row, request.version, show_input=query.inputs_shown) for row in page.rows
    ]
    return json_answer(200, rows, token=_token(page.next_key, request.version))


def get_instance(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `GET instances/{id}`."""
    row = hub.get(route.arguments[0])
    if row is None:
        return Answer(404)
    waiting = {"location": request.url, "retry-after": str(POLL_AGAIN_SECONDS)}
    status = _status_code(row, request.parameters)
    headers = waiting if status == 202 else {}  # noqa: PLR2004 - HTTP's own number
    return json_answer(status, _status_body(row, request), headers=headers)


def list_entities(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `GET entities` and `GET entities/{name}`."""
    class_name = route.arguments[0] if route.arguments else None
    query = entity_query(request.parameters, class_name, hub.clock.now())
    try:
        _check_page_size(query.top, request.version)
    except ArgumentInvalid as failure:  # shorter than what instances are listed with
        return message_answer(failure.status, str(failure))
    page = hub.list_entities(query, _begin(request))
    rows = [payloads.entity(row, fetch_state=query.fetch_state) for row in page.rows]
    return json_answer(200, rows, token=_token(page.next_key, request.version))


def get_entity(hub: TaskHub, _request: Request, route: Route) -> Answer:
    """Answer `GET entities/{name}/{key}` with the bare state."""
    class_name, key = route.arguments
    entity = hub.entity(class_name, "" if key == EMPTY_KEY else key)
    return Answer(404) if entity is None else json_answer(200, entity.state)


def _begin(request: Request) -> str | None:
    return tokens.decode(request.headers.get(tokens.HEADER, ""), request.version)


def _token(next_key: str | None, version: ExtensionVersion) -> str:
    return "" if next_key is None else tokens.encode(next_key, version)


def _check_page_size(top: int, version: ExtensionVersion) -> None:
    # What v3 sends on, the storage answers: nothing for none, an error for less.
    if version is ExtensionVersion.V2 and top <= 0:
        raise PageSizeNegative if top < 0 else PageSizeInvalid


def _status_code(row: Row, parameters: Parameters) -> int:
    if not row.status.terminal:
        return 202
    as_error = parameters.boolean("returnInternalServerErrorOnFailure", default=False)
    return 500 if as_error and row.status is RuntimeStatus.FAILED else 200


def _status_body(row: Row, request: Request) -> dict[str, JsonValue]:
    parameters = request.parameters
    show_input = parameters.boolean("showInput", default=True)
    show_history = parameters.boolean("showHistory", default=False)
    if not show_history or row.status is RuntimeStatus.PENDING:
        return payloads.instance(row, request.version, show_input=show_input)
    show_results = parameters.boolean("showHistoryOutput", default=False)
    return payloads.instance_with_history(
        row, request.version, show_input=show_input, show_results=show_results
    )
