"""The chart for a matrix of values: both Helm versions render it, Kubernetes accepts the result."""

from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.settings.schema import FORMER_NAMES
from helm.schema import CALLED_ELSEWHERE
from tests.chart.chart import (
    CHART,
    INSTALLED,
    NAMESPACE,
    VALUES,
    helm3,
    helm3_template,
    render,
    render_by_helm3,
    values_of,
)
from tests.chart.custom_kinds import is_custom
from tests.chart.kubernetes import Refused, check
from tests.tools import python_module

Place = tuple[str, ...]
ANY_NAME = "*"


def leaves(schema: dict[str, Any], path: Place = ()) -> Iterator[Place]:
    """Yield every leaf of the schema."""
    below = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        below[ANY_NAME] = schema["additionalProperties"]
    if not below:
        yield path
    for name, inner in below.items():
        yield from leaves(inner, (*path, name))


def said(value: object, schema: dict[str, Any], path: Place = ()) -> Iterator[Place]:
    """Yield every place of the schema that *value* sets."""
    yield path
    if not isinstance(value, dict):
        return
    for name, below in value.items():
        known = name if name in schema.get("properties", {}) else ANY_NAME
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if isinstance(inner, dict):
            yield from said(below, inner, (*path, known))


def is_former_name(place: Place) -> bool:
    depth = {"settings": 1, "hubs": 2}.get(place[0])
    return depth is not None and ".".join(place[depth:]) in FORMER_NAMES


def test_the_matrix_covers_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    covered = {place for path in VALUES for place in said(values_of(path), schema)}
    # Each parameter of the rules is set in a test of them; the three probes have the same fields.
    wholes = {("prometheusRule", "parameters"), ("livenessProbe",), ("readinessProbe",)}
    wholes |= {("startupProbe",)}
    every = wholes | {place for place in leaves(schema) if not {place[:1], place[:2]} & wholes}
    every -= set(CALLED_ELSEWHERE)
    # Values of a release that had them are rendered as an upgrade.
    every -= {place for place in every if is_former_name(place)}
    assert len(VALUES) >= 25
    assert len(every) > 250
    assert every - covered == set()


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_kubernetes_takes_every_manifest(path: Path) -> None:
    rendered = render(values_of(path))
    assert len(rendered.manifests) >= 3
    for manifest in rendered.manifests:
        check(manifest)
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered.manifests]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.stem)
def test_an_empty_cluster_takes_what_is_installed_to_try_the_chart(
    path: Path, tmp_path: Path
) -> None:
    rendered = render(values_of(path))
    assert render_by_helm3(path, tmp_path).ordered() == rendered.ordered()
    for manifest in rendered.manifests:
        # No kind that only somebody's operator brings.
        assert not is_custom(manifest)
        check(manifest)
    # Whatever a pod waits for is there; `helm test` is left where it can succeed.
    names = {each["metadata"]["name"] for each in rendered.of_kind("Secret")}
    for volume in rendered.workload["spec"]["template"]["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            assert source["secret"]["name"] in names
    assert bool(rendered.of_kind("Pod")) == (values_of(path) == {})


def test_what_kubernetes_does_not_know_is_refused() -> None:
    good = render({"serviceMonitor": {"enabled": True}})
    wrong = copy.deepcopy(good.workload)
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    mistyped = copy.deepcopy(good.one("ServiceMonitor"))
    mistyped["spec"]["endpoints"][0]["intervall"] = "30s"
    unknown = {**good.one("ServiceMonitor"), "kind": "ServiceMonitors"}
    for manifest in (wrong, mistyped, unknown):
        with pytest.raises(Refused):
            check(manifest)


@pytest.mark.proof
def test_helm_3_renders_what_helm_4_renders(tmp_path: Path) -> None:
    for path in VALUES:
        assert render_by_helm3(path, tmp_path).ordered() == render(values_of(path)).ordered(), path


@pytest.mark.proof
def test_both_lint_it_without_a_warning(tmp_path: Path) -> None:
    lint = python_module("helm_python", "requirements-chart.lock").lint
    for path in VALUES:
        report = lint(str(CHART), values_of(path), strict=True, namespace=NAMESPACE)
        assert not report["errors"], (path, report)
        assert all(message["severity"] <= 1 for message in report["messages"]), (path, report)
    for path in VALUES:
        done = helm3("lint", "--strict", str(CHART), "--values", str(path), home=tmp_path)
        assert done.returncode == 0, (path, done.stdout)
        assert "WARNING" not in done.stdout


def test_a_package_renders_as_its_folder_does(tmp_path: Path) -> None:
    packed = helm3("package", str(CHART), "--destination", str(tmp_path), home=tmp_path)
    assert packed.returncode == 0, packed.stderr
    (archive,) = tmp_path.glob("durable-functions-exporter-*.tgz")
    for path in VALUES:
        if path.stem in ("dashboards", "rules", "every-setting"):
            folder, package = (helm3_template(each, path, tmp_path) for each in (CHART, archive))
            assert package == folder
    with tarfile.open(archive) as packed_files:
        boards = [each for each in packed_files.getmembers() if "/dashboards/" in each.name]
        assert len(boards) == 5
        assert not [each for each in packed_files.getnames() if "/ci/" in each]
        assert all(each.isfile() for each in boards)
