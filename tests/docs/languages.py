"""
What a fenced block of a language must be.

A language without a check here fails: a block that nobody validates is a block that lies one day.
"""

from __future__ import annotations

import configparser
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import jsonschema

from exporter.settings import load_settings
from tests.docs.documents import NotValid, check_yaml
from tests.docs.own_commands import problem_of_command
from tests.docs.pages import ROOT, SHELLS, Block, typed
from tests.docs.placed import place_variables, variables_of
from tests.docs.queries import expressions_of, problem_of, unknown_names
from tests.docs.real_nginx import whole
from tests.docs.surroundings import calls_of
from tests.tools import tool

_UNIT_SECTIONS = frozenset({"Unit", "Service", "Install", "Timer"})


def check_shell(block: Block, folder: Path) -> None:
    """Check every call of the exporter, as bash makes it, and the variables by loading them."""
    assert typed(block).strip(), f"{block}: holds no command"
    calls = () if block.not_run else calls_of(block, folder)
    problems = [*filter(None, map(problem_of_command, calls))]
    assert not problems, f"{block}: {problems}"
    ours = variables_of(typed(block))
    if ours and "DURABLE_EXPORTER_CONFIG_FILE" not in ours:
        place_variables(ours, folder)
        load_settings(_with_hub(ours))


def _with_hub(environ: Mapping[str, str]) -> dict[str, str]:
    if any(name.endswith("URL") and "PROXY" not in name for name in environ):
        return dict(environ)
    return {"DURABLE_EXPORTER_URL": "https://orders.azurewebsites.net", **environ}


def check_query(block: Block, _folder: Path) -> None:
    """Parse every expression, and look up its names."""
    expressions = expressions_of(block.text)
    assert expressions, f"{block}: holds no expression"
    for expression in expressions:
        assert not (problem := problem_of(expression)), f"{block}: {problem}"
        assert not (unknown := list(unknown_names(expression))), f"{block}: {unknown}"


def check_json(block: Block, _folder: Path) -> None:
    content = json.loads(block.text)
    if "api/v1" in block.title:
        schema = json.loads((ROOT / "docs" / "api-v1.schema.json").read_text(encoding="utf-8"))
        jsonschema.validate(content, schema)


def check_python(block: Block, _folder: Path) -> None:
    """Run it: it defines what an app has, and calls nothing that goes out."""
    exec(compile(block.text, str(block), "exec"), {"__name__": "page"})


def check_ini(block: Block, _folder: Path) -> None:
    """Read a unit of systemd, and check the command that it starts."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.text)
    assert set(unit.sections()) <= _UNIT_SECTIONS, f"{block}: {unit.sections()}"
    started = unit.get("Service", "ExecStart", fallback="")
    assert not (problem := problem_of_command(started)), f"{block}: {problem}"


def check_nginx(block: Block, folder: Path) -> None:
    """Let the real nginx read it, within what a packaged configuration has around it."""
    (folder / "nginx.conf").write_text(whole(block.text), encoding="utf-8")
    done = subprocess.run(
        [str(tool("nginx")), "-t", "-q", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotValid(done.stderr)


def check_text(block: Block, _folder: Path) -> None:
    """Let be what no program here reads: names in it are checked elsewhere."""
    assert block.text.strip(), f"{block}: is empty"


Check = Callable[[Block, Path], None]
CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(SHELLS, check_shell),
    "yaml": check_yaml,
    "promql": check_query,
    "json": check_json,
    "python": check_python,
    "ini": check_ini,
    "nginx": check_nginx,
    **dict.fromkeys(("alloy", "dockerfile", "kusto", "text"), check_text),
}
