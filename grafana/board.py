"""A dashboard: its variables, its links, and where its panels stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from grafana.panels import DATASOURCE

GRID_WIDTH = 24
SCHEMA_VERSION = 39
"""Of Grafana 10, which newer ones migrate by themselves."""

TAG = "durable-functions"
EXPORTER_URL = "http://localhost:10771"
REPLICA_LABELS = "instance, pod"
_VARIABLE_KEYS = {"auto", "auto_min", "auto_count", "allowCustomValue"}
_OPTION_KEYS = {
    "bargauge": {"legend"},
    "heatmap": {"selectionMode"},
    "stat": {"percentChangeColorMode"},
    "state-timeline": {"perPage"},
    "table": {"footer"},
}
"""What the builders write though some Grafana from 10 to 13 does not know it."""


@dataclass(frozen=True, slots=True)
class Line:
    """Panels beside each other, equally wide unless *widths* tells."""

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
    """One dashboard; its name is that of its file, and the end of its uid."""

    name: str
    title: str
    description: str
    variables: Sequence[dashboard.VariableModel]
    page_url: str
    sections: Sequence[Section]
    time_from: str = "now-6h"

    @property
    def uid(self) -> str:
        """What links name, and what must never change."""
        return uid_of(self.name)


def uid_of(name: str) -> str:
    """Return the uid of the dashboard of that name."""
    return f"{TAG}-{name}"


def link_to(name: str, *variables: str) -> str:
    """Return the address of a dashboard with variables, data source and time range kept."""
    given = "".join(f"var-{variable}&" for variable in variables)
    return f"/d/{uid_of(name)}?{given}${{datasource:queryparam}}&${{__url_time_range}}"


def rendered(board: Board) -> str:
    """Return the dashboard as JSON, as Grafana imports it."""
    model = _built(board)
    model.panels = [*_placed(board.sections)]
    tree = json.loads(json.dumps(model, cls=JSONEncoder))
    tree["templating"] = {"list": [_plain(variable) for variable in board.variables]}
    tree["annotations"] = {"list": []}
    for panel in tree["panels"]:
        for key in _OPTION_KEYS.get(panel["type"], ()):
            panel["options"].pop(key, None)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _plain(variable: dashboard.VariableModel) -> dict[str, object]:
    """Return a variable without the keys that Grafana's own types do not have for it."""
    keys: dict[str, object] = json.loads(json.dumps(variable, cls=JSONEncoder))
    return {key: value for key, value in keys.items() if key not in _VARIABLE_KEYS}


def _built(board: Board) -> dashboard.Dashboard:
    model = (
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
        .link(
            builders.DashboardLink("Instances (status page)")
            .type(dashboard.DashboardLinkType.LINK)
            .url(board.page_url)
            .target_blank(target_blank=True)
            .icon("bolt")
            .tooltip("The exporter's own page: ids of stuck and failed instances")
        )
        .build()
    )
    model.schema_version = SCHEMA_VERSION
    return model


def _placed(sections: Sequence[Section]) -> Iterator[dashboard.RowPanel | dashboard.Panel]:
    """Yield the panels with their places; ids follow the order, so they are unique."""
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
    """Let people choose the Prometheus."""
    return (
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .description("The Prometheus that scrapes the exporter")
        .build()
    )


def choice(
    name: str, label: str, query: str, description: str, *, many: bool = False
) -> dashboard.VariableModel:
    """Let people choose among the values of a label: one of them, or *many* and all."""
    builder = (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .query({"query": query, "refId": f"variable-{name}"})
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(many)
        .include_all(many)
    )
    if many:
        builder = builder.all_value(".+").current(
            dashboard.VariableOption(selected=True, text="All", value="$__all")
        )
    return builder.build()


def setting(name: str, label: str, default: str, description: str) -> dashboard.VariableModel:
    """Let people type a value in; links and queries use it."""
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
    """Keep the labels in which replicas differ in one place."""
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
    """Where the links to the status page lead."""
    return setting(
        "exporter_url",
        "Exporter",
        EXPORTER_URL,
        "Where the exporter's own page answers, for the links to it",
    )
