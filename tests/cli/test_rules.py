from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from exporter.alerts.grafana import provisioning
from exporter.alerts.inhibition import inhibition
from exporter.alerts.prometheus import rules
from exporter.alerts.table import ALERTS, PARAMETERS, chosen
from exporter.cli.conventions import ExitCode
from exporter.cli.main import run

ROOT = Path(__file__).parents[2]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["rules", *arguments], {}) is ExitCode.OK
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text"),
    [("prometheus", rules()), ("grafana", provisioning()), ("inhibition", inhibition())],
)
def test_the_files_are_printed(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--format", name) == text


def test_parameters_are_set_and_alerts_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--set", "hub_stalled_for=1h", "--set", "exporter_url=https://e.example.com/")
    text = printed(capsys, *arguments, "--disable", "HubEmpty", "DurableFunctionsThrottled")
    found = {
        one["alert"].removeprefix("DurableFunctions"): one
        for group in yaml.safe_load(text)["groups"][1:]
        for one in group["rules"]
    }
    assert {alert.name for alert in chosen()} - set(found) == {"HubEmpty", "Throttled"}
    assert found["HubStalled"]["for"] == "1h"
    runbook = found["HubStalled"]["annotations"]["runbook_url"]
    assert runbook == "https://e.example.com/runbooks/DurableFunctionsHubStalled"
    assert "dashboard_url" not in found["HubStalled"]["annotations"]


@pytest.mark.parametrize("form", ["prometheus", "grafana"])
def test_links_lead_to_the_documentation_where_no_address_is_set(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "--format", form)
    assert "localhost" not in text
    links = re.findall(r"(\w+_url): (\S+)", text)
    assert {name for name, _ in links} == {"runbook_url"}
    assert all((ROOT / path).is_file() for _, path in links)
    local = printed(capsys, "--format", form, "--set", "grafana_url=http://localhost:3000")
    assert "dashboard_url: http://localhost:3000/d/durable-functions-hub?" in local


def test_opt_in_alerts_are_added(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--enable", "NothingStarted", "DurableFunctionsDurationRegression")
    assert text == rules(
        opted={"DurableFunctionsNothingStarted", "DurableFunctionsDurationRegression"}
    )
    assert text != rules()


def test_former_alerts_and_parameters_are_ignored_with_a_remark(
    capsys: pytest.CaptureFixture[str],
) -> None:
    former = ("--disable", "DurableFunctionsKeyRefused", "BaselineLost", "--set", "failure_ratio=1")
    assert run(["rules", *former], {}) is ExitCode.OK
    text, remarks = capsys.readouterr()
    assert text == rules()
    assert remarks.splitlines() == [
        "DurableFunctionsKeyRefused: is gone and ignored: see HubUnreachable",
        "BaselineLost: is gone and ignored: nothing takes its place",
        "failure_ratio: is gone and ignored: see limits.failure_ratio",
    ]


def test_exporters_are_told_apart_by_the_labels_that_are_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, "--format", "inhibition", "--set", "target_labels=stamp, job")
    equal = [one["equal"] for one in yaml.safe_load(text)["inhibit_rules"]]
    assert all(labels[:2] == ["stamp", "job"] for labels in equal)
    assert ["stamp", "job", "task_hub"] in equal
    rules_text = printed(capsys, "--set", "target_labels=stamp, job")
    assert "on (task_hub, stamp, job) group_left" in rules_text
    assert "namespace" not in rules_text


def test_the_list_shows_every_alert_and_parameter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = printed(capsys, "--list", "--set", "many_hubs_ratio=0.25")
    said = {line.split(" ", 1)[0] for line in text.splitlines()}
    assert {alert.name for alert in ALERTS} | {parameter.name for parameter in PARAMETERS} <= said
    assert " 0.25 " in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--set", "patience=1"), "patience: is not a parameter"),
        (("--set", "many_hubs=many"), "many_hubs: 'many' is not a number"),
        (("--set", "many_hubs=-1"), "many_hubs: '-1' is not a number that is 0 or more"),
        (("--set", "many_hubs=nan"), "many_hubs: 'nan' is not a number"),
        (("--set", "exporter_memory=2 hours"), "exporter_memory: '2 hours' is not a duration"),
        (("--set", "hub_labels=a-b"), "hub_labels: 'a-b' is not a list of label names"),
        (("--set", "target_labels="), "target_labels: '' is not a list of one label name or more"),
        (("--set", "hub_labels=team,job"), "hub_labels: 'job' is one of target_labels"),
        (("--set", "target_labels=pod"), "replica_labels: 'pod' is one of target_labels"),
        (("--set", "exporter_url=example.com"), "exporter_url: 'example.com' is not a URL"),
        (
            ("--set", "configured_severity=wake me"),
            "configured_severity: 'wake me' is not one word",
        ),
        (("--disable", "Everything"), "Everything: is not an alert"),
        (("--enable", "Everything"), "Everything: is not an alert"),
    ],
)
def test_what_is_no_rule_is_refused(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rules", *arguments], {}) is ExitCode.CONFIGURATION
    printed_text = capsys.readouterr()
    assert problem in printed_text.err
    assert not printed_text.out


def test_all_problems_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "--set", "a=1", "--set", "b=1"], {}) is ExitCode.CONFIGURATION
    assert len(capsys.readouterr().err.splitlines()) == 2
