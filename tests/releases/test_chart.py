"""Values that a release of the chart took are taken, and leave what Kubernetes does not change."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import main
from exporter.cli.conventions import ExitCode
from tests.chart.chart import CHART, copy_of_version, render, values_of
from tests.chart.pods import laid_out
from tests.releases.difference import Field, difference
from tests.releases.fixed import fixed_of
from tests.releases.release import Release, number_of, releases

UPGRADING = (CHART.parents[1] / "docs" / "upgrading.md").read_text(encoding="utf-8")
REUSED = [(release, path) for release in releases() for path in release.values]
IDS = [f"{release}-{path.stem}" for release, path in REUSED]


@pytest.mark.parametrize("path", [path for _, path in REUSED], ids=IDS)
def test_the_chart_takes_them_and_the_command_what_comes_of_them(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rendered = render(values_of(path))
    # A pod of a StatefulSet has its number in its name.
    name = rendered.workload["metadata"]["name"]
    monkeypatch.setattr(socket, "gethostname", lambda: f"{name}-0")
    pod = laid_out(rendered, rendered.workload["spec"]["template"]["spec"], tmp_path)
    code = main.run(["check", "--offline", *pod.arguments[1:]], pod.environ)
    assert code == ExitCode.OK, capsys.readouterr().err


@pytest.mark.parametrize(("release", "path"), REUSED, ids=IDS)
def test_an_upgrade_changes_nothing_that_cannot_be_changed(release: Release, path: Path) -> None:
    assert fixed_of(render(values_of(path))) == release.fixed[path.stem]


def listed() -> set[Field]:
    """Return the kinds and fields that the upgrade page lists."""
    section = UPGRADING.partition("#### Objects of the chart")[2].partition("\n#")[0]
    rows = re.findall(r"^\| ([A-Z][\w, ]+) \| `([\w.]+)` \|", section, re.MULTILINE)
    return {(kind, field) for kinds, field in rows for kind in kinds.split(", ")}


def test_the_upgrade_page_lists_what_an_upgrade_changes_of_the_objects(tmp_path: Path) -> None:
    *_, release = (each for each in releases() if each.number < number_of(__version__))
    # Labels and images that name the version are others in every release.
    present = copy_of_version(str(release), tmp_path)
    found: set[Field] = set()
    for path in release.values:
        values = values_of(path)
        found |= difference(render(values, chart=release.chart), render(values, chart=present))

    def covers(row: Field, field: Field) -> bool:
        return row[0] == field[0] and f"{field[1]}.".startswith(f"{row[1]}.")

    rows = listed()
    assert not {each for each in found if not any(covers(row, each) for row in rows)}
    assert not {row for row in rows if not any(covers(row, each) for each in found)}


def test_what_is_fixed_does_not_name_the_version(tmp_path: Path) -> None:
    """The usual mistake: a label with the version where it can never change again."""
    chart = copy_of_version("98.7.6", tmp_path)
    for path in releases()[-1].values:
        rendered = render(values_of(path), chart=chart)
        assert "98.7.6" in str(rendered.manifests)
        assert fixed_of(rendered) == fixed_of(render(values_of(path)))


def test_a_changed_selector_would_be_found() -> None:
    release = releases()[-1]
    (path,) = (each for each in release.values if each.stem == "shards-with-claims")
    changed = render(values_of(path) | {"nameOverride": "other"})
    assert fixed_of(changed) != release.fixed[path.stem]
    kinds = {name.partition("/")[0] for name in release.fixed[path.stem]}
    assert {"StatefulSet", "Service"} <= kinds
