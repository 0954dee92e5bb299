"""The emulator that the demo runs: hubs of a sample app."""

from collections.abc import Sequence
from enum import StrEnum

from emulator.backends.backend import Backend
from emulator.clock import Clock
from emulator.emulator import Emulator
from emulator.engine.functions import Functions
from emulator.engine.pace import BUSY, Crash
from emulator.engine.workers.worker import Worker
from emulator.http.keys import Keys
from emulator.samples import recorded, shop
from emulator.samples.claims import functions as claims
from emulator.samples.claims.traffic import start_claims
from emulator.samples.schedule import DAY, HOUR
from emulator.samples.traffic import start_traffic
from emulator.task_hub import TaskHub
from emulator.version import ExtensionVersion

DEFAULT_RATE = 0.5


class App(StrEnum):
    """What hubs can serve: shop and insurer, with traffic; the recorded functions; nothing."""

    SHOP = "shop"
    CLAIMS = "claims"
    RECORDED = "recorded"
    EMPTY = "empty"


_FUNCTIONS = {
    App.SHOP: shop.functions,
    App.CLAIMS: claims.functions,
    App.RECORDED: recorded.functions,
    App.EMPTY: Functions(),
}


def sample_emulator(
    *,
    clock: Clock,
    seed: int,
    hub_names: Sequence[str] = ("OrdersHub",),
    system_key: str | None = None,
    rate: float = DEFAULT_RATE,
    history: float = DAY,
    version: ExtensionVersion = ExtensionVersion.V3,
    worker: Worker = Worker.DOTNET,
    app: App = App.SHOP,
    functions: Functions | None = None,
    backend: Backend | None = None,
    crashes: Sequence[Crash] = (),
) -> Emulator:
    """
    Return an emulator whose hubs are alive, each with a seed of its own and less to do.

    `rate` is how many orchestrations per second the first hub starts, the second one half as many,
    and so on; only the shop and the insurer have such traffic. `functions` are served beside those
    of the app. Without a system key the web hook asks for none.
    """
    served = functions_of(app, functions)
    hubs = [
        TaskHub(
            name,
            clock,
            functions=served,
            seed=seed + index,
            pace=BUSY,
            crashes=crashes,
            version=version,
            backend=backend,
            worker=worker,
        )
        for index, name in enumerate(hub_names)
    ]
    for index, hub in enumerate(hubs):
        often = rate / (index + 1)
        if app is App.SHOP:
            start_traffic(hub, seed=seed + index, rate=often, history=history)
        elif app is App.CLAIMS:
            start_claims(hub, seed=seed + index, rate=often, history=min(history, HOUR))
    return Emulator(*hubs, clock=clock, keys=Keys(system=system_key))


def functions_of(app: App, more: Functions | None = None) -> Functions:
    """Return the functions of an app, and those of a user beside them."""
    served = Functions()
    for part in (_FUNCTIONS[app], more or Functions()):
        served.include(part)
    return served
