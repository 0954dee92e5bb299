"""Selectors match, secrets stay in Secrets, and pods meet the strictest standard."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.chart import RELEASE, VALUES, Manifest, Rendered, render, values_of

PATHS = pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
# What the files of the matrix give away in their values.
SECRETS = (
    "key-of-orders-9zX", "key-of-billing-7Jw", "proxy-password", "all-password", "orders-password",
    "subscription-secret", "subscription-of-orders", "$2b$04$2KGBFc7Yo2VVXL3qPfLIQ",
)  # fmt: skip
# These contexts say themselves what is to be done, and leave the standard on purpose.
OWN_CONTEXTS = {"scheduling"}


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_each_release_is_a_job_of_its_own(kind: str) -> None:
    """Rules distinguish exporters by namespace and job, and releases may share a namespace."""
    name = f"{kind[0].lower()}{kind[1:]}"
    release = render({name: {"enabled": True}})
    label = release.one(kind)["spec"]["jobLabel"]
    service = release.one("Service")["metadata"]["labels"]
    assert (service if kind == "ServiceMonitor" else labels(release))[label] == RELEASE


def labels(release: Rendered) -> dict[str, str]:
    found: dict[str, str] = release.workload["spec"]["template"]["metadata"]["labels"]
    return found


def selectors(release: Rendered) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every selector of the polling pods, with its kind."""
    for manifest in release.manifests:
        spec = manifest.get("spec", {})
        match manifest["kind"]:
            case "Service":
                yield "Service", spec["selector"]
            case "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "PodMonitor" as kind:
                yield kind, spec["selector"]["matchLabels"]
            case "NetworkPolicy":
                yield "NetworkPolicy", spec["podSelector"]["matchLabels"]
    for constraint in release.workload["spec"]["template"]["spec"].get(
        "topologySpreadConstraints", []
    ):
        yield "spread", constraint["labelSelector"]["matchLabels"]


@PATHS
def test_every_selector_selects_the_pods(path: Path) -> None:
    release = render(values_of(path))
    found = dict(selectors(release))
    assert {"Service", release.workload["kind"]} <= set(found)
    for kind, selector in found.items():
        assert selector.items() <= labels(release).items(), kind


@PATHS
def test_only_the_network_policy_selects_the_test_pod(path: Path) -> None:
    release = render(values_of(path))
    for pod in release.of_kind("Pod"):
        own = pod["metadata"]["labels"].items()
        for kind, selector in selectors(release):
            assert (selector.items() <= own) == (kind == "NetworkPolicy"), kind


@PATHS
def test_a_service_monitor_selects_one_service(path: Path) -> None:
    release = render(values_of(path))
    for monitor in release.of_kind("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        selected = [
            service
            for service in release.of_kind("Service")
            if wanted <= service["metadata"]["labels"].items()
        ]
        (service,) = selected
        (endpoint,) = monitor["spec"]["endpoints"]
        assert {port["name"] for port in service["spec"]["ports"]} == {endpoint["port"]}
        assert monitor["spec"]["namespaceSelector"]["matchNames"] == [
            service["metadata"]["namespace"]
        ]


def test_ports_are_called_what_services_and_monitors_call_them() -> None:
    release = render(values_of(VALUES[0].parent / "service.yaml"))
    (port,) = release.exporter["ports"]
    assert port == {"name": "http", "containerPort": 9000, "protocol": "TCP"}
    (of_service,) = release.one("Service")["spec"]["ports"]
    assert (of_service["targetPort"], of_service["port"]) == ("http", 80)


@PATHS
def test_no_secret_stands_outside_of_a_secret(path: Path) -> None:
    release = render(values_of(path))
    given = [secret for secret in SECRETS if secret in path.read_text(encoding="utf-8")]
    others = [each for each in release.manifests if each["kind"] != "Secret"]
    shown = json.dumps(others) + release.notes
    kept = " ".join(
        base64.b64decode(content).decode()
        for manifest in release.of_kind("Secret")
        for content in manifest["data"].values()
    )
    for secret in given:
        assert secret not in shown
        assert base64.b64encode(secret.encode()).decode() not in shown
        assert secret in kept


def test_the_matrix_has_every_secret() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in VALUES)
    assert all(secret in text for secret in SECRETS)


def pod_specs(release: Rendered) -> Iterator[Manifest]:
    yield release.workload["spec"]["template"]["spec"]
    yield from (pod["spec"] for pod in release.of_kind("Pod"))


def breaches(specification: Manifest) -> Iterator[str]:
    """Yield what the `restricted` Pod Security standard forbids, of the chart's own containers."""
    pod = specification.get("securityContext", {})
    container: dict[str, Any] = specification["containers"][0]
    own = container.get("securityContext", {})
    if specification.keys() & {"hostNetwork", "hostPID", "hostIPC"}:
        yield "namespaces of the host"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "escalation"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
        yield "capabilities"
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield "root"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "user 0"
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") != "RuntimeDefault":
        yield "seccomp"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "port of the host"
    kinds = {kind for volume in specification["volumes"] for kind in volume if kind != "name"}
    yield from kinds - {
        "configMap",
        "csi",
        "emptyDir",
        "projected",
        "secret",
        "persistentVolumeClaim",
    }


@PATHS
def test_pods_meet_the_restricted_standard_and_write_nowhere_else(path: Path) -> None:
    for specification in pod_specs(render(values_of(path))):
        if path.stem not in OWN_CONTEXTS:
            assert list(breaches(specification)) == []
        container = specification["containers"][0]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        writable = [each["name"] for each in container["volumeMounts"] if not each.get("readOnly")]
        assert set(writable) <= {"state"}
        assert specification["automountServiceAccountToken"] is False


def test_a_pod_that_leaves_the_standard_is_found() -> None:
    (specification,) = copy.deepcopy(list(pod_specs(render({"test": {"enabled": False}}))))
    del specification["securityContext"]["runAsNonRoot"]
    specification["containers"][0]["securityContext"]["capabilities"] = {"add": ["NET_RAW"]}
    specification["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert set(breaches(specification)) == {"root", "capabilities", "hostPath"}


def egress(release: Rendered) -> dict[tuple[int, ...], list[str]]:
    """Return where traffic may go: IP ranges by port."""
    return {
        tuple(port["port"] for port in rule["ports"]): [
            block["ipBlock"]["cidr"] for block in rule.get("to", []) if "ipBlock" in block
        ]
        for rule in release.one("NetworkPolicy")["spec"]["egress"]
    }


def test_egress_is_open_to_dns_and_the_ports_of_all_urls() -> None:
    everywhere = ["0.0.0.0/0", "::/0"]
    release = render(
        {**values_of(VALUES[0].parent / "one-hub.yaml"), "networkPolicy": {"enabled": True}}
    )
    assert egress(release) == {(53, 53): [], (443,): everywhere}
    closed = render(values_of(VALUES[0].parent / "closed-network.yaml"))
    ports = (3128, 3129, 443, 8080, 8443, 8888)
    assert egress(closed) == {(53, 53): [], ports: ["10.0.0.0/8", "fd00::/8"], (4317,): []}
    assert "to" in closed.one("NetworkPolicy")["spec"]["egress"][0]


def test_ports_of_variables_are_open_too() -> None:
    release = render(values_of(VALUES[0].parent / "environment-only.yaml"))
    assert set(egress(release)) == {(53, 53), (8443,)}


def test_found_hubs_need_their_port_and_the_identity_of_the_pod() -> None:
    release = render(values_of(VALUES[0].parent / "azure-discovery.yaml"))
    assert "443" in json.dumps(release.one("NetworkPolicy")["spec"]["egress"])
    assert labels(release)["azure.workload.identity/use"] == "true"
    account = release.one("ServiceAccount")["metadata"]
    assert account["annotations"]["azure.workload.identity/client-id"].endswith("8")
    assert release.workload["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]


def test_users_and_groups_can_be_left_to_the_platform() -> None:
    release = render(values_of(VALUES[0].parent / "openshift.yaml"))
    assert release.workload["spec"]["template"]["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_probes_follow_what_the_server_speaks() -> None:
    def probe(name: str) -> Any:  # noqa: ANN401 - it is any YAML
        return render(values_of(VALUES[0].parent / f"{name}.yaml")).exporter["livenessProbe"]

    assert probe("one-hub")["httpGet"] == {"path": "/-/healthy", "port": "http", "scheme": "HTTP"}
    assert probe("tls-and-passwords")["httpGet"]["scheme"] == "HTTPS"
    assert "httpGet" not in probe("client-certificates")
    assert probe("client-certificates")["tcpSocket"] == {"port": "https"}
    assert probe("existing-web-config")["tcpSocket"] == {"port": "https"}


def test_a_changed_configuration_replaces_pods_only_where_asked_to() -> None:
    def annotations(on_change: str, **settings: object) -> dict[str, str]:
        hubs = {"orders": {"url": "https://orders.example", **settings}}
        release = render({"hubs": hubs, "onConfigChange": on_change})
        pod = release.workload["spec"]["template"]["metadata"]
        found: dict[str, str] = pod.get("annotations", {})
        return found

    assert annotations("reload") == annotations("reload", max_page_size=10) == {}
    assert annotations("restart") != annotations("restart", max_page_size=10)
    one, other = ({"x-team": value} for value in ("payments", "platform"))
    assert annotations("reload", headers=one) != annotations("reload", headers=other)


@pytest.mark.parametrize(
    ("key", "values", "is_the_same"),
    [
        ({"key": "a-key"}, {}, True),
        ({"externalKey": {"key": "a"}}, {}, True),
        ({}, {"existingSecret": "durable-keys"}, True),
        # A pod that waits for an entry must name it.
        ({}, {"existingSecret": "durable-keys", "required": True}, False),
        ({"keySecret": {"name": "a"}}, {}, False),
    ],
)
def test_one_hub_more_is_no_new_pod_where_hubs_share_a_secret(
    key: dict[str, Any], values: dict[str, Any], is_the_same: bool
) -> None:
    store = {"externalSecret": {"secretStoreRef": {"name": "vault"}}}

    def pod(*names: str) -> Any:  # noqa: ANN401 - it is any YAML
        hubs = {name: {"url": f"https://{name}.example", **key} for name in names}
        release = render({"hubs": hubs, "keys": {**store, **values}})
        assert sorted(release.configuration["hubs"]) == sorted(names)
        return release.workload["spec"]["template"]

    assert (pod("orders") == pod("orders", "billing")) == is_the_same


def test_names_fit_where_kubernetes_makes_longer_ones_of_them() -> None:
    values = {"shards": 2, "hubs": {"orders": {"url": "https://orders.example"}}}
    release = render(values, release="a" * 53)
    assert len(release.workload["metadata"]["name"]) <= 52
    assert len(release.one("Service", "-headless")["metadata"]["name"]) <= 63
