"""Functions that users wrote, from a file of Python."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from emulator.engine.functions import Functions
from emulator.engine.user_code import attempt

_MODULE = "functions_of_the_app"


class FunctionsFileProblem(ValueError):
    """A file of functions cannot be run, or has none; the message says where and why."""


def load_functions(path: Path) -> Functions:
    """
    Run a file and return what it calls `functions`.

    Raises `FunctionsFileProblem` if the file is missing, raises, or has no `functions`.
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
    sys.modules[_MODULE] = module  # dataclasses and the like look there
    spec.loader.exec_module(module)
    return module


def _line(error: Exception, path: Path) -> str:
    """Return which line of the file raised; a syntax error says so itself."""
    frames = extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
