"""What `compose.yaml` says fits together: with itself, the image, and the files that it mounts."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from emulator.scenarios.scenario import built_in
from exporter.alerts.inhibition import inhibition
from exporter.settings import load_settings
from exporter.settings.addresses import ListenAddress, parse_listen_address
from tests.compose.specification import FILE, GRAFANA_ALERTS, Mount, Service, read_compose
from tests.docs.pages import ROOT

COMPOSE = read_compose(environ={})
OUR_OWN = ("emulator", "exporter")
OF_OTHERS = ("prometheus", "alertmanager", "grafana")
SERVICES = pytest.mark.parametrize("name", COMPOSE.services)
PINNED = re.compile(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?")
# A host of these containers and a port, wherever it is written.
ADDRESS = re.compile(rf"\b({'|'.join(COMPOSE.services)}):(\d+)\b")


def mounted() -> list[tuple[str, Mount]]:
    files = (read_compose(path, {}) for path in (FILE, GRAFANA_ALERTS))
    return [
        (name, mount)
        for file in files
        for name, service in file.services.items()
        for mount in service.volumes
    ]


def service(name: str) -> Service:
    return COMPOSE.services[name]


def listens_at(name: str) -> str:
    """Return the text of where a service listens, as its own configuration says it."""
    one = service(name)
    if "GF_SERVER_HTTP_PORT" in one.environment:
        return f"0.0.0.0:{one.environment['GF_SERVER_HTTP_PORT']}"
    if "DURABLE_EXPORTER_LISTEN_ADDRESS" in one.environment:
        return one.environment["DURABLE_EXPORTER_LISTEN_ADDRESS"]
    options = dict(each.lstrip("-").partition("=")[::2] for each in one.command)
    return options.get("web.listen-address") or f"{options['host']}:{options['port']}"


def test_it_has_the_parts_that_it_should() -> None:
    assert set(COMPOSE.services) == {*OUR_OWN, *OF_OTHERS}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("read_only: true", "readonly: true"),
        ('ports: ["127.0.0.1:9093:9093"]', "ports: [9093]"),
        ("start_period: 60s", "start_period: 60"),
        ("command: [serve]", "command: serve"),
        ("file: ./compose/emulator-key", "path: ./compose/emulator-key"),
    ],
)
def test_what_compose_would_refuse_or_misread_is_found(
    tmp_path: Path, wrong: str, right: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert wrong in text
    changed = tmp_path / "compose.yaml"
    changed.write_text(text.replace(wrong, right), encoding="utf-8")
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        read_compose(changed, {})


@SERVICES
def test_a_container_may_do_nothing_that_it_need_not(name: str) -> None:
    one = service(name)
    user, _, _ = one.user.partition(":")
    assert one.read_only
    assert (one.cap_drop, one.security_opt) == (("ALL",), ("no-new-privileges:true",))
    assert int(user) > 0
    assert all(mount.read_only for mount in one.volumes if mount.type == "bind")


@SERVICES
def test_it_can_be_reached_from_this_machine_only_and_at_the_port_that_it_listens_at(
    name: str,
) -> None:
    (port,) = service(name).ports
    assert port.host == "127.0.0.1"
    # The same inside and outside: links between the parts are read on both sides.
    assert port.published == port.target
    assert parse_listen_address(listens_at(name)) == ListenAddress("0.0.0.0", port.target)


def test_no_two_parts_have_the_same_port() -> None:
    ports = Counter(port.published for each in COMPOSE.services.values() for port in each.ports)
    assert set(ports.values()) == {1}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_images_of_others_are_pinned(name: str) -> None:
    assert PINNED.fullmatch(service(name).image)
    assert not service(name).build


@pytest.mark.parametrize("name", OUR_OWN)
def test_our_own_parts_are_what_the_dockerfile_makes(name: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert service(name).build == "."
    assert service(name).image == service("exporter").image
    assert f"\nUSER {service(name).user}\n" in dockerfile
    assert '\nENTRYPOINT ["durable-exporter"]\n' in dockerfile


def test_everything_that_is_mounted_is_there() -> None:
    for name, mount in mounted():
        if mount.type == "bind":
            assert mount.source.startswith("./"), f"{name}: {mount.source}"
            assert (ROOT / mount.source).exists(), f"{name}: {mount.source}"
    volumes = [mount.source for _, mount in mounted() if mount.type == "volume"]
    # One part each: what two write is nobody's.
    assert sorted(volumes) == sorted(COMPOSE.volumes)


def test_secrets_are_files_and_each_is_used() -> None:
    used = {secret for each in COMPOSE.services.values() for secret in each.secrets}
    assert used == set(COMPOSE.secrets)
    for secret in COMPOSE.secrets.values():
        assert (ROOT / secret.file).is_file()


def test_a_configuration_and_a_key_of_ones_own_take_the_place_of_the_emulators() -> None:
    own = {"EXPORTER_CONFIG": "./orders.yaml", "HUB_KEY_FILE": "./orders.key"}
    changed = read_compose(environ=own)
    assert changed.services["exporter"].source_of("/etc/durable-exporter/config.yaml") == (
        ROOT / "orders.yaml"
    )
    assert changed.secrets["hub-key"].file == "./orders.key"
    # What is the emulator's stays its own.
    assert changed.secrets["emulator-key"] == COMPOSE.secrets["emulator-key"]
    assert changed.services["emulator"] == COMPOSE.services["emulator"]


def test_every_part_that_is_named_in_a_configuration_listens_there() -> None:
    files = {ROOT / mount.source for _, mount in mounted() if mount.type == "bind"}
    named = {
        (found[1], int(found[2]))
        for path in files
        if path.is_file()
        for found in ADDRESS.finditer(path.read_text(encoding="utf-8"))
    }
    ports = {(name, each.ports[0].target) for name, each in COMPOSE.services.items()}
    assert named <= ports
    # Nobody asks Grafana for anything.
    assert {name for name, _ in named} == {"emulator", "exporter", "prometheus", "alertmanager"}


def test_the_exporter_polls_the_emulator_with_its_key(tmp_path: Path) -> None:
    path = service("exporter").source_of("/etc/durable-exporter/config.yaml")
    text = path.read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    (tmp_path / "hub-key").write_bytes((ROOT / COMPOSE.secrets["hub-key"].file).read_bytes())
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    (hub,) = load_settings({}, {"config_file": str(tmp_path / "config.yaml")}).hubs
    assert hub.key_path is not None
    assert hub.key_path.read_bytes() == (ROOT / COMPOSE.secrets["emulator-key"].file).read_bytes()
    assert f"{hub.url}".startswith("http://emulator:7071")
    (scenario,) = (each for each in service("emulator").command if "scenario" in each)
    assert scenario.partition("=")[2] in built_in()


def test_grafana_knows_the_port_that_is_published() -> None:
    published = service("grafana").ports[0].published
    assert service("grafana").environment["GF_SERVER_ROOT_URL"] == f"http://localhost:{published}"


def test_alertmanager_holds_back_what_the_shipped_rules_say() -> None:
    path = service("alertmanager").source_of("/etc/alertmanager/alertmanager.yml")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["inhibit_rules"] == yaml.safe_load(inhibition())["inhibit_rules"]
    receivers = {each["receiver"] for each in (content["route"], *content["route"]["routes"])}
    assert receivers == {each["name"] for each in content["receivers"]}


@SERVICES
def test_each_part_is_asked_whether_it_is_well_at_its_own_port(name: str) -> None:
    check = service(name).healthcheck
    assert check is not None
    kind, *command = check.test
    assert kind == "CMD"  # no shell
    if name == "exporter":
        assert command == ["durable-exporter", "healthy"]
    else:
        (port,) = service(name).ports
        assert f"http://127.0.0.1:{port.target}/" in " ".join(command)
