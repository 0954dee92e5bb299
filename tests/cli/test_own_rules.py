"""`rules --check` finds removed names in users' rules and dashboards, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exporter.alerts.own_rules import problems_of
from exporter.cli.conventions import ExitCode
from exporter.cli.main import run
from exporter.metrics.former import FORMER, Former

ROOT = Path(__file__).parents[2]
SHIPPED = [
    ROOT / "prometheus" / "durable-functions.rules.yaml",
    ROOT / "grafana" / "alerting" / "durable-functions.yaml",
    *sorted((ROOT / "grafana" / "dashboards").glob("*.json")),
]
UPGRADING = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")


def selector_of(former: Former) -> str:
    matcher = f'{former.label}="{former.value or "x"}"' if former.label else ""
    return f"{former.name}{{{matcher}}}"


@pytest.mark.parametrize("former", FORMER, ids=selector_of)
def test_whatever_is_gone_is_found_and_its_replacement_named(former: Former) -> None:
    (problem,) = problems_of(f"sum(rate({selector_of(former)}[5m])) > 0")
    assert former.name in problem
    assert problem.endswith(former.instead)


@pytest.mark.parametrize("former", FORMER, ids=selector_of)
def test_whatever_is_gone_is_on_the_page_about_upgrading(former: Former) -> None:
    assert former.name.rpartition("_")[0] in UPGRADING
    assert former.value in UPGRADING
    assert former.label in UPGRADING


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("durable_functions_instances_running", "is no metric"),
        ("durable_functions:hub_ok:max", "is no metric"),
        ("sum by (orchestrator) (durable_functions_instances_vanished_total)", "to group by"),
        ('durable_functions_failure_ratio{window=~"5m|1h"}', "is gone"),
        ("durable_functions_failure_ratio { task_hub = 'a}', window = '5m' }", "is gone"),
        ('ALERTS{alertname="DurableFunctionsNoMore"}', "is no alert"),
        ("durable_functions_instance_age_seconds_gcount offset 1d", "is gone"),
    ],
)
def test_it_is_found_however_it_is_written(text: str, problem: str) -> None:
    assert [problem in each for each in problems_of(text)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "sum by (le, orchestrator) (rate(durable_functions_instance_duration_seconds_bucket[5m]))",
        'durable_functions_failure_ratio{window="1h"} > 0.5',
        'durable_functions_failure_ratio{window!="5m"}',
        "sum without (orchestrator) (durable_functions_instances_vanished_total)",
        "max by (job) (other_instance_idle_seconds_bucket)",
        "durable_functions:hub_info:max",
    ],
)
def test_what_is_still_there_is_not_spoken_of(text: str) -> None:
    assert list(problems_of(text)) == []


def test_all_that_is_shipped_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "--check", *map(str, SHIPPED)], {}) is ExitCode.OK
    assert capsys.readouterr().out == ""


def test_the_place_in_a_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "own.yaml"
    gone = {"alert": "Idle", "expr": "durable_functions_instance_idle_seconds_gsum > 9"}
    fine = {"alert": "Down", "expr": "durable_functions_up == 0"}
    rules.write_text(yaml.safe_dump({"groups": [{"name": "own", "rules": [fine, gone]}]}))
    assert run(["rules", "--check", str(rules)], {}) is ExitCode.NOT_FOUND
    assert capsys.readouterr().out.startswith(
        f"{rules}: groups[0].rules[1].expr: durable_functions_instance_idle_seconds_gsum is gone"
    )


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.yaml"
    if content is not None:
        path.write_bytes(content)
    assert run(["rules", "--check", str(path)], {}) is ExitCode.CONFIGURATION
    assert f"cannot read '{path}'" in capsys.readouterr().err
