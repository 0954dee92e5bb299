"""Play scenarios: on an emulator, or to the end at once."""

from collections.abc import Callable
from functools import partial

from emulator.api import ExtensionVersion
from emulator.apps import App, functions_of
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.clock import Clock, ManualClock
from emulator.emulator import Emulator, Keys
from emulator.engine.functions import Functions
from emulator.engine.pace import BUSY
from emulator.engine.workers import Worker
from emulator.http.messages import instance_body
from emulator.samples.claims import start_claims
from emulator.samples.shop_traffic import start_traffic
from emulator.scenarios.events import Event, leak_functions
from emulator.scenarios.scenario import HubPlan, Rows, Scenario, unmet
from emulator.storage.table import InstanceQuery
from emulator.task_hub import TaskHub

BACKENDS: dict[str, Callable[[], Backend]] = {
    "azure-storage": AzureStorage,
    "mssql": MSSQL,
    "netherite": Netherite,
}


def play(
    scenario: Scenario,
    clock: Clock,
    *,
    seed: int = 1,
    system_key: str | None = None,
    version: ExtensionVersion = ExtensionVersion.V3,
    worker: Worker = Worker.DOTNET,
    functions: Functions | None = None,
) -> Emulator:
    """
    Return an emulator on which a scenario begins now, with a user's *functions* added.

    *worker* is the default language of apps. Raises `HubNameRefused` for a hub that its backend
    does not take.
    """
    begin = clock.now()
    hubs = [
        _hub(
            name,
            plan,
            clock=clock,
            seed=seed + index,
            version=version,
            worker=worker,
            functions=functions,
        )
        for index, (name, plan) in enumerate(scenario.hubs.items())
    ]
    emulator = Emulator(*hubs, clock=clock, keys=Keys(system=system_key))
    for event in scenario.events:
        name = event.hub or hubs[0].name
        end = begin + scenario.duration
        emulator.at(begin + event.at, partial(_happen, emulator, name, event, end))
    return emulator


def rehearse(scenario: Scenario, *, seed: int = 1, functions: Functions | None = None) -> list[str]:
    """Play a scenario to its end at once; returns the unmet expectations."""
    clock = ManualClock(1_800_000_000.0)
    emulator = play(scenario, clock, seed=seed, functions=functions)
    clock.advance(scenario.duration)
    emulator.advance()
    shown = {name: _rows(emulator.hubs[name.lower()]) for name in scenario.hubs}
    return unmet(scenario.expected, shown)


def _hub(
    name: str,
    plan: HubPlan,
    *,
    clock: Clock,
    seed: int,
    version: ExtensionVersion,
    worker: Worker,
    functions: Functions | None,
) -> TaskHub:
    served = functions_of(plan.app, functions)
    if plan.beside is not None:
        served.include(functions_of(plan.beside))
    served.include(leak_functions)
    backend = BACKENDS[plan.backend]()
    hub = TaskHub(
        name,
        clock,
        functions=served,
        seed=seed,
        pace=BUSY,
        version=version,
        backend=backend,
        worker=plan.worker or worker,
    )
    for app in (plan.app, plan.beside):
        _use(hub, app, plan, seed)
    return hub


def _use(hub: TaskHub, app: App | None, plan: HubPlan, seed: int) -> None:
    if app not in (App.SHOP, App.CLAIMS) or plan.rate <= 0:
        return
    start = start_claims if app is App.CLAIMS else partial(start_traffic, past=plan.past)
    start(
        hub,
        seed=seed,
        rate=plan.rate,
        history=plan.history,
        begin=plan.begin,
        end=plan.end,
    )


def _happen(emulator: Emulator, name: str, event: Event, end: float, at: float) -> None:
    hub = emulator.hubs[name.lower()]
    hub.engine.advance(at)
    event.action(emulator, hub, at)
    if event.every and at + event.every <= end:
        emulator.at(at + event.every, partial(_happen, emulator, name, event, end))


def _rows(hub: TaskHub) -> Rows:
    hub.advance()
    rows: list[dict[str, object]] = []
    token = ""
    while True:
        page = hub.list_instances(InstanceQuery(top=1000), token)
        rows += [{**instance_body(row, hub.version, show_input=False)} for row in page.rows]
        token = page.token
        if not token:
            return rows
