"""Imports go one way, and the pure middle does no I/O and knows no clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import emulator
from exporter import emulator as former_name

ROOT = Path(__file__).parents[1]
EXPORTER = ROOT / "exporter"
EMULATOR = ROOT / "emulator"
# The commands that start the emulator, and its former name.
START_THE_EMULATOR = {"cli/demo.py", "cli/emulator.py", "emulator.py"}
LAYERS = (
    "settings", "api", "discovery", "ledger", "diagnosis", "collector", "metrics", "alerts", "web",
    "forecast", "cli",
)  # fmt: skip
PURE = sorted(
    path
    for package in ("ledger", "diagnosis", "metrics", "alerts", "forecast")
    for path in (EXPORTER / package).glob("*.py")
) + [EXPORTER / "discovery" / f"{name}.py" for name in ("__init__", "apps", "selection")]
# What would make a pure module impure: the clock, files, sockets, tasks.
IMPURE = {"time", "asyncio", "anyio", "httpx", "socket", "random", "pathlib", "os", "structlog"}
VAGUE = {"utils", "helpers", "helper", "manager", "common", "misc"}
LONGEST_MODULE = 500


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def modules() -> list[Path]:
    return sorted([*EXPORTER.rglob("*.py"), *EMULATOR.rglob("*.py")])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_package_imports_only_from_those_above_it(layer: str) -> None:
    forbidden = set(LAYERS[LAYERS.index(layer) + 1 :])
    for path in (EXPORTER / layer).rglob("*.py"):
        parts = {name.split(".")[1] for name in imported(path) if name.startswith("exporter.")}
        assert not parts & forbidden, f"{path.name} imports {parts & forbidden}"


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_the_emulator_knows_nothing_of_the_exporter() -> None:
    assert [path for path in EMULATOR.rglob("*.py") if "exporter" in packages(path)] == []


def test_imports_of_the_emulator_go_round_in_no_circle() -> None:
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in EMULATOR.rglob("*.py")
    }
    graph = {name: set(imported(path)) & paths.keys() for name, path in paths.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(paths)


def test_only_the_commands_that_start_it_import_the_emulator() -> None:
    importing = {path for path in EXPORTER.rglob("*.py") if "emulator" in packages(path)}
    assert {path.relative_to(EXPORTER).as_posix() for path in importing} == START_THE_EMULATOR


def test_what_was_imported_from_the_emulators_former_name_is_there_with_a_warning() -> None:
    for name in emulator.__all__:
        with pytest.warns(DeprecationWarning, match=f"import {name} from `emulator`"):
            assert getattr(former_name, name) is getattr(emulator, name)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = former_name.Nothing


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_middle_is_pure(path: Path) -> None:
    found = {name.split(".")[0] for name in imported(path)}
    assert not found & IMPURE
    assert "exporter.api.client" not in set(imported(path)) or path.parent.name == "metrics"


def test_names_say_what_a_module_is_for_and_modules_stay_short() -> None:
    assert len(modules()) > 50
    for path in modules():
        assert path.stem not in VAGUE
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE, path


def test_only_what_hubs_survive_of_each_other_and_calls_of_users_code_catch_everything() -> None:
    blind = [
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
    ]
    assert blind == [
        "emulator/engine/failures.py",
        "exporter/cli/check.py",
        "exporter/cli/reloading.py",
        "exporter/collector/hub.py",
    ]
