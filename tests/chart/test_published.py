"""The published chart: publisher, sources, and links to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.published import Publication, pack, publish
from tests.chart.chart import CHART, helm3, read_yaml, render
from tests.tools import python_module

ROOT = CHART.parents[1]
REPOSITORY = "https://github.com/example/durable-functions-exporter"
IMAGE = "registry.example/example/durable-functions-exporter"
BLOB = f"{REPOSITORY}/blob/v1.2.3/"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / CHART.name
    publish(folder, Publication(REPOSITORY, "v1.2.3", IMAGE))
    return folder


def about(published: Path) -> Any:  # noqa: ANN401 - it is any YAML
    return read_yaml((published / "Chart.yaml").read_text(encoding="utf-8"))


def test_it_says_who_makes_it_and_where_from(published: Path) -> None:
    said = about(published)
    assert said["home"] == REPOSITORY
    assert said["sources"] == [REPOSITORY]
    assert said["maintainers"] == [{"name": "example", "url": "https://github.com/example"}]
    annotations = said["annotations"]
    own = read_yaml((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert own["annotations"].items() <= annotations.items()
    (image,) = yaml.safe_load(annotations["artifacthub.io/images"])
    assert image == {"name": CHART.name, "image": f"{IMAGE}:1.2.3"}
    for link in yaml.safe_load(annotations["artifacthub.io/links"]):
        assert (ROOT / link["url"].removeprefix(BLOB)).is_file()


def test_its_icon_is_a_picture_of_the_repository(published: Path) -> None:
    icon = about(published)["icon"].removeprefix(f"{REPOSITORY}/raw/v1.2.3/")
    assert (ROOT / icon).read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.parametrize("name", ["README.md", "values.yaml", "values.schema.json"])
def test_every_link_leads_to_a_file_of_the_repository(published: Path, name: str) -> None:
    text = (published / name).read_text(encoding="utf-8")
    targets = re.findall(rf"\]\({re.escape(BLOB)}([^()\s#]+)", text)
    assert targets
    for path in targets:
        assert (ROOT / path).is_file(), path
    assert "](../" not in text


def test_the_readme_has_no_link_that_a_page_elsewhere_could_not_follow(published: Path) -> None:
    text = (published / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^()\s]+)\)", text)
    assert len(links) >= 10
    assert all(link.startswith("https://") for link in links)


def test_both_helms_take_it_and_it_runs_the_published_image(
    published: Path, tmp_path: Path
) -> None:
    done = helm3("lint", "--strict", str(published), home=tmp_path)
    assert done.returncode == 0, done.stdout
    # With an icon there is nothing left to recommend.
    assert "icon is recommended" not in done.stdout
    lint = python_module("helm_python", "requirements-chart.lock").lint
    assert not lint(str(published), {}, strict=True)["messages"]
    said = about(published)
    version = said["appVersion"]
    assert render({}, chart=published).exporter["image"] == f"{IMAGE}:{version}"
    package = tmp_path / "chart.tgz"
    pack(published, package, epoch=1577836800)
    assert render({}, chart=package).exporter["image"] == f"{IMAGE}:{version}"
    shown = helm3("show", "chart", str(package), home=tmp_path)
    assert read_yaml(shown.stdout) == said, shown.stderr
