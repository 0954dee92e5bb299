"""Every operation in every state (reference 4.2): the answer of v2 and v3, and the effect."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from emulator import (
    Emulator,
    ExtensionVersion,
    Instance,
    Keys,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from emulator.samples.recorded import functions
from emulator.storage.history import EventKind
from tests.emulator.conftest import OPTIONS
from tests.emulator.hubs import events, instance_of, move

pytestmark = pytest.mark.anyio

# `"` is a JSON string, `!` an error object, `m` an object with a message alone, `>` the links of an
# instance, `#` the number of purged ones; all others have no body.
MATRIX = {
    ExtensionVersion.V2: """
        state          terminate suspend resume raiseEvent rewind start restart restartNew purge
        Missing        404       404     404    404        404    202>  400!    400!       404
        Pending        202       202     500!   202        500!   500!  500!    202>       200#
        Running        202       202     500!   202        500!   500!  500!    202>       200#
        ContinuedAsNew 202       202     500!   202        500!   500!  500!    202>       200#
        Suspended      202       500!    202    202        500!   500!  500!    202>       200#
        Completed      410       410     410    410        410    202>  202>    202>       200#
        Failed         410       410     410    410        202    202>  202>    202>       200#
        Terminated     410       410     410    410        410    202>  202>    202>       200#
        Canceled       410       410     410    410        410    202>  202>    202>       200#
    """,
    ExtensionVersion.V3: """
        state          terminate suspend resume raiseEvent rewind start restart restartNew purge
        Missing        404       404     404    404        404"   202>  400!    400!       404
        Pending        202       202     500!   202        412"   409m  409!    202>       412"
        Running        202       202     500!   202        412"   409m  409!    202>       412"
        ContinuedAsNew 202       202     500!   202        412"   409m  409!    202>       412"
        Suspended      202       500!    202    202        412"   409m  409!    202>       412"
        Completed      410       410     410    410        412"   202>  202>    202>       200#
        Failed         410       410     410    410        202    202>  202>    202>       200#
        Terminated     410       410     410    410        412"   202>  202>    202>       200#
        Canceled       410       410     410    410        412"   202>  202>    202>       200#
    """,
}
REQUESTS = {
    "terminate": ("POST", "instances/it/terminate?reason=why"),
    "suspend": ("POST", "instances/it/suspend?reason=why"),
    "resume": ("POST", "instances/it/resume?reason=why"),
    "raiseEvent": ("POST", "instances/it/raiseEvent/never"),
    "rewind": ("POST", "instances/it/rewind?reason=why"),
    "start": ("POST", "orchestrators/HelloSequence/it"),
    "restart": ("POST", "instances/it/restart?restartWithNewInstanceId=false"),
    "restartNew": ("POST", "instances/it/restart"),
    "purge": ("DELETE", "instances/it"),
}
LINKS = [
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
]
ERROR = ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
SETTLING_SECONDS = 2.0


def cells() -> list[tuple[ExtensionVersion, str, str, str]]:
    """Return the version, state, operation and answer of every cell of the matrix."""
    found = []
    for version, matrix in MATRIX.items():
        (_, *operations), *rows = (line.split() for line in matrix.strip().splitlines())
        for state, *answers in rows:
            pairs = zip(operations, answers, strict=True)
            found += [(version, state, operation, answer) for operation, answer in pairs]
    return found


CELLS = cells()


@pytest.fixture
def hub(clock: ManualClock, version: ExtensionVersion) -> TaskHub:
    return TaskHub("RecHub", clock, functions=functions, version=version)


@pytest.fixture
async def api(hub: TaskHub) -> AsyncIterator[httpx.AsyncClient]:
    emulator = Emulator(hub, clock=hub.clock, keys=Keys(system="k"))
    async with (
        running(emulator) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        yield client


def bring_into(hub: TaskHub, state: str) -> None:
    """Make an instance in a state; what no engine produces is written over a row that it keeps."""
    if state == "Missing":
        return
    name = {"Completed": "HelloSequence", "Canceled": "HelloSequence", "Failed": "FailsItself"}
    hub.engine.start(name.get(state, "WaitsForever"), "it", '"argument"', hub.clock.now())
    if state == "Pending":
        return
    move(hub, SETTLING_SECONDS)
    if state == "Suspended":
        hub.engine.suspend("it", "before", hub.clock.now())
    if state == "Terminated":
        hub.engine.terminate("it", "before", hub.clock.now())
    move(hub, SETTLING_SECONDS)
    if state in ("ContinuedAsNew", "Canceled"):
        hub.put(replace(instance_of(hub, "it"), status=RuntimeStatus(state)))
    assert instance_of(hub, "it").status == state


async def ask(api: httpx.AsyncClient, operation: str) -> httpx.Response:
    method, path = REQUESTS[operation]
    body = {"by": "ops"} if operation == "raiseEvent" else None
    return await api.request(method, path, **({} if body is None else {"json": body}))  # type: ignore[arg-type]


def shape(answer: httpx.Response) -> str:
    """Return the letter of the table for a body."""
    if not answer.content:
        return ""
    body = answer.json()
    if isinstance(body, str):
        return '"'
    known = {("Message",): "m", tuple(ERROR): "!", tuple(LINKS): ">", ("instancesDeleted",): "#"}
    return known[tuple(body)]


@pytest.mark.parametrize(("version", "state", "operation", "expected"), CELLS)
async def test_an_operation_is_answered_as_in_the_matrix(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str, expected: str
) -> None:
    bring_into(hub, state)
    answer = await ask(api, operation)
    assert f"{answer.status_code}{shape(answer)}" == expected
    described = answer.headers.get("content-type")
    assert described == ("application/json; charset=utf-8" if answer.content else None)
    links = answer.json() if expected.endswith(">") else {}
    assert answer.headers.get("location") == links.get("statusQueryGetUri")
    assert answer.headers.get("retry-after") == ("10" if links else None)


@pytest.mark.parametrize(
    ("version", "state", "operation", "expected"), [c for c in CELLS if int(c[3][:3]) >= 400]
)
async def test_what_is_refused_changes_nothing(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str, expected: str
) -> None:
    bring_into(hub, state)
    before = [*hub.instances()]
    await ask(api, operation)
    assert [*hub.instances()] == before, expected


def accepted(*operations: str) -> list[tuple[ExtensionVersion, str, str]]:
    """Return the version, state and operation where the matrix says that it is done."""
    return [c[:3] for c in CELLS if c[2] in operations and int(c[3][:3]) < 400]


async def after(api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str) -> Instance:
    bring_into(hub, state)
    await ask(api, operation)
    move(hub, SETTLING_SECONDS)
    return instance_of(hub, "it")


@pytest.mark.parametrize(
    ("version", "state", "operation"), accepted("terminate", "suspend", "resume")
)
async def test_an_intervention_shows_in_status_and_output(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    row = await after(api, hub, state, operation)
    status = {"terminate": "Terminated", "suspend": "Suspended", "resume": "Running"}
    assert (row.status, row.output) == (status[operation], "why")


@pytest.mark.parametrize(("version", "state", "operation"), accepted("raiseEvent"))
async def test_an_event_is_kept_and_wakes_all_but_suspended_ones(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    row = await after(api, hub, state, operation)
    assert row.status == ("Suspended" if state == "Suspended" else "Completed")
    (event,) = events(row, EventKind.EVENT_RAISED)
    assert (event.fields["Name"], event.fields["Input"]) == ("never", '{"by":"ops"}')


@pytest.mark.parametrize(("version", "state", "operation"), accepted("rewind"))
async def test_a_rewound_one_runs_and_fails_again(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    row = await after(api, hub, state, operation)
    assert row.status is RuntimeStatus.FAILED
    assert [e.fields["Data"] for e in events(row, EventKind.GENERIC_EVENT)] == [None, "why"]
    assert len(hub.finishes) == 2


@pytest.mark.parametrize(("version", "state", "operation"), accepted("start"))
async def test_a_start_replaces_what_has_ended(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    row = await after(api, hub, state, operation)
    assert row.created == hub.clock.now() - SETTLING_SECONDS
    assert (row.name, row.status, row.input) == ("HelloSequence", "Completed", None)


@pytest.mark.parametrize(("version", "state", "operation"), accepted("restart"))
async def test_a_restart_is_a_new_life_with_the_same_input(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    row = await after(api, hub, state, operation)
    assert row.created == hub.clock.now() - SETTLING_SECONDS
    assert row.input == "argument"
    assert len(hub.starts) == 2


@pytest.mark.parametrize(("version", "state", "operation"), accepted("restartNew"))
async def test_a_restart_under_a_new_id_leaves_the_old_one_alone(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    bring_into(hub, state)
    old = instance_of(hub, "it")
    new = instance_of(hub, (await ask(api, operation)).json()["id"])
    assert instance_of(hub, "it") == old
    assert (new.name, new.input, new.status) == (old.name, old.input, RuntimeStatus.PENDING)


@pytest.mark.parametrize(("version", "state", "operation"), accepted("purge"))
async def test_what_is_purged_is_gone_for_good(
    api: httpx.AsyncClient, hub: TaskHub, state: str, operation: str
) -> None:
    bring_into(hub, state)
    assert (await ask(api, operation)).json() == {"instancesDeleted": 1}
    move(hub, SETTLING_SECONDS)
    assert hub.get("it") is None
    assert (await ask(api, operation)).status_code == 404
