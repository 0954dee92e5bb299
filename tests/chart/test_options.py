"""Options that charts of Prometheus exporters usually have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import CHART, NAMESPACE, VALUES, Rendered, render, values_of
from tests.tools import python_module

FOLDER = VALUES[0].parent
ONE_HUB = values_of(FOLDER / "one-hub.yaml")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
TLS = {"config": {"tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key"}}}


def named(name: str) -> Rendered:
    return render(values_of(FOLDER / f"{name}.yaml"))


def with_values(**values: Any) -> Rendered:  # noqa: ANN401 - they are any YAML
    return render({**ONE_HUB, **values})


def test_everything_can_be_in_another_namespace_than_the_release() -> None:
    release = named("namespace")
    assert {each["metadata"]["namespace"] for each in release.manifests} == {"durable"}
    selector = release.one("ServiceMonitor")["spec"]["namespaceSelector"]
    assert selector == {"matchNames": ["durable"]}
    assert "--namespace durable port-forward" in release.notes
    assert f"helm test durable --namespace {NAMESPACE}" in release.notes
    rules = with_values(namespaceOverride="durable", prometheusRule={"enabled": True})
    assert "durable-durable-functions-exporter.durable.svc" in str(rules.one("PrometheusRule"))


def test_a_namespace_of_its_own_comes_before_that_of_all() -> None:
    release = with_values(
        namespaceOverride="durable", dashboards={"enabled": True, "namespace": "grafana"}
    )
    namespaces = {
        each["metadata"]["namespace"]
        for each in release.of_kind("ConfigMap")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "dashboards"
    }
    assert namespaces == {"grafana"}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({"registry": "registry.example:5000"}, "registry.example:5000/durable-functions-exporter"),
        ({"registry": "registry.example/"}, "registry.example/durable-functions-exporter"),
        ({"repository": "registry.example/team/exporter"}, "registry.example/team/exporter"),
        ({}, "durable-functions-exporter"),
    ],
)
def test_the_registry_of_the_image_may_be_named_apart(image: dict[str, str], name: str) -> None:
    release = with_values(image={**image, "tag": "1"})
    (check,) = release.of_kind("Pod")
    assert release.exporter["image"] == check["spec"]["containers"][0]["image"] == f"{name}:1"


@pytest.mark.parametrize("off", [{"enabled": False}, None], ids=str)
def test_each_probe_can_be_left_out(off: object) -> None:
    for probe in PROBES:
        container = with_values(**{probe: off}).exporter
        assert {each for each in PROBES if each in container} == set(PROBES) - {probe}


def test_a_probe_of_one_s_own_replaces_the_chart_s() -> None:
    container = named("probes").exporter
    assert "httpGet" not in container["livenessProbe"]
    assert container["livenessProbe"]["tcpSocket"] == {"port": 10771}
    # What is not said stays as it was.
    assert container["readinessProbe"]["periodSeconds"] == 10
    assert "httpGet" in with_values(livenessProbe={"periodSeconds": 9}).exporter["livenessProbe"]


def test_a_life_cycle_is_the_container_s() -> None:
    assert named("probes").exporter["lifecycle"]["preStop"]["httpGet"]["path"] == "/-/healthy"
    assert "lifecycle" not in with_values().exporter


def test_pods_run_on_linux_unless_other_nodes_are_chosen() -> None:
    def selector(**values: Any) -> Any:  # noqa: ANN401 - it is any YAML
        return with_values(**values).workload["spec"]["template"]["spec"].get("nodeSelector")

    assert selector() == {"kubernetes.io/os": "linux"}
    of_two = {"kubernetes.io/os": "linux", "pool": "system"}
    assert selector(nodeSelector={"pool": "system"}) == of_two
    assert selector(nodeSelector={"kubernetes.io/os": None}) is None
    (check,) = with_values().of_kind("Pod")
    assert check["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def port_names(release: Rendered) -> set[str]:
    """Return every name that refers to the port."""
    names = {each["port"] for each in release.one("ServiceMonitor")["spec"]["endpoints"]}
    names |= {port["name"] for port in release.exporter["ports"]}
    for service in release.of_kind("Service"):
        for port in service["spec"]["ports"]:
            names |= {port["name"], port["targetPort"]}
    for rule in release.one("Ingress")["spec"]["rules"]:
        names |= {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]}
    for probe in PROBES:
        handler = release.exporter[probe].get("httpGet") or release.exporter[probe]["tcpSocket"]
        names.add(handler["port"])
    return names


@pytest.mark.parametrize(
    ("web", "name"), [({}, "http"), (TLS, "https"), ({"scheme": "https"}, "https")]
)
def test_the_port_is_called_what_it_speaks(web: dict[str, Any], name: str) -> None:
    """Meshes and gateways depend on the name."""
    monitor = {"enabled": True}
    ingress = {"enabled": True, "hosts": ["a.example"]}
    release = with_values(web=web, serviceMonitor=monitor, ingress=ingress, shards=2)
    assert port_names(release) == {name}


def test_a_host_may_have_paths_of_its_own() -> None:
    first, second = named("ingress").one("Ingress")["spec"]["rules"]

    def paths(rule: dict[str, Any]) -> list[tuple[str, str]]:
        return [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]

    assert (first["host"], paths(first)) == ("durable.example.com", [("/", "Prefix")])
    assert second["host"] == "durable.example.org"
    assert paths(second) == [("/metrics", "Exact"), ("/api", "Prefix")]


def test_links_of_alerts_lead_to_the_first_path_of_the_first_host() -> None:
    hosts = [{"host": "a.example", "paths": [{"path": "/durable/"}]}, "b.example"]
    ingress = {"enabled": True, "hosts": hosts}
    release = with_values(ingress=ingress, prometheusRule={"enabled": True})
    assert "http://a.example/durable/runbooks" in str(release.one("PrometheusRule"))


def test_further_fields_of_a_monitor_go_where_they_belong() -> None:
    specification = named("further-fields-of-monitors").one("ServiceMonitor")["spec"]
    (endpoint,) = specification["endpoints"]
    assert endpoint["honorLabels"] is True
    assert endpoint["authorization"]["credentials"] == {"name": "scrape", "key": "token"}
    assert (endpoint["port"], endpoint["interval"]) == ("http", "30s")
    assert specification["targetLabels"] == ["team"]
    assert specification["attachMetadata"] == {"node": True}
    assert specification["labelLimit"] == 60
    assert specification["jobLabel"] == "app.kubernetes.io/instance"
    of_pods = named("further-fields-of-pod-monitors").one("PodMonitor")["spec"]
    assert of_pods["podMetricsEndpoints"][0]["honorLabels"] is True


def test_further_fields_come_before_the_chart_s_own() -> None:
    monitor = {"enabled": True, "endpoint": {"interval": "5s"}, "spec": {"sampleLimit": 7}}
    specification = with_values(serviceMonitor=monitor).one("ServiceMonitor")["spec"]
    assert specification["endpoints"][0]["interval"] == "5s"
    assert specification["sampleLimit"] == 7


def test_a_password_among_the_further_fields_is_one() -> None:
    user = {"username": {"name": "a", "key": "u"}, "password": {"name": "a", "key": "p"}}
    monitor = {"enabled": True, "endpoint": {"basicAuth": user}}
    web = {"config": {"basic_auth_users": {"a": "b"}}}
    specification = with_values(serviceMonitor=monitor, web=web).one("ServiceMonitor")["spec"]
    assert specification["endpoints"][0]["basicAuth"] == user


def test_groups_of_one_s_own_stand_beside_the_shipped_ones() -> None:
    release = named("rules")
    groups = release.one("PrometheusRule")["spec"]["groups"]
    assert len(groups) > 1
    assert groups[-1]["name"] == "own"
    # As it was written: Prometheus fills it in.
    assert groups[-1]["rules"][0]["annotations"]["summary"] == "{{ $value }} payments"


def test_dashboards_are_files_and_not_links() -> None:
    """Checkouts on Windows, and Flux, drop symbolic links or turn them into files."""
    assert not [path for path in CHART.rglob("*") if path.is_symlink()]


def test_a_chart_without_its_dashboards_says_so(tmp_path: Path) -> None:
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("dashboards"))
    errors = python_module("helm_python", "requirements-chart.lock")
    assert render(ONE_HUB, chart=copy).manifests
    with pytest.raises(errors.HelmError, match="the chart has no dashboards"):
        render({**ONE_HUB, "dashboards": {"enabled": True}}, chart=copy)
