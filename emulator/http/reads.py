"""The read operations."""

from dataclasses import dataclass
from typing import cast

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.backend import Backend, Listing
from emulator.emulator import Hub
from emulator.http.messages import (
    JSON,
    TOKEN_HEADER,
    Answer,
    Request,
    entity_body,
    instance_body,
    instance_with_history,
    json_answer,
    message_answer,
)
from emulator.http.parameters import Parameters, entity_query, instance_query
from emulator.http.routes import Route
from emulator.json_text import JsonValue
from emulator.storage.rows import Entity, Row, RuntimeStatus
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.paging import SyntheticPage
from emulator.synthetic.rendering import Style

# How the API spells the empty key of an entity.
EMPTY_KEY = "$"
# The `Retry-After` for an instance that has not finished.
POLL_AGAIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class InstanceStyle:
    """Shows a row as an item of `GET instances`."""

    backend: Backend
    version: ExtensionVersion
    show_input: bool

    def __call__(self, row: Row) -> JsonValue:
        """Return the item."""
        shown = instance_body(row, self.version, show_input=self.show_input)
        return self.backend.listed(row, shown)


@dataclass(frozen=True, slots=True)
class EntityStyle:
    """Shows an entity's row as an item of `GET entities`."""

    fetch_state: bool

    def __call__(self, row: Row) -> JsonValue:
        """Return the item."""
        return entity_body(cast("Entity", row), fetch_state=self.fetch_state)


def list_instances(hub: Hub, request: Request, _route: Route) -> Answer:
    """Answer `GET instances`: orchestrations and entities, a page at a time."""
    query = instance_query(request.parameters, hub.clock.now())
    page = hub.list_instances(query, _token(request))
    style = InstanceStyle(hub.backend, request.version, hub.backend.shows_inputs(query))
    return _listed(hub, page, style)


def list_entities(hub: Hub, request: Request, route: Route) -> Answer:
    """Answer `GET entities` and `GET entities/{name}`."""
    class_name = route.arguments[0] if route.arguments else None
    query = entity_query(request.parameters, class_name, hub.clock.now())
    try:
        page = hub.list_entities(query, _token(request))
    except ArgumentInvalid as failure:  # shorter than in `GET instances`
        return message_answer(failure.status, str(failure))
    return _listed(hub, page, EntityStyle(query.fetch_state))


def get_instance(hub: Hub, request: Request, route: Route) -> Answer:
    """Answer `GET instances/{id}`."""
    row = hub.get(route.arguments[0])
    if row is None:
        return Answer(404)
    waiting = {"location": request.url, "retry-after": str(POLL_AGAIN_SECONDS)}
    status = _status_code(row, request.parameters)
    headers = waiting if status == 202 else {}  # noqa: PLR2004 - HTTP's own number
    return json_answer(status, _status_body(row, request), headers=headers)


def get_entity(hub: Hub, _request: Request, route: Route) -> Answer:
    """Answer `GET entities/{name}/{key}` with the bare state."""
    class_name, key = route.arguments
    entity = hub.entity(class_name, "" if key == EMPTY_KEY else key)
    return Answer(404) if entity is None else json_answer(200, entity.state)


def _listed(hub: Hub, page: Listing[Row] | Listing[Entity] | SyntheticPage, style: Style) -> Answer:
    if isinstance(hub, SyntheticHub) and isinstance(page, SyntheticPage):
        return Answer(200, hub.body(page, style), {"content-type": JSON}, page.token, page.scanned)
    rows = [style(row) for row in cast("Listing[Row]", page).rows]
    return json_answer(200, rows, token=page.token, scanned=page.scanned)


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
        return instance_body(row, request.version, show_input=show_input)
    show_results = parameters.boolean("showHistoryOutput", default=False)
    return instance_with_history(
        row, request.version, show_input=show_input, show_results=show_results
    )
