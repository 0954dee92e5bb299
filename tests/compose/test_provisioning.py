"""What Grafana is provisioned with fits together; there is no Grafana here to read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from tests.compose.specification import FILE, GRAFANA_ALERTS, Service, read_compose
from tests.docs.pages import ROOT
from tests.grafana.committed import NAMES

GRAFANA = read_compose(FILE, {}).services["grafana"]
PROVISIONING = "/etc/grafana/provisioning"
# Kinds of data sources that Grafana brings along.
BUILT_IN = frozenset({"prometheus", "alertmanager"})


class Part(BaseModel):
    """A part of a file: a key that Grafana would pass over is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class ExemplarLink(Part):
    """Where a link from an exemplar leads, by the label that it comes from."""

    name: str
    url: str
    url_display_label: str = Field(alias="urlDisplayLabel")


class JsonData(Part):
    """What depends on the kind of a data source."""

    http_method: Literal["GET", "POST"] | None = Field(None, alias="httpMethod")
    time_interval: str | None = Field(None, alias="timeInterval")
    exemplars: list[ExemplarLink] = Field([], alias="exemplarTraceIdDestinations")
    implementation: Literal["prometheus", "cortex", "mimir"] | None = None


class DataSource(Part):
    """Where panels and alerts ask."""

    name: str
    uid: str
    type: str
    access: Literal["proxy"]
    url: str
    is_default: bool = Field(False, alias="isDefault")
    json_data: JsonData = Field(alias="jsonData")


class DataSources(Part):
    """The file of data sources."""

    api_version: Literal[1] = Field(alias="apiVersion")
    datasources: list[DataSource]


class Options(Part):
    """Where dashboards lie."""

    path: str


class Provider(Part):
    """A folder of dashboards as files."""

    name: str
    folder: str
    type: Literal["file"]
    allow_ui_updates: bool = Field(alias="allowUiUpdates")
    options: Options


class Providers(Part):
    """The file of providers."""

    api_version: Literal[1] = Field(alias="apiVersion")
    providers: list[Provider]


FileT = TypeVar("FileT", bound=Part)


def provisioned(what: str, model: type[FileT], service: Service = GRAFANA) -> FileT:
    """Read the one file that Grafana finds in a folder of its provisioning."""
    (target,) = (
        mount.target
        for mount in service.volumes
        if mount.target.startswith(f"{PROVISIONING}/{what}/")
    )
    # Grafana passes over files that are called otherwise.
    assert target.endswith((".yaml", ".yml"))
    text = service.source_of(target).read_text(encoding="utf-8")
    return model.model_validate(yaml.safe_load(text))


def data_sources() -> dict[str, DataSource]:
    return {each.uid: each for each in provisioned("datasources", DataSources).datasources}


def dashboards() -> dict[str, Mapping[str, Any]]:
    (provider,) = provisioned("dashboards", Providers).providers
    folder = GRAFANA.source_of(provider.options.path)
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def asked_by(content: object) -> Iterator[Mapping[str, str]]:
    """Yield every reference to a data source, in any depth."""
    if isinstance(content, dict):
        if isinstance(found := content.get("datasource"), dict):
            yield found
        content = list(content.values())
    for each in content if isinstance(content, list) else ():
        yield from asked_by(each)


def test_data_sources_are_those_of_the_other_parts() -> None:
    services = read_compose(FILE, {}).services
    found = data_sources()
    assert {each.url for each in found.values()} == {
        f"http://{name}:{services[name].ports[0].target}" for name in ("prometheus", "alertmanager")
    }
    assert {each.type for each in found.values()} == BUILT_IN
    assert [each.uid for each in found.values() if each.is_default] == ["prometheus"]
    assert found["alertmanager"].json_data.implementation == "prometheus"


def test_rates_are_smoothed_over_what_prometheus_scrapes() -> None:
    prometheus = read_compose(FILE, {}).services["prometheus"]
    path = prometheus.source_of("/etc/prometheus/prometheus.yml")
    scraped = yaml.safe_load(path.read_text(encoding="utf-8"))["global"]["scrape_interval"]
    assert data_sources()["prometheus"].json_data.time_interval == scraped


def test_all_dashboards_are_there() -> None:
    assert sorted(dashboards()) == sorted(NAMES)
    uids = {each["uid"] for each in dashboards().values()}
    assert uids == {f"durable-functions-{name}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_asks_the_data_source_that_is_provisioned(name: str) -> None:
    dashboard = dashboards()[name]
    chosen = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    kinds = {each.type for each in data_sources().values() if each.is_default}
    # The first of its kind is taken at first.
    assert {each["query"] for each in chosen} == kinds
    variables = {f"${{{each['name']}}}" for each in chosen}
    # Grafana itself keeps annotations.
    asked = [each for each in asked_by(dashboard) if each["type"] != "grafana"]
    assert len(asked) > 5
    assert {each["uid"] for each in asked} <= variables
    assert {each["type"] for each in asked} == kinds


def test_no_dashboard_links_this_host() -> None:
    for dashboard in dashboards().values():
        assert "localhost" not in json.dumps(dashboard)


def test_exemplars_lead_to_the_pages_of_instances() -> None:
    settings = yaml.safe_load((ROOT / "compose" / "exporter.yaml").read_text(encoding="utf-8"))
    (hub,) = settings["hubs"]
    (link,) = data_sources()["prometheus"].json_data.exemplars
    page = f"http://localhost:10771/hubs/{hub}/instances/$${{__value.raw}}"
    assert (link.name, link.url) == ("instance_id", page)
    assert settings["metrics"]["exemplars"]
    assert settings["web"]["instance_pages"]


def test_its_own_alerts_come_only_with_the_second_file() -> None:
    folder = f"{PROVISIONING}/alerting"
    assert folder not in {mount.target for mount in GRAFANA.volumes}
    services = read_compose(GRAFANA_ALERTS, {}).services
    assert set(services) == {"grafana"}
    rules = alert_rules(services["grafana"].source_of(folder))
    asked = {query["datasourceUid"] for rule in rules for query in rule["data"]}
    assert asked == {"prometheus", "__expr__"}
    assert data_sources()["prometheus"].type == "prometheus"


def alert_rules(folder: Path) -> list[Mapping[str, Any]]:
    (path,) = folder.iterdir()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_the_types_of_its_dashboards_were_checked_for_this_grafana() -> None:
    path = ROOT / "tests" / "grafana" / "typescript" / "package.json"
    checked = json.loads(path.read_text(encoding="utf-8"))["dependencies"].values()
    _, _, version = GRAFANA.image.partition(":")
    minor = version.rpartition(".")[0]
    assert any(each.startswith(f"npm:@grafana/schema@{minor}.") for each in checked)


def test_nobody_has_a_password_and_nobody_outside_is_asked() -> None:
    said = GRAFANA.environment
    assert not [name for name in said if "PASSWORD" in name]
    on = ("SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "AUTH_ANONYMOUS_ENABLED")
    off = ("ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES")
    assert {said[f"GF_{name}"] for name in on} == {"true"}
    assert {said[f"GF_{name}"] for name in off} == {"false"}
    # Without it a plugin is updated at the start, which a read-only file system ends badly.
    assert said["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] != "Admin"
