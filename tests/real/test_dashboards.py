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

from exporter.metrics import catalogue as c
from grafana.preview.asking import interpolate
from tests.grafana.committed import (
    NAMES,
    PanelQuery,
    all_queries,
    panel_queries,
    panels,
    variable_queries,
)
from tests.grafana.pictures import look, serving
from tests.grafana.reading import OWN_WORK, families_in
from tests.real.board_queries import GIVEN, ONLY_OF_A_PROCESS, Unanswered
from tests.real.daemon import reserved_port
from tests.real.incidents.faster import faster_rules
from tests.real.polling import poll
from tests.real.program import running_program
from tests.real.prometheus import EXEMPLAR_STORAGE, Prometheus, running_prometheus, scrape_job
from tests.real.replicas import ALONE, TWICE, store

pytestmark = [pytest.mark.anyio, pytest.mark.proof]


PLACE = {"cluster": "", "namespace": "", "job": "durable-functions", "team": ".*"}

NOT_WITHIN_A_MINUTE = {
    "exporter / Active instances outside of the prefixes / A",
}
"""What the demo does not show at once, but `test_played_dashboards` when it is played."""


CHOSEN = {
    "seconds": 120,
    "smooth": 10,
    "earlier": "5s",
    "price": 1,
}

EMPTY_PANELS = {
    "exporter / Active instances outside of the prefixes",
    # None was made within the four seconds that it looks back here.
    "exporter / Requests that failed",
    "hub / Failures, by category",
    "orchestrator / Continued as new",
    "orchestrator / Durations of all that completed",
    "orchestrator / Durations, now and earlier",
    "orchestrator / Failures, by category",
    "orchestrator / Orphaned",
    "orchestrator / Overdue timer",
}
"""What may have nothing to draw within two minutes of all hubs, or of one orchestrator."""


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
        (folder / "rules.yaml").write_text(faster_rules())
        prometheus = await stack.enter_async_context(
            running_prometheus(
                folder,
                job,
                scrape_interval="1s",
                config={"rule_files": ["rules.yaml"]},
                flags=(EXEMPLAR_STORAGE,),
            )
        )
        yield Watched(prometheus, address)


async def test_every_panel_is_answered_and_drawn_in_the_demo(
    watched: Watched, tmp_path: Path
) -> None:
    unanswered = Unanswered(watched.prometheus)
    left = await poll(unanswered.ask_again, lambda left: left <= NOT_WITHIN_A_MINUTE, within=180)
    # All others are played.
    assert not left & ONLY_OF_A_PROCESS
    values = {**GIVEN, **PLACE, "task_hub": "OrdersHub"}
    for each in variable_queries():
        selector = interpolate(each.asked.selector, values)
        found = await watched.prometheus.label_values(selector, each.asked.label)
        # Labels that neither the demo nor this Prometheus gives.
        assert bool(found) is (each.name not in ("cluster", "namespace", "team")), each
    assert await empty_panels(watched, tmp_path) <= EMPTY_PANELS


async def empty_panels(watched: Watched, home: Path) -> set[str]:
    """Look at all dashboards in a browser, and return the panels that show no data."""
    of_one = {"orchestrator": {"orchestrator": "PaymentSaga"}}
    with serving(watched.prometheus.url, scrape_interval=1.0) as url:
        asked = [{"dashboard": name, **CHOSEN, **of_one.get(name, {})} for name in NAMES]
        jobs = [{"url": f"{url}/?{urlencode(each)}"} for each in asked]
        found = await anyio.to_thread.run_sync(look, jobs, home)
    empty = set()
    for name, seen in zip(NAMES, found, strict=True):
        assert seen["problems"] == []
        assert [panel["title"] for panel in seen["panels"]] == [
            panel["title"] for panel in panels(name)
        ]
        assert seen["annotations"] > 0
        assert bool(seen["exemplars"]) is (name in ("hub", "orchestrator"))
        for panel in seen["panels"]:
            about = f"{name} / {panel['title']}"
            assert not panel["broken"], about
            assert (panel["state"] == "drawn") is (panel["marks"] > 0), about
            if panel["state"] == "empty":
                empty.add(about)
    return empty


async def test_two_replicas_never_double_a_number(watched: Watched, tmp_path: Path) -> None:
    await watched.prometheus.wait_until(
        "count_over_time(durable_functions_exporter_baseline_timestamp_seconds[1m]) > 40",
        within=120,
    )
    stored = await watched.prometheus.samples('{job="durable-functions", instance!=""}', "1m")
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
            if "topk" in query.expr:
                # Of equal ones, either may be among the few that are shown.
                of_all = sum if "label_replace(sum" in query.expr else max
                alone, twice = (
                    {frozenset[tuple[str, str]](): of_all(each.values())} if each else {}
                    for each in (alone, twice)
                )
            assert twice.keys() == alone.keys(), f"{query}: {alone} {twice}"
            for key, value in alone.items():
                assert twice[key] == pytest.approx(value * expected_share(query)), f"{query} {key}"


def expected_share(query: PanelQuery) -> float:
    """Tell how much more two exporters show: their own work is done twice, all else is not."""
    nothing = dict.fromkeys(("task_hub", "orchestrator", "entity"), "")
    expr = interpolate(query.expr, {**GIVEN, **PLACE, **nothing})
    is_own_work = {*families_in(expr)} - {c.HUB_INFO} <= OWN_WORK
    is_relative = "histogram_quantile" in expr or "max without" in expr or ") / (sum" in expr
    return 2.0 if is_own_work and not is_relative else 1.0


async def asked(
    prometheus: Prometheus, query: PanelQuery, hub: str, at: float
) -> Mapping[frozenset[tuple[str, str]], float]:
    """Return what a query gives for a hub, by the labels but for the hub's name."""
    # The second exporter has run for as long: what it does in a day is as much.
    given = {**GIVEN, **PLACE, "__range": GIVEN["__rate_interval"]}
    values = {**given, "task_hub": hub, "orchestrator": "PaymentSaga", "entity": ".+"}
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
    values = {
        **GIVEN,
        **PLACE,
        "task_hub": "OrdersHub",
        "orchestrator": "PaymentSaga",
        "entity": ".+",
    }
    async with running_prometheus(tmp_path) as prometheus:
        for name in NAMES:
            for query in panel_queries(name):
                assert await prometheus.query(interpolate(query.expr, values)) == [], query
