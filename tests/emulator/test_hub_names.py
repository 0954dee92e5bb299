"""A task hub is called what its storage provider takes."""

import httpx
import pytest

from emulator import (
    ActivityContext,
    Emulator,
    Functions,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
    Worker,
    running,
)
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, HubNameRefused
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.json_text import JsonValue
from emulator.synthetic.hub import SyntheticHub
from tests.emulator.conftest import NOW, OPTIONS

NAMES = ("Orders2", "orders-hub", "orders hub", "2orders", "ab", "", "o" * 45, "o" * 50, "o" * 51)
TAKEN = {
    "azure-storage": {"Orders2", "o" * 45},
    "netherite": {"Orders2", "orders-hub", "o" * 45},
    "mssql": set(NAMES) - {"", "o" * 51},
}


@pytest.mark.parametrize("backend", [AzureStorage(), MSSQL(), Netherite()], ids=lambda b: b.name)
@pytest.mark.parametrize("name", NAMES)
def test_each_provider_takes_names_by_its_own_rule(backend: Backend, name: str) -> None:
    clock = ManualClock(NOW)
    if name in TAKEN[backend.name]:
        assert TaskHub(name, clock, backend=backend).name == name
        assert SyntheticHub(name, clock, rows=10, backend=backend).name == name
        return
    problem = f"is no task hub of {backend.name}: {backend.hub_name_rule}"
    with pytest.raises(HubNameRefused, match=problem):
        TaskHub(name, clock, backend=backend)
    with pytest.raises(HubNameRefused, match=problem):
        SyntheticHub(name, clock, rows=10, backend=backend)


@pytest.mark.anyio
async def test_a_hub_that_a_request_names_is_made_by_the_rule_of_the_apps_provider() -> None:
    clock = ManualClock(NOW)
    for backend, status in ((AzureStorage(), 500), (Netherite(), 200)):
        app = Emulator(TaskHub("OrdersHub", clock, backend=backend), clock=clock)
        async with (
            running(app) as url,
            httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
        ):
            answer = await client.get("instances", params={"taskHub": "orders-two"})
        assert answer.status_code == status


@pytest.mark.parametrize("worker", [Worker.DOTNET, Worker.JAVASCRIPT])
def test_functions_are_found_by_their_names_in_any_letters(worker: Worker) -> None:
    app = Functions()

    @app.activity
    def Charge(_argument: JsonValue, context: ActivityContext) -> JsonValue:  # noqa: N802
        return context.runs_before

    @app.orchestrator
    def Order(context: OrchestrationContext) -> Steps:  # noqa: N802
        first = yield context.call_activity("CHARGE")
        return [first, (yield context.call_activity("charge"))]

    clock = ManualClock(NOW)
    hub = TaskHub("OrdersHub", clock, functions=app, worker=worker)
    hub.engine.start("oRDER", "it", None, clock.now())
    clock.advance(10)
    hub.advance()
    (row,) = hub.instances()
    assert (row.name, row.status, row.output) == ("oRDER", "Completed", [0, 1])
