"""README and schema match the values, and every value has a description."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from exporter import __version__
from helm.documented import CHART, chart_values, documented_values
from helm.generated import generated
from helm.schema import schema_of


def test_the_committed_files_are_the_generated_ones() -> None:
    for name, content in generated().items():
        assert (CHART / name).read_text(encoding="utf-8") == content, name


def test_the_chart_is_of_the_version_of_the_exporter() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__


def test_the_oldest_kubernetes_is_the_one_that_the_pages_name() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    oldest = re.fullmatch(r">=(1\.\d+)\.0-0", chart["kubeVersion"])
    assert oldest
    docs = CHART.parents[1] / "docs"
    assert f"Kubernetes | {oldest[1]} and newer" in (docs / "stability.md").read_text()
    assert f"Kubernetes {oldest[1]} and Helm" in (docs / "kubernetes.md").read_text()


def test_every_value_is_described_by_sentences() -> None:
    leaves = [leaf for value in chart_values() for leaf in value.leaves()]
    assert len(leaves) > 100
    for leaf in leaves:
        assert leaf.description[0].isupper() or leaf.description[0] == "`", leaf.path
        assert leaf.description.endswith("."), leaf.path


def test_the_schema_is_closed_everywhere_but_where_it_says_so() -> None:
    def walk(schema: dict[str, object], place: str) -> None:
        properties = schema.get("properties")
        if isinstance(properties, dict):
            assert schema["additionalProperties"] is False, place
            for name, below in properties.items():
                walk(below, f"{place}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    walk(schema, "")
    assert schema["properties"]["global"] == {
        "type": "object",
        "description": "Values of a parent chart, ignored by this one.",
        "default": {},
    }


def test_a_value_without_a_word_is_not_accepted() -> None:
    with pytest.raises(ValueError, match=r"a\.b has no comment"):
        documented_values("a:\n  # Good.\n  c: 1\n\n  b: 2\n")


def test_a_value_of_which_nothing_tells_what_it_may_be_is_not_accepted() -> None:
    with pytest.raises(ValueError, match="a has no type"):
        schema_of(documented_values("# Anything.\na: null\n"))
    with pytest.raises(ValueError, match="b has no type"):
        schema_of(documented_values("# A list of anything.\nb: []\n"))
