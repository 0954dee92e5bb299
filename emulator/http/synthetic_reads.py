"""What can be asked of a synthetic hub: all reads, and nothing that would change it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from emulator.backends.backend import Backend
from emulator.errors import ArgumentInvalid
from emulator.http import payloads, reads
from emulator.http.messages import JSON, TOKEN_HEADER, Answer, Request, message_answer
from emulator.http.parameters import entity_query, instance_query
from emulator.http.routes import Route
from emulator.json_text import JsonValue
from emulator.operations import Operation
from emulator.storage.rows import Entity, Row
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.paging import SyntheticPage
from emulator.synthetic.rendering import Style
from emulator.task_hub import TaskHub
from emulator.version import ExtensionVersion

_NOT_IMPLEMENTED = 501


@dataclass(frozen=True, slots=True)
class _AsInstance:
    """Shows a row as an item of a listing of instances."""

    backend: Backend
    version: ExtensionVersion
    show_input: bool

    def __call__(self, row: Row) -> JsonValue:
        shown = payloads.instance(row, self.version, show_input=self.show_input)
        return self.backend.listed(row, shown)


@dataclass(frozen=True, slots=True)
class _AsEntity:
    """Shows the row of an entity as an item of a listing of entities."""

    fetch_state: bool

    def __call__(self, row: Row) -> JsonValue:
        return payloads.entity(cast("Entity", row), fetch_state=self.fetch_state)


def answer(hub: SyntheticHub, request: Request, route: Route) -> Answer:
    """
    Answer a read; everything else gets 501 and a sentence.

    Raises `ApiError` for what the API turns into an error object.
    """
    handler = _HANDLERS.get(route.operation)
    if handler is None:
        return message_answer(_NOT_IMPLEMENTED, f"{hub.name} is synthetic: it can only be read.")
    return handler(hub, request, route)


def _list_instances(hub: SyntheticHub, request: Request, _route: Route) -> Answer:
    query = instance_query(request.parameters, hub.clock.now())
    page = hub.list_instances(query, _token(request))
    style = _AsInstance(hub.backend, hub.version, hub.backend.shows_inputs(query))
    return _listed(hub, page, style)


def _list_entities(hub: SyntheticHub, request: Request, route: Route) -> Answer:
    class_name = route.arguments[0] if route.arguments else None
    query = entity_query(request.parameters, class_name, hub.clock.now())
    try:
        page = hub.list_entities(query, _token(request))
    except ArgumentInvalid as failure:
        return message_answer(failure.status, str(failure))
    return _listed(hub, page, _AsEntity(query.fetch_state))


def _listed(hub: SyntheticHub, page: SyntheticPage, style: Style) -> Answer:
    body = hub.body(page, style)
    return Answer(200, body, {"content-type": JSON}, page.token, page.scanned)


def _token(request: Request) -> str:
    return request.headers.get(TOKEN_HEADER, "")


def _as_task_hub(handler: Callable[[TaskHub, Request, Route], Answer]) -> "_Handler":
    # Reads of one row ask a hub for nothing but that row.
    return cast("_Handler", handler)


_Handler = Callable[[SyntheticHub, Request, Route], Answer]

_HANDLERS: Mapping[Operation, _Handler] = {
    Operation.LIST_INSTANCES: _list_instances,
    Operation.LIST_ENTITIES: _list_entities,
    Operation.GET_INSTANCE: _as_task_hub(reads.get_instance),
    Operation.GET_ENTITY: _as_task_hub(reads.get_entity),
}
