"""A dashboard: variables, links, and the layout of panels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from exporter.metrics import catalogue as c
from exporter.metrics.promql import highest, lowest, selector
from grafana.panels import DATASOURCE
from grafana.scope import HUB, PROCESS, Scope, of_exporters

GRID_WIDTH = 24
SCHEMA_VERSION = 39
"""The schema of Grafana 10, which newer versions migrate."""

TAG = "durable-functions"
HUB_PAGE = "${exporter_url}/hubs/${task_hub:percentencode}"
REPLICA_LABELS = "instance, pod"
_VARIABLE_KEYS = {"auto", "auto_min", "auto_count", "allowCustomValue"}
_OPTION_KEYS = {
    "bargauge": {"legend"},
    "heatmap": {"selectionMode"},
    "stat": {"percentChangeColorMode"},
    "state-timeline": {"perPage"},
    "table": {"footer"},
}
"""Keys that the builders write, but some Grafana from 10 to 13 does not know."""


@dataclass(frozen=True, slots=True)
class Line:
    """Panels side by side, equally wide without *widths*."""

    height: int
    panels: Sequence[dashboard.Panel]
    widths: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of panels under one heading."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `name` is its file's name and the end of its uid."""

    name: str
    title: str
    description: str
    scope: Scope
    own_variables: Sequence[dashboard.VariableModel]
    sections: Sequence[Section]
    has_instances: bool = False
    time_from: str = "now-6h"

    @property
    def variables(self) -> Sequence[dashboard.VariableModel]:
        """All variables: data source, exporters and hub come first."""
        instance = [instance_id()] if self.has_instances else []
        own = (*self.own_variables, *instance, exporter_url(), replicas())
        return (datasource(), *_places(self.scope), *own)

    @property
    def uid(self) -> str:
        """The uid, used in links: it must never change."""
        return uid_of(self.name)


def uid_of(name: str) -> str:
    """Return the uid of the dashboard of that name."""
    return f"{TAG}-{name}"


def link_to(name: str, *variables: str) -> str:
    """Return the address of a dashboard that keeps variables, data source and time range."""
    given = "".join(f"var-{variable}&" for variable in variables)
    return f"/d/{uid_of(name)}?{given}${{datasource:queryparam}}&${{__url_time_range}}"


def rendered(board: Board) -> str:
    """Return the dashboard as JSON for import."""
    model = _built(board)
    model.panels = [*_placed(board.sections)]
    tree = json.loads(json.dumps(model, cls=JSONEncoder))
    tree["templating"] = {"list": [_plain(variable) for variable in board.variables]}
    tree["annotations"] = {"list": [*_annotations(board.scope)]}
    for panel in tree["panels"]:
        for key in _OPTION_KEYS.get(panel["type"], ()):
            panel["options"].pop(key, None)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _plain(variable: dashboard.VariableModel) -> dict[str, object]:
    """Return a variable without keys that Grafana's types do not have for its kind."""
    keys: dict[str, object] = json.loads(json.dumps(variable, cls=JSONEncoder))
    return {key: value for key, value in keys.items() if key not in _VARIABLE_KEYS}


def _annotations(scope: Scope) -> Iterator[dict[str, object]]:
    """Yield annotations that explain steps in graphs; values are in milliseconds."""
    begun = highest(of_exporters("process_start_time_seconds", scope), *PROCESS)
    for name, moment, label, color in (
        ("Exporter restarts", begun, "instance", "blue"),
        ("Baselines", lowest(scope.earliest(c.BASELINE), *HUB), "task_hub", "purple"),
        ("Hubs replaced", highest(scope.latest(c.HUB_REPLACED), *HUB), "task_hub", "orange"),
    ):
        yield {
            "name": name,
            "datasource": json.loads(json.dumps(DATASOURCE, cls=JSONEncoder)),
            "enable": True,
            "iconColor": color,
            "expr": f"1000 * {moment}",
            "step": "1m",
            "titleFormat": name,
            "textFormat": f"{{{{{label}}}}}",
            "useValueForTime": True,
        }
    yield {
        "name": "Deployments",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "iconColor": "green",
        "target": {"type": "tags", "tags": ["deployment"], "matchAny": False, "limit": 100},
    }


def _built(board: Board) -> dashboard.Dashboard:
    builder = (
        builders.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG, "azure"])
        .time(board.time_from, "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .link(
            builders.DashboardLink("Durable Functions")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
            .icon("external link")
            .tooltip("The other dashboards, for the same hub and time")
        )
    )
    page = "${exporter_url}/" if board.scope.of_many else HUB_PAGE
    outside = [("Status page", page, "Ids of stalled and failed instances")]
    if board.has_instances:
        text = "The page of the instance with the id typed in; requires web.instance_pages"
        outside.append(("Instance", f"{HUB_PAGE}/instances/${{instance_id:percentencode}}", text))
    for name, url, text in outside:
        builder.link(
            builders.DashboardLink(name)
            .type(dashboard.DashboardLinkType.LINK)
            .url(url)
            .target_blank(target_blank=True)
            .icon("bolt")
            .tooltip(text)
        )
    model = builder.build()
    model.schema_version = SCHEMA_VERSION
    return model


def _placed(sections: Sequence[Section]) -> Iterator[dashboard.RowPanel | dashboard.Panel]:
    """Yield the panels with positions and ids, both in order."""
    number, top = 1, 0
    for section in sections:
        place = dashboard.GridPos(h=1, w=GRID_WIDTH, x=0, y=top)
        yield dashboard.RowPanel(title=section.title, grid_pos=place, id_val=number)
        number, top = number + 1, top + 1
        for line in section.lines:
            left = 0
            widths = line.widths or [GRID_WIDTH // len(line.panels)] * len(line.panels)
            for panel, width in zip(line.panels, widths, strict=True):
                panel.id_val = number
                panel.grid_pos = dashboard.GridPos(h=line.height, w=width, x=left, y=top)
                yield panel
                number, left = number + 1, left + width
            top += line.height


def datasource() -> dashboard.VariableModel:
    """Return the variable for the data source."""
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .description("The Prometheus that scrapes the exporter")
        .build()
    )


def _places(scope: Scope) -> Iterator[dashboard.VariableModel]:
    """Return variables for exporters and hubs, each restricted by those before it."""
    matchers = scope.exporters
    all_of = ".*" if scope.of_many else ""
    for place, (name, description) in enumerate(
        (
            ("cluster", "The cluster label of the scrapes, where they have one"),
            ("namespace", "The namespace label of the scrapes, where they have one"),
            ("job", "The scrape job of the exporter"),
        )
    ):
        query = f"label_values({selector(c.UP, *matchers[:place])}, {name})"
        yield choice(name, name.capitalize(), query, description, all_of=all_of)
    if scope.of_many:
        teams = f"label_values({selector(c.HUB_INFO, *matchers)}, team)"
        text = "The label “team”, set in “labels” of a hub"
        yield choice("team", "Team", teams, text, all_of=all_of)
    hubs = f"label_values({selector(c.UP, *matchers)}, task_hub)"
    text = "The hubs to look at" if scope.of_many else "The hub"
    yield choice("task_hub", "Task hub", hubs, text, all_of=".+" if scope.of_many else "")


def choice(
    name: str, label: str, query: str, description: str, *, all_of: str = ""
) -> dashboard.VariableModel:
    """Return a variable for a label's values; several, by default all, if *all_of* is given."""
    builder = (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .query({"query": query, "refId": f"variable-{name}"})
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(bool(all_of))
        .include_all(bool(all_of))
    )
    if all_of:
        builder = builder.all_value(all_of).current(
            dashboard.VariableOption(selected=True, text="All", value="$__all")
        )
    return builder.build()


def setting(name: str, label: str, default: str, description: str) -> dashboard.VariableModel:
    """Return a variable for a typed value."""
    variable = (
        builders.TextBoxVariable(name)
        .label(label)
        .description(description)
        .default_value(default)
        .build()
    )
    variable.current = dashboard.VariableOption(selected=True, text=default, value=default)
    return variable


def replicas() -> dashboard.VariableModel:
    """Return the constant with the labels in which replicas differ."""
    variable = (
        builders.ConstantVariable("replicas")
        .label("Labels of replicas")
        .description("Labels in which replicas of the exporter differ; queries fold them")
        .value(REPLICA_LABELS)
        .build()
    )
    variable.current = dashboard.VariableOption(
        selected=True, text=REPLICA_LABELS, value=REPLICA_LABELS
    )
    variable.hide = dashboard.VariableHide.HIDE_VARIABLE
    return variable


def exporter_url() -> dashboard.VariableModel:
    """Return the variable with the address of the status page."""
    return setting(
        "exporter_url",
        "Exporter",
        "",
        "URL of the exporter, for links to the status page: set it, and save the dashboard",
    )


def instance_id() -> dashboard.VariableModel:
    """Return the variable for an instance id, for the link to its page."""
    text = "An id from an exemplar, a log or the status page, for the link Instance"
    return setting("instance_id", "Instance", "", text)
