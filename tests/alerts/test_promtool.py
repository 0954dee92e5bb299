"""Every alert under Prometheus' own evaluation: `promtool test rules`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from exporter.alerts.table import ALERTS
from tests.alerts.cases import MINUTE, Tried
from tests.alerts.promtool_rules import findings
from tests.alerts.tries import TRIES


def test_every_alert_is_tried() -> None:
    assert sorted(TRIES) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("share", [0, *(pytest.param(n, marks=pytest.mark.proof) for n in (1, 2))])
def test_each_fires_in_time_and_only_where_it_should(tmp_path: Path, share: int) -> None:
    """
    Each on what is its own, and on a sixth of what all are tried on, the next on another.

    A third of the alerts by default, the others among the proofs.
    """
    titles = Counter(case.title for one in TRIES.values() for case in one.cases)
    shared = [title for title, tried in titles.items() if tried > len(TRIES) / 3]
    shared.remove("fires in time")
    own = {
        name: [
            case
            for case in one.cases
            if case.title not in shared or (shared.index(case.title) + number) % 6 == 0
        ]
        for number, (name, one) in enumerate(TRIES.items())
    }
    assert {case.title for cases in own.values() for case in cases} == set(titles)
    tries = {name: replace(TRIES[name], cases=own[name]) for name in list(own)[share::3]}
    is_as_expected(tries, tmp_path)


@pytest.mark.nightly
def test_each_fires_so_whatever_the_course_of_events(tmp_path: Path) -> None:
    is_as_expected(TRIES, tmp_path)


def is_as_expected(tries: Mapping[str, Tried], folder: Path) -> None:
    written = {one.write(folder, name): name for name, one in tries.items()}
    found = {written[path]: text for path, text in findings(list(written)).items() if text}
    assert not found, "\n".join(f"{name}:\n{text}" for name, text in found.items())


def test_further_labels_of_every_alert_do_no_harm(tmp_path: Path) -> None:
    """Series from `ALERTS` have these labels, the exporter's do not: no alert comes out twice."""
    shipped = TRIES["DeploymentBroken"]
    (course,) = [case for case in shipped.cases if case.title == "outlasts its hub"]
    labels = {"team": "platform", "tier": "one"}
    own = cast("Mapping[str, str]", shipped.rules[""]["labels"])
    rule = {**shipped.rules[""], "labels": {**own, **labels}}
    firing = {at: [{**one, **labels} for one in found] for at, found in course.firing.items()}
    # The failure is new for a quarter of an hour, and nothing is fresh from the third minute on.
    firing |= {at * MINUTE: next(iter(firing.values())) for at in range(20, 40)}
    case = replace(course, firing=firing)
    path = replace(shipped, rules={"": rule}, cases=[case]).write(tmp_path, "labelled")
    assert not findings([path])[path]


def test_a_case_that_expects_something_else_is_found(tmp_path: Path) -> None:
    """`promtool` checks every expectation: each alone, inverted, fails."""
    one = TRIES["HubStalled"]
    turned = [replace(one, cases=[case]) for case in one.turned_round()]
    written = [case.write(tmp_path, f"turned{number}") for number, case in enumerate(turned)]
    assert len(written) > 15
    assert all("FAILED" in text for text in findings(written).values())
