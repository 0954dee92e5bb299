"""Scenarios: each built-in one comes out as it says, and a broken one is told in one line."""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from emulator import ManualClock, running
from emulator.scenarios.play import play, rehearse
from emulator.scenarios.scenario import (
    Rows,
    Scenario,
    ScenarioProblem,
    built_in,
    load_scenario,
    read_scenario,
    unmet,
)
from tests.emulator.app import functions
from tests.emulator.conftest import NOW, OPTIONS

OWN = """
about: Refunds pile up while the bank does not answer.
duration: 10m
hubs:
  RefundsHub: {app: empty}
events:
  - {at: 1m, every: 1m, do: start, orchestrator: Refund, input: 7}
  - {at: 2m, do: start, orchestrator: WaitsForever, id: waits, count: 3}
  - {at: 3m, do: terminate, id: waits-0, reason: enough}
  - {at: 3m, do: suspend, id: waits-1}
  - {at: 4m, do: raise_event, id: waits-2, event: Never, input: 1}
  - {at: 5m, do: stall, activity: PayBack, for: 3m}
  - {at: 6m, do: signal, entity: counter@x, operation: add, input: 2, count: 3}
  - {at: 7m, do: leak_lock, entity: counter@x, by: holder}
  - {at: 8m, do: signal, entity: counter@x, operation: add, input: 2, count: 4}
expect:
  - {orchestrator: Refund, status: Running, exactly: 3}
  - {orchestrator: Refund, status: Failed, exactly: 6}
  - {id: waits-0, status: Terminated, exactly: 1}
  - {id: waits-1, status: Suspended}
  - {id: waits-2, status: Completed, at_least: 1, at_most: 1}
  - {entity: counter@x, locked_by: holder, queued: 4}
"""


async def shown_by_the_api(scenario: Scenario) -> Mapping[str, Rows]:
    """Play a scenario on the virtual clock, and list all its hubs over HTTP in the end."""
    clock = ManualClock(NOW)
    emulator = play(scenario, clock)
    rows: dict[str, list[dict[str, object]]] = {}
    async with (
        running(emulator) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        clock.advance(scenario.duration)
        for name in scenario.hubs:
            token = ""
            rows[name] = []
            while token or not rows[name]:
                answer = await client.get(
                    "instances",
                    params={"taskHub": name, "top": 1000},
                    headers={"x-ms-continuation-token": token},
                )
                rows[name] += answer.json()
                token = answer.headers["x-ms-continuation-token"]
    return rows


@pytest.mark.parametrize("name", built_in())
def test_a_built_in_scenario_comes_out_as_it_says(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.about
    assert scenario.expected
    assert rehearse(scenario) == []


@pytest.mark.anyio
async def test_what_a_scenario_says_is_what_the_api_shows() -> None:
    scenario = load_scenario("families")
    assert unmet(scenario.expected, await shown_by_the_api(scenario)) == []


def test_each_failure_of_an_incident_is_said() -> None:
    clock = ManualClock(NOW)
    emulator = play(load_scenario("incident"), clock)
    clock.advance(240)
    emulator.advance()
    hub = emulator.own_hub
    hub.advance()
    outputs = [str(row.output) for row in hub.instances() if row.name == "ProcessOrder"]
    assert sum("The card processor answered 503" in output for output in outputs) > 30


@pytest.mark.anyio
async def test_a_swap_and_a_new_name_show_at_once_whichever_hub_is_asked_for() -> None:
    clock = ManualClock(NOW)
    scenario = read_scenario("own.yaml", SWITCHES)
    async with (
        running(play(scenario, clock)) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):

        async def shown(hub: str = "") -> list[str]:
            answer = await client.get("instances", params={"taskHub": hub} if hub else {})
            return [row["instanceId"] for row in answer.json()]

        clock.advance(90)
        assert [await shown(), await shown("Blue"), await shown("Green")] == [["b"], ["b"], ["g"]]
        clock.advance(60)
        assert [await shown(), await shown("Blue"), await shown("Green")] == [["g"], ["g"], ["b"]]
        clock.advance(60)
        assert [await shown(), await shown("Blue"), await shown("Green")] == [["b"], ["g"], ["b"]]


SWITCHES = """
hubs:
  Blue: {app: recorded}
  Green: {app: recorded}
events:
  - {at: 1m, hub: Blue, do: start, orchestrator: WaitsForever, id: b}
  - {at: 1m, hub: Green, do: start, orchestrator: WaitsForever, id: g}
  - {at: 2m, hub: Blue, do: swap, with: Green}
  - {at: 3m, hub: Green, do: own_hub}
"""


def test_a_scenario_of_ones_own_works_on_the_first_try() -> None:
    assert rehearse(read_scenario("own.yaml", OWN), functions=functions) == []


def test_what_is_not_as_expected_is_said() -> None:
    wrong = OWN.replace("exactly: 6", "exactly: 8").replace("locked_by: holder", "locked_by: me")
    assert rehearse(read_scenario("own.yaml", wrong), functions=functions) == [
        "expect[1]: 6 of name Refund, runtimeStatus Failed, where 8 are expected",
        "expect[5]: 0 of instanceId @counter@x, where some are expected",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("events: [", "own.yaml, line 1: this is no YAML"),
        ("- a", "own.yaml: the scenario: fields are expected, not ['a']"),
        ("duration: soon", "own.yaml: the scenario.duration: 'soon' is no duration"),
        ("length: 5m", "own.yaml: the scenario: length means nothing here"),
        ("hubs: {A: {app: mine}}", "own.yaml: hubs.A: app is 'mine', which is none of shop"),
        ("hubs: {A: {backend: oracle}}", "own.yaml: hubs.A: backend is 'oracle'"),
        ("hubs: {A: {rate: -1}}", "own.yaml: hubs.A: rate must be a number from 0 on"),
        ("events: {}", None),
        ("events: 5", "own.yaml: the scenario: events must be a list"),
        ("events: [{do: purge}]", "own.yaml: events[0]: at is missing"),
        ("events: [{at: 1m, do: explode}]", "own.yaml: events[0].do: 'explode' is none of crash"),
        ("events: [{at: 1m, do: start}]", "own.yaml: events[0]: orchestrator is missing"),
        ("events: [{at: 1m, do: purge, id: a}]", "own.yaml: events[0]: id means nothing here"),
        ("events: [{at: 2h, do: purge}]", "own.yaml: events[0].at: that is after the end"),
        (
            "events: [{at: 1m, hub: Other, do: purge}]",
            "own.yaml: events[0].hub: there is no 'Other', there are OrdersHub",
        ),
        (
            "events: [{at: 1m, do: swap, with: Other}]",
            "own.yaml: events[0].with: there is no 'Other', there are OrdersHub",
        ),
        ("events: [{at: 1m, do: swap}]", "own.yaml: events[0]: with is missing"),
        ("hubs: {A: {worker: ruby}}", "own.yaml: hubs.A: worker is 'ruby', which is none of"),
        ("hubs: {A: {beside: mine}}", "own.yaml: hubs.A: beside is 'mine', which is none of"),
        (
            "events: [{at: 1m, do: fault, kind: explode}]",
            "own.yaml: events[0]: kind: 'explode' is none of",
        ),
        (
            "events: [{at: 1m, do: leak_lock, entity: counter}]",
            "own.yaml: events[0]: entity is 'counter', which is not like counter@key",
        ),
        (
            "events: [{at: 1m, do: fail, activity: A, share: 2}]",
            "own.yaml: events[0]: share must be above 0 and at most 1",
        ),
        ("expect: [{status: Done}]", "own.yaml: expect[0]: 'Done' is no runtime status"),
        ("expect: [{exactly: many}]", "own.yaml: expect[0]: exactly must be a number"),
    ],
)
def test_a_broken_one_is_told_in_one_line(text: str, problem: str | None) -> None:
    if problem is None:
        assert read_scenario("own.yaml", text).events == []
        return
    with pytest.raises(ScenarioProblem) as caught:
        read_scenario("own.yaml", text)
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("chaos", "There is no scenario 'chaos'; there are backlog, "),
        ("nowhere/chaos.yaml", "nowhere/chaos.yaml: No such file"),
    ],
)
def test_what_is_not_there_is_told(name: str, problem: str) -> None:
    with pytest.raises(ScenarioProblem, match=problem):
        load_scenario(name)


PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.anyio
async def test_functions_scenario_and_test_run() -> None:
    functions_file, test = blocks("python")
    (scenario,) = (block for block in blocks("yaml") if block.startswith("about:"))
    names: dict[str, object] = {}
    exec(functions_file, names)
    assert rehearse(read_scenario("own.yaml", scenario), functions=names["functions"]) == []  # type: ignore[arg-type]
    exec(test, names)
    await names["test_something"]()  # type: ignore[operator]
