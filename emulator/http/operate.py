"""From an operation to the function that answers it."""

from collections.abc import Callable, Mapping

from emulator.emulator import Emulator, Hub
from emulator.http import reads, starts, synthetic_reads, writes
from emulator.http.management import links
from emulator.http.messages import Answer, Request
from emulator.http.routes import Route
from emulator.operations import Operation
from emulator.synthetic.hub import SyntheticHub
from emulator.task_hub import TaskHub

Handler = Callable[[TaskHub, Request, Route], Answer]

_HANDLERS: Mapping[Operation, Handler] = {
    Operation.LIST_INSTANCES: reads.list_instances,
    Operation.GET_INSTANCE: reads.get_instance,
    Operation.PURGE_INSTANCES: writes.purge_instances,
    Operation.PURGE_INSTANCE: writes.purge_instance,
    Operation.RAISE_EVENT: writes.raise_event,
    Operation.TERMINATE: writes.terminate,
    Operation.SUSPEND: writes.suspend,
    Operation.RESUME: writes.resume,
    Operation.REWIND: writes.rewind,
    Operation.LIST_ENTITIES: reads.list_entities,
    Operation.GET_ENTITY: reads.get_entity,
    Operation.SIGNAL_ENTITY: writes.signal_entity,
    Operation.DELETE_ENTITY: writes.delete_entity,
    Operation.MAKE_PRIMARY: writes.make_primary,
}
# Those that start something may have to wait for it.
_STARTERS = {Operation.START: starts.start, Operation.RESTART: starts.restart}

WITH_BODY = frozenset((Operation.START, Operation.RAISE_EVENT, Operation.SIGNAL_ENTITY))
"""The operations that a body is read for."""


async def operate(emulator: Emulator, hub: Hub, request: Request, route: Route) -> Answer:
    """
    Carry out an operation on a hub.

    Raises `ApiError` for what the API turns into an error object.
    """
    if isinstance(hub, SyntheticHub):
        return synthetic_reads.answer(hub, request, route)
    starter = _STARTERS.get(route.operation)
    if starter is None:
        return _HANDLERS[route.operation](hub, request, route)
    named = request.parameters.text("taskHub") or hub.name
    urls = links(request, named, emulator.connection, emulator.keys.system)
    return await starter(hub, request, route, urls)
