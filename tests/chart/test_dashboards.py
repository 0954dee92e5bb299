"""The dashboards of the chart are the shipped ones, labelled for Grafana's sidecar."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

from tests.chart.chart import CHART, VALUES, Rendered, render, values_of

SHIPPED = Path(__file__).parents[2] / "grafana" / "dashboards"
# What etcd takes of one object, and Kubernetes of one ConfigMap.
MOST_BYTES = 1024 * 1024


def dashboards() -> Rendered:
    return render(values_of(VALUES[0].parent / "dashboards.yaml"))


def test_every_dashboard_is_a_config_map_with_the_sidecar_s_label() -> None:
    found = {}
    for config_map in dashboards().of_kind("ConfigMap"):
        if config_map["metadata"]["labels"]["app.kubernetes.io/component"] == "dashboards":
            assert config_map["metadata"]["namespace"] == "grafana"
            assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert config_map["metadata"]["annotations"] == {"grafana_folder": "Durable Functions"}
            ((name, text),) = config_map["data"].items()
            found[name.removeprefix("durable-functions-")] = json.loads(text)
    shipped = {path.name: json.loads(path.read_text()) for path in SHIPPED.glob("*.json")}
    assert len(shipped) == 5
    assert found == shipped


def test_none_is_rendered_where_nobody_asked_for_them() -> None:
    assert len(render({}).of_kind("ConfigMap")) == 1


def test_a_release_with_everything_fits_into_the_secret_in_which_helm_keeps_it() -> None:
    release = render({"dashboards": {"enabled": True}, "prometheusRule": {"enabled": True}})
    assert release.texts is not None
    files = [path.read_text() for path in CHART.rglob("*") if path.is_file()]
    files += [path.read_text() for path in SHIPPED.glob("*.json")]
    # The release holds the chart and the manifests: as JSON, compressed, and encoded twice.
    release_text = json.dumps([files, release.texts])
    kept = base64.b64encode(base64.b64encode(gzip.compress(release_text.encode())))
    assert len(kept) < MOST_BYTES / 2
