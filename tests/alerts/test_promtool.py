"""Every alert on real Prometheus' own evaluation: `promtool test rules`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.alerts.table import ALERTS
from tests.alerts.promtool_rules import findings
from tests.alerts.tries import TRIES


def test_every_alert_is_tried() -> None:
    assert sorted(TRIES) == sorted(alert.name for alert in ALERTS)


def test_each_fires_in_time_and_once_and_only_where_it_should(tmp_path: Path) -> None:
    written = {one.write(tmp_path, name): name for name, one in TRIES.items()}
    found = {written[path]: text for path, text in findings(list(written)).items() if text}
    assert not found, "\n".join(f"{name}:\n{text}" for name, text in found.items())


def test_a_case_that_expects_something_else_is_found(tmp_path: Path) -> None:
    """What is asked of `promtool` is really asked: each expectation alone, turned round, fails."""
    one = TRIES["PendingStuck"]
    turned = [replace(one, cases=[case]) for case in one.turned_round()]
    written = [case.write(tmp_path, f"turned{number}") for number, case in enumerate(turned)]
    assert len(written) > 15
    assert all("FAILED" in text for text in findings(written).values())
