"""The exporter accepts the chart's configuration, and it means what the values say."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from exporter.cli import main
from exporter.cli.conventions import ExitCode
from exporter.settings import HubSettings, Settings, load_settings
from exporter.settings.hub import IDENTITY
from exporter.settings.reference import page
from helm.settings_schema import CHART_VALUES, of_hubs, of_settings
from tests.chart.chart import VALUES, Rendered, render, values_of
from tests.chart.pods import KEY, Pod, laid_out

VALUES_FOLDER = VALUES[0].parent
WITHOUT_HUBS = "nothing"
OWN_VARIABLES = {
    "config_file": "CONFIG_FILE",
    "listen_address": "LISTEN_ADDRESS",
    "web_config_file": "WEB_CONFIG_FILE",
    "shard": "SHARD",
    "state_dir": "STATE_DIR",
}


def rendered(name: str) -> Rendered:
    return render(values_of(VALUES_FOLDER / f"{name}.yaml"))


def exporter_pod(release: Rendered, folder: Path) -> Pod:
    return laid_out(release, release.workload["spec"]["template"]["spec"], folder)


def settings_of(name: str, folder: Path) -> Settings:
    return load_settings(exporter_pod(rendered(name), folder).environ)


def as_pod(monkeypatch: pytest.MonkeyPatch, release: Rendered, ordinal: int) -> None:
    """Give this host the name of a StatefulSet's pod."""
    name = release.workload["metadata"]["name"]
    monkeypatch.setattr(socket, "gethostname", lambda: f"{name}-{ordinal}")


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_command_takes_environment_and_configuration(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    release = render(values_of(path))
    as_pod(monkeypatch, release, 0)
    pod = exporter_pod(release, tmp_path)
    code = main.run(["check", "--offline", *pod.arguments[1:]], pod.environ)
    expected = ExitCode.CONFIGURATION if path.stem == WITHOUT_HUBS else ExitCode.OK
    assert code == expected, capsys.readouterr().err


@pytest.mark.parametrize("name", ["every-setting", "keys-in-values", "closed-network"])
def test_the_test_pod_takes_them_too_and_is_of_no_shard(name: str, tmp_path: Path) -> None:
    release = rendered(name)
    pod = laid_out(release, release.one("Pod")["spec"], tmp_path)
    assert pod.arguments == ("check",)
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "check", "--offline"],
        env=dict(pod.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "in shard 0/1" in done.stdout


def test_every_setting_of_the_reference_can_be_said_in_values() -> None:
    hub = of_hubs()["additionalProperties"]
    names = re.findall(r"^\| `([^`]+)` \|", page(), re.MULTILINE)
    reference = [tuple(name.split(".")) for name in names]
    assert len(reference) > 60
    for setting in reference:
        if setting[0] in CHART_VALUES:
            assert setting[0] in OWN_VARIABLES
            continue
        at_the_top = setting[0] not in IDENTITY
        assert not at_the_top or has(of_settings(), setting), setting
        assert has(hub, setting) or setting[0] in Settings.model_fields, setting


def has(schema: dict[str, object], setting: tuple[str, ...]) -> bool:
    """Return whether a closed schema describes a setting."""
    place: object = schema
    for name in setting:
        assert isinstance(place, dict)
        below = place.get("properties", {})
        place = below.get(name) or (name == "<name>" and place.get("additionalProperties"))
        if not place:
            return False
    return True


def unset(model: BaseModel, place: str = "") -> Iterator[str]:
    """Yield every setting that is not set, at any depth."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from unset(value, f"{place}{name}.")
        elif name not in model.model_fields_set:
            yield f"{place}{name}"


def test_every_setting_that_values_say_arrives(tmp_path: Path) -> None:
    settings = settings_of("every-setting", tmp_path)
    (orders,) = (hub for hub in settings.hubs if hub.name == "Orders (EU)")
    others = [hub for hub in settings.hubs if hub is not orders]
    folder = tmp_path / "defaults"
    folder.mkdir()
    at_defaults = settings_of("default-settings", folder)
    (hub,) = at_defaults.hubs
    # What has a value of its own is set by other files of the matrix.
    assert set(unset(settings)) & set(unset(at_defaults)) == {"web_config_file", "shard"}
    # A key arrives as a file, and excludes the other ways to give one.
    assert set(unset(orders)) & set(unset(hub)) == {"key", "key_file"}
    assert orders.key_path is not None
    assert orders.key_path.read_text() == "key-of-orders-9zX"
    assert {hub.key_path.read_text() for hub in others if hub.key_path} == {KEY}
    assert len(others) == 2
    for hub in settings.hubs:
        assert hub.proxy is not None
        assert hub.headers


def test_numbers_arrive_as_they_are_written(tmp_path: Path) -> None:
    settings = settings_of("every-setting", tmp_path)
    by_name = {hub.name: hub for hub in settings.hubs}
    assert by_name["billing"].max_ledger_finishes == 12_000_000
    assert by_name["billing"].max_response_bytes == 134_217_728
    assert by_name["billing"].retries.backoff == 0.25
    assert by_name["Orders (EU)"].counter_hold == 0
    assert by_name["Orders (EU)"].max_ledger_finishes == 1000


def test_of_patterns_that_match_the_same_orchestrator_the_longer_one_holds(tmp_path: Path) -> None:
    (hub, *_) = settings_of("every-setting", tmp_path).hubs
    pending = {
        name: hub.limits.for_orchestrator(name)["pending"]
        for name in ("OrderOfManyThings", "OrderOne", "Invoice")
    }
    assert pending == {"OrderOfManyThings": 3600, "OrderOne": None, "Invoice": 1200}


@pytest.mark.parametrize(
    ("name", "variable", "ending"),
    [
        ("one-hub", "CONFIG_FILE", "/config.yaml"),
        ("service", "LISTEN_ADDRESS", ":9000"),
        ("three-shards", "SHARD", "auto/3"),
        ("claim", "STATE_DIR", "/var/lib/durable-functions-exporter"),
        ("existing-web-config", "WEB_CONFIG_FILE", "/web/web.yaml"),
        ("every-setting", "GRACE_PERIOD", "20s"),
    ],
)
def test_what_the_chart_sets_itself_is_a_variable(name: str, variable: str, ending: str) -> None:
    (value,) = (
        each["value"]
        for each in rendered(name).exporter["env"]
        if each["name"] == f"DURABLE_EXPORTER_{variable}"
    )
    assert value.endswith(ending)


def test_a_hub_finds_its_key_wherever_it_comes_from(tmp_path: Path) -> None:
    keys = {
        hub.name: hub.key_path.read_text() if hub.key_path else None
        for hub in settings_of("mixed-keys", tmp_path).hubs
    }
    assert keys == {"orders": "key-of-orders-9zX", "billing": KEY, "shipping": KEY}


@pytest.mark.parametrize(("name", "optional"), [("one-secret-for-all", False), ("one-hub", True)])
def test_a_missing_key_keeps_a_pod_from_starting_only_where_asked_to(
    name: str, optional: bool
) -> None:
    (keys,) = (
        volume["projected"]["sources"]
        for volume in rendered(name).workload["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "keys"
    )
    assert {source["secret"]["optional"] for source in keys} == {optional}


def test_the_shards_of_a_stateful_set_have_every_hub_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = render(
        {
            "shards": 3,
            "hubs": {f"hub{n}": {"url": f"https://hub{n}.example.com"} for n in range(40)},
        }
    )
    environ = exporter_pod(release, tmp_path).environ
    held: list[str] = []
    for ordinal in range(release.workload["spec"]["replicas"]):
        as_pod(monkeypatch, release, ordinal)
        own = [hub.name for hub in load_settings(environ).own_hubs]
        assert own
        held += own
    assert sorted(held) == sorted(f"hub{n}" for n in range(40))


def test_hub_settings_are_all_in_the_schema_of_a_hub() -> None:
    assert set(HubSettings.model_fields) <= set(of_hubs()["additionalProperties"]["properties"])
