"""The official JavaScript client, through every method that it has."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest

from emulator import Emulator, Keys, RealClock, TaskHub, running
from tests.emulator.app import functions
from tests.tools import node_package, tool

SCRIPT = Path(__file__).parent / "javascript" / "client.js"
KEY = "the-system-key=="
WAITING = 1050  # more than ten pages
# Effects take a tenth of a second, which is nothing then.
SPEED = 50.0
PATIENCE_SECONDS = 60


def binding(url: str, *, rpc: bool) -> dict[str, object]:
    """Return what a worker gives to the client: templates, and maybe the base inside the app."""
    base = f"{url}/runtime/webhooks/durabletask"
    query = f"taskHub=OrdersHub&connection=Storage&code={KEY}"
    instance = f"{base}/instances/INSTANCEID"
    operations = ("terminate", "rewind", "suspend", "resume")
    given: dict[str, object] = {
        "taskHubName": "OrdersHub",
        "creationUrls": {
            "createNewInstancePostUri": f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
            f"?code={KEY}"
        },
        "managementUrls": {
            "id": "INSTANCEID",
            "statusQueryGetUri": f"{instance}?{query}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
            "purgeHistoryDeleteUri": f"{instance}?{query}",
            "restartPostUri": f"{instance}/restart?{query}",
            **{
                f"{name}PostUri": f"{instance}/{name}?reason={{text}}&{query}"
                for name in operations
            },
        },
        "baseUrl": base,
        "requiredQueryStringParameters": f"code={KEY}",
    }
    if rpc:
        given["rpcBaseUrl"] = f"{url}/durabletask/"
    return given


@cache
def played(*, rpc: bool) -> dict[str, Any]:
    """Run the script on an emulator, and return what it printed."""
    command = [str(tool("node")), str(SCRIPT), str(node_package("durable-functions"))]
    return anyio.run(_play, command, rpc)


async def _play(command: list[str], rpc: bool) -> dict[str, Any]:
    clock = RealClock(SPEED)
    hub = TaskHub("OrdersHub", clock, functions=functions)
    for number in range(WAITING):
        hub.engine.start("WaitsForever", f"wait-{number:04}", None, clock.now())
    emulator = Emulator(hub, clock=clock, keys=Keys(system=KEY))
    async with running(emulator) as url:
        # The client would otherwise put the host of a function app in place of the emulator's.
        environment = {"WEBSITE_HOSTNAME": url.removeprefix("http://")}
        with anyio.fail_after(PATIENCE_SECONDS):
            done = await anyio.run_process(
                [*command, json.dumps(binding(url, rpc=rpc))], env=environment, check=False
            )
    assert done.returncode == 0, done.stderr.decode()
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


EXPECTED: dict[str, object] = {
    "startsWithoutAnId": {
        "length": 32,
        "runtimeStatus": "Completed",
        "output": ["Hello Tokyo!", "Hello Seattle!", "Hello London!"],
    },
    "showsHistoryAndInput": {"name": "FanOut", "input": 2, "output": 2},
    "listsEverything": {"waiting": WAITING, "distinct": True},
    "listsByFilter": {"failed": ["js-fails"], "future": 0, "past": 0},
    "raisesEvents": {"runtimeStatus": "Completed", "output": {"approved": True}},
    "suspendsAndResumes": {
        "held": {"runtimeStatus": "Suspended", "output": "hold"},
        "resumed": {"runtimeStatus": "Running", "output": "go on"},
    },
    "terminates": {"runtimeStatus": "Terminated", "output": "no longer needed"},
    "rewinds": {"runtimeStatus": "Completed", "output": {"paid": 5}},
    "waitsForCompletion": {"status": 200},
    "purges": {"one": 1, "again": 0, "many": 1},
    "usesEntities": {"before": False, "after": 7},
    "linksToInstances": {"id": "js-fan", "status": 202},
}
REFUSALS = {
    "missing": "404|not found",
    "terminate": "No instance with ID 'nope' found",
    "suspend": "No instance with ID 'nope' found",
    "resume": "No instance with ID 'nope' found",
    "rewind": "No orchestration with instance ID .*nope",
    "raiseEvent": "No instance with ID 'nope' found",
    "active": "already exists",
    "ended": "accepted",
}


@pytest.mark.parametrize("rpc", [False, True], ids=["web hook", "local"])
@pytest.mark.parametrize("scene", EXPECTED)
def test_it_cannot_tell_the_emulator_from_the_real_one(scene: str, *, rpc: bool) -> None:
    assert played(rpc=rpc)[scene] == EXPECTED[scene]


@pytest.mark.parametrize("rpc", [False, True], ids=["web hook", "local"])
@pytest.mark.parametrize("what", REFUSALS)
def test_it_is_told_what_cannot_be_done(what: str, *, rpc: bool) -> None:
    assert re.search(REFUSALS[what], played(rpc=rpc)["isRefused"][what], re.IGNORECASE)


@pytest.mark.parametrize(("rpc", "shown"), [(False, None), (True, 2)], ids=["web hook", "local"])
def test_without_the_web_hook_it_cannot_leave_inputs_out(shown: int | None, *, rpc: bool) -> None:
    # It sends only flags that are true there, and inputs are shown unless they are declined.
    assert played(rpc=rpc)["leavesTheInputOut"] == {"input": shown}


def test_every_scene_is_looked_at() -> None:
    assert played(rpc=False).keys() == {*EXPECTED, "isRefused", "leavesTheInputOut"}
