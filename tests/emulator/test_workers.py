"""What the language of an app changes, beside what the recordings of two of them hold."""

import json
from typing import Any

import httpx
import pytest

from emulator import (
    ActivityContext,
    Emulator,
    EntityContext,
    EntityId,
    Functions,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
    Worker,
    running,
)
from emulator.json_text import JsonValue
from emulator.storage.history import EventKind
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.hubs import entity_of, instance_of, kinds, move, run, start

ORDER_FAILED = "Orchestrator function 'Order' failed"
JSON_WORKERS = (Worker.JAVASCRIPT, Worker.PYTHON, Worker.POWERSHELL)


class OutOfStock(Exception):
    """An exception of an app."""


@pytest.fixture
def app() -> Functions:
    app = Functions()

    @app.activity
    def Charge(_argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
        raise OutOfStock("none left")

    @app.orchestrator
    def Order(context: OrchestrationContext) -> Steps:  # noqa: N802
        return (yield context.call_activity("Charge"))

    @app.orchestrator
    def Parent(context: OrchestrationContext) -> Steps:  # noqa: N802
        return (yield context.call_sub_orchestrator(str(context.get_input()), None, "child"))

    @app.orchestrator
    def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
        name, activity = str(context.get_input()), context.call_activity
        if name == "entity":
            yield context.call_entity(EntityId("Nothing", "x"), "get")
        else:
            yield activity(name)

    @app.orchestrator
    def Waits(context: OrchestrationContext) -> Steps:  # noqa: N802
        yield context.wait_for_external_event("Never")

    @app.entity
    def Counter(context: EntityContext) -> None:  # noqa: N802
        if context.operation_name == "forward":
            context.signal_entity("@Counter@next", "add", 1)
        else:
            context.set_state(1)

    return app


@pytest.fixture
def hub(clock: ManualClock, app: Functions, worker: Worker) -> TaskHub:
    return TaskHub("OrdersHub", clock, functions=app, worker=worker)


@pytest.mark.parametrize(
    ("worker", "begins", "ends"),
    [
        (
            Worker.DOTNET,
            "Orchestrator function 'Order' failed: The activity function 'Charge' failed",
            "details.",
        ),
        (
            Worker.ISOLATED,
            "Microsoft.DurableTask.TaskFailedException: Task 'Charge' (#0) failed",
            "none left",
        ),
        (
            Worker.JAVA,
            "Microsoft.DurableTask.TaskFailedException: Task 'Charge' (#0) failed",
            "none left",
        ),
        (
            Worker.JAVASCRIPT,
            f"{ORDER_FAILED}: Activity function 'Charge' failed: none left \n {{",
            "}",
        ),
        (
            Worker.PYTHON,
            f"{ORDER_FAILED}: Activity function 'Charge' failed: OutOfStock: none left \n {{",
            "}",
        ),
        (
            Worker.POWERSHELL,
            f"{ORDER_FAILED}: Activity function 'Charge' failed: none left \n {{",
            "}",
        ),
    ],
)
def test_a_failure_reads_as_in_its_language(hub: TaskHub, begins: str, ends: str) -> None:
    output = str(run(hub, "Order").output)
    assert output.startswith(begins)
    assert output.endswith(ends)


@pytest.mark.parametrize("worker", [Worker.ISOLATED, Worker.JAVA])
def test_types_are_in_the_failure_details(hub: TaskHub) -> None:
    row = run(hub, "Parent", "Order")
    completed: Any = row.history[-1].fields["FailureDetails"]
    types = []
    while completed is not None:
        types.append(completed["ErrorType"])
        completed = completed["InnerFailure"]
    task = "Microsoft.DurableTask.TaskFailedException"
    assert types == [task, task, "OutOfStock"]


@pytest.mark.parametrize("worker", Worker)
@pytest.mark.parametrize("name", ["NoSuchActivity", "entity"])
def test_a_call_of_a_function_that_is_missing_fails_or_hangs(
    hub: TaskHub, worker: Worker, name: str
) -> None:
    row = run(hub, "Calls", name)
    if worker in JSON_WORKERS:
        assert (row.status, kinds(row)) == ("Running", [EventKind.EXECUTION_STARTED])
    else:
        assert row.status == "Failed"


@pytest.mark.parametrize("worker", Worker)
def test_so_does_that_of_a_missing_orchestrator(hub: TaskHub, worker: Worker) -> None:
    row = run(hub, "Parent", "NoSuchOrchestrator")
    assert row.status == ("Running" if worker in JSON_WORKERS else "Failed")
    assert (hub.get("child") is None) == (worker in JSON_WORKERS)


@pytest.mark.parametrize("worker", Worker)
def test_an_entitys_signal_keeps_the_case_of_the_class_in_javascript(
    hub: TaskHub, worker: Worker
) -> None:
    hub.engine.signal("Counter", "first", "forward", None, hub.clock.now())
    move(hub, 5)
    spelled = "@Counter@next" if worker is Worker.JAVASCRIPT else "@counter@next"
    assert {e.instance_id for e in hub.entities()} == {"@counter@first", spelled}
    assert (hub.entity("counter", "next") is None) == (worker is Worker.JAVASCRIPT)


@pytest.mark.parametrize("worker", Worker)
def test_a_child_outlives_its_terminated_parent(hub: TaskHub) -> None:
    run(hub, "Parent", "Waits")
    hub.engine.terminate("it", "enough", hub.clock.now())
    move(hub, 5)
    assert instance_of(hub, "it").status == "Terminated"
    assert instance_of(hub, "child").status == "Running"


@pytest.mark.parametrize("worker", [Worker.DOTNET])
def test_nothing_shows_that_a_start_is_scheduled(hub: TaskHub) -> None:
    hub.engine.start("Order", "later", None, NOW, begin=NOW + 3600)
    start(hub, "Waits", instance_id="now")
    move(hub, 3590)
    later = instance_of(hub, "later")
    assert (later.status, later.created, later.updated, later.history) == ("Pending", NOW, NOW, ())
    move(hub, 20)
    assert instance_of(hub, "later").status == "Failed"


@pytest.mark.anyio
@pytest.mark.parametrize("worker", [Worker.DOTNET, Worker.PYTHON])
async def test_a_history_is_refused_after_an_activity_was_renamed(
    hub: TaskHub, app: Functions
) -> None:
    run(hub, "Waits")

    def renamed(context: OrchestrationContext) -> Steps:
        yield context.call_activity("New" if context.is_replaying else "Old")

    for name in ("Old", "New"):
        app.activity(lambda _argument, _context: None, name=name)
    app.orchestrator(renamed, name="Renamed")
    run(hub, "Renamed", instance_id="renamed")
    async with (
        running(Emulator(hub, clock=hub.clock)) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/instances/", **OPTIONS) as client,
    ):
        shown = await client.get("renamed")
        refused = await client.get("renamed", params={"showHistory": "true"})
        other = await client.get("it", params={"showHistory": "true"})
    assert (shown.status_code, shown.json()["runtimeStatus"]) == (200, "Failed")
    assert "named 'Old', but" in shown.json()["output"]
    assert refused.status_code == 400
    said = "An item with the same key has already been added. Key: TaskScheduled_0"
    assert json.loads(refused.text)["ExceptionMessage"] == said
    assert other.status_code == 202


@pytest.mark.parametrize("worker", [Worker.DOTNET])
def test_an_operation_that_never_ends_shows_nothing_and_lets_all_others_wait(
    hub: TaskHub, app: Functions
) -> None:
    def stuck(context: EntityContext) -> None:
        context.set_state(0)
        if context.operation_name == "hang":
            context.never_returns()

    app.entity(stuck, name="Stuck")
    for key, operations in (("new", ("hang", "get")), ("known", ("get", "hang", "get"))):
        for operation in operations:
            hub.engine.signal("stuck", key, operation, None, hub.clock.now())
            move(hub, 5)
    assert hub.get("@stuck@new") is None
    assert entity_of(hub, EntityId("stuck", "known")).last_operation < NOW + 11
