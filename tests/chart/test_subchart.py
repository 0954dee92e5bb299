"""As a subchart: enabled by a condition, beside a chart called exporter."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.chart import CHART, Rendered, render, render_by_helm3
from tests.chart.kubernetes import check

NAME = CHART.name
HUB = {"orders": {"url": "https://orders.azurewebsites.net", "task_hub": "OrdersHub"}}
# Of a chart that has nothing to do with this one, but its name.
NEIGHBOUR = """\
{{- define "exporter.fullname" -}}neighbour{{- end -}}
{{- define "exporter.labels" -}}of: neighbour{{- end -}}
{{- define "exporter.config" -}}neighbour: true{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "exporter.fullname" . }}
  labels:
    {{ include "exporter.labels" . }}
data:
  text: {{ include "exporter.config" . | quote }}
"""

Rendering = Callable[[Path, dict[str, Any]], Rendered]


def by_helm_4(parent: Path, values: dict[str, Any]) -> Rendered:
    return render(values, chart=parent)


def by_helm_3(parent: Path, values: dict[str, Any]) -> Rendered:
    file = parent.parent / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return render_by_helm3(file, parent.parent, chart=parent)


BOTH = pytest.mark.parametrize("rendering", [by_helm_3, by_helm_4])


def about(name: str, **more: Any) -> str:  # noqa: ANN401 - it is any YAML
    return yaml.safe_dump({"apiVersion": "v2", "name": name, "version": "1.0.0", **more})


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Return a chart with this one and another below it."""
    folder = tmp_path / "platform"
    neighbour = folder / "charts" / "exporter"
    (neighbour / "templates").mkdir(parents=True)
    (neighbour / "Chart.yaml").write_text(about("exporter"))
    (neighbour / "templates" / "map.yaml").write_text(NEIGHBOUR)
    shutil.copytree(CHART, folder / "charts" / NAME)
    own = yaml.safe_load((CHART / "Chart.yaml").read_text())
    dependency = {"name": NAME, "version": own["version"], "condition": f"{NAME}.enabled"}
    exporter = {"name": "exporter", "version": "1.0.0"}
    (folder / "Chart.yaml").write_text(about("platform", dependencies=[dependency, exporter]))
    (folder / "values.yaml").write_text(yaml.safe_dump({NAME: {"enabled": True, "hubs": HUB}}))
    return folder


@BOTH
def test_its_condition_switches_it_on_and_off(parent: Path, rendering: Rendering) -> None:
    kinds = {each["kind"] for each in rendering(parent, {}).manifests}
    assert {"Deployment", "Service", "ConfigMap"} <= kinds
    (left,) = rendering(parent, {NAME: {"enabled": False}}).manifests
    assert left["metadata"]["name"] == "neighbour"


@BOTH
def test_each_of_two_charts_keeps_its_own_templates(parent: Path, rendering: Rendering) -> None:
    release = rendering(parent, {})
    for manifest in release.manifests:
        check(manifest)
    neighbour = release.one("ConfigMap", "neighbour")
    assert neighbour["metadata"]["labels"] == {"of": "neighbour"}
    assert neighbour["data"] == {"text": "neighbour: true"}
    alone = render({"hubs": HUB})
    own = [each for each in release.ordered() if each["metadata"]["name"] != "neighbour"]
    assert own == alone.ordered()


def test_every_template_has_the_name_of_the_chart_before_its_own() -> None:
    found = 0
    for path in (CHART / "templates").rglob("*"):
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            if "{{- define " in line:
                found += 1
                assert line.startswith(f'{{{{- define "{NAME}.'), (path, line)
    assert found > 30
