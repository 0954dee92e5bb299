"""Wrong values are refused before installation, by a message that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.alerts.prometheus import rules
from tests.chart.chart import CHART, KUBE_VERSION, helm3, render
from tests.tools import python_module

URL = "https://orders.azurewebsites.net"
GROUP = yaml.safe_load(rules())["groups"][-1]["name"]
STORE = {"externalSecret": {"secretStoreRef": {"name": "vault"}}}


def hub(**settings: object) -> dict[str, Any]:
    """Return values with one hub."""
    return {"hubs": {"orders": {"url": URL, **settings}}}


# What is wrong, the values, and words of the message.
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("a value that is none", {"replicas": 2}, ("replicas",)),
    ("a typo in a group", {"serviceMonitor": {"enable": True}}, ("serviceMonitor", "enable")),
    ("a typo in a hub", hub(task_hubb="OrdersHub"), ("orders", "task_hubb")),
    ("a typo in a setting", {"settings": {"log_levl": "info"}}, ("settings", "log_levl")),
    ("a typo in a limit", hub(limits={"pendng": "5m"}), ("limits", "pendng")),
    ("a hub's setting in camel case", hub(taskHub="OrdersHub"), ("orders", "taskHub")),
    ("a key for all hubs", {"settings": {"key": "secret"}}, ("settings", "key")),
    ("a setting that the chart makes", {"settings": {"shard": "0/3"}}, ("settings", "shard")),
    ("a hub without a URL", {"hubs": {"orders": {"task_hub": "OrdersHub"}}}, ("orders", "url")),
    ("no URL", hub(url="orders.azurewebsites.net"), ("orders", "url")),
    ("a key in the URL", hub(url=f"{URL}?code=abc"), ("orders", "url")),
    ("a password in the URL", hub(url="https://u:p@orders.example"), ("orders", "url")),
    ("a name that no Secret's entry has", {"hubs": {"my hub": {"url": URL}}}, ("my hub",)),
    ("no duration", hub(intervals={"active": "soon"}), ("intervals", "active")),
    ("units out of order", hub(stale_after="5m1h"), ("orders", "stale_after")),
    ("an empty duration", hub(stale_after=""), ("orders", "stale_after")),
    ("a list in a list", hub(orchestrators=[["A"]]), ("orders", "orchestrators")),
    ("a word where a number belongs", hub(max_page_size="many"), ("orders", "max_page_size")),
    ("too large a page", hub(max_page_size=5000), ("orders", "max_page_size")),
    ("an unknown profile", hub(profile="fast"), ("orders", "profile")),
    ("an unknown level", {"settings": {"log_level": "chatty"}}, ("settings", "log_level")),
    ("a connection string", hub(connection="AccountKey=abc;"), ("orders", "connection")),
    ("an impossible task hub", hub(task_hub="no-hyphens"), ("orders", "task_hub")),
    ("no shard at all", {"shards": 0}, ("shards",)),
    ("shards as text", {"shards": "three"}, ("shards",)),
    ("a port that is none", {"service": {"port": 70000}}, ("service", "port")),
    ("an address without a port", {"listenAddress": "localhost"}, ("listenAddress",)),
    ("an unknown state", {"state": {"type": "disk"}}, ("state", "type")),
    ("an unknown size", {"state": {"size": "much"}}, ("state", "size")),
    ("half a digest", {"image": {"digest": "sha256:12"}}, ("image", "digest")),
    ("a foreign monitor", {"serviceMonitor": {"apiVersion": "v1"}}, ("apiVersion",)),
    ("an annotation that is no text", {"podAnnotations": {"a": True}}, ("podAnnotations",)),
    (
        "a host in place of a range",
        {"networkPolicy": {"egress": {"cidrs": ["a.example"]}}},
        ("cidrs",),
    ),
    ("an unknown alert", {"prometheusRule": {"disabled": ["HubEmpty"]}}, ("disabled",)),
    (
        "an unknown threshold",
        {"prometheusRule": {"parameters": {"pending_stuck": "5m"}}},
        ("parameters", "pending_stuck"),
    ),
    (
        "a threshold that would end its text",
        {"prometheusRule": {"parameters": {"grafana_url": 'https://a"b'}}},
        ("parameters", "grafana_url"),
    ),
    (
        "a setting under both its names",
        {"settings": {"retries": {"attempts": 1, "max_retries": 1}}},
        ("settings.retries.attempts is the former name of settings.retries.max_retries",),
    ),
    (
        "a hub's setting under both its names",
        hub(page_size=10, max_page_size=10),
        ("hubs.orders.page_size is the former name of hubs.orders.max_page_size",),
    ),
    (
        "two ways to a key",
        hub(key="secret", keySecret={"name": "a"}),
        ("hubs.orders has key and keySecret: keep one of them",),
    ),
    (
        "a key file beside a Secret",
        hub(key_file="/mnt/orders", keySecret={"name": "a"}),
        ("hubs.orders has keySecret and key_file: keep one of them",),
    ),
    (
        "an external key without a store",
        hub(externalKey={"key": "orders"}),
        ("hubs.orders.externalKey needs a store: set keys.externalSecret.secretStoreRef.name",),
    ),
    (
        "a folder beside a Secret",
        hub(keys_dir="/mnt", key="secret"),
        ("hubs.orders.keys_dir cannot be combined with a key from a Secret",),
    ),
    (
        "a folder for all beside a Secret",
        {**hub(key="secret"), "settings": {"keys_dir": "/mnt"}},
        ("settings.keys_dir cannot be combined with keys from Secrets",),
    ),
    (
        "a name that no file has",
        hub(name="orders/eu", keySecret={"name": "a"}),
        ("hubs.orders.name has a slash in it",),
    ),
    (
        "two hubs of one name",
        {"hubs": {"a": {"url": URL}, "b": {"url": "https://b.example", "name": "a"}}},
        ("hubs.b is called a, as hubs.a is",),
    ),
    (
        "hubs that differ in case only",
        {"hubs": {"a": {"url": URL}, "A": {"url": "https://b.example"}}},
        ("hubs.a differs from hubs.A only in case",),
    ),
    (
        "no encryption",
        hub(url="http://orders.example"),
        ("hubs.orders.url is not encrypted: use https://, or set allow_insecure to true",),
    ),
    (
        "a claim for several pods",
        {"shards": 2, "state": {"type": "claim", "existingClaim": "a"}},
        ("state.existingClaim is of one pod only",),
    ),
    (
        "a claim that is not used",
        {"state": {"existingClaim": "a"}},
        ("state.existingClaim is not used with state.type emptyDir",),
    ),
    (
        "two pods on one state",
        {"state": {"type": "claim"}, "deploymentStrategy": {"type": "RollingUpdate"}},
        ("deploymentStrategy.type RollingUpdate makes two pods share one state",),
    ),
    (
        "everything scraped twice",
        {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
        ("serviceMonitor and podMonitor are both enabled",),
    ),
    (
        "two budgets",
        {"podDisruptionBudget": {"minAvailable": 0, "maxUnavailable": 1}},
        ("podDisruptionBudget has minAvailable and maxUnavailable: keep one of them",),
    ),
    (
        "two web configurations",
        {"web": {"config": {"basic_auth_users": {"a": "b"}}, "existingSecret": "a"}},
        ("web has config and existingSecret: keep one of them",),
    ),
    (
        "a certificate that nothing names",
        {"web": {"tlsSecret": "a"}},
        ("web.tlsSecret is only mounted: name tls.crt and tls.key",),
    ),
    (
        "an Ingress without a host",
        {"ingress": {"enabled": True}},
        ("ingress.enabled needs a host name: set ingress.hosts",),
    ),
    (
        "a route without a gateway",
        {"httpRoute": {"enabled": True}},
        ("httpRoute.enabled needs a gateway: set httpRoute.parentRefs",),
    ),
    (
        "TLS that nobody speaks",
        {"serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "a"}}},
        ("serviceMonitor.tlsConfig is not used, as the exporter speaks no TLS",),
    ),
    (
        "a variable of the chart's own",
        {"extraEnv": [{"name": "DURABLE_EXPORTER_SHARD", "value": "0/3"}]},
        ("extraEnv has DURABLE_EXPORTER_SHARD, which the chart sets itself: use shards",),
    ),
    (
        "a monitor without the password",
        {
            "web": {"config": {"basic_auth_users": {"a": "b"}}},
            "podMonitor": {"enabled": True},
        },
        ("podMonitor.basicAuth is missing",),
    ),
    (
        "a monitor without a certificate",
        {
            "web": {"existingSecret": "a", "scheme": "https", "clientCertificates": True},
            "serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "a"}},
        },
        ("serviceMonitor.tlsConfig.cert is missing",),
    ),
    (
        "a budget that holds the only pod",
        {"podDisruptionBudget": {"enabled": True, "minAvailable": 1}},
        ("podDisruptionBudget.minAvailable 1 of 1 blocks every node drain",),
    ),
    (
        "a budget that holds all pods",
        {"shards": 3, "podDisruptionBudget": {"enabled": True, "minAvailable": "100%"}},
        ("podDisruptionBudget.minAvailable 100% of 3 blocks every node drain",),
    ),
    (
        "a budget that lets none go",
        {"shards": 3, "podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}},
        ("podDisruptionBudget.maxUnavailable 0 blocks every node drain",),
    ),
    (
        "an alert's label by which exporters are told apart",
        {"prometheusRule": {"alertLabels": {"cluster": "eu"}}},
        ("prometheusRule.alertLabels has cluster, by which the rules distinguish alerts",),
    ),
    (
        "an alert's label by which exporters were told to be told apart",
        {
            "prometheusRule": {
                "alertLabels": {"stamp": "eu"},
                "parameters": {"target_labels": "job, stamp"},
            }
        },
        ("prometheusRule.alertLabels has stamp",),
    ),
    (
        "a label that tells exporters apart, and tells of a hub",
        {"prometheusRule": {"parameters": {"hub_labels": "team, job"}}},
        ("prometheusRule.parameters.hub_labels has job, which target_labels has, too",),
    ),
    (
        "capitals in the names of objects",
        {"fullnameOverride": "DurableExporter"},
        ("fullnameOverride",),
    ),
    (
        "capitals that come into the names of objects",
        {"nameOverride": "Exporter"},
        ("Exporter, which Kubernetes refuses: set fullnameOverride",),
    ),
    ("a namespace in capitals", {"namespaceOverride": "Monitoring"}, ("namespaceOverride",)),
    ("a label with spaces", {"podLabels": {"team": "of payments"}}, ("podLabels", "team")),
    ("a label without a name", {"commonLabels": {"example.com/": "a"}}, ("example.com/",)),
    ("a host in capitals", {"ingress": {"hosts": ["A.example"]}}, ("ingress", "hosts")),
    (
        "a probe that cannot succeed twice",
        {"livenessProbe": {"successThreshold": 2}},
        ("livenessProbe", "successThreshold"),
    ),
    ("a probe without a port", {"readinessProbe": {"httpGet": {"path": "/"}}}, ("port",)),
    ("a typo in a probe", {"livenessProbe": {"period": 5}}, ("livenessProbe", "period")),
    (
        "a probe with two handlers",
        {"startupProbe": {"tcpSocket": {"port": 10771}, "exec": {"command": ["true"]}}},
        ("startupProbe has exec and tcpSocket: keep one of them",),
    ),
    ("an unknown strategy", {"deploymentStrategy": {"type": "BlueGreen"}}, ("type",)),
    (
        "an update that may neither add a pod nor remove one",
        {
            "deploymentStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"},
            }
        },
        ("deploymentStrategy.rollingUpdate allows no pod to be replaced",),
    ),
    (
        "an update of shards that may remove none",
        {"shards": 2, "statefulSetStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
        ("statefulSetStrategy.rollingUpdate allows no pod to be replaced",),
    ),
    (
        "a rolling update of what is recreated",
        {"deploymentStrategy": {"rollingUpdate": {"maxSurge": 1}}},
        ("deploymentStrategy.rollingUpdate is not used with type Recreate",),
    ),
    (
        "a volume that is called as one of the chart's",
        {"extraVolumes": [{"name": "config", "emptyDir": {}}]},
        ("extraVolumes: there is another volume called config: rename it",),
    ),
    (
        "a volume that is called as that of a claim's template",
        {
            "shards": 2,
            "state": {"type": "claim"},
            "extraVolumes": [{"name": "state", "emptyDir": {}}],
        },
        ("extraVolumes: there is another volume called state: rename it",),
    ),
    (
        "a mount of nothing",
        {"extraVolumeMounts": [{"name": "authorities", "mountPath": "/etc/authorities"}]},
        ("extraVolumeMounts: there is no volume called authorities: add it to extraVolumes",),
    ),
    (
        "two mounts in one place",
        {
            "extraVolumeMounts": [
                {"name": "config", "mountPath": "/etc/durable-functions-exporter/config"}
            ]
        },
        ("something else is mounted at /etc/durable-functions-exporter/config",),
    ),
    (
        "a container that is called as the exporter's",
        {"extraContainers": [{"name": "exporter", "image": "a"}]},
        ("there is another container called exporter: rename it",),
    ),
    (
        "a container that is called as one before it",
        {
            "initContainers": [{"name": "wait", "image": "a"}],
            "extraContainers": [{"name": "wait", "image": "a"}],
        },
        ("there is another container called wait: rename it",),
    ),
    (
        "a variable twice",
        {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        ("extraEnv has A twice: keep one of them",),
    ),
    (
        "a port of the nodes that nobody opens",
        {"service": {"nodePort": 30771}},
        ("service.nodePort is not used with service.type ClusterIP",),
    ),
    (
        "a port of the nodes without an address",
        {"service": {"type": "NodePort", "clusterIP": "None"}},
        ("service.clusterIP None cannot be combined with service.type NodePort",),
    ),
    ("names that nobody resolves", {"dnsPolicy": "None"}, ("dnsPolicy None needs a name server",)),
    ("a budget of words", {"podDisruptionBudget": {"maxUnavailable": "one"}}, ("maxUnavailable",)),
    (
        "a group of rules that is called as a shipped one",
        {"prometheusRule": {"extraGroups": [{"name": GROUP, "rules": []}]}},
        (f"prometheusRule.extraGroups: there is another group called {GROUP}: rename it",),
    ),
    (
        "a release of its own that is switched off",
        {"enabled": False},
        ("enabled is false, but no condition of a parent chart asks for it",),
    ),
    (
        "labels of a monitor as other charts call them",
        {"serviceMonitor": {"additionalLabels": {"release": "prometheus"}}},
        ("serviceMonitor", "set serviceMonitor.labels instead"),
    ),
    (
        "labels of rules as other charts call them",
        {"prometheusRule": {"additionalLabels": {"release": "prometheus"}}},
        ("prometheusRule", "set prometheusRule.labels instead"),
    ),
    ("a value of other charts", {"replicaCount": 2}, ("replicaCount", "set shards instead")),
    (
        "several at once",
        {**hub(url="http://orders.example"), "ingress": {"enabled": True}},
        ("hubs.orders.url is not encrypted", "ingress.enabled needs a host name"),
    ),
]
NAMES = [name for name, _, _ in CASES]


def test_there_are_enough_of_them() -> None:
    assert len(set(NAMES)) == len(CASES) >= 20


@pytest.mark.parametrize(("_name", "values", "words"), CASES, ids=NAMES)
def test_helm_4_refuses(_name: str, values: dict[str, Any], words: tuple[str, ...]) -> None:
    errors = python_module("helm_python", "requirements-chart.lock")
    with pytest.raises(errors.HelmError) as caught:
        render(values)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.proof
def test_helm_3_refuses_the_same(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    for name, values, words in CASES:
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        arguments = ("template", "a", str(CHART), "--values", str(file), *KUBE_VERSION)
        done = helm3(*arguments, home=tmp_path)
        assert done.returncode == 1, name
        assert all(word in done.stderr for word in words), (name, done.stderr)


def test_an_external_key_with_a_store_is_taken() -> None:
    release = render({**hub(externalKey={"key": "orders"}), "keys": STORE})
    assert release.one("ExternalSecret")
