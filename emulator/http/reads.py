"""The operations that only read."""

from emulator.errors import ArgumentInvalid
from emulator.http import payloads
from emulator.http.messages import (
    TOKEN_HEADER,
    Answer,
    Request,
    json_answer,
    message_answer,
)
from emulator.http.parameters import Parameters, entity_query, instance_query
from emulator.http.routes import Route
from emulator.json_text import JsonValue
from emulator.storage.rows import Row, RuntimeStatus
from emulator.task_hub import TaskHub

# How the API spells the empty key of an entity.
EMPTY_KEY = "$"
# What a caller is told to wait before it asks again for an instance that is not finished.
POLL_AGAIN_SECONDS = 5


def list_instances(hub: TaskHub, request: Request, _route: Route) -> Answer:
    """Answer `GET instances`: orchestrations and entities, a page at a time."""
    query = instance_query(request.parameters, hub.clock.now())
    page = hub.list_instances(query, _token(request))
    shown = hub.backend.shows_inputs(query)
    rows: list[JsonValue] = [
        hub.backend.listed(row, payloads.instance(row, request.version, show_input=shown))
        for row in page.rows
    ]
    return json_answer(200, rows, token=page.token, scanned=page.scanned)


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
        page = hub.list_entities(query, _token(request))
    except ArgumentInvalid as failure:  # shorter than what instances are listed with
        return message_answer(failure.status, str(failure))
    rows = [payloads.entity(row, fetch_state=query.fetch_state) for row in page.rows]
    return json_answer(200, rows, token=page.token, scanned=page.scanned)


def get_entity(hub: TaskHub, _request: Request, route: Route) -> Answer:
    """Answer `GET entities/{name}/{key}` with the bare state."""
    class_name, key = route.arguments
    entity = hub.entity(class_name, "" if key == EMPTY_KEY else key)
    return Answer(404) if entity is None else json_answer(200, entity.state)


def _token(request: Request) -> str:
    return request.headers.get(TOKEN_HEADER, "")


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
