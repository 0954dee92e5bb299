"""
The emulator against the published description of the API.

Requests are made from the description alone. What is answered beyond it is what the real extension
does: each such thing stands in `BEYOND` with its reason (reference 7), and nothing else happens.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from emulator import (
    Emulator,
    ExtensionVersion,
    Instance,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.http.messages import Base
from emulator.http.routes import decode, find
from tests.emulator.app import functions
from tests.emulator.conftest import MAJOR_VERSIONS, NOW

Case = schemathesis.Case[Any]

DESCRIPTION = Path(__file__).parents[1] / "data" / "durable-functions-http-api.openapi.yml"
SCHEMA = schemathesis.openapi.from_path(DESCRIPTION)
OPERATIONS = {
    result.ok().definition.raw["operationId"]: result.ok()
    for result in SCHEMA.get_all_operations()
    if isinstance(result, Ok)
}
V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
BODY = "body"

# What is said of an unknown connection, and of a hub name that storage refuses.
_STORAGE = re.compile(
    "Unable to resolve the Azure Storage|communicating with Azure|Invalid table|Invalid container"
)
_STATES = {status: f"one-{status.value.lower()}" for status in RuntimeStatus}
# Where the path of a request gets names that mean something.
_NAMES = {
    "instanceId": [*_STATES.values(), "nope"],
    "functionName": ["WaitsForever", "HelloSequence"],
    "entityName": ["Counter"],
    "entityKey": ["steps"],
}
_ACTIVE = _STATES[RuntimeStatus.RUNNING]
_CONTINUED = {"instanceId": _STATES[RuntimeStatus.CONTINUED_AS_NEW]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Why something is answered that is not declared, and a request that shows it."""

    reason: str
    version: ExtensionVersion = V3
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


BEYOND: dict[tuple[str, int | str], Beyond] = {
    ("startOrchestrationWithId", 409): Beyond(
        reason="v3: the id is active (7, 19)",
        path={"functionName": "WaitsForever", "instanceId": _ACTIVE},
    ),
    ("startOrchestrationWithId", 500): Beyond(
        reason="v2: the id is active (7, 19)",
        version=V2,
        path={"functionName": "WaitsForever", "instanceId": _ACTIVE},
    ),
    ("listInstances", BODY): Beyond(reason="the status ContinuedAsNew is not declared (7, 3)"),
    ("listInstances", 400): Beyond(
        reason="v2: a page of no rows (6.1)", version=V2, query={"top": "0"}
    ),
    ("getInstanceStatus", BODY): Beyond(
        reason="the status ContinuedAsNew is not declared (7, 3)", path=_CONTINUED
    ),
    ("getInstanceStatus", 500): Beyond(
        reason="a failed one, if it is to be an error (7, 11)",
        path={"instanceId": _STATES[RuntimeStatus.FAILED]},
        query={"returnInternalServerErrorOnFailure": "true"},
    ),
    ("purgeInstance", 412): Beyond(
        reason="v3: an active one (7, 16)", path={"instanceId": _ACTIVE}
    ),
    ("purgeInstances", 400): Beyond(
        reason="without createdTimeFrom, which is declared optional (7, 17)"
    ),
    ("suspendInstance", 500): Beyond(
        reason="one that is suspended (7, 15)",
        path={"instanceId": _STATES[RuntimeStatus.SUSPENDED]},
    ),
    ("resumeInstance", 500): Beyond(
        reason="one that is not suspended (7, 15)", path={"instanceId": _ACTIVE}
    ),
    ("rewindInstance", 412): Beyond(
        reason="v3: one that has not failed (7, 15)", path={"instanceId": _ACTIVE}
    ),
    ("rewindInstance", 500): Beyond(
        reason="v2: one that is active (7, 15)", version=V2, path={"instanceId": _ACTIVE}
    ),
    ("listEntities", BODY): Beyond(
        reason="a state is null unless it is asked for (7, 22)", path={"entityName": "counter"}
    ),
    ("listEntities", 400): Beyond(
        reason="v2: a page of no rows (6.1)",
        version=V2,
        path={"entityName": "counter"},
        query={"top": "0"},
    ),
}


@contextmanager
def served(version: ExtensionVersion) -> Iterator[str]:
    """Serve a hub with an instance in every state, in a thread of its own."""
    clock = ManualClock(NOW)
    hub = TaskHub("OrdersHub", clock, functions=functions, version=version)
    for status, instance_id in _STATES.items():
        row = Instance(
            instance_id=instance_id, name="Any", status=status, created=NOW - 60, updated=NOW - 30
        )
        hub.put(row)
    hub.engine.signal("counter", "steps", "add", "1", NOW)
    clock.advance(1)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(Emulator(hub, clock=clock))) as url,
    ):
        yield url


@pytest.mark.parametrize("examples", [10, pytest.param(200, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("version", MAJOR_VERSIONS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_unknown_happens(name: str, version: ExtensionVersion, examples: int) -> None:
    operation = OPERATIONS[name]
    with served(version) as url, requests.Session() as session:

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), known=st.data())
        def ask(case: Case, known: st.DataObject) -> None:
            if known.draw(st.booleans()):
                for parameter in ("taskHub", "connection"):
                    (case.query or {}).pop(parameter, None)
            for parameter in case.path_parameters or {}:
                if parameter in _NAMES and known.draw(st.booleans()):
                    case.path_parameters[parameter] = known.draw(st.sampled_from(_NAMES[parameter]))
            response = case.call(base_url=url, session=session)
            for what in _beyond(case, response):
                assert (name, what) in BEYOND, (
                    response.status_code,
                    response.text,
                    case.as_curl_command(),
                )

        ask()


def _beyond(case: Case, response: schemathesis.Response) -> Iterator[int | str]:
    if response.status_code in (400, 500) and _STORAGE.search(response.text):
        return  # hub and connection can be wrong for every operation (1.4)
    declared = case.operation.definition.raw["responses"]
    if str(response.status_code) not in declared:
        yield response.status_code
        return
    try:
        case.validate_response(
            response,
            checks=CHECKS.get_by_names(["response_schema_conformance"]),  # type: ignore[arg-type]
        )
    except FailureGroup:
        yield BODY


@pytest.mark.parametrize(("name", "what"), BEYOND)
def test_what_is_beyond_it_really_happens(name: str, what: int | str) -> None:
    beyond = BEYOND[name, what]
    case = OPERATIONS[name].Case(path_parameters={**beyond.path}, query={**beyond.query})
    with served(beyond.version) as url, requests.Session() as session:
        response = case.call(base_url=url, session=session)
    assert list(_beyond(case, response)) == [what], (response.status_code, response.text)


METHODS = ("get", "post", "put", "patch", "delete")
BEHIND_BASE = len(Base.WEB_HOOK)


def described() -> Iterator[tuple[str, str]]:
    description = yaml.safe_load(DESCRIPTION.read_text("utf-8"))
    for path, operations in description["paths"].items():
        yield from ((method.upper(), path) for method in METHODS if method in operations)


@pytest.mark.parametrize("version", MAJOR_VERSIONS)
@pytest.mark.parametrize(("method", "path"), list(described()))
def test_an_operation_is_routed_with_its_arguments(
    version: ExtensionVersion, method: str, path: str
) -> None:
    names = re.findall(r"{(\w+)}", path)
    filled = re.sub(r"{(\w+)}", r"the%20\1", path)
    route = find(method, decode(filled[BEHIND_BASE:], version), version)
    assert route is not None
    assert route.arguments == tuple(f"the {name}" for name in names)


def test_the_description_has_fourteen_operations() -> None:
    assert len(list(described())) == 14
