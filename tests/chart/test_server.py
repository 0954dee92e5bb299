"""What an API server refuses, and what tools that compare objects would always report."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.documented import chart_values
from tests.chart.chart import (
    VALUES,
    Manifest,
    Rendered,
    copy_of_version,
    render,
    render_by_helm3,
    values_of,
)
from tests.chart.kubernetes import Refused, check
from tests.tools import python_module

FOLDER = VALUES[0].parent
ONE_HUB = values_of(FOLDER / "one-hub.yaml")
# Words and numbers of YAML that are the names of releases, and of namespaces, too.
LIKE_NUMBERS = ("123", "1e3", "0x10", "true", "no", "null", "0123")
EVERYTHING = {
    **ONE_HUB,
    "shards": 2,
    "state": {"type": "claim"},
    "serviceMonitor": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "podDisruptionBudget": {"enabled": True},
    "ingress": {"enabled": True, "hosts": ["a.example"]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]},
    "web": {"config": {"headers": {}}, "tlsSecret": "a"},
}


def named(name: str) -> dict[str, Any]:
    return values_of(FOLDER / f"{name}.yaml")


def strings_that_are_none(manifest: Manifest) -> Iterator[str]:
    """Yield the labels and names that a server would read as numbers, booleans or nothing."""
    metadata = manifest["metadata"]
    for place, value in {**metadata, **metadata["labels"]}.items():
        is_text = isinstance(value, str) or not (place in ("name", "namespace") or "/" in place)
        if not is_text:
            yield f"{manifest['kind']} {place}: {value!r}"


@pytest.mark.parametrize("name", LIKE_NUMBERS)
def test_a_release_may_be_called_like_a_number(name: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(EVERYTHING), encoding="utf-8")
    by_helm_4 = render(EVERYTHING, release=name, namespace=name)
    by_helm_3 = render_by_helm3(file, tmp_path, release=name)
    for rendered in (by_helm_4, by_helm_3):
        assert not [each for one in rendered.manifests for each in strings_that_are_none(one)]
        for manifest in rendered.manifests:
            check(manifest)
            # So a Service is to be called; the others are called alike.
            assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", manifest["metadata"]["name"])


@pytest.mark.parametrize(
    "values",
    [
        {"priorityClassName": "1"},
        {"runtimeClassName": "1e3"},
        {"serviceAccount": {"name": "123"}},
        {"state": {"type": "claim", "storageClass": "1"}},
        {"state": {"type": "claim", "existingClaim": "0"}},
        {"state": {"sizeLimit": "1000"}},
        {"web": {"existingSecret": "1"}},
        {"ingress": {"enabled": True, "className": "1", "hosts": ["1"]}},
        {"image": {"repository": "1", "tag": "1"}},
    ],
    ids=json.dumps,
)
def test_names_in_values_stay_texts(values: dict[str, Any]) -> None:
    for manifest in render({**ONE_HUB, **values}).manifests:
        check(manifest)


def places() -> Iterator[tuple[str, ...]]:
    """Yield the place of every value, and of every group of values."""
    for value in chart_values():
        found = {leaf.path[:depth] for leaf in value.leaves() for depth in (1, 2, 3)}
        yield from sorted(found)


@pytest.mark.parametrize("share", range(4))
def test_a_value_that_is_null_is_refused_or_left_out(share: int) -> None:
    """Helm takes away a default that is set to `null`."""
    errors = python_module("helm_python", "requirements-chart.lock")
    refused = set()
    wrong = {}
    for place in itertools.islice(places(), share, None, 4):
        values: object = None
        for name in reversed(place):
            values = {name: values}
        assert isinstance(values, dict)
        try:
            rendered = render({**EVERYTHING, "web": {}, **values})
        except errors.HelmError:
            refused.add(place)
            continue
        for manifest in rendered.manifests:
            try:
                check(manifest)
            except Refused as error:
                wrong[place] = str(error)
    assert not wrong
    assert not [place for place in refused if place[-1].endswith("Probe")]


def rendered_strategy(values: dict[str, Any]) -> Any:  # noqa: ANN401 - it is any YAML
    specification = render({**ONE_HUB, **values}).workload["spec"]
    return specification.get("strategy", specification.get("updateStrategy"))


def test_there_is_a_way_back_from_a_rolling_update() -> None:
    """What the server fills in for one is refused beside any other type, so it is taken away."""
    assert rendered_strategy({}) == {"type": "Recreate", "rollingUpdate": None}
    rolling = {"deploymentStrategy": {"type": "RollingUpdate"}}
    assert rendered_strategy(rolling) == {"type": "RollingUpdate"}
    assert rendered_strategy({"shards": 2}) == {"type": "RollingUpdate"}
    on_delete = {"shards": 2, "statefulSetStrategy": {"type": "OnDelete"}}
    assert rendered_strategy(on_delete) == {"type": "OnDelete", "rollingUpdate": None}


def test_a_route_says_what_the_gateway_api_would_fill_in() -> None:
    specification = render(named("http-route")).one("HTTPRoute")["spec"]
    assert specification["parentRefs"] == [
        {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "name": "internal",
            "namespace": "gateways",
            "sectionName": "https",
        }
    ]
    (rule,) = specification["rules"]
    (backend,) = rule["backendRefs"]
    assert (backend["group"], backend["kind"], backend["weight"]) == ("", "Service", 1)
    of_header, of_query = rule["matches"]
    assert of_header["headers"] == [{"type": "Exact", "name": "x-team", "value": "platform"}]
    assert of_query["queryParams"] == [{"type": "Exact", "name": "task_hub", "value": "orders"}]
    assert of_query["path"] == {"type": "PathPrefix", "value": "/"}


def test_an_external_secret_says_what_its_operator_would_fill_in() -> None:
    specification = render(named("external-secrets")).one("ExternalSecret")["spec"]
    assert specification["target"]["deletionPolicy"] == "Retain"
    for entry in specification["data"]:
        filled_in = {name for name in entry["remoteRef"] if name.endswith(("Strategy", "Policy"))}
        assert filled_in == {"conversionStrategy", "decodingStrategy", "metadataPolicy"}


def test_a_route_s_value_of_one_s_own_stays() -> None:
    parent = {"group": "", "kind": "Service", "name": "mesh"}
    route = {"enabled": True, "parentRefs": [parent]}
    rendered = render({**ONE_HUB, "httpRoute": route}).one("HTTPRoute")
    assert rendered["spec"]["parentRefs"] == [{**parent}]


def pods_of(release: Rendered) -> Any:  # noqa: ANN401 - it is any YAML
    return release.workload["spec"]["template"]


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_a_release_of_the_chart_without_a_change_replaces_no_pod(
    path: Path, tmp_path: Path
) -> None:
    values = values_of(path)
    values["image"] = {**values.get("image", {}), "tag": "1.2.3"}
    newer = render(values, chart=copy_of_version("98.7.6", tmp_path))
    assert pods_of(newer) == pods_of(render(values))


def test_the_pod_of_helm_test_stays_until_its_log_is_read() -> None:
    (pod,) = render(ONE_HUB).of_kind("Pod")
    annotations = pod["metadata"]["annotations"]
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation"
