"""Renamed settings work for one release, with a warning, and are printed under current names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from exporter.settings import Configuration, load_configuration
from exporter.settings.schema import FORMER_NAMES, place_at, todays
from tests.settings.configured import PREFIX, SECRET, URL, load, problems, write

DOCS = Path(__file__).parents[2] / "docs"
# What each renamed setting takes, as all of them are numbers or durations.
VALUE = "7000"
SMALL = "3"
RENAMED = [
    (former, name, SMALL if name in ("retries.max_retries", "max_page_size") else VALUE)
    for former, name in FORMER_NAMES.items()
]


def variable(name: str) -> str:
    return name.replace(".", "__").upper()


def configured(
    variables: Mapping[str, str], file: Path | None = None, overrides: Mapping[str, str] = {}
) -> Configuration:
    environ = {PREFIX + name: value for name, value in variables.items()}
    if file is not None:
        environ[f"{PREFIX}CONFIG_FILE"] = str(file)
    return load_configuration(environ, overrides or {})


def value_of(configuration: Configuration, name: str) -> object:
    """Return the value of a setting, of the exporter or else of its first hub."""
    at_top = name.partition(".")[0] in type(configuration.settings).model_fields
    value: object = configuration.settings if at_top else configuration.settings.hubs[0]
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_setting_goes_by_its_new_name_in_the_same_group(former: str, name: str) -> None:
    new = place_at(tuple(name.split(".")))
    assert new is not None
    assert new.is_value
    assert place_at(tuple(former.split("."))) is None
    assert former.rpartition(".")[0] == name.rpartition(".")[0]
    assert todays(("hubs", "orders", *former.split("."))) == ("hubs", "orders", *name.split("."))


def test_the_guide_to_upgrades_lists_each_of_them() -> None:
    guide = (DOCS / "upgrading.md").read_text(encoding="utf-8")
    assert (
        dict(re.findall(r"^  \| `([^`]+)` \| `([^`]+)` \|$", guide, re.MULTILINE)) == FORMER_NAMES
    )


@pytest.mark.parametrize(("former", "name", "value"), RENAMED)
def test_a_former_name_works_in_a_variable_and_the_warning_names_the_new_one(
    former: str, name: str, value: str
) -> None:
    said = configured({"URL": URL, variable(former): value})
    assert value_of(said, name) == float(value)
    (warning,) = said.former_names
    assert str(warning) == (
        f"{PREFIX}{variable(former)}: was renamed: use {PREFIX}{variable(name)}, "
        "as the next minor version refuses this name"
    )


@pytest.mark.parametrize(("former", "name", "value"), RENAMED)
def test_a_former_name_works_in_an_option(former: str, name: str, value: str) -> None:
    said = configured({"URL": URL}, overrides={former: value})
    assert value_of(said, name) == float(value)
    (warning,) = said.former_names
    assert str(warning).startswith(f"--set {former}: was renamed: use --set {name}, ")


@pytest.mark.parametrize(("former", "name", "value"), RENAMED)
def test_a_former_name_works_in_the_file(
    former: str, name: str, value: str, tmp_path: Path
) -> None:
    group, _, last = former.rpartition(".")
    content = {"url": URL, **({group: {last: value}} if group else {last: value})}
    file = write(tmp_path / "a.yaml", yaml.safe_dump(content))
    said = configured({}, file)
    assert value_of(said, name) == float(value)
    assert [str(warning) for warning in said.former_names] == [
        f"{file}: {former}: was renamed: use {name}, as the next minor version refuses this name"
    ]


def test_a_former_name_works_below_a_hub_and_in_json(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "hubs: {Orders: {url: https://a, page_size: 10}}")
    variables = {
        "HUBS__ORDERS__HOST_REQUESTS": "2",
        "HUBS__B": '{"url": "https://b", "retries": {"attempts": 1}}',
    }
    said = configured(variables, file)
    hubs = {hub.name: hub for hub in said.settings.hubs}
    assert (hubs["Orders"].max_page_size, hubs["Orders"].max_requests_per_host) == (10, 2)
    assert hubs["b"].retries.max_retries == 1
    assert {warning.location for warning in said.former_names} == {
        f"{file}: hubs.Orders.page_size",
        f"{PREFIX}HUBS__B: retries.attempts",
        f"{PREFIX}HUBS__ORDERS__HOST_REQUESTS",
    }


@pytest.mark.parametrize(
    ("variables", "yaml_text", "location"),
    [
        ({"PAGE_SIZE": "10", "MAX_PAGE_SIZE": "10"}, "", f"{PREFIX}PAGE_SIZE"),
        ({"RETRIES": '{"attempts": 1, "max_retries": 1}'}, "", f"{PREFIX}RETRIES: attempts"),
        ({}, "page_size: 10\nmax_page_size: 10", "exporter.yaml: page_size"),
        ({}, "hubs: {a: {url: https://a, page_size: 1, max_page_size: 1}}", "hubs.a.page_size"),
    ],
)
def test_both_names_in_one_place_are_an_error(
    variables: Mapping[str, str], yaml_text: str, location: str, tmp_path: Path
) -> None:
    (line,) = problems({"URL": URL, **variables}, yaml_text, tmp_path)
    assert location in line
    assert ": duplicates " in line
    assert line.endswith(": remove one of the two")


def test_both_names_as_options_are_an_error() -> None:
    assert problems({"URL": URL}, page_size="1", max_page_size="1") == [
        "--set max_page_size: duplicates --set page_size: remove one of the two"
    ]


def test_a_stronger_place_wins_whichever_name_it_uses(tmp_path: Path) -> None:
    file = f"url: {URL}\nmax_page_size: 10\nlabel_limit: 10"
    (hub,) = load({"PAGE_SIZE": "20", "MAX_LABEL_VALUES": "20"}, file, tmp_path).hubs
    assert (hub.max_page_size, hub.max_label_values) == (20, 20)


def test_what_is_wrong_under_a_former_name_is_said_where_it_was_written(tmp_path: Path) -> None:
    (line,) = problems({"URL": URL}, "retries: {backoff_max: 1ms}", tmp_path)
    assert "exporter.yaml: retries.backoff_max: is shorter than retries.backoff" in line
    (line,) = problems({"URL": URL, "LABEL_LIMIT": "0"})
    assert line == f"{PREFIX}LABEL_LIMIT: is too small: give at least 1"


class TestPrinted:
    FILE = """\
        key: {secret}
        page_budget: 500
        retries: {{attempts: 1}}
        state_dir: state
        hubs:
          Orders:
            url: https://a
            headers: {{x-a: {secret}}}
            links: {{"a: b": "https://c"}}
            labels: {{team: "yes", note: "two\\nlines \\u202e", "on": "#1"}}
            limits: {{orchestrators: {{"A*": {{pending: none}}}}}}
          b: {{url: https://b, proxy: "http://me:{secret}@proxy", entities: []}}
    """

    def printed(self, folder: Path) -> tuple[Configuration, str]:
        (folder / "state").mkdir(exist_ok=True)
        file = write(folder / "a.yaml", self.FILE.format(secret=SECRET))
        said = configured({"HUBS__ORDERS__LABEL_LIMIT": "9"}, file, {"intervals.active": "1m"})
        return said, "\n".join(said.lines()) + "\n"

    def test_it_has_todays_names_and_where_each_value_was_set(self, tmp_path: Path) -> None:
        _, text = self.printed(tmp_path)
        file = tmp_path / "a.yaml"
        assert f"max_pages_per_day: 500  # {file}: page_budget\n" in text
        assert f"  max_retries: 1  # {file}: retries.attempts\n" in text
        assert f"    max_label_values: '9'  # {PREFIX}HUBS__ORDERS__LABEL_LIMIT\n" in text
        assert "  active: 1m  # --set intervals.active\n" in text
        assert f"    url: https://a  # {file}: hubs.Orders.url\n" in text
        assert not [former for former in FORMER_NAMES if f"\n{former}:" in text]

    def test_it_shows_no_secret(self, tmp_path: Path) -> None:
        _, text = self.printed(tmp_path)
        assert SECRET not in text
        assert text.count("'********'") == 3

    def test_as_a_file_it_means_the_same_without_a_warning(self, tmp_path: Path) -> None:
        said, text = self.printed(tmp_path)
        content = yaml.safe_load(text)
        content["key"] = content["hubs"]["Orders"]["headers"]["x-a"] = SECRET
        content["hubs"]["b"]["proxy"] = f"http://me:{SECRET}@proxy"
        again = configured({}, write(tmp_path / "b.yaml", yaml.safe_dump(content)))
        assert again.settings.hubs == said.settings.hubs
        assert again.settings.state_dir == said.settings.state_dir
        assert again.former_names == []
