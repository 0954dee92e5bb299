"""Texts filled in by Prometheus, with numbers and working links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from exporter.alerts.inhibition import INHIBITIONS, inhibition
from exporter.alerts.model import Alert, Severity
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


# What the text says of each cause, which no label shows: alert, case, a part of the description.
CAUSES = (
    ("HubUnreachable", "warns of a stopped app, and pages after four hours", "First start the app"),
    ("HubUnreachable", "fires whatever the cause: auth", "compare the system key"),
    ("HubUnreachable", "fires whatever the cause: restricted", "allow the exporter"),
    ("HubUnreachable", "fires whatever the cause: timeout", "(cause: timeout)"),
    ("HubUnreachable", "fires for a hub that was never read", "has not been read since"),
    ("DataStale", "fires for a budget that is spent", "`max_pages_per_day` of task hub orders"),
    (
        "DataStale",
        "fires for a sweep that is stretched",
        "Sweep `other` of task hub orders takes",
    ),
    ("DataStale", "fires before the data is removed", "last completed its sweep `census`"),
    (
        "DataStale",
        "fires for one that was cut off as often",
        "has completed no sweep `failed`",
    ),
    ("ExporterMisconfigured", "fires for names that share a label", "`max_label_values` by 3:"),
    ("ExporterMisconfigured", "fires for instances outside the prefixes", "are not tracked: 4."),
    ("ExporterMisconfigured", "fires for a clock that is ahead", "differ by 2m 30s"),
    ("ExporterMisconfigured", "fires for a file that cannot be used", "configuration is invalid"),
    ("ExporterMisconfigured", "fires for searches for apps of which all fail", "discover`"),
    ("OrchestrationsFailing", "fires in time", "16.67% of the instances of ProcessOrder"),
    ("OrchestrationsFailing", "a nightly job that always fails", "that finished in the last day"),
    ("OrchestrationsFailing", "many are unresolved", "11 instances of ProcessOrder in task hub"),
    ("OrchestrationsFailing", "one is, and its own limit is 0", "1 instance of ProcessOrder in"),
    ("ShardMissing", "fires for one of any number", "Only 1 of 2 shards is scraped"),
    ("DeploymentBroken", "an eternal one is missing", "About 1 instance of ProcessOrder in"),
    ("DeploymentBroken", "fires in time", "failed in the last 15m (non_determinism)"),
    ("DeploymentBroken", "histories are refused", "an activity in flight was probably renamed"),
    ("OrchestrationStalled", "fires in time", ": waiting on activity Charge."),
    ("OrchestrationStalled", "a timer is overdue", ": waiting on an overdue timer. First"),
    ("OrchestrationStalled", "finished, and still listed as Running", "First wait ten minutes"),
    ("OrchestrationStalled", "nothing but a start", "no step since the start."),
    ("OrchestrationStalled", "nobody knows on what", "the cause is unknown."),
    ("OrchestrationStalled", "histories are not read", "are stalled. First"),
)


@pytest.fixture(scope="module")
def filled_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what `promtool` prints of each alert when none is expected."""
    first = {name: (name, tried.cases[0]) for name, tried in TRIES.items()}
    return printed(tmp_path_factory.mktemp("texts"), first)


@pytest.fixture(scope="module")
def filled_in_causes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the text of each cause, by the part that names it."""
    causes = {}
    for name, title, part in CAUSES:
        (case,) = [case for case in TRIES[name].cases if case.title == title]
        causes[part] = name, case
    return printed(tmp_path_factory.mktemp("causes"), causes)


@pytest.fixture(scope="module")
def filled_in_unread(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the texts of alerts that keep firing while their hub cannot be read."""
    # The third moment that is looked at is the last one before the hub returns.
    dead = {
        name: (name, replace(case, firing={at: case.firing[at]}))
        for name, case in OUTLASTING.items()
        for at in [sorted(case.firing)[2]]
    }
    return printed(tmp_path_factory.mktemp("unread"), dead)


def printed(folder: Path, cases: Mapping[str, tuple[str, Case]]) -> dict[str, str]:
    """Return what `promtool` prints of alerts at the last firing time of a case."""
    written = {}
    for number, (key, (name, case)) in enumerate(cases.items()):
        moment = max(at for at, found in case.firing.items() if found)
        until = replace(case, firing={moment: []}, values={})
        path = replace(TRIES[name], cases=[until]).write(folder, f"{name}{number}")
        tests = json.loads(path.read_text())
        tests["tests"][0]["alert_rule_test"] = [
            {
                "eval_time": f"{moment:g}s",
                "alertname": f"DurableFunctions{name}",
                "exp_alerts": [],
            }
        ]
        path.write_text(json.dumps(tests))
        written[path] = key
    return {written[path]: text for path, text in findings(list(written)).items()}


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, _, part in CAUSES])
def test_each_cause_is_named(filled_in_causes: dict[str, str], name: str, part: str) -> None:
    text = filled_in_causes[part]
    description = text.partition("description=")[2]
    assert part in description, name
    assert "error expanding" not in text
    assert "<no value>" not in text
    assert "{{" not in text


@pytest.mark.parametrize("name", OUTLASTING)
def test_what_is_not_known_is_said_so(filled_in_unread: dict[str, str], name: str) -> None:
    text = filled_in_unread[name]
    assert "Status unknown: task hub orders has stale data" in text
    assert "it is unknown whether this is over" in text
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
    # That of the exporter, since another one may have a hub of the same name.
    assert ("var-job" in query) == ("var-task_hub" in query)
    assert "var-cluster" not in query
    assert links["page_url"].endswith("/hubs/orders") == alert.of_hub


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_description_says_the_number_and_what_to_do_first(alert: object) -> None:
    description = str(getattr(alert, "description", ""))
    assert re.search(r"\bFirst [a-z]+ ", description, re.IGNORECASE)
    counted = "$value" in description
    assert counted or getattr(alert, "name", "") == "ExporterDown"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_no_text_says_1_instances(alert: Alert) -> None:
    for text in (alert.summary, alert.description):
        assert not re.search(r"\$value[^}]*}} (active )?(instances|entities|times)", text)


def test_a_warning_inhibits_nothing_that_pages() -> None:
    severities = {alert.full_name: alert.severity for alert in ALERTS}
    for one in yaml.safe_load(inhibition())["inhibit_rules"]:
        (sources, *of_sources), (targets, *of_targets) = (
            one["source_matchers"],
            one["target_matchers"],
        )
        may_warn = any(
            severities[name] is not Severity.CRITICAL for name in re.findall(r"Durable\w+", sources)
        ) and of_sources != ["severity != warning"]
        may_page = any(
            severities[name] is not Severity.WARNING for name in re.findall(r"Durable\w+", targets)
        ) and of_targets != ["severity = warning"]
        assert not (may_warn and may_page), one


def test_nothing_inhibits_what_says_that_nothing_succeeds_or_nothing_is_scraped() -> None:
    targets = {target.name for one in INHIBITIONS for target in one.targets}
    assert not targets & {"NoSuccess", "ExporterDown", "ManyHubsUnreachable"}
    assert {alert.name for alert in ALERTS if alert.sweep is None} >= {"NoSuccess"}
