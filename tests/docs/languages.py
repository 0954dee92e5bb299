"""
What a fenced block of a language must be.

A language without a check here fails: a block that nobody validates is a block that lies one day.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import jsonschema

from exporter.settings import load_settings
from tests.docs import kusto
from tests.docs.called import problems_of
from tests.docs.documents import NotValid, check_yaml
from tests.docs.pages import ROOT, Block
from tests.docs.placed import place_variables
from tests.docs.queries import expressions_of, problem_of, unknown_names
from tests.docs.real_nginx import whole
from tests.docs.shell import SHELLS, commands_of, typed
from tests.docs.words import words
from tests.tools import tool

_INSTRUCTIONS = words(
    "FROM RUN COPY ENV USER ENTRYPOINT CMD HEALTHCHECK EXPOSE WORKDIR ARG LABEL VOLUME"
)
_UNIT_SECTIONS = frozenset({"Unit", "Service", "Install", "Timer"})
_COMPONENTS = words(
    "prometheus.scrape prometheus.remote_write prometheus.relabel prometheus.exporter.self"
    " prometheus.operator.servicemonitors prometheus.operator.podmonitors discovery.kubernetes"
    " discovery.relabel mimir.rules.kubernetes logging basic_auth endpoint rule clustering"
    " tls_config selectors external_labels authorization"
)


def check_shell(block: Block, folder: Path) -> None:
    """Check every command for what its program understands, and the variables by loading them."""
    commands = commands_of(typed(block))
    assert commands, f"{block}: holds no command"
    problems = [problem for command in commands for problem in problems_of(command)]
    assert not problems, f"{block}: {problems}"
    assigned = {name: text for each in commands for name, text in each.assigned.items()}
    ours = {name: text for name, text in assigned.items() if name.startswith("DURABLE_EXPORTER_")}
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


def check_dockerfile(block: Block, _folder: Path) -> None:
    lines = block.text.replace("\\\n", " ").splitlines()
    words = {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}
    assert "FROM" in words, f"{block}: has no FROM"
    assert words <= _INSTRUCTIONS, f"{block}: {words - _INSTRUCTIONS}"


def check_ini(block: Block, _folder: Path) -> None:
    """Read a unit of systemd, and check the command that it starts."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.text)
    assert set(unit.sections()) <= _UNIT_SECTIONS, f"{block}: {unit.sections()}"
    started = unit.get("Service", "ExecStart", fallback="true")
    problems = [each for command in commands_of(started) for each in problems_of(command)]
    assert not problems, f"{block}: {problems}"


def check_nginx(block: Block, folder: Path) -> None:
    """Let the real nginx read it, within what a packaged configuration has around it."""
    (folder / "nginx.conf").write_text(whole(block.text), encoding="utf-8")
    done = subprocess.run(
        [str(tool("nginx")), "-t", "-q", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotValid(done.stderr)


def check_alloy(block: Block, _folder: Path) -> None:
    """Check that blocks are closed, and that the components are known ones."""
    bare = re.sub(r"//.*|\"[^\"\n]*\"", '""', block.text)
    assert bare.count("{") == bare.count("}"), f"{block}: a block is not closed"
    opened = {
        found[1] for found in re.finditer(r"^\s*([a-z_.]+)(?:\s+\"\")?\s*\{", bare, re.MULTILINE)
    }
    assert opened, f"{block}: has no component"
    assert opened <= _COMPONENTS, f"{block}: {opened - _COMPONENTS}"


def check_kusto(block: Block, _folder: Path) -> None:
    assert not (problems := list(kusto.problems_of(block.text))), f"{block}: {problems}"


def check_text(block: Block, _folder: Path) -> None:
    """Let output of commands and trees of folders be: names in them are checked elsewhere."""
    assert block.text.strip(), f"{block}: is empty"


Check = Callable[[Block, Path], None]
CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(SHELLS, check_shell),
    "yaml": check_yaml,
    "promql": check_query,
    "json": check_json,
    "python": check_python,
    "dockerfile": check_dockerfile,
    "ini": check_ini,
    "nginx": check_nginx,
    "alloy": check_alloy,
    "kusto": check_kusto,
    "text": check_text,
}
