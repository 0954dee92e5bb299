"""What people read: filled in by real Prometheus, with numbers and working links."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from exporter.alerts.inhibition import INHIBITIONS
from exporter.alerts.model import Severity
from exporter.alerts.table import ALERTS
from tests.alerts.cases import BY_NAME
from tests.alerts.promtool_rules import findings
from tests.alerts.tries import TRIES


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what `promtool` prints of each alert where it is told to expect none."""
    folder = tmp_path_factory.mktemp("texts")
    written = {}
    for name, tried in TRIES.items():
        case = tried.cases[0]
        at = max(second for second, found in case.firing.items() if found)
        path = replace(tried, cases=[replace(case, values={})]).write(folder, name)
        tests = json.loads(path.read_text())
        tests["tests"][0]["alert_rule_test"] = [
            {"eval_time": f"{at:g}s", "alertname": f"DurableFunctions{name}", "exp_alerts": []}
        ]
        path.write_text(json.dumps(tests))
        written[path] = name
    return {written[path]: text for path, text in findings(list(written)).items()}


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
