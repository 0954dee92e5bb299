"""The emulator's own endpoints: status page, faults, key."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

from jinja2 import Environment, PackageLoader, select_autoescape

from emulator.api import Operation
from emulator.emulator import Emulator, Hub
from emulator.faults import Fault, FaultKind, read_fault
from emulator.http.messages import Answer, Base, Request, json_answer
from emulator.json_text import JsonValue
from emulator.storage.rows import RuntimeStatus
from emulator.synthetic.hub import SyntheticHub

_HTML = {"content-type": "text/html; charset=utf-8"}
_NO_METHOD = 405

_pages = Environment(
    loader=PackageLoader("emulator.http"),
    autoescape=select_autoescape(default=True),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class HubSummary:
    """A hub on the status page; counts are by name, in the order of `statuses`."""

    name: str
    backend: str
    served: bool
    statuses: tuple[str, ...]
    orchestrators: tuple[tuple[str, tuple[int, ...]], ...]
    entities: tuple[tuple[str, int], ...]
    faults: tuple[str, ...]


def control(emulator: Emulator, request: Request) -> Answer:
    """
    Answer a request outside the API.

    `GET /` is the status page, `GET /-/hubs` its data as JSON. `PUT` and `DELETE` of
    `/-/hubs/{name}/faults` set and clear the faults of a hub, `PUT /-/key` rotates the key.
    """
    if request.method == "CONNECT":
        return Answer(403, b"This is not a proxy.", {"content-type": "text/plain"})
    match [unquote(part) for part in request.path.strip("/").split("/")]:
        case [""] if request.method == "GET":
            return Answer(200, _page(emulator, request).encode(), _HTML)
        case ["-", "hubs"] if request.method == "GET":
            return json_answer(200, [_as_json(hub) for hub in _hubs(emulator)])
        case ["-", "hubs", name, "faults"]:
            return _of_hub(emulator, name, request)
        case ["-", "key"] if request.method == "PUT":
            return _rotate(emulator, request)
        case _:
            return Answer(404)


def _of_hub(emulator: Emulator, name: str, request: Request) -> Answer:
    hubs = {hub.name.lower(): hub for hub in emulator.every_hub}
    hub = hubs.get(name.lower())
    if hub is None:
        known = ", ".join(other.name for other in hubs.values())
        return _problem(404, f"There is no hub {name!r}; there are {known}")
    change = _CHANGES.get(request.method)
    return Answer(_NO_METHOD) if change is None else change(hub, request)


def _set_faults(hub: Hub, request: Request) -> Answer:
    try:
        given = json.loads(request.body)
        faults = [read_fault(fields) for fields in (given if isinstance(given, list) else [given])]
    except (ValueError, AttributeError) as error:
        return _problem(400, f"The body must be a fault or a list of faults: {error}")
    hub.faults.set(*faults)
    return _show_faults(hub, request)


def _clear_faults(hub: Hub, request: Request) -> Answer:
    hub.faults.clear()
    return _show_faults(hub, request)


def _show_faults(hub: Hub, _request: Request) -> Answer:
    faults: list[JsonValue] = [_fault_as_json(fault) for fault in hub.faults.current]
    return json_answer(200, {"struck": hub.faults.struck, "faults": faults})


_CHANGES: Mapping[str, Callable[[Hub, Request], Answer]] = {
    "GET": _show_faults,
    "PUT": _set_faults,
    "DELETE": _clear_faults,
}


def _rotate(emulator: Emulator, request: Request) -> Answer:
    try:
        key = json.loads(request.body)
    except ValueError:
        key = None
    if not isinstance(key, str) or not key:
        return _problem(400, "The body must be the new key, a JSON string")
    emulator.rotate_key(key)
    return Answer(204)


def _problem(status: int, sentence: str) -> Answer:
    return json_answer(status, {"problem": sentence})


def _page(emulator: Emulator, request: Request) -> str:
    own = emulator.own_hub
    return _pages.get_template("emulator.html").render(
        base=f"{request.origin}{Base.WEB_HOOK}",
        local=f"{request.origin}{Base.LOCAL}",
        origin=request.origin,
        own=own.name,
        version=emulator.version.value,
        has_key=emulator.keys.system is not None,
        orchestrators=sorted(own.functions.orchestrators) if own.functions else [],
        kinds=[kind.value for kind in FaultKind],
        operations=[operation.value for operation in Operation],
        hubs=[_line(hub) for hub in _hubs(emulator)],
    )


def _hubs(emulator: Emulator) -> Sequence[Hub]:
    for hub in emulator.every_hub:
        hub.advance()
    return emulator.every_hub


def _line(hub: Hub) -> HubSummary:
    counts, entities = _counts(hub)
    statuses = [status for status in RuntimeStatus if any(s is status for _, s in counts)]
    return HubSummary(
        name=hub.name,
        backend=hub.backend.name,
        served=isinstance(hub, SyntheticHub) or hub.functions is not None,
        statuses=tuple(str(status) for status in statuses),
        orchestrators=tuple(
            (name, tuple(counts.get((name, status), 0) for status in statuses))
            for name in sorted({name for name, _ in counts})
        ),
        entities=tuple(sorted(entities.items())),
        faults=tuple(_in_words(fault) for fault in hub.faults.current),
    )


def _counts(hub: Hub) -> tuple[Mapping[tuple[str, RuntimeStatus], int], Mapping[str, int]]:
    if isinstance(hub, SyntheticHub):
        return hub.instances, hub.entities
    instances = Counter((row.name, row.status) for row in hub.instances())
    return instances, Counter(entity.class_name for entity in hub.entities() if entity.exists)


def _as_json(hub: Hub) -> JsonValue:
    line = _line(hub)
    return {
        "name": line.name,
        "backend": line.backend,
        "served": line.served,
        "instances": {
            name: dict(zip(line.statuses, numbers, strict=True))
            for name, numbers in line.orchestrators
        },
        "entities": dict(line.entities),
        "faults": [_fault_as_json(fault) for fault in hub.faults.current],
    }


def _fault_as_json(fault: Fault) -> JsonValue:
    operations = None if fault.operations is None else sorted(map(str, fault.operations))
    return {
        "kind": fault.kind.value,
        "operations": cast("JsonValue", operations),
        "times": fault.times,
        "skip": fault.skip,
        "seconds": fault.seconds,
        "rate": fault.rate,
    }


def _in_words(fault: Fault) -> str:
    operations = "everything" if fault.operations is None else ", ".join(sorted(fault.operations))
    share = "" if fault.rate == 1 else f", {fault.rate:.0%} of the requests"
    times = "" if fault.times is None else f", {fault.times} times"
    return f"{fault.kind} on {operations}{share}{times}"
