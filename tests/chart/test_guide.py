"""Every command and block of the guide is run or validated."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.cli.main import parse, run
from exporter.metrics import catalogue
from tests.chart.chart import CHART, KUBE_VERSION, NAMESPACE, Rendered, helm3, read_all, render
from tests.chart.kubernetes import check
from tests.chart.pods import laid_out
from tests.tools import tool

ROOT = CHART.parents[1]
GUIDES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (
        ROOT / "docs" / "kubernetes.md",
        CHART / "README.md",
    )
}
GUIDE = GUIDES["kubernetes.md"]
RELEASE = "durable-functions-exporter"


def blocks(language: str, text: str = GUIDE) -> list[str]:
    return re.findall(rf"^```{language}(?: [^\n]*)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def values_blocks() -> dict[str, str]:
    """Return the blocks that are files of values, by their titles."""
    titled = r'^```yaml title="(\S*values\.yaml)"\n(.*?)^```'
    found: dict[str, str] = dict(re.findall(titled, GUIDE, re.DOTALL | re.MULTILINE))
    (example,) = blocks("yaml", GUIDES["README.md"])
    return found | {"example-of-the-readme.yaml": example}


def commands() -> list[list[str]]:
    return [
        shlex.split(line)
        for text in GUIDES.values()
        for block in blocks("sh", text)
        for line in block.replace("\\\n", "").splitlines()
    ]


def of_program(name: str) -> list[list[str]]:
    return [command[1:] for command in commands() if command[0] == name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the repository with the guide's files."""
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    for name, text in values_blocks().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def rendered(name: str = "values.yaml") -> Rendered:
    return render(yaml.safe_load(values_blocks()[name]), release=RELEASE, namespace=NAMESPACE)


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    languages = set(re.findall(r"^```(\w+)", GUIDE, re.MULTILINE))
    assert languages == {"sh", "yaml"}
    assert {command[0] for command in commands()} == {"durable-exporter", "helm", "kubectl"}
    others = [block for block in blocks("yaml") if block not in values_blocks().values()]
    assert [block.split(":")[0] for block in others] == ["scrape_configs", "apiVersion"]
    assert len(values_blocks()) >= 10


@pytest.mark.parametrize("name", values_blocks())
def test_values_of_the_guide_render_to_what_kubernetes_takes(name: str) -> None:
    for manifest in rendered(name).manifests:
        check(manifest)


@pytest.mark.parametrize("name", sorted(set(values_blocks()) - {"grafana-values.yaml"}))
def test_the_exporter_takes_the_values_of_the_guide(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "durable-0")
    template = rendered(name).workload["spec"]["template"]
    pod = laid_out(rendered(name), template["spec"], tmp_path)
    assert run(["check", "--offline"], pod.environ) == 0, capsys.readouterr().err


def option(name: str, arguments: list[str]) -> str | None:
    return arguments[arguments.index(name) + 1] if name in arguments else None


def test_helm_s_commands_are_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation is rendered: it is the rest of it that needs a cluster."""
    monkeypatch.chdir(folder)
    tried = set()
    for command, *arguments in of_program("helm"):
        tried.add(command)
        assert option("--namespace", arguments) in (None, NAMESPACE)
        if command in ("test", "uninstall"):
            assert arguments[0] == RELEASE
            continue
        if command == "upgrade":
            arguments = [each for each in arguments if each != "--install"]  # noqa: PLW2901
        run_as = "lint" if command == "lint" else "template"
        version = KUBE_VERSION if run_as == "template" else ()
        done = helm3(run_as, *arguments, *version, home=folder)
        assert done.returncode == 0, (arguments, done.stderr)
        if run_as == "template":
            name = option("--values", arguments)
            values = yaml.safe_load(values_blocks()[name]) if name else {}
            if size := option("--set", arguments):
                values["state"]["size"] = size.removeprefix("state.size=")
            expected = render(values, release=RELEASE, namespace=NAMESPACE).ordered()
            assert Rendered(tuple(read_all(done.stdout))).ordered() == expected
    assert tried == {"lint", "template", "upgrade", "test", "uninstall"}


def test_the_rules_of_the_guide_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    ((*arguments, into, _file),) = of_program("durable-exporter")
    assert into == ">"
    assert run(arguments, {}) == 0
    recorded = yaml.safe_load(capsys.readouterr().out)["groups"][0]["rules"]
    assert "without (instance,pod,node,pod_template_hash)" in recorded[0]["expr"]


def test_kubectl_s_commands_name_what_the_release_has() -> None:
    known: dict[str, Callable[[re.Match[str]], None]] = {
        r"create namespace (\S+)": lambda found: same(found[1], NAMESPACE),
        r"create secret generic (\S+) --namespace monitoring --from-file=(\w+)=\S+": is_key,
        r"port-forward --namespace monitoring service/(\S+) (\d+)": is_service,
        r"exec --namespace monitoring (\w+)/(\S+) -- durable-exporter (.+)": is_command,
        r"delete statefulset --namespace monitoring --cascade=orphan (\S+)": is_stateful_set,
        r"delete pod --namespace monitoring --ignore-not-found (\S+)": is_test_pod,
        r"delete pvc --namespace monitoring --selector (\S+)=(\S+)": is_label_of_claims,
        r"patch pvc --namespace monitoring state-(\S+)-0 --patch '(.+)'": is_larger_claim,
    }
    tried = set()
    for arguments in of_program("kubectl"):
        line = shlex.join(arguments)
        ((pattern, found),) = (
            (pattern, found) for pattern in known if (found := re.fullmatch(pattern, line))
        )
        known[pattern](found)
        tried.add(pattern)
    assert tried == set(known)


def same(one: object, other: object) -> None:
    assert one == other


def is_key(found: re.Match[str]) -> None:
    hubs = yaml.safe_load(values_blocks()["values.yaml"])["hubs"].values()
    assert found[1] in {hub["keySecret"]["name"] for hub in hubs}
    items = [
        source["secret"]["items"][0]["key"]
        for volume in rendered().workload["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "keys"
        for source in volume["projected"]["sources"]
        if source["secret"]["name"] == found[1]
    ]
    assert items == [found[2]]


def is_service(found: re.Match[str]) -> None:
    service = rendered().one("Service")
    assert (service["metadata"]["name"], service["metadata"]["namespace"]) == (found[1], NAMESPACE)
    assert service["spec"]["ports"][0]["port"] == int(found[2])


def is_command(found: re.Match[str]) -> None:
    values = {"deployment": "values.yaml", "statefulset": "shards-values.yaml"}[found[1]]
    workload = rendered(values).workload
    assert workload["kind"].lower() == found[1]
    assert workload["metadata"]["name"] == found[2]
    assert parse(shlex.split(found[3]))


def is_stateful_set(found: re.Match[str]) -> None:
    assert rendered("shards-values.yaml").one("StatefulSet")["metadata"]["name"] == found[1]


def claims() -> Any:  # noqa: ANN401 - it is any YAML
    (template,) = rendered("shards-values.yaml").workload["spec"]["volumeClaimTemplates"]
    return template


def is_test_pod(found: re.Match[str]) -> None:
    assert rendered().one("Pod")["metadata"]["name"] == found[1]


def is_label_of_claims(found: re.Match[str]) -> None:
    assert claims()["metadata"]["labels"][found[1]] == found[2]


def is_larger_claim(found: re.Match[str]) -> None:
    """Its name is that of template and StatefulSet, its size that of the upgrade."""
    is_stateful_set(found)
    assert claims()["metadata"]["name"] == "state"
    patch = json.loads(found[2])
    (upgrade,) = (each for each in of_program("helm") if "--set" in each)
    assert patch["spec"].keys() <= claims()["spec"].keys()
    assert (
        option("--set", upgrade)
        == f"state.size={patch['spec']['resources']['requests']['storage']}"
    )


def discovered(pod: dict[str, Any]) -> dict[str, str]:
    """Return the discovery labels of a pod."""
    prefix = "__meta_kubernetes_pod_annotation_"
    annotations = pod["metadata"].get("annotations", {})
    return {
        "__meta_kubernetes_namespace": NAMESPACE,
        "__meta_kubernetes_pod_name": "durable-0",
        **{prefix + re.sub(r"\W", "_", name): value for name, value in annotations.items()},
    }


def test_prometheus_scrapes_a_pod_with_the_annotations_of_the_guide(tmp_path: Path) -> None:
    (block,) = (block for block in blocks("yaml") if block.startswith("scrape_configs:"))
    configuration = yaml.safe_load(block)
    (job,) = configuration["scrape_configs"]
    # Debian's Prometheus knows no Kubernetes: it is told what that would tell.
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    job["static_configs"] = [
        {
            "targets": [f"10.0.0.{number}:8080"],
            "labels": discovered(rendered(name).workload["spec"]["template"]),
        }
        for number, name in enumerate(("annotations-values.yaml", "values.yaml"))
    ]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    promtool = str(tool("promtool"))
    command = [promtool, "check", "service-discovery", "--timeout=1s", str(file), "pods"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (target,) = (each["labels"] for each in json.loads(done.stdout) if each["labels"])
    port = rendered("annotations-values.yaml").exporter["ports"][0]["containerPort"]
    assert target["__address__"] == f"10.0.0.0:{port}"
    assert target["__metrics_path__"] == "/metrics"
    assert (target["namespace"], target["pod"]) == (NAMESPACE, "durable-0")


def scaled_object() -> Any:  # noqa: ANN401 - it is any YAML
    (block,) = (block for block in blocks("yaml") if block.startswith("apiVersion: keda"))
    return yaml.safe_load(block)


def query() -> str:
    (trigger,) = scaled_object()["spec"]["triggers"]
    text: str = trigger["metadata"]["query"]
    return text


def test_the_scaled_object_is_one_and_asks_for_metrics_that_exist() -> None:
    check(scaled_object())
    families = {family.name for family in catalogue.CATALOGUE}
    assert set(re.findall(r"durable_functions_\w+", query())) <= families


def cases() -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield series of ten minutes, and the query's result at their end."""
    pending = (
        'durable_functions_oldest_instance_updated_timestamp_seconds{task_hub="orders",'
        'orchestrator="ProcessOrder",runtime_status="Pending"}'
    )
    up = 'durable_functions_up{task_hub="orders"}'
    yield "one waits since the third minute", {up: "1x10", pending: "_ _ _ 180x7"}, "420"
    yield "nothing waits", {up: "1x10"}, "0"
    yield "the hub cannot be read", {up: "0x10"}, ""
    yield "nobody is scraped", {'up{job="other"}': "1x10"}, ""


@pytest.mark.parametrize(("name", "series", "answer"), list(cases()))
def test_the_workers_scale_by_what_waits_and_keep_still_where_nothing_is_known(
    name: str, series: dict[str, str], answer: str, tmp_path: Path
) -> None:
    expected = [{"labels": "{}", "value": float(answer)}] if answer else []
    test = {
        "interval": "1m",
        "name": name,
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [{"expr": query(), "eval_time": "10m", "exp_samples": expected}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
