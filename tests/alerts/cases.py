"""What an alert is tried on, and the file that `promtool` tries it with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from exporter.alerts.model import Alert
from exporter.alerts.prometheus import recordings, rule
from exporter.alerts.table import ALERTS, DEFAULTS
from exporter.alerts.yaml_text import Document
from tests.alerts.world import Series, input_series

MINUTE = 60.0
BY_NAME = {alert.name: alert for alert in ALERTS}
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One course of events.

    `firing` tells what fires, by the second: exactly the series with these labels, but for the name
    of the alert. `values` are those of the expression itself.
    """

    title: str
    series: Sequence[Series]
    firing: Mapping[float, Sequence[Labels]]
    values: Mapping[float, Sequence[float]] = field(default_factory=dict)
    replicas: Sequence[str] = ("a",)


@dataclass(frozen=True, slots=True)
class Tried:
    """An alert, perhaps a mutant of it, with its cases; `step` in seconds."""

    rule: Document
    recorded: Sequence[Document]
    cases: Sequence[Case]
    step: float = MINUTE

    def write(self, folder: Path, name: str) -> Path:
        """Write the files for `promtool test rules` into *folder*, and return the one to give."""
        groups = [
            {"name": "recordings", "rules": list(self.recorded)},
            {"name": "alerts", "rules": [self.rule]},
        ]
        (folder / f"{name}.rules.json").write_text(json.dumps({"groups": groups}))
        tests = {
            "rule_files": [f"{name}.rules.json"],
            "evaluation_interval": f"{self.step:g}s",
            "group_eval_order": ["recordings", "alerts"],
            "tests": [self._test(case) for case in self.cases],
        }
        path = folder / f"{name}.json"
        path.write_text(json.dumps(tests))
        return path

    def turned_round(self) -> Iterator[Case]:
        """Yield each case with the opposite of one expectation."""
        for case in self.cases:
            for second, found in case.firing.items():
                opposite = [] if found else [{"task_hub": "orders"}]
                yield replace(case, firing={second: opposite}, values={})

    def _test(self, case: Case) -> Document:
        last = max([*case.firing, *case.values])
        return {
            "name": case.title,
            "interval": f"{self.step:g}s",
            "input_series": input_series(case.series, case.replicas, last, self.step),
            "promql_expr_test": [
                *(self._firing(second, found) for second, found in case.firing.items()),
                *(self._values(second, values) for second, values in case.values.items()),
            ],
        }

    def _firing(self, second: float, found: Sequence[Labels]) -> Document:
        selector = f'ALERTS{{alertname="{self.rule["alert"]}", alertstate="firing"}}'
        return {
            "expr": selector,
            "eval_time": f"{second:g}s",
            "exp_samples": [{"labels": self._of_firing(labels), "value": 1} for labels in found],
        }

    def _of_firing(self, labels: Labels) -> str:
        whole = {"alertname": cast("str", self.rule["alert"]), "alertstate": "firing", **labels}
        return "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in whole.items()) + "}"

    def _values(self, second: float, values: Sequence[float]) -> Document:
        return {
            "expr": f"count_values('value', {self.rule['expr']})",
            "eval_time": f"{second:g}s",
            "exp_samples": [
                {"labels": f'{{value="{_shown(value)}"}}', "value": 1} for value in values
            ],
        }


def _shown(value: float) -> str:
    return repr(value).removesuffix(".0")


def tried(
    alert: Alert,
    cases: Sequence[Case],
    *,
    step: float = MINUTE,
    values: Mapping[str, str] = DEFAULTS,
) -> Tried:
    """Return *alert* as it is shipped, but for the *values* of its parameters."""
    return Tried(rule(alert, values), list(recordings(values)), cases, step)
