"""The shipped files: current, consistent, and as Prometheus and Grafana expect."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from docs.generate import PAGES, ROOT
from exporter.alerts.grafana import provisioning, uid
from exporter.alerts.inhibition import INHIBITIONS, inhibition
from exporter.alerts.prometheus import rules
from exporter.alerts.shared import RECORDINGS
from exporter.alerts.table import ALERTS, chosen, values_with
from tests.tools import tool

GENERATED = [name for name in PAGES if not name.startswith("docs/") or "/alert" in name]
UID_LENGTH = 40
OPT_IN = {alert.full_name for alert in ALERTS if alert.opt_in}
# What an alert of Prometheus says while its number is known.
KNOWN = re.compile(
    r"\{\{ if eq \$value \$value }}(.*)\{\{ else }}(?:Status unknown|Task hub).*\{\{ end }}"
)


class Strict(BaseModel):
    """A part of a provisioning file, with only the fields that Grafana reads."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Range(Strict):
    """How far back a query looks, in seconds."""

    start: int = Field(alias="from")
    end: int = Field(alias="to")


class Query(Strict):
    """A query or an expression."""

    refId: str = Field(min_length=1)  # noqa: N815 # Grafana's name
    relativeTimeRange: Range  # noqa: N815 # Grafana's name
    datasourceUid: str = Field(min_length=1)  # noqa: N815 # Grafana's name
    model: dict[str, Any]


class Rule(Strict):
    """A rule, as Grafana's provisioning reads it."""

    uid: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,40}$")
    title: str = Field(min_length=1, max_length=190)
    condition: str
    data: list[Query] = Field(min_length=1)
    noDataState: str = Field(pattern="^(OK|NoData|Alerting|KeepLast)$")  # noqa: N815 # Grafana's name
    execErrState: str = Field(pattern="^(OK|Error|Alerting|KeepLast)$")  # noqa: N815 # Grafana's name
    wait: str = Field(alias="for")
    keepFiringFor: str = ""  # noqa: N815 # Grafana's name
    labels: dict[str, str]
    annotations: dict[str, str]


class Group(Strict):
    """A group of rules."""

    orgId: int  # noqa: N815 # Grafana's name
    name: str
    folder: str
    interval: str
    rules: list[Rule]


class Provisioning(Strict):
    """A whole file."""

    apiVersion: int  # noqa: N815 # Grafana's name
    groups: list[Group]


def provisioned(text: str | None = None) -> dict[str, Rule]:
    """Return the rules of Grafana by name, of the shipped file without *text*."""
    file = Provisioning.model_validate(yaml.safe_load(text or provisioning(opted=OPT_IN)))
    return {rule.title: rule for group in file.groups for rule in group.rules}


def of_prometheus(text: str | None = None) -> dict[str, Mapping[str, Any]]:
    """Return the rules of Prometheus by name, of the shipped file without *text*."""
    groups = yaml.safe_load(text or rules(opted=OPT_IN))["groups"]
    return {one["alert"]: one for group in groups for one in group["rules"] if "alert" in one}


@pytest.mark.parametrize("name", GENERATED)
def test_the_committed_file_is_the_generated_one(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name]()


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(rules(opted=OPT_IN))
    command = [str(tool("promtool")), "check", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS) + len(RECORDINGS)} rules found" in done.stdout


def test_a_team_can_hold_the_alerts_in_its_head() -> None:
    assert len(chosen()) <= 22
    assert {alert.name for alert in ALERTS if alert.opt_in} == {
        "PendingBacklogGrowing", "NothingStarted", "DurationRegression"
    }  # fmt: skip


def test_what_looks_back_over_hours_is_asked_for_every_five_minutes() -> None:
    groups = yaml.safe_load(rules(opted=OPT_IN))["groups"]
    assert {group["name"]: group["interval"] for group in groups if "interval" in group} == {
        "durable-functions-trends": "5m"
    }
    file = Provisioning.model_validate(yaml.safe_load(provisioning(opted=OPT_IN)))
    assert {group.name: group.interval for group in file.groups}["trends"] == "5m"
    assert "trends" not in rules()


def test_amtool_accepts_the_inhibition_rules(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yaml"
    path.write_text(f"route: {{receiver: nobody}}\nreceivers: [{{name: nobody}}]\n{inhibition()}")
    command = [str(tool("amtool")), "check-config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    number = len(yaml.safe_load(inhibition())["inhibit_rules"])
    assert number > len(INHIBITIONS)
    assert f"{number} inhibit rules" in done.stdout


def test_both_hold_the_same_alerts() -> None:
    """Names, waits, severities and texts are equal, apart from the spelling of the value."""
    grafana, prometheus = provisioned(), of_prometheus()
    assert list(grafana) == list(prometheus) == [alert.full_name for alert in ALERTS]
    for alert, (name, rule) in zip(ALERTS, grafana.items(), strict=True):
        other = prometheus[name]
        assert rule.wait == other["for"]
        assert rule.keepFiringFor == other.get("keep_firing_for", "")
        assert {key: text.replace("$$", "$") for key, text in rule.labels.items()} == other[
            "labels"
        ]
        texts = {
            key: text.replace("$values.A.Value", "$value") for key, text in rule.annotations.items()
        }
        # Only Prometheus goes on where nothing can be read.
        known = {key: KNOWN.sub(r"\1", text) for key, text in other["annotations"].items()}
        assert texts == known
        assert (other["annotations"] == known) is (alert.sweep is None)


def test_each_rule_of_grafana_asks_what_that_of_prometheus_asks_without_recording_rules() -> None:
    recorded: dict[str, str] = {}
    for one in yaml.safe_load(rules())["groups"][0]["rules"]:
        text = str(one["expr"])
        for name, before in recorded.items():
            text = text.replace(name, before)
        recorded[str(one["record"])] = f"(\n{text}\n)"
    prometheus = of_prometheus()
    for name, rule in provisioned().items():
        query, condition = rule.data
        asked = query.model["expr"]
        expected = prometheus[name]["expr"].partition(
            "\nor on (task_hub, orchestrator, entity, cluster"
        )[0]
        for recording, expression in recorded.items():
            expected = expected.replace(recording, expression)
        assert asked == expected
        assert "durable_functions:" not in asked
        promql_parser.parse(asked)
        assert rule.condition == condition.refId == "B"
        assert condition.datasourceUid == "__expr__"
        assert query.model["instant"] is True


def test_uids_are_stable_unique_and_short() -> None:
    uids = [uid(alert) for alert in ALERTS]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= UID_LENGTH
    assert uids[0] == "durable-hub-unreachable"


def test_labels_of_grafana_survive_its_filling_in_of_environment_variables() -> None:
    severities = {rule.labels["severity"] for rule in provisioned().values()}
    assert severities == {"critical", "warning", "{{ $$labels.severity }}"}


def test_what_is_set_is_in_all_formats() -> None:
    values = values_with({"pending_stuck_for": "15m", "hub_labels": "cost_center"})
    name = "DurableFunctionsPendingStuck"
    assert of_prometheus(rules(values))[name]["for"] == "15m"
    assert provisioned(provisioning(values))[name].wait == "15m"
    assert "group_left (cost_center)" in of_prometheus(rules(values))[name]["expr"]


def test_alerts_can_be_left_out() -> None:
    without = {"DurableFunctionsHubEmpty"}
    shipped = set(of_prometheus(rules()))
    assert shipped - set(of_prometheus(rules(without=without))) == without
    assert shipped - set(provisioned(provisioning(without=without))) == without


def test_and_opt_in_ones_added() -> None:
    opted = {"DurableFunctionsNothingStarted"}
    shipped = set(of_prometheus(rules()))
    assert set(of_prometheus(rules(opted=opted))) - shipped == opted
    assert set(provisioned(provisioning(opted=opted))) - shipped == opted
    assert set(of_prometheus(rules(opted=OPT_IN, without=opted))) - shipped == OPT_IN - opted
