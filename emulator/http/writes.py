"""The write operations, except for starts."""

from emulator.api import ExtensionVersion, JsonUnreadable, OperationInvalid
from emulator.engine.functions import unknown_entity
from emulator.http.messages import Answer, Request, json_answer, message_answer
from emulator.http.routes import Route
from emulator.json_text import compact, read_json
from emulator.storage.rows import RuntimeStatus
from emulator.storage.table import InstanceQuery
from emulator.task_hub import TaskHub

_GONE = Answer(410)
_MISSING = Answer(404)
_ACCEPTED = Answer(202)
_JSON = "application/json"
_NO_REWIND = "The storage provider cannot rewind instances."


def raise_event(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST instances/{id}/raiseEvent/{name}`."""
    instance_id, name = route.arguments
    row = hub.get(instance_id)
    if row is None:
        return _MISSING
    if row.status.terminal:
        return _GONE
    if not _says_json(request):
        return message_answer(400, "Only application/json request content is supported")
    value = compact(read_json(request.body))
    hub.engine.raise_event(instance_id, name, value, hub.clock.now())
    return _ACCEPTED


def terminate(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST instances/{id}/terminate`."""
    refusal = _refusal(hub, route)
    if refusal is not None:
        return refusal
    hub.engine.terminate(route.arguments[0], _reason(request), hub.clock.now())
    return _ACCEPTED


def suspend(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST instances/{id}/suspend`."""
    return _pause(hub, request, route, "suspend", RuntimeStatus.SUSPENDED)


def resume(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST instances/{id}/resume`."""
    return _pause(hub, request, route, "resume", None)


def rewind(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST instances/{id}/rewind`."""
    (instance_id,) = route.arguments
    row = hub.get(instance_id)
    v3 = request.version is not ExtensionVersion.V2
    if row is None:
        # The dollar sign is the real one's own.
        sentence = f'No orchestration with instance ID "${instance_id}" found.'
        return json_answer(404, sentence) if v3 else _MISSING
    if row.status is not RuntimeStatus.FAILED:
        if v3:
            return json_answer(
                412,
                f"This orchestration has status {row.status}, but only orchestrations in the "
                '"Failed" state can be rewound.',
            )
        if row.status.terminal:
            return _GONE
        raise OperationInvalid(
            "The rewind operation is only supported on failed orchestration instances."
        )
    if not hub.backend.traits.rewinds:
        if v3:
            return json_answer(501, _NO_REWIND)
        raise OperationInvalid(_NO_REWIND)
    hub.engine.rewind(instance_id, _reason(request), hub.clock.now())
    return _ACCEPTED


def purge_instance(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `DELETE instances/{id}`; only v3 checks the state, and not that of entities."""
    (instance_id,) = route.arguments
    row = hub.get(instance_id)
    careful = request.version is not ExtensionVersion.V2 and not instance_id.startswith("@")
    if careful and row is not None and not row.status.terminal:
        return json_answer(
            412,
            "Only orchestrations in a terminal state can be purged, but the orchestration with "
            f"instance ID {instance_id} has status {row.status}",
        )
    is_v2 = request.version is ExtensionVersion.V2
    if row is None and (is_v2 or not instance_id.startswith("@")):
        return _MISSING
    return json_answer(200, {"instancesDeleted": int(hub.purge(instance_id))})


def purge_instances(hub: TaskHub, request: Request, _route: Route) -> Answer:
    """
    Answer `DELETE instances`.

    Only terminal statuses count; without one there is no filter by status, so that active instances
    are deleted (reference 4.3).
    """
    now = hub.clock.now()
    created_from = request.parameters.time("createdTimeFrom", now)
    if created_from is None:
        return json_answer(400, "Please provide value for 'createdTimeFrom' parameter.")
    created_to = request.parameters.time("createdTimeTo", now)
    asked = request.parameters.statuses("runtimeStatus") or frozenset()
    query = InstanceQuery(
        created_from=created_from,
        created_to=now if created_to is None else created_to,
        statuses=asked.intersection(s for s in RuntimeStatus if s.terminal) or None,
    )
    deleted = hub.purge_where(query)
    return json_answer(200, {"instancesDeleted": deleted}) if deleted else _MISSING


def signal_entity(hub: TaskHub, request: Request, route: Route) -> Answer:
    """Answer `POST entities/{name}[/{key}]`; the default key is empty."""
    operation = request.parameters.text("op") or ""
    if not request.body:
        return _signal(hub, route, operation, None)
    if not _says_json(request):
        return _signal(hub, route, operation, compact(request.body.decode("utf-8", "replace")))
    try:
        text = compact(read_json(request.body))
    except JsonUnreadable:
        # Another parser than that of other bodies, with another message.
        position = len(request.body.decode("utf-8", "replace"))
        return message_answer(
            400,
            "Could not parse JSON content: Error reading JObject from JsonReader. "
            f"Path '', line 1, position {position}.",
        )
    return _signal(hub, route, operation, text)


def delete_entity(hub: TaskHub, _request: Request, route: Route) -> Answer:
    """Answer `DELETE entities/{name}[/{key}]`: signal `delete`."""
    return _signal(hub, route, "delete", None)


def make_primary(_hub: TaskHub, _request: Request, _route: Route) -> Answer:
    """Answer `makeprimary`, which always succeeds with one app."""
    return Answer(200)


def _pause(
    hub: TaskHub, request: Request, route: Route, what: str, status: RuntimeStatus | None
) -> Answer:
    (instance_id,) = route.arguments
    refusal = _refusal(hub, route)
    if refusal is not None:
        return refusal
    row = hub.get(instance_id)
    suspended = row is not None and row.status is RuntimeStatus.SUSPENDED
    if row is not None and suspended == (status is RuntimeStatus.SUSPENDED):
        raise OperationInvalid(
            f"Cannot {what} the orchestration instance {instance_id} because instance is in the "
            f"{row.status} state."
        )
    tell = hub.engine.suspend if status is RuntimeStatus.SUSPENDED else hub.engine.resume
    tell(instance_id, _reason(request), hub.clock.now())
    return _ACCEPTED


def _refusal(hub: TaskHub, route: Route) -> Answer | None:
    row = hub.get(route.arguments[0])
    if row is None:
        return _MISSING
    return _GONE if row.status.terminal else None


def _signal(hub: TaskHub, route: Route, operation: str, input_text: str | None) -> Answer:
    class_name, *keys = route.arguments
    known = hub.functions
    if known is not None and not known.has_entity(class_name):
        sentence = unknown_entity(class_name.lower(), tuple(known.entities))
        return message_answer(400, sentence)
    hub.engine.signal(class_name, keys[0] if keys else "", operation, input_text, hub.clock.now())
    return _ACCEPTED


def _reason(request: Request) -> str | None:
    return request.parameters.text("reason") or None


def _says_json(request: Request) -> bool:
    content_type = request.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == _JSON
