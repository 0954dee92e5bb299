"""Cases of an alert, and their files for `promtool`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from exporter.alerts.model import Alert
from exporter.alerts.prometheus import Document, recordings, rule
from exporter.alerts.table import ALERTS, DEFAULTS
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

    @property
    def lasts(self) -> float:
        """The last second of the case."""
        return max([*self.firing, *self.values])


@dataclass(frozen=True, slots=True)
class Tried:
    """
    Rules that are tried on the same cases, by a tag that each has to itself; `step` in seconds.

    They share one database, since to make one takes longer than to evaluate a rule.
    """

    rules: Mapping[str, Document]
    recorded: Sequence[Document]
    cases: Sequence[Case]
    step: float = MINUTE

    def write(self, folder: Path, name: str) -> Path:
        """Write the files for `promtool test rules` into *folder*, and return the test's."""
        tagged = [_tagged(rule, tag) for tag, rule in self.rules.items()]
        groups = [
            {"name": "recordings", "rules": list(self.recorded)},
            {"name": "alerts", "rules": tagged},
        ]
        (folder / f"{name}.rules.json").write_text(json.dumps({"groups": groups}))
        tests = {
            "rule_files": [f"{name}.rules.json"],
            "evaluation_interval": f"{self.step:g}s",
            "group_eval_order": ["recordings", "alerts"],
            "tests": [self._test(case, tagged) for case in self.cases],
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

    def _test(self, case: Case, rules: Sequence[Document]) -> Document:
        # What fired before is of the rule, by the name that it has here.
        series = [one for one in case.series if one.name != "ALERTS"] + [
            replace(one, labels={**one.labels, "alertname": cast("str", rule["alert"])})
            for one in case.series
            if one.name == "ALERTS"
            for rule in rules
        ]
        return {
            "name": case.title,
            "interval": f"{self.step:g}s",
            "input_series": input_series(series, case.replicas, case.lasts, self.step),
            "promql_expr_test": [
                expectation
                for rule in rules
                for expectation in (
                    *(_firing(rule, second, found) for second, found in case.firing.items()),
                    *(_values(rule, second, values) for second, values in case.values.items()),
                )
            ],
        }


def _tagged(rule: Document, tag: str) -> dict[str, object]:
    name = f"{rule['alert']}{tag}"
    expression = cast("str", rule["expr"])
    own = expression.replace(f'alertname="{rule["alert"]}"', f'alertname="{name}"')
    return {**rule, "alert": name, "expr": own}


def _firing(rule: Document, second: float, found: Sequence[Labels]) -> Document:
    name = cast("str", rule["alert"])
    whole = [{"alertname": name, "alertstate": "firing", **labels} for labels in found]
    return {
        "expr": f'ALERTS{{alertname="{name}", alertstate="firing"}}',
        "eval_time": f"{second:g}s",
        "exp_samples": [{"labels": f"ALERTS{_selector(labels)}", "value": 1} for labels in whole],
    }


def _values(rule: Document, second: float, values: Sequence[float]) -> Document:
    name = rule["alert"]
    return {
        "expr": f'count_values("{name}", {rule["expr"]})',
        "eval_time": f"{second:g}s",
        "exp_samples": [
            {"labels": f'{{{name}="{_shown(value)}"}}', "value": 1} for value in values
        ],
    }


def _selector(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _shown(value: float) -> str:
    return repr(value).removesuffix(".0")


VALUES: Mapping[str, str] = {
    **DEFAULTS,
    "exporter_url": "https://durable.example.com",
    "grafana_url": "https://grafana.example.com",
}


def tried(
    alert: Alert,
    cases: Sequence[Case],
    *,
    step: float = MINUTE,
    values: Mapping[str, str] = VALUES,
) -> Tried:
    """Return *alert* as shipped, with *values* of its parameters."""
    shipped = rule(alert, values)
    expression = cast("str", shipped["expr"])
    used: list[Document] = []
    for one in reversed(list(recordings(values))):  # a later one may ask for an earlier one
        if cast("str", one["record"]) in expression:
            used.insert(0, one)
            expression += cast("str", one["expr"])
    return Tried({"": shipped}, used, cases, step)
