"""Starts and restarts, and the management URLs of what they start."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote_plus

from emulator.api import (
    ExtensionVersion,
    FunctionUnknown,
    InstanceExists,
    InstanceIdInvalid,
    InstanceUnknown,
    RestartConflict,
    WaitTooShort,
)
from emulator.engine.functions import unknown_orchestrator
from emulator.http.messages import Answer, Base, Request, instance_body, json_answer, message_answer
from emulator.http.routes import Route
from emulator.json_text import JsonValue, compact, read_json
from emulator.storage.rows import Instance, RuntimeStatus
from emulator.task_hub import TaskHub

# The `Retry-After` for a new instance.
LOOK_AGAIN_SECONDS = 10

_LONGEST_ID = 256
_SHORTEST_WAIT = 0.01
_FORBIDDEN_IN_IDS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Links:
    """Returns management URLs; `query` selects the hub and has the key."""

    origin: str
    query: str
    failures_as_500: bool = False

    def started(self, instance_id: str) -> Answer:
        """Answer with the URLs of a started instance."""
        payload = self.payload(instance_id)
        headers = {
            "location": str(payload["statusQueryGetUri"]),
            "retry-after": str(LOOK_AGAIN_SECONDS),
        }
        return json_answer(202, payload, headers=headers)

    def payload(self, instance_id: str) -> dict[str, JsonValue]:
        """Return all URLs of an instance (reference 5)."""
        instance = f"{self.origin}{Base.WEB_HOOK}/instances/{_encoded(instance_id)}"
        status = "&returnInternalServerErrorOnFailure=true" if self.failures_as_500 else ""
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{self.query}{status}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{self.query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{self.query}",
            "purgeHistoryDeleteUri": f"{instance}?{self.query}",
            "restartPostUri": f"{instance}/restart?{self.query}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{self.query}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{self.query}",
        }


def links(request: Request, hub: str, connection: str, key: str | None) -> Links:
    """Return the links for a request."""
    parameters = request.parameters
    named = parameters.text("connection") or connection
    query = f"taskHub={_encoded(hub)}&connection={_encoded(named)}"
    return Links(
        request.origin,
        query if key is None else f"{query}&code={quote_plus(key)}",
        parameters.boolean("returnInternalServerErrorOnFailure", default=False),
    )


def _encoded(text: str) -> str:
    # .NET encodes forms except for these, but the tilde.
    encoded = quote_plus(text, safe="-_.!*()", errors="replace")
    return encoded.replace("~", "%7E")


async def start(hub: TaskHub, request: Request, route: Route, links: Links) -> Answer:
    """Answer `POST orchestrators/{name}[/{id}]`, at once or after the end of the instance."""
    name, *given = route.arguments
    input_text = _input(request)
    instance_id = given[0] if given else hub.engine.new_instance_id()
    if request.version is ExtensionVersion.V2:
        _check_as_v2(hub, name, instance_id)
    existing = hub.get(instance_id)
    if existing is not None and not existing.status.terminal:
        sentence = _exists(existing.status)
        if request.version is not ExtensionVersion.V2:
            return message_answer(409, sentence)
        raise InstanceExists(sentence)
    versioned = request.version is not ExtensionVersion.V2
    version = request.parameters.text("version") if versioned else None
    hub.engine.start(name, instance_id, input_text, hub.clock.now(), version=version or None)
    return await _started(hub, request, instance_id, links)


async def restart(hub: TaskHub, request: Request, route: Route, links: Links) -> Answer:
    """Answer `POST instances/{id}/restart`, with a new id by default."""
    (instance_id,) = route.arguments
    row = hub.get(instance_id)
    if not isinstance(row, Instance):
        raise InstanceUnknown(_not_found(instance_id, request.version))
    anew = request.parameters.boolean("restartWithNewInstanceId", default=True)
    if not anew and not row.status.terminal:
        conflict = RestartConflict if request.version is not ExtensionVersion.V2 else InstanceExists
        raise conflict(_exists(row.status))
    started = hub.engine.new_instance_id() if anew else instance_id
    input_text = None if row.input is None else compact(row.input)
    hub.engine.start(row.name, started, input_text, hub.clock.now(), version=row.version)
    return await _started(hub, request, started, links)


def _input(request: Request) -> str | None:
    if not request.body:
        return None
    read_json(request.body)
    return request.body.decode("utf-8-sig", "replace")


def _check_as_v2(hub: TaskHub, name: str, instance_id: str) -> None:
    known = hub.functions
    if known is not None and not known.has_orchestrator(name):
        raise FunctionUnknown(unknown_orchestrator(name, tuple(known.orchestrators)))
    if instance_id.startswith("@"):
        raise InstanceIdInvalid(
            "instanceId (Parameter 'Orchestration instance ids must not start with @.')"
        )
    if _FORBIDDEN_IN_IDS.search(instance_id):
        raise InstanceIdInvalid(
            "instanceId (Parameter 'Orchestration instance ids must not contain /, \\, #, ?, or "
            "control characters.')"
        )
    if len(instance_id) > _LONGEST_ID:
        raise InstanceIdInvalid(f"Instance ID lengths must not exceed {_LONGEST_ID} characters.")


def _exists(status: RuntimeStatus) -> str:
    return f"An Orchestration instance with the status {status} already exists."


def _not_found(instance_id: str, version: ExtensionVersion) -> str:
    if version is ExtensionVersion.V2:
        return f"An orchestrastion with the instanceId {instance_id} was not found."
    return f"No instance with ID '{instance_id}' was found. (Parameter 'instanceId')"


async def _started(hub: TaskHub, request: Request, instance_id: str, links: Links) -> Answer:
    timeout = request.parameters.number("timeout")
    interval = request.parameters.number("pollingInterval")
    if interval is None and timeout is not None and hub.backend.waits_without_interval:
        interval = min(_SHORTEST_WAIT, timeout)
    if timeout is None or interval is None:
        return links.started(instance_id)
    if interval > timeout:
        sentence = f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
        if request.version is not ExtensionVersion.V2:
            return message_answer(400, sentence)
        raise WaitTooShort(sentence)
    ended = await _wait(hub, instance_id, timeout, interval)
    if ended is None:
        return links.started(instance_id)
    if ended.status is RuntimeStatus.COMPLETED:
        return json_answer(200, ended.output)
    status = 500 if links.failures_as_500 and ended.status is RuntimeStatus.FAILED else 200
    return json_answer(status, instance_body(ended, request.version, show_input=True))


async def _wait(hub: TaskHub, instance_id: str, seconds: float, interval: float) -> Instance | None:
    """Poll an instance until its end; `None` after a timeout."""
    end = hub.clock.now() + seconds
    while True:
        now = hub.advance()
        row = hub.get(instance_id)
        if isinstance(row, Instance) and row.status.terminal:
            return replace(row)
        if now >= end:
            return None
        await hub.clock.sleep(min(max(interval, _SHORTEST_WAIT), end - now))
