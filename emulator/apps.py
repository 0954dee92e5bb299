"""Apps to emulate: the samples, and functions from a user's file."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from emulator.api import ExtensionVersion
from emulator.backends.backend import Backend
from emulator.clock import Clock
from emulator.emulator import Emulator, Keys
from emulator.engine.failures import attempt
from emulator.engine.functions import Functions
from emulator.engine.pace import BUSY, Crash
from emulator.engine.workers import Worker
from emulator.samples import claims, recorded, shop
from emulator.samples.claims import start_claims
from emulator.samples.schedule import DAY, HOUR
from emulator.samples.shop_traffic import start_traffic
from emulator.task_hub import TaskHub

_MODULE = "functions_of_the_app"

DEFAULT_RATE = 0.5


class FunctionsFileProblem(ValueError):
    """A file of functions cannot be run, or has none; the message says where and why."""


def load_functions(path: Path) -> Functions:
    """
    Run a file and return its `functions`.

    Raises `FunctionsFileProblem` if it is missing, raises, or has none.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise FunctionsFileProblem(f"cannot read {path}: {error.strerror}") from error
    module = attempt(partial(_run, path))
    if isinstance(module, Exception):
        why = f"{type(module).__name__}: {module}".splitlines()[0]
        raise FunctionsFileProblem(f"{path}{_line(module, path)}: {why}") from module
    functions = getattr(module, "functions", None)
    if not isinstance(functions, Functions):
        raise FunctionsFileProblem(f"{path} has no `functions = Functions()`")
    return functions


def _run(path: Path) -> ModuleType:
    spec = spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError("the name of a file of Python ends in .py")
    module = module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def _line(error: Exception, path: Path) -> str:
    """Return the line that raised; a syntax error has its own."""
    frames = extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


class App(StrEnum):
    """What hubs serve: a shop or an insurer with traffic, the recorded functions, nothing."""

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
    Return an emulator with hubs in use, each with its own seed.

    The first hub starts `rate` orchestrations per second, the second half as many, the third a
    third; only the shop and the insurer have traffic. `functions` are added to the app's. Without a
    system key the web hook is open.
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
    """Return the functions of an app, with a user's added."""
    served = Functions()
    for part in (_FUNCTIONS[app], more or Functions()):
        served.include(part)
    return served
