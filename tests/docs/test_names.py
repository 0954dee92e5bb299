"""Names that pages mention exist: metrics, settings, variables, commands, options, alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.alerts.table import ALERTS
from exporter.cli.main import COMMANDS
from exporter.metrics.former import FORMER
from exporter.settings.schema import document, place_at, todays
from exporter.settings.sources import PREFIX, _is_service_link, _path_of
from tests.docs.documents import VALUES_SCHEMA
from tests.docs.own_commands import OURS, known_options
from tests.docs.pages import ROOT, name_of, pages, prose_of
from tests.docs.queries import RECORDED, metric_names, recorded_names

METRIC = re.compile(r"\bdurable_functions_[a-z0-9_]*[a-z0-9]")
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z0-9_]*(?:<[A-Z]+>[A-Z0-9_]*)*")
ALERT = re.compile(r"\bDurableFunctions[A-Z]\w+")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
TELL_FORMER_NAMES = ("settings.md", "upgrading.md")
SETTING = re.compile(r"[a-z_]+(?:\.[\w<>*-]+)+")
OPTION = re.compile(r"--[a-z][a-z-]+")
# Named by others: their tool, and the start of names of a kind.
NOT_ALERTS = frozenset({"DurableFunctionsMonitor", "DurableFunctionsHubConnectionName"})
ALL_OF_A_KIND = re.compile(r"_(?:exporter|entity|entities|instance|instances)?$")
PAGES = pytest.mark.parametrize("page", pages(), ids=name_of)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> Iterator[str]:
    for line in prose_of(page).splitlines():
        yield from CODE.findall(line)


def is_value(path: tuple[str, ...]) -> bool:
    """Tell whether the chart has such a value; some are called as groups of settings are."""
    schema = json.loads(VALUES_SCHEMA.read_text(encoding="utf-8"))
    for name in path:
        schema = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if not schema:
            return False
    return True


def is_start_of_metrics(name: str) -> bool:
    """Tell whether names begin so, as `durable_functions_exporter_` where all of them are meant."""
    return any(other.startswith(f"{name}_") for other in metric_names())


@PAGES
def test_metrics_are_in_the_catalogue(page: Path) -> None:
    text = text_of(page)
    unknown = {name for name in METRIC.findall(text) if name not in metric_names()}
    if page.name == "upgrading.md":
        unknown -= {former.name for former in FORMER}
    # Names of modules, images and folders have the same beginning.
    unknown -= set(re.findall(r"durable_functions_exporter-[\w.]+", text))
    unknown = {name for name in unknown if not is_start_of_metrics(name)}
    assert not unknown


@PAGES
def test_recorded_names_are_those_of_rules(page: Path) -> None:
    unknown = {*RECORDED.findall(text_of(page))} - recorded_names()
    if page.name == "upgrading.md":
        unknown -= {former.name for former in FORMER}
    assert not unknown


@PAGES
def test_variables_set_something(page: Path) -> None:
    for variable in VARIABLE.findall(text_of(page)):
        spelled = re.sub(r"<[A-Z]+>", "name", variable)
        path = _path_of(spelled, {})
        is_group = place_at(path) is not None or spelled.endswith("_")
        assert is_group or _is_service_link(spelled, ""), f"{variable} is no setting"


@PAGES
def test_settings_in_code_exist(page: Path) -> None:
    groups = {name for name, place in (document().members or {}).items() if not place.is_value}
    for code in code_of(page):
        setting = code.partition("=")[0].partition(":")[0].strip()
        if SETTING.fullmatch(setting) and setting.split(".")[0] in groups - {"links"}:
            path = tuple(part.strip("<>") for part in setting.split("."))
            if page.name in TELL_FORMER_NAMES:
                path = todays(path)
            assert place_at(path) is not None or is_value(path), f"{code} is no setting"


@PAGES
def test_commands_and_options_in_code_exist(page: Path) -> None:
    for code in code_of(page):
        program, *words = code.split()
        if program == OURS and words and re.fullmatch(r"[a-z]+", words[0]):
            assert words[0] in COMMANDS, f"{code}: no such command"
        for option in OPTION.findall(code) if program.startswith(("--", OURS)) else ():
            assert option in known_options(), f"{code}: name the program whose option it is"


@PAGES
def test_alerts_exist(page: Path) -> None:
    known = {alert.full_name for alert in ALERTS}
    assert set(ALERT.findall(text_of(page))) - NOT_ALERTS <= known


def test_every_command_is_documented() -> None:
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert all(f"`{name}" in table for name in COMMANDS)
