"""Every alert on real Prometheus' own evaluation: `promtool test rules`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.alerts.table import ALERTS
from tests.alerts.cases import MINUTE
from tests.alerts.promtool_rules import findings
from tests.alerts.tries import TRIES


def test_every_alert_is_tried() -> None:
    assert sorted(TRIES) == sorted(alert.name for alert in ALERTS)


def test_each_fires_in_time_and_once_and_only_where_it_should(tmp_path: Path) -> None:
    written = {one.write(tmp_path, name): name for name, one in TRIES.items()}
    found = {written[path]: text for path, text in findings(list(written)).items() if text}
    assert not found, "\n".join(f"{name}:\n{text}" for name, text in found.items())


def test_further_labels_of_every_alert_do_no_harm(tmp_path: Path) -> None:
    """`ALERTS` has them, what the exporter shows has not; no alert may come out of both twice."""
    shipped = TRIES["NewFailures"]
    (course,) = [case for case in shipped.cases if case.title == "outlasts its hub"]
    labels = {"team": "platform", "tier": "one"}
    rule = {**shipped.rules[""], "labels": {"severity": "warning", **labels}}
    firing = {at: [{**one, **labels} for one in found] for at, found in course.firing.items()}
    # The failure is new for a quarter of an hour, and nothing is fresh from the fourth minute on.
    firing |= {at * MINUTE: next(iter(firing.values())) for at in range(20, 40)}
    case = replace(course, firing=firing)
    path = replace(shipped, rules={"": rule}, cases=[case]).write(tmp_path, "labelled")
    assert not findings([path])[path]


def test_a_case_that_expects_something_else_is_found(tmp_path: Path) -> None:
    """What is asked of `promtool` is really asked: each expectation alone, turned round, fails."""
    one = TRIES["PendingStuck"]
    turned = [replace(one, cases=[case]) for case in one.turned_round()]
    written = [case.write(tmp_path, f"turned{number}") for number, case in enumerate(turned)]
    assert len(written) > 15
    assert all("FAILED" in text for text in findings(written).values())
