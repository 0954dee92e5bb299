"""The PrometheusRule has the shipped rules, with the chart's values filled in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.alerts.model import Kind, Parameter
from exporter.alerts.prometheus import rules
from exporter.alerts.table import ALERTS, DEFAULTS, PARAMETERS, chosen, values_with
from helm.rules import of_parameters
from tests.chart.chart import render
from tests.tools import tool

SHIPPED = Path(__file__).parents[2] / "prometheus" / "durable-functions.rules.yaml"
OPT_IN = {alert.full_name for alert in ALERTS if alert.opt_in}
OF_THE_SERVICE = "http://durable-durable-functions-exporter.monitoring.svc:10771"
AT_THE_SERVICE = {"exporter_url": OF_THE_SERVICE}
OTHER = {
    Kind.DURATION: "17m",
    Kind.LABELS: "zone, stamp",
    Kind.SOME_LABELS: "rack, site",
    Kind.URL: "https://other.example.com/path",
    Kind.SEVERITY: "page",
    Kind.TEXT: "other",
}


def specification(**values: Any) -> Any:  # noqa: ANN401 - it is any YAML
    return render({"prometheusRule": {"enabled": True, **values}}).one("PrometheusRule")["spec"]


def changed(parameter: Parameter) -> str | float:
    if parameter.kind is Kind.NUMBER:
        return float(parameter.default) + 1
    return "replica" if parameter.name == "replica_labels" else OTHER[parameter.kind]


def test_they_are_those_of_the_command() -> None:
    expected = yaml.safe_load(rules(values_with(AT_THE_SERVICE)))
    assert specification() == expected
    assert len([rule for group in expected["groups"] for rule in group["rules"]]) > len(chosen())


def test_every_parameter_is_a_value() -> None:
    changes = {
        parameter.name: changed(parameter)
        for parameter in PARAMETERS
        if parameter.name in of_parameters()["properties"]
    }
    # The data source is a matter of Grafana's own rules.
    assert set(DEFAULTS) - set(changes) == {"grafana_datasource"}
    as_texts = {name: str(value) for name, value in changes.items()}
    expected = yaml.safe_load(rules(values_with(as_texts), opted=OPT_IN))
    assert specification(parameters=changes, optIn=sorted(OPT_IN)) == expected
    assert expected != yaml.safe_load(rules(opted=OPT_IN))


def test_large_numbers_stay_numbers() -> None:
    seconds = specification(parameters={"hub_empty_seconds": 12_000_000})
    expected = rules(values_with({**AT_THE_SERVICE, "hub_empty_seconds": "12000000"}))
    assert seconds == yaml.safe_load(expected)


def test_single_alerts_can_be_left_out_and_whole_groups() -> None:
    gone = {alert.full_name for alert in ALERTS if alert.group == ALERTS[0].group}
    left = specification(disabled=sorted(gone))
    assert left == yaml.safe_load(rules(values_with(AT_THE_SERVICE), without=gone))
    one = specification(disabled=["DurableFunctionsHubEmpty"])
    assert one == yaml.safe_load(
        rules(values_with(AT_THE_SERVICE), without={"DurableFunctionsHubEmpty"})
    )


def test_opt_in_alerts_are_added_with_their_interval() -> None:
    one = specification(optIn=["DurableFunctionsNothingStarted"])
    assert one == yaml.safe_load(
        rules(values_with(AT_THE_SERVICE), opted={"DurableFunctionsNothingStarted"})
    )
    assert one["groups"][-1]["interval"] == "5m"


def test_former_alerts_and_parameters_are_ignored_with_a_note() -> None:
    values = {"disabled": ["DurableFunctionsKeyRefused"], "parameters": {"hold": "1h"}}
    assert specification(**values) == yaml.safe_load(rules(values_with(AT_THE_SERVICE)))
    notes = render({"prometheusRule": {"enabled": True, **values}}).notes
    assert "the alert DurableFunctionsKeyRefused is gone and ignored: see HubUnreachable" in notes
    assert "prometheusRule.parameters.hold is gone and ignored: see exporter_memory" in notes


def test_every_alert_gets_further_labels_and_no_recording_does() -> None:
    for group in specification(alertLabels={"team": "platform", "severity": "none"})["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"]["team"] == "platform"
                assert rule["labels"]["severity"] != "none"
            else:
                assert "labels" not in rule


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, OF_THE_SERVICE),
        ({"service": {"port": 80}}, OF_THE_SERVICE.replace("10771", "80")),
        ({"web": {"scheme": "https"}}, OF_THE_SERVICE.replace("http:", "https:")),
        ({"ingress": {"enabled": True, "hosts": ["a.example"]}}, "http://a.example"),
        (
            {
                "ingress": {
                    "enabled": True,
                    "hosts": ["a.example"],
                    "path": "/durable/",
                    "tls": [{"secretName": "a"}],
                }
            },
            "https://a.example/durable",
        ),
        (
            {
                "httpRoute": {
                    "enabled": True,
                    "parentRefs": [{"name": "a"}],
                    "hostnames": ["b.example"],
                }
            },
            "https://b.example",
        ),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "a"}]}}, OF_THE_SERVICE),
    ],
)
def test_links_lead_to_where_people_reach_the_exporter(values: dict[str, Any], url: str) -> None:
    release = render({**values, "prometheusRule": {"enabled": True}})
    expected = yaml.safe_load(rules(values_with({"exporter_url": url})))
    assert release.one("PrometheusRule")["spec"] == expected


def test_promtool_takes_them(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    all_changed = {parameter.name: changed(parameter) for parameter in PARAMETERS}
    del all_changed["grafana_datasource"]
    for parameters in ({}, all_changed):
        written = specification(parameters=parameters, optIn=sorted(OPT_IN))
        file.write_text(yaml.safe_dump(written), encoding="utf-8")
        done = subprocess.run(
            [tool("promtool"), "check", "rules", file], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout
