"""The rules of the dashboard linter, and a few more."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from grafana.board import GRID_WIDTH
from grafana.preview.asking import variables_in
from tests.grafana.committed import NAMES, Json, PanelQuery, all_queries, board, panels, variables

STABLE_TYPES = {"stat", "timeseries", "table", "heatmap", "bargauge", "state-timeline", "row"}
"""Of Grafana's own, and neither deprecated nor experimental from 10 to 13."""

BUILT_IN = {"__interval", "__range", "__rate_interval", "__url_time_range", "__value"}
UNITS = {"short", "s", "percentunit", "cpm", "Bps", "bytes", "bool_yes_no"}
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")
WINDOW = re.compile(r"\b(?:rate|increase)\([^\[]*\[([^\]]*)\]")
SENTENCE = re.compile(r"[A-Z][^?]*\?")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

every_dashboard = pytest.mark.parametrize("name", NAMES)


@every_dashboard
def test_a_dashboard_has_a_title_of_its_own_a_description_and_a_stable_uid(name: str) -> None:
    content = board(name)
    titles = [board(each)["title"] for each in NAMES]
    assert titles.count(content["title"]) == 1
    assert content["description"].endswith((".", "?"))
    assert content["uid"] == f"durable-functions-{name}"
    assert len(content["uid"]) <= 40
    assert "id" not in content
    assert content["schemaVersion"] == 39


@every_dashboard
def test_ids_are_unique_and_panels_fill_the_grid_without_overlap(name: str) -> None:
    everything = board(name)["panels"]
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)
    for panel in everything:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= GRID_WIDTH
        assert place["h"] > 0
    for one, other in combinations(everything, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    area = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in everything)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in everything)
    assert area == GRID_WIDTH * height


def overlap(one: Json, other: Json) -> bool:
    return bool(
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_an_overlap_would_be_found() -> None:
    place = {"x": 0, "y": 0, "w": 12, "h": 8}
    assert overlap(place, {**place, "x": 11})
    assert overlap(place, {**place, "y": 7})
    assert not overlap(place, {**place, "x": 12})
    assert not overlap(place, {**place, "y": 8})


@every_dashboard
def test_every_panel_asks_a_question_and_has_a_unit_and_a_data_source(name: str) -> None:
    for panel in panels(name):
        about = f"{name} / {panel['title']}"
        assert panel["type"] in STABLE_TYPES, about
        assert panel["title"][0].isupper(), about
        assert SENTENCE.search(panel["description"]), about
        assert len(panel["description"]) <= 100, about
        assert panel["datasource"] == DATASOURCE, about
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, about
        assert panel["targets"], about
        for override in panel["fieldConfig"]["overrides"]:
            units = [each["value"] for each in override["properties"] if each["id"] == "unit"]
            assert set(units) <= UNITS, about


@every_dashboard
def test_every_row_asks_a_question_too(name: str) -> None:
    rows = [panel for panel in board(name)["panels"] if panel["type"] == "row"]
    assert len(rows) >= 2
    assert all(row["title"].endswith("?") for row in rows)


@every_dashboard
def test_numbers_that_are_coloured_have_thresholds_in_order(name: str) -> None:
    for panel in panels(name):
        if panel["type"] in ("stat", "bargauge"):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert steps[0]["value"] is None
            values = [step["value"] for step in steps[1:]]
            assert values == sorted(values)
            assert all(step["color"] for step in steps)


@every_dashboard
def test_every_query_has_a_letter_a_legend_and_the_data_source(name: str) -> None:
    for panel in panels(name):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == [chr(ord("A") + place) for place in range(len(letters))]
        for target in panel["targets"]:
            about = f"{name} / {panel['title']} / {target['refId']}"
            assert target["legendFormat"], about
            assert target["datasource"] == DATASOURCE, about
            is_now = panel["type"] in ("stat", "bargauge", "table")
            assert target.get("instant", False) is is_now, about
            assert target.get("range", False) is not is_now, about


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_rates_follow_the_resolution(query: PanelQuery) -> None:
    for window in WINDOW.findall(query.expr):
        assert window in ("$__rate_interval", "$__interval", "$__range", "1h")
        if window == "1h":
            assert (query.board, query.panel) == ("exporter", "Sweeps not completed, 1 h")


@every_dashboard
def test_series_drawn_from_rates_have_a_step_that_holds_two_scrapes(name: str) -> None:
    for panel in panels(name):
        if panel["type"] in ("timeseries", "heatmap"):
            windows = {w for target in panel["targets"] for w in WINDOW.findall(target["expr"])}
            assert bool(windows) is (panel.get("interval") in ("2m", "10m")), panel["title"]


@every_dashboard
def test_bars_and_cells_stand_for_what_happened_in_their_own_time(name: str) -> None:
    for panel in panels(name):
        is_bars = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
        for target in panel["targets"]:
            windows = WINDOW.findall(target["expr"])
            if is_bars or panel["type"] == "heatmap":
                assert set(windows) <= {"$__interval"}, panel["title"]
            else:
                assert "$__interval" not in windows, panel["title"]


@every_dashboard
def test_no_uid_of_a_data_source_or_a_server_is_written_down(name: str) -> None:
    text = json.dumps(board(name))
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {
        "${datasource}",
        "-- Grafana --",
        f"durable-functions-{name}",
    }
    assert not re.findall(r"https?://[^\"/]*", text)


@every_dashboard
def test_variables_are_those_that_are_used_and_have_descriptions(name: str) -> None:
    defined = variables(name)
    content = board(name)
    used = [content["panels"], content["links"], content["annotations"]]
    in_use = variables_in(json.dumps(used))
    in_use |= {"datasource"}
    for variable in defined.values():
        assert variable["description"]
        assert variable["label"]
        if variable["type"] == "query":
            assert variable["datasource"] == DATASOURCE
            in_use |= variables_in(variable["query"]["query"])
    assert in_use - BUILT_IN == set(defined)
    assert next(iter(defined)) == "datasource"


@every_dashboard
def test_where_several_hubs_can_be_chosen_all_are_from_the_start(name: str) -> None:
    for variable in variables(name).values():
        if variable.get("multi"):
            assert variable["includeAll"]
            is_optional = variable["name"] in ("cluster", "namespace", "job", "team")
            assert variable["allValue"] == (".*" if is_optional else ".+")
            assert variable["current"]["value"] == "$__all"
        equals = f'{variable["name"]}="${variable["name"]}"'
        if variable["type"] == "query":
            used = any(equals in query.expr for query in all_queries() if query.board == name)
            assert used is (not variable["multi"])


@every_dashboard
def test_hubs_of_the_same_name_are_told_apart(name: str) -> None:
    """By target labels: each of several exporters has its own row or line."""
    for query in all_queries():
        if query.board == name:
            for label in ("cluster", "namespace", "job"):
                assert f"${label}" in query.expr, query
            for grouping in GROUPING.findall(query.expr):
                if "task_hub" in grouping:
                    assert {"cluster", "namespace", "job"} <= set(grouping.split(", ")), query


@every_dashboard
def test_it_leads_to_the_others_and_to_the_status_page(name: str) -> None:
    others, page, *instance = board(name)["links"]
    assert (others["type"], others["tags"]) == ("dashboards", ["durable-functions"])
    assert others["includeVars"]
    assert others["keepTime"]
    assert "durable-functions" in board(name)["tags"]
    of_one_hub = "task_hub" in variables(name) and not variables(name)["task_hub"]["multi"]
    expected = "hubs/${task_hub:percentencode}" if of_one_hub else ""
    assert page["url"] == f"${{exporter_url}}/{expected}"
    has_instances = name in ("hub", "orchestrator")
    assert [link["url"] for link in instance] == has_instances * [
        f"${{exporter_url}}/{expected}/instances/${{instance_id:percentencode}}"
    ]


def test_hubs_that_cannot_be_polled_come_first_and_are_red() -> None:
    (table,) = (panel for panel in panels("fleet") if panel["title"].startswith("Task hubs"))
    assert table["options"]["sortBy"] == [
        {"displayName": "Polled", "desc": False},
        {"displayName": "Stalled", "desc": True},
    ]
    (properties,) = (
        {each["id"]: each["value"] for each in override["properties"]}
        for override in table["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "Polled"
    )
    assert properties["custom.cellOptions"]["type"] == "color-background"
    colors = {key: each["color"] for key, each in properties["mappings"][0]["options"].items()}
    assert colors == {"-1": "dark-red", "0": "red", "1": "green"}


def test_links_in_tables_lead_to_dashboards_that_are_there_with_their_variables() -> None:
    found = []
    for name in NAMES:
        for url in re.findall(r'"url": "(/d/[^"]*)"', json.dumps(board(name))):
            uid, _, query = url.removeprefix("/d/").partition("?")
            target = uid.removeprefix("durable-functions-")
            assert target in NAMES
            assert (
                {"task_hub", "job", "cluster", "namespace"}
                <= set(re.findall(r"var-(\w+)=", query))
                <= set(variables(target))
            )
            assert query.endswith("${datasource:queryparam}&${__url_time_range}")
            found.append((name, target))
    assert {("fleet", "hub"), ("hub", "orchestrator")} <= set(found)
