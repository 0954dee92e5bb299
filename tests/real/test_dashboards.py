"""Every query of every dashboard, asked of a Prometheus that scrapes the running demo."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import anyio.to_thread
import pytest

from emulator import Emulator, RealClock, TaskHub, running
from grafana.interpolation import interpolate
from tests.grafana.committed import (
    NAMES,
    PanelQuery,
    all_queries,
    panel_queries,
    panels,
    variable_queries,
    variables,
)
from tests.grafana.pictures import look, serving
from tests.grafana.reading import OWN_WORK, families_in
from tests.real.daemon import Daemon, reserved_port
from tests.real.polling import poll
from tests.real.program import running_program
from tests.real.prometheus import Prometheus, Sample, running_prometheus, scrape_job
from tests.real.replicas import ALONE, TWICE, store

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

GIVEN = {
    "replicas": "instance, pod",
    "price": "0.5",
    "earlier": "5s",
    "__rate_interval": "15s",
    "__range": "10m",
}
"""What people type, and what Grafana gives; a week earlier the demo did not run."""

EMPTY_IN_THE_DEMO = {"exporter / Active instances outside of the prefixes / A"}
"""What must be empty there; each is shown by a scenario of its own below."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The demo, and the Prometheus that scrapes it."""

    prometheus: Prometheus
    address: str


@pytest.fixture(scope="module")
async def watched(
    tmp_path_factory: pytest.TempPathFactory,
    prometheus_at_hand: None,  # noqa: ARG001 - asked for so that it comes first
) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("dashboards")
    async with AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port())
        address = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "exporter", "demo", "--listen-address", address]
        environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        demo = running_program(command, folder / "demo.log", environ=environ)
        await stack.enter_async_context(demo)
        job = scrape_job("durable-functions", address)
        prometheus = await stack.enter_async_context(
            running_prometheus(folder, job, scrape_interval="1s")
        )
        yield Watched(prometheus, address)


async def choices(prometheus: Prometheus, board: str) -> list[dict[str, str]]:
    """
    Return what people can choose on a dashboard: all of what is many, else each value in turn.

    A choice may hang on the one before it.
    """
    chosen: list[dict[str, str]] = [dict(GIVEN)]
    for each in variable_queries():
        if each.board != board:
            continue
        if variables(board)[each.name]["multi"]:
            chosen = [{**one, each.name: ".+"} for one in chosen]
            continue
        chosen = [
            {**one, each.name: value}
            for one in chosen
            for value in await prometheus.label_values(
                interpolate(each.asked.selector, one), each.asked.label
            )
        ]
    return chosen


def tells(samples: list[Sample]) -> bool:
    """Whether there is any number among what was returned."""
    return any(not math.isnan(sample.value) for sample in samples)


class Unanswered:
    """The queries that have not returned data yet, whatever was chosen."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self.queries = all_queries()

    async def ask_again(self) -> set[str]:
        """Ask those that are left, and return their names."""
        chosen = {board: await choices(self._prometheus, board) for board in NAMES}
        self.queries = [
            query for query in self.queries if not await self._answers(query, chosen[query.board])
        ]
        return {str(query) for query in self.queries}

    async def _answers(self, query: PanelQuery, chosen: list[dict[str, str]]) -> bool:
        for values in chosen:
            if tells(await self._prometheus.query(interpolate(query.expr, values))):
                return True
        return False


async def test_every_query_of_a_panel_returns_data_in_the_demo(watched: Watched) -> None:
    unanswered = Unanswered(watched.prometheus)
    await poll(unanswered.ask_again, lambda left: left <= EMPTY_IN_THE_DEMO, within=180)
    assert await unanswered.ask_again() == EMPTY_IN_THE_DEMO
    assert len(EMPTY_IN_THE_DEMO) <= 5


async def test_every_query_of_a_variable_returns_values_in_the_demo(watched: Watched) -> None:
    await watched.prometheus.wait_until("durable_functions_entities > 0", within=120)
    values = {"task_hub": "OrdersHub"}
    for each in variable_queries():
        selector = interpolate(each.asked.selector, values)
        assert await watched.prometheus.label_values(selector, each.asked.label), each


async def test_every_panel_is_drawn_in_a_browser(watched: Watched, tmp_path: Path) -> None:
    await watched.prometheus.wait_until(
        'increase(durable_functions_instances_finished_total{orchestrator="ProcessOrder"}[1m]) > 0',
        within=120,
    )
    chosen = urlencode({"seconds": 120, "earlier": "5s", "price": 1, "orchestrator": "PaymentSaga"})
    with serving(watched.prometheus.url, scrape_interval=1.0) as url:
        jobs = [{"url": f"{url}/?dashboard={name}&{chosen}"} for name in NAMES]
        found = await anyio.to_thread.run_sync(look, jobs, tmp_path)
    for name, seen in zip(NAMES, found, strict=True):
        assert seen["problems"] == []
        assert [panel["title"] for panel in seen["panels"]] == [
            panel["title"] for panel in panels(name)
        ]
        for panel in seen["panels"]:
            assert not panel["broken"], f"{name} / {panel['title']}"
            assert (panel["state"] == "drawn") is (panel["marks"] > 0), f"{name} / {panel['title']}"
        drawn = sum(panel["state"] == "drawn" for panel in seen["panels"])
        # What tells of trouble has no line where there is none.
        assert drawn >= 0.5 * len(seen["panels"])


async def test_two_replicas_never_double_a_number(watched: Watched, tmp_path: Path) -> None:
    await watched.prometheus.wait_until(
        "count_over_time(durable_functions_exporter_baseline_timestamp_seconds[1m]) > 40",
        within=120,
    )
    stored = await watched.prometheus.samples('{job="durable-functions"}', "1m")
    at = max(moment for series in stored for moment, _ in series.values)
    store(tmp_path, stored, begun=at - 30)
    async with running_prometheus(tmp_path) as prometheus:
        unfolded = 'sum(durable_functions_instances{task_hub="%s"})'
        ((_, one),) = await prometheus.query(unfolded % ALONE, at)
        ((_, two),) = await prometheus.query(unfolded % TWICE, at)
        assert two == 2 * one > 0
        for query in all_queries():
            alone = await asked(prometheus, query, ALONE, at)
            twice = await asked(prometheus, query, TWICE, at)
            assert twice.keys() == alone.keys(), f"{query}: {alone} {twice}"
            for key, value in alone.items():
                assert twice[key] == pytest.approx(value * expected_share(query)), f"{query} {key}"


def expected_share(query: PanelQuery) -> float:
    """Tell how much more two exporters show: their own work is done twice, all else is not."""
    expr = interpolate(query.expr, {**GIVEN, "task_hub": "", "orchestrator": "", "entity": ""})
    is_own_work = set(families_in(expr)) <= OWN_WORK
    is_relative = "histogram_quantile" in expr or "max without" in expr or ") / (sum" in expr
    return 2.0 if is_own_work and not is_relative else 1.0


async def asked(
    prometheus: Prometheus, query: PanelQuery, hub: str, at: float
) -> Mapping[frozenset[tuple[str, str]], float]:
    """Return what a query gives for a hub, by the labels but for the hub's name."""
    values = {**GIVEN, "task_hub": hub, "orchestrator": "PaymentSaga", "entity": ".+"}
    if query.board == "hub":
        values["orchestrator"] = ".+"
    samples = await prometheus.query(interpolate(query.expr, values), at)
    return {
        frozenset((key, value) for key, value in sample.labels.items() if key != "task_hub"):
            sample.value
        for sample in samples
        if not math.isnan(sample.value)
    }  # fmt: skip


@pytest.mark.usefixtures("prometheus_at_hand")
async def test_without_an_exporter_no_panel_shows_a_number(tmp_path: Path) -> None:
    values = {**GIVEN, "task_hub": "OrdersHub", "orchestrator": "PaymentSaga", "entity": ".+"}
    async with running_prometheus(tmp_path) as prometheus:
        for name in NAMES:
            for query in panel_queries(name):
                assert await prometheus.query(interpolate(query.expr, values)) == [], query


@pytest.mark.usefixtures("prometheus_at_hand")
async def test_instances_outside_of_prefixes_are_shown_where_prefixes_are_set(
    tmp_path: Path,
) -> None:
    clock = RealClock()
    hub = TaskHub("OrdersHub", clock)
    for instance_id in ("order-1", "payment-1"):
        hub.engine.start("HelloSequence", instance_id, None, clock.now())
    (query,) = (query for query in all_queries() if str(query) in EMPTY_IN_THE_DEMO)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(Emulator(hub, clock=clock)))
        port = stack.enter_context(reserved_port())
        settings = {
            "URL": url,
            "TASK_HUB": "OrdersHub",
            "ID_PREFIXES": '["order-"]',
            "INTERVALS__ACTIVE": "0.5s",
            "INTERVALS__ENTITIES": "0.5s",
        }
        daemon = Daemon(tmp_path, port, settings)
        await stack.enter_async_context(daemon.alive())
        job = scrape_job("durable-functions", daemon.address)
        prometheus = await stack.enter_async_context(running_prometheus(tmp_path, job))
        expr = interpolate(query.expr, {**GIVEN, "task_hub": "OrdersHub"})
        (sample,) = await prometheus.wait_until(expr)
        assert sample == Sample({"task_hub": "OrdersHub"}, 1.0)
