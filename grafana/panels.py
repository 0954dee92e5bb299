"""Panels of types that are stable from Grafana 10 to 13, each with the question it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, table
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import statetimeline as states
from grafana_foundation_sdk.builders import timeseries as series
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models.prometheus import Dataquery, PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

SMOOTH = "2m"
"""The smallest step of panels with rates: a window then has two of the usual scrape intervals."""

GREEN, YELLOW, ORANGE, RED = "green", "#EAB839", "orange", "red"
STATUS_COLORS: Mapping[str, str] = {
    "Pending": YELLOW,
    "Running": "blue",
    "Suspended": "purple",
    "ContinuedAsNew": "super-light-blue",
    "Completed": GREEN,
    "Failed": RED,
    "Terminated": ORANGE,
    "Canceled": "text",
}

CATEGORY_COLORS: Mapping[str, str] = {
    "activity": RED,
    "sub_orchestration": ORANGE,
    "entity": YELLOW,
    "timeout": "purple",
    "serialization": "blue",
    "non_determinism": "dark-red",
    "function_missing": "dark-orange",
    "unhandled": "light-red",
    "unknown": "text",
}
"""No failure is green."""

Steps = Sequence[tuple[float | None, str]]
CALM: Steps = ((None, "text"),)
ANY_IS_BAD: Steps = ((None, GREEN), (1, RED))
ANY_IS_WORTH_A_LOOK: Steps = ((None, GREEN), (1, ORANGE))


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, the legend of its series, and whether it has exemplars."""

    expr: str
    legend: str
    has_exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers in a table."""

    title: str
    expr: str
    unit: str = "short"
    steps: Steps = CALM
    decimals: int | None = None
    states: Mapping[int, tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A label that makes the rows of a table, with its link."""

    label: str
    title: str
    link: str = ""
    link_title: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How to draw series whose names match *pattern*."""

    pattern: str
    color: str = ""
    dashed: bool = False


def limit_style(pattern: str = "/[Ll]imit/") -> Style:
    """Draw limits as dashed red lines."""
    return Style(pattern, color=RED, dashed=True)


def before_style(pattern: str = "/earlier/") -> Style:
    """Draw earlier values as dashed grey lines."""
    return Style(pattern, color="text", dashed=True)


def stat(
    title: str,
    question: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps = CALM,
    decimals: int | None = None,
    states: Mapping[int, tuple[str, str]] | None = None,
    is_named: bool = False,
) -> dashboard.Panel:
    """Show current numbers, a single one with its name if *is_named*."""
    builder = (
        stats.Panel()
        .color_mode(
            options.BigValueColorMode.VALUE
            if steps is CALM
            else options.BigValueColorMode.BACKGROUND
        )
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(
            options.BigValueTextMode.VALUE_AND_NAME if is_named else options.BigValueTextMode.AUTO
        )
        .justify_mode(options.BigValueJustifyMode.CENTER)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    )
    panel = _finished(builder.build(), title, question, unit=unit, steps=steps, decimals=decimals)
    panel.targets = [_target(query, place, is_now=True) for place, query in enumerate(queries)]
    if states:
        _defaults(panel).mappings = [_mapping(states)]
    return panel


def timeseries(
    title: str,
    question: str,
    *queries: Query,
    unit: str = "short",
    stacked: bool = False,
    bars: bool = False,
    interval: str | None = None,
    styles: Sequence[Style] = (),
    colors: Mapping[str, str] | None = None,
    decimals: int | None = None,
    is_log: bool = False,
) -> dashboard.Panel:
    """Show numbers over time; *is_log* to show seconds beside hours."""
    builder = (
        series.Panel()
        .draw_style(options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(60 if bars else 25 if stacked else 8)
        .show_points(options.VisibilityMode.AUTO)
        .span_nulls(False)
        .scale_distribution(
            common.ScaleDistributionConfig().type(options.ScaleDistribution.LOG).log(10)
            if is_log
            else common.ScaleDistributionConfig().type(options.ScaleDistribution.LINEAR)
        )
        .stacking(
            common.StackingConfig().mode(
                options.StackingMode.NORMAL if stacked else options.StackingMode.NONE
            )
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(options.TooltipDisplayMode.MULTI)
            .sort(options.SortOrder.DESCENDING)
        )
    )
    panel = _finished(
        builder.build(), title, question, unit=unit, steps=((None, GREEN),), decimals=decimals
    )
    panel.targets = [_target(query, place) for place, query in enumerate(queries)]
    panel.interval = interval
    defaults = _defaults(panel)
    defaults.min_val = None if is_log else 0
    defaults.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.PALETTE_CLASSIC)
    named = [Style(name, color) for name, color in (colors or {}).items()]
    _field_config(panel).overrides = [_styled(style) for style in (*named, *styles)]
    return panel


def heat(
    title: str, question: str, buckets: str, *, interval: str | None = None
) -> dashboard.Panel:
    """Show a distribution of durations over time: buckets are rows, counts are colours."""
    builder = (
        heatmap.Panel()
        .calculate(calculate=False)
        .cell_gap(1)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmaps.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmaps.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .reverse(reverse=False)
        )
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(options.AxisPlacement.LEFT))
        .cell_values(heatmap.CellValues().unit("short").decimals(0))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_legend()
        .mode(options.TooltipDisplayMode.SINGLE)
    )
    panel = _finished(builder.build(), title, question, steps=())
    panel.targets = [_target(Query(buckets, "{{le}}"), 0, form=PromQueryFormat.HEATMAP)]
    panel.interval = interval
    return panel


def bars(
    title: str,
    question: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps = ((None, "blue"),),
    decimals: int | None = None,
) -> dashboard.Panel:
    """Compare current numbers, with names on the left."""
    builder = (
        bargauge.Panel()
        .orientation(options.VizOrientation.HORIZONTAL)
        .display_mode(options.BarGaugeDisplayMode.BASIC)
        .value_mode(options.BarGaugeValueMode.COLOR)
        .show_unfilled(show_unfilled=True)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    )
    panel = _finished(builder.build(), title, question, unit=unit, steps=steps, decimals=decimals)
    panel.targets = [_target(query, place, is_now=True) for place, query in enumerate(queries)]
    _defaults(panel).min_val = 0
    return panel


def timeline(
    title: str, question: str, *queries: Query, states_of: Mapping[int, tuple[str, str]]
) -> dashboard.Panel:
    """Show states as coloured bands over time."""
    builder = (
        states.Panel()
        .merge_values(merge_values=True)
        .show_value(options.VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
    )
    panel = _finished(builder.build(), title, question, steps=((None, "text"),))
    panel.targets = [_target(query, place) for place, query in enumerate(queries)]
    _defaults(panel).mappings = [_mapping(states_of)]
    return panel


def rows(
    title: str,
    question: str,
    keys: Sequence[Key],
    columns: Sequence[Column],
    *,
    sort_by: Sequence[str],
    first: str = "",
    facts: Sequence[str] = (),
) -> dashboard.Panel:
    """
    Show a table: a row for each combination of the *keys*, a column for each query.

    The most of *sort_by* comes first, but after the least of *first* where that is given.

    *facts* are queries whose labels add to the rows, and whose values say nothing.
    """
    order = [*([(first, False)] if first else []), *((name, True) for name in sort_by)]
    builder = (
        table.Panel()
        .show_header(show_header=True)
        .cell_height(options.TableCellHeight.SM)
        .sort_by(
            [common.TableSortByFieldState().display_name(name).desc(desc) for name, desc in order]
        )
    )
    panel = _finished(builder.build(), title, question, steps=((None, "text"),))
    queries = [*(Query(column.expr, column.title) for column in columns)]
    queries += [Query(expr, "fact") for expr in facts]
    panel.targets = [
        _target(query, place, is_now=True, form=PromQueryFormat.TABLE)
        for place, query in enumerate(queries)
    ]
    panel.transformations = [
        dashboard.DataTransformerConfig("merge", options={}),
        dashboard.DataTransformerConfig("organize", options=_organised(keys, columns, len(facts))),
    ]
    _field_config(panel).overrides = [
        *(_linked(key) for key in keys if key.link),
        *(_column(column) for column in columns),
    ]
    return panel


def _organised(
    keys: Sequence[Key], columns: Sequence[Column], facts: int
) -> Mapping[str, Mapping[str, object]]:
    """Name and order the columns; Grafana names values after their queries."""
    count = len(columns) + facts
    values = ["Value"] if count == 1 else [f"Value #{_ref(place)}" for place in range(count)]
    shown, hidden = values[: len(columns)], values[len(columns) :]
    order = [*(key.label for key in keys), *shown]
    return {
        "excludeByName": dict.fromkeys(["Time", *hidden], True),
        "indexByName": {name: place for place, name in enumerate(order)},
        "renameByName": {
            **{key.label: key.title for key in keys},
            **{name: column.title for name, column in zip(shown, columns, strict=True)},
        },
    }


def _target(
    query: Query,
    place: int,
    *,
    is_now: bool = False,
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> Dataquery:
    builder = (
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .format(form)
        .ref_id(_ref(place))
        .datasource(DATASOURCE)
    )
    if query.has_exemplars:
        builder = builder.exemplar(exemplar=True)
    return (builder.instant() if is_now else builder.range()).build()


def _ref(place: int) -> str:
    return chr(ord("A") + place)


def _finished(
    panel: dashboard.Panel,
    title: str,
    question: str,
    *,
    unit: str = "short",
    steps: Steps,
    decimals: int | None = None,
) -> dashboard.Panel:
    panel.title, panel.description, panel.datasource = title, question, DATASOURCE
    panel.transparent = None
    defaults = _defaults(panel)
    defaults.unit, defaults.decimals = unit, decimals
    if steps:
        defaults.thresholds = _thresholds(steps)
        defaults.color = dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
    return panel


def _field_config(panel: dashboard.Panel) -> dashboard.FieldConfigSource:
    if panel.field_config is None:
        panel.field_config = dashboard.FieldConfigSource()
    return panel.field_config


def _defaults(panel: dashboard.Panel) -> dashboard.FieldConfig:
    return _field_config(panel).defaults


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig(
        steps=[dashboard.Threshold(value=value, color=color) for value, color in steps]
    )


def _mapping(states_of: Mapping[int, tuple[str, str]]) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        {
            str(value): dashboard.ValueMappingResult(text=text, color=color, index=place)
            for place, (value, (text, color)) in enumerate(states_of.items())
        }
    )


def _override(
    matcher: str, of: str, **properties: object
) -> dashboard.DashboardFieldConfigSourceOverrides:
    return dashboard.DashboardFieldConfigSourceOverrides(
        matcher=dashboard.MatcherConfig(id_val=matcher, options=of),
        properties=[
            dashboard.DynamicConfigValue(id_val=name.replace("__", "."), value=value)
            for name, value in properties.items()
        ],
    )


def _styled(style: Style) -> dashboard.DashboardFieldConfigSourceOverrides:
    properties: dict[str, object] = {}
    if style.color:
        properties["color"] = {"mode": "fixed", "fixedColor": style.color}
    if style.dashed:
        properties["custom__lineStyle"] = {"fill": "dash", "dash": [8, 6]}
        properties["custom__fillOpacity"] = 0
        properties["custom__stacking"] = {"mode": "none", "group": "B"}
    matcher = "byRegexp" if style.pattern.startswith("/") else "byName"
    return _override(matcher, style.pattern, **properties)


def _linked(key: Key) -> dashboard.DashboardFieldConfigSourceOverrides:
    link = {"title": key.link_title, "url": key.link}
    return _override("byName", key.title, links=[link])


def _column(column: Column) -> dashboard.DashboardFieldConfigSourceOverrides:
    properties: dict[str, object] = {"unit": column.unit}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.steps is not CALM:
        properties["thresholds"] = _thresholds(column.steps)
    if column.states:
        properties["mappings"] = [_mapping(column.states)]
    if column.states or column.steps is not CALM:
        properties["custom__cellOptions"] = {"type": "color-background", "mode": "basic"}
    return _override("byName", column.title, **properties)
