"""The committed dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana.preview.asking import LabelValues, interpolate, label_values

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
NAMES = ("fleet", "hub", "orchestrator", "entities", "exporter")

Json = dict[str, Any]

VALUES: Mapping[str, str] = {
    "task_hub": ".+",
    "cluster": "",
    "namespace": "",
    "job": "durable-functions",
    "team": ".*",
    "orchestrator": ".+",
    "entity": ".+",
    "replicas": "instance, pod",
    "price": "0.5",
    "earlier": "10s",
    "__rate_interval": "30s",
    "__interval": "10s",
    "__range": "10m",
}
"""A value for every variable, so that queries can be parsed."""


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of one panel."""

    board: str
    panel: str
    ref: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


@dataclass(frozen=True, slots=True)
class VariableQuery:
    """The query of one variable of one dashboard."""

    board: str
    name: str
    asked: LabelValues


def board(name: str) -> Json:
    """Return a committed dashboard."""
    content: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def panels(name: str) -> list[Json]:
    """Return the panels of a dashboard, without the headings of its rows."""
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def panel_queries(name: str) -> list[PanelQuery]:
    """Return all queries of a dashboard's panels."""
    return [
        PanelQuery(name, panel["title"], target["refId"], target["expr"], target["legendFormat"])
        for panel in panels(name)
        for target in panel["targets"]
    ]


def all_queries() -> list[PanelQuery]:
    """Return all queries of all panels."""
    return [query for name in NAMES for query in panel_queries(name)]


def variables(name: str) -> dict[str, Json]:
    """Return the variables of a dashboard by their names."""
    return {each["name"]: each for each in board(name)["templating"]["list"]}


def variable_queries() -> Iterator[VariableQuery]:
    """Yield the queries of all variables."""
    for name in NAMES:
        for variable in variables(name).values():
            if variable["type"] == "query":
                yield VariableQuery(
                    name, variable["name"], label_values(variable["query"]["query"])
                )


def annotation_queries() -> list[tuple[str, str]]:
    """Return the queries of annotations, with their places."""
    return [
        (f"{name} / {each['name']}", each["expr"])
        for name in NAMES
        for each in board(name)["annotations"]["list"]
        if "expr" in each
    ]


def all_expressions() -> list[tuple[str, str]]:
    """Return every expression that is sent to Prometheus, with its place."""
    of_panels = [(str(query), interpolate(query.expr, VALUES)) for query in all_queries()]
    of_variables = [
        (f"{each.board} / {each.name}", interpolate(each.asked.selector, VALUES))
        for each in variable_queries()
    ]
    of_annotations = [(place, interpolate(expr, VALUES)) for place, expr in annotation_queries()]
    return of_panels + of_variables + of_annotations
