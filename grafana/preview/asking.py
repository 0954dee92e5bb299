"""Queries a Prometheus for the panels of a committed dashboard, with variables filled in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx

FOLDER = Path(__file__).parents[1] / "dashboards"
WIDTH = 1600
"""Width of the page in pixels: determines the resolution of queries, as in Grafana."""

GRID_WIDTH = 24
_PIXELS_A_POINT = 3
_UNITS = {"s": 1, "m": 60, "h": 3600}

Json = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::\w+)?\}|\$(?P<bare>\w+)")
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), *(?P<label>\w+)\)")


class LabelValues(NamedTuple):
    """A variable's query: the values of a label of some series."""

    selector: str
    label: str


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """
    Return *text* with the values of its variables.

    Raises:
        KeyError: a variable has no value.
    """
    return _VARIABLE.sub(lambda found: values[found["braced"] or found["bare"]], text)


def variables_in(text: str) -> set[str]:
    """Return the names of the variables in *text*."""
    return {found["braced"] or found["bare"] for found in _VARIABLE.finditer(text)}


def label_values(query: str) -> LabelValues:
    """
    Read the query of a variable.

    Raises:
        ValueError: it asks for something else than the values of a label.
    """
    found = _LABEL_VALUES.fullmatch(query)
    if found is None:
        raise ValueError(f"not of the form label_values(selector, label): {query}")
    return LabelValues(found["selector"], found["label"])


@dataclass(frozen=True, slots=True)
class View:
    """
    What to show: end and length of the time range, in seconds, and the chosen values.

    `smooth` is the least step of panels that have one, instead of their own.
    """

    at: float
    seconds: float
    scrape_interval: float
    chosen: Mapping[str, str]
    smooth: float | None = None


class Asking:
    """A client of one Prometheus."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def board(self, name: str, view: View) -> Json:
        """Return a dashboard with the data of its panels."""
        content: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        values = dict(self._values(content, view))
        return {
            "title": content["title"],
            "description": content["description"],
            "variables": {key: text for key, text in values.items() if key != "replicas"},
            "from": view.at - view.seconds,
            "to": view.at,
            "annotations": [
                self._annotation(each, view, values)
                for each in content["annotations"]["list"]
                if "expr" in each
            ],
            "panels": [self._panel(panel, view, values) for panel in content["panels"]],
        }

    def _values(self, content: Json, view: View) -> Iterator[tuple[str, str]]:
        """Yield the chosen values, else all if the variable allows it, else the first."""
        found: dict[str, str] = {}
        for variable in content["templating"]["list"]:
            name = variable["name"]
            if name in view.chosen:
                found[name] = view.chosen[name]
            elif variable["type"] in ("textbox", "constant"):
                found[name] = variable["query"]
            elif variable["type"] == "query":
                found[name] = variable.get("allValue") or self._first(variable, found, view)
            else:
                continue
            yield name, found[name]

    def _first(self, variable: Json, found: Mapping[str, str], view: View) -> str:
        asked = label_values(variable["query"]["query"])
        params = {
            "match[]": interpolate(asked.selector, found),
            "start": repr(view.at - view.seconds),
            "end": repr(view.at),
        }
        values: list[str] = self._get(f"label/{asked.label}/values", params)
        return values[0] if values else ""

    def _annotation(self, annotation: Json, view: View, values: Mapping[str, str]) -> Json:
        """Return the times of an annotation within the view, in seconds."""
        found = self._range(interpolate(annotation["expr"], values), view, view.seconds / 100)
        moments = {float(value) / 1000 for each in found for _, value in each["values"]}
        shown = sorted(each for each in moments if view.at - view.seconds <= each <= view.at)
        return {"name": annotation["name"], "color": annotation["iconColor"], "moments": shown}

    def _range(self, expr: str, view: View, step: float) -> list[Json]:
        params = {
            "query": expr,
            "start": repr(math.floor((view.at - view.seconds) / step) * step),
            "end": repr(view.at),
            "step": repr(step),
        }
        found: list[Json] = self._get("query_range", params)["result"]
        return found

    def _exemplars(self, expr: str, view: View) -> list[Json]:
        params = {
            "query": expr,
            "start": repr(view.at - view.seconds),
            "end": repr(view.at),
        }
        return [
            {"labels": each["seriesLabels"] | one["labels"], "at": float(one["timestamp"])}
            for each in self._get("query_exemplars", params)
            for one in each["exemplars"]
        ]

    def _panel(self, panel: Json, view: View, values: Mapping[str, str]) -> Json:
        step = _step(panel, view)
        given = {
            **values,
            "__interval": f"{step:.0f}s",
            "__range": f"{view.seconds:.0f}s",
            "__rate_interval": f"{max(step + view.scrape_interval, 4 * view.scrape_interval):.0f}s",
        }
        results = [self._ask(target, view, step, given) for target in panel.get("targets", [])]
        return {**panel, "step": step, "results": results}

    def _ask(self, target: Json, view: View, step: float, values: Mapping[str, str]) -> Json:
        expr = interpolate(target["expr"], values)
        if target.get("instant"):
            found = self._get("query", {"query": expr, "time": repr(view.at)})["result"]
            series = [{"labels": each["metric"], "points": [each["value"]]} for each in found]
        else:
            found = self._range(expr, view, step)
            series = [{"labels": each["metric"], "points": each["values"]} for each in found]
        # The page fills in labels.
        legend = interpolate(target["legendFormat"], values)
        exemplars = self._exemplars(expr, view) if target.get("exemplar") else []
        return {
            "refId": target["refId"],
            "legend": legend,
            "series": series,
            "exemplars": exemplars,
        }

    def _get(self, path: str, params: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON of others
        answer = self._client.get(f"/api/v1/{path}", params=params)
        answer.raise_for_status()
        return answer.json()["data"]


def _step(panel: Json, view: View) -> float:
    width = panel["gridPos"]["w"] / GRID_WIDTH * WIDTH
    least = panel.get("interval") or "0s"
    wanted = view.seconds / (width / _PIXELS_A_POINT)
    asked = float(least[:-1]) * _UNITS[least[-1]]
    if asked and view.smooth is not None:
        asked = view.smooth
    return float(math.ceil(max(wanted, asked, view.scrape_interval)))
