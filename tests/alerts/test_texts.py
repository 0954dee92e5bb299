"""What people read: filled in by real Prometheus, with numbers and working links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.alerts.inhibition import INHIBITIONS
from exporter.alerts.model import Severity
from exporter.alerts.table import ALERTS
from tests.alerts.cases import BY_NAME, Case
from tests.alerts.promtool_rules import findings
from tests.alerts.tries import TRIES

OUTLASTING = {
    name: case
    for name, tried in TRIES.items()
    for case in tried.cases
    if case.title == "outlasts its hub"
}


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what `promtool` prints of each alert where it is told to expect none."""
    first = {name: tried.cases[0] for name, tried in TRIES.items()}
    last = {
        name: max(at for at, found in case.firing.items() if found) for name, case in first.items()
    }
    return printed(tmp_path_factory.mktemp("texts"), first, last)


@pytest.fixture(scope="module")
def filled_in_unread(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the same of those that go on while their hub cannot be read."""
    # The third moment that is looked at is the last one before the hub returns.
    while_dead = {name: sorted(case.firing)[2] for name, case in OUTLASTING.items()}
    return printed(tmp_path_factory.mktemp("unread"), OUTLASTING, while_dead)


def printed(
    folder: Path, cases: Mapping[str, Case], moments: Mapping[str, float]
) -> dict[str, str]:
    """Return what `promtool` prints of the alerts of *cases* at *moments*."""
    written = {}
    for name, case in cases.items():
        until = replace(case, firing={moments[name]: []}, values={})
        path = replace(TRIES[name], cases=[until]).write(folder, name)
        tests = json.loads(path.read_text())
        tests["tests"][0]["alert_rule_test"] = [
            {
                "eval_time": f"{moments[name]:g}s",
                "alertname": f"DurableFunctions{name}",
                "exp_alerts": [],
            }
        ]
        path.write_text(json.dumps(tests))
        written[path] = name
    return {written[path]: text for path, text in findings(list(written)).items()}


@pytest.mark.parametrize("name", OUTLASTING)
def test_what_is_not_known_is_said_so(filled_in_unread: dict[str, str], name: str) -> None:
    text = filled_in_unread[name]
    assert "Not known to be over: task hub orders cannot be read" in text
    assert "nobody knows whether it is over" in text
    assert "NaN" not in text
    assert "{{" not in text


@pytest.mark.parametrize("name", TRIES)
def test_texts_are_filled_in(filled_in: dict[str, str], name: str) -> None:
    text = filled_in[name]
    assert f"runbooks/DurableFunctions{name}" in text
    assert "error expanding" not in text
    assert "<no value>" not in text
    assert "NaN" not in text
    assert "{{" not in text
    for label, value in (
        ("orchestrator", "ProcessOrder"),
        ("entity", "cart"),
        ("task_hub", "orders"),
    ):
        if f"$labels.{label} " in BY_NAME[name].summary:
            assert value in text.partition("description=")[2]


@pytest.mark.parametrize("name", TRIES)
def test_the_links_lead_somewhere(filled_in: dict[str, str], name: str) -> None:
    links = dict(re.findall(r'(\w+_url)="([^"]*)"', filled_in[name]))
    alert = BY_NAME[name]
    assert set(links) == {"runbook_url", "dashboard_url", "page_url"}
    dashboard = urlsplit(links["dashboard_url"])
    assert dashboard.path == f"/d/durable-functions-{alert.board}"
    query = parse_qs(dashboard.query)
    assert (query.get("var-task_hub") == ["orders"]) == alert.of_hub
    assert links["page_url"].endswith("/hubs/orders") == alert.of_hub


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_description_says_the_number_and_what_to_do_first(alert: object) -> None:
    description = str(getattr(alert, "description", ""))
    assert re.search(r"\bFirst [a-z]+ ", description, re.IGNORECASE)
    counted = "$value" in description
    assert counted or getattr(alert, "name", "") == "ExporterDown"


def test_nothing_that_is_held_back_is_worse_than_what_holds_it_back() -> None:
    ranks = [Severity.INFO, Severity.WARNING, Severity.BY_LIMIT, Severity.CRITICAL]
    for one in INHIBITIONS:
        worst_of_sources = max(ranks.index(source.severity) for source in one.sources)
        worst = max(ranks.index(target.severity) for target in one.targets)
        assert worst_of_sources >= worst, one.reason
