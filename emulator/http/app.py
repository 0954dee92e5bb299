"""The ASGI application: keys, routes, hubs and faults around the operations."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.api import ApiError, BasePathIncomplete, Operation
from emulator.backends.backend import Latency
from emulator.emulator import Emulator, Hub, Verdict
from emulator.faults import Fault, FaultKind
from emulator.http import reads, starts, writes
from emulator.http.connection import Delivery, read_body, while_connected
from emulator.http.control import control
from emulator.http.distortions import distort_answer, distort_request, substitute
from emulator.http.messages import Answer, Base, Request, error_answer, message_answer, read
from emulator.http.routes import Route, find
from emulator.http.starts import links
from emulator.synthetic.hub import SyntheticHub
from emulator.task_hub import TaskHub

# Synthetic hubs have reads alone.
_READS: Mapping[Operation, Callable[[Hub, Request, Route], Answer]] = {
    Operation.LIST_INSTANCES: reads.list_instances,
    Operation.GET_INSTANCE: reads.get_instance,
    Operation.LIST_ENTITIES: reads.list_entities,
    Operation.GET_ENTITY: reads.get_entity,
}
_WRITES: Mapping[Operation, Callable[[TaskHub, Request, Route], Answer]] = {
    Operation.PURGE_INSTANCES: writes.purge_instances,
    Operation.PURGE_INSTANCE: writes.purge_instance,
    Operation.RAISE_EVENT: writes.raise_event,
    Operation.TERMINATE: writes.terminate,
    Operation.SUSPEND: writes.suspend,
    Operation.RESUME: writes.resume,
    Operation.REWIND: writes.rewind,
    Operation.SIGNAL_ENTITY: writes.signal_entity,
    Operation.DELETE_ENTITY: writes.delete_entity,
    Operation.MAKE_PRIMARY: writes.make_primary,
}
# A caller may wait for the end of what these start.
_STARTERS = {Operation.START: starts.start, Operation.RESTART: starts.restart}
_WITH_BODY = frozenset((Operation.START, Operation.RAISE_EVENT, Operation.SIGNAL_ENTITY))

# The limit of the Functions host.
MAXIMUM_BODY_BYTES = 100 * 1024 * 1024

_REFUSALS = {
    Verdict.UNKNOWN: Answer(401, headers={"www-authenticate": "Bearer"}),
    Verdict.WRONG_KIND: Answer(403),
}
_TOO_LARGE = Answer(413)


def create_app(emulator: Emulator) -> ASGIApp:
    """Return the app that serves an emulator."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"The API speaks HTTP, not {scope['type']}")
        with suppress(ClientDisconnect):
            await _serve(emulator, scope, receive, send)

    return app


async def _serve(emulator: Emulator, scope: Scope, receive: Receive, send: Send) -> None:
    request = read(scope, emulator.version)
    route = find(request.method, request.path, request.version) if request.base else None
    hub = emulator.find_hub(request.parameters)
    delivery = Delivery(scope, receive, send, clock=(hub or emulator).clock)
    if request.base is None or (route is not None and route.operation in _WITH_BODY):
        body = await read_body(receive, MAXIMUM_BODY_BYTES)
        if body is None:
            await delivery.send(_TOO_LARGE, request.base)
            return
        request = replace(request, body=body)
    fault = _fault(hub, route)
    if request.base is None:
        await delivery.send(control(emulator, request), request.base)
    elif hub is None or fault is None:
        answering = partial(_answer, emulator, request, route)
        await delivery.send(await _patiently(receive, hub, request, answering), request.base)
    else:
        answering = partial(_faulty_answer, emulator, hub, request, route, fault)
        answer = await _patiently(receive, hub, request, answering)
        await delivery.send_faulty(fault, answer, request.base)


async def _patiently(
    receive: Receive, hub: Hub | None, request: Request, answering: Callable[[], Awaitable[Answer]]
) -> Answer:
    # Watching the client costs more than most answers, so only slow ones do.
    may_wait = request.parameters.text("timeout") is not None
    if may_wait or (hub is not None and hub.latency != Latency()):
        return await while_connected(receive, answering)
    return await answering()


def _fault(hub: Hub | None, route: Route | None) -> Fault | None:
    if hub is None or route is None:
        return None
    hub.advance()  # may change the faults
    if hub.is_down:
        return Fault(kind=FaultKind.UNAVAILABLE)
    return hub.faults.strike(route.operation)


async def _faulty_answer(
    emulator: Emulator, hub: Hub, request: Request, route: Route | None, fault: Fault
) -> Answer:
    instead = substitute(fault)
    if instead is not None:
        return instead
    right = await _answer(emulator, distort_request(fault, request), route)
    return distort_answer(fault, right, hub.endless_token)


async def _answer(emulator: Emulator, request: Request, route: Route | None) -> Answer:
    if request.base is Base.WEB_HOOK:
        verdict = emulator.keys.verdict(request.headers, request.parameters)
        if verdict is not Verdict.ALLOWED:
            return _REFUSALS[verdict]
    try:
        if request.base and not request.path:
            raise BasePathIncomplete
        if route is None:
            return Answer(404)
        hub = emulator.hub(request.parameters)
        hub.advance()
        answer = await _operate(emulator, hub, request, route)
    except ApiError as failure:
        return error_answer(failure)
    takes = hub.latency.seconds(answer.scanned)
    if takes:
        await hub.clock.sleep(takes)
    return answer


async def _operate(emulator: Emulator, hub: Hub, request: Request, route: Route) -> Answer:
    read_of = _READS.get(route.operation)
    if read_of is not None:
        return read_of(hub, request, route)
    if isinstance(hub, SyntheticHub):
        return message_answer(501, f"{hub.name} is synthetic: it can only be read.")
    write = _WRITES.get(route.operation)
    if write is not None:
        return write(hub, request, route)
    named = request.parameters.text("taskHub") or hub.name
    urls = links(request, named, emulator.connection, emulator.keys.system)
    return await _STARTERS[route.operation](hub, request, route, urls)
