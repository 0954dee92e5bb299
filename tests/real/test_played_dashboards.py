"""What dashboards say of hubs that were played, against what the hubs' own listings say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.scenarios.play import play
from emulator.scenarios.scenario import load_scenario
from exporter.cli.demo import OPTIONS
from exporter.web.formatting import span
from exporter.web.page import View, hub_page
from grafana.definitions.figures import MOST_LINES, OTHERS
from grafana.preview.asking import interpolate
from tests.grafana.committed import all_queries
from tests.real.blocks import create_blocks
from tests.real.board_queries import GIVEN, ONLY_OF_A_PROCESS, Unanswered
from tests.real.played import Exporter, Hub, Samples, played
from tests.real.prometheus import Prometheus, Sample, running_prometheus
from tests.web.looking import Read
from tests.web.test_three_lines import HANGS, HOUR, ORPHANED, WAITS, incident

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

WAIT = ("orchestrator", "waiting_on", "target")
START = 1_800_000_000.0
SECONDS = 1800.0
STEP = 120
SCENARIOS = ("healthy", "families")
WIDE = {f"Flow{number:02}": number + 1 for number in range(30)}
"""So many orchestrators, with so many pending instances each."""

LIVE = {
    **GIVEN,
    "cluster": ".*",
    "namespace": ".*",
    "job": ".*",
    "team": ".*",
    "task_hub": ".+",
    "orchestrator": ".+",
    "entity": ".+",
    "earlier": "10m",
    "__rate_interval": "4m",
    "__interval": f"{STEP}s",
    "__range": "30m",
}

Row = dict[str, Any]
Found = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a hub, as its API lists them at a time."""

    at: float
    rows: list[Row]

    def instances(self, *statuses: str, name: str = "") -> list[Row]:
        """Return those in statuses, or all, of an orchestrator or of all."""
        return [
            row
            for row in self.rows
            if not row["instanceId"].startswith("@")
            and (not statuses or row["runtimeStatus"] in statuses)
            and name in ("", row["name"])
        ]

    def within(self, seconds: float, *statuses: str) -> list[Row]:
        """Return those that were last updated within so many seconds."""
        return [each for each in self.instances(*statuses) if self.idle(each) < seconds]

    def idle(self, row: Row) -> float:
        return self.at - datetime.fromisoformat(row["lastUpdatedTime"]).timestamp()

    def age(self, row: Row) -> float:
        return self.at - datetime.fromisoformat(row["createdTime"]).timestamp()


ACTIVE = ("Pending", "Running", "Suspended")
ENDED = ("Completed", "Failed", "Terminated", "Canceled")


def count(rows: Iterable[Row], *by: str) -> Found:
    return Counter(tuple(row[key] for key in by) for row in rows)


def oldest(ages: Iterable[float]) -> Found:
    return {(): max(ages, default=0.0)}


def latest(ages: Iterable[float]) -> Found:
    return {(): min(ages, default=0.0)}


def failure_ratio(listing: Listing, *by: str) -> Found:
    ended = count(listing.within(HOUR, "Completed", "Failed"), *by)
    failed = count(listing.within(HOUR, "Failed"), *by)
    return {key: failed.get(key, 0) / number for key, number in ended.items()}


def orphans(listing: Listing) -> list[Row]:
    active = {row["instanceId"] for row in listing.instances(*ACTIVE)}
    return [
        row
        for row in listing.instances(*ACTIVE)
        if row.get("parentInstanceId", row["instanceId"]) not in active | {row["instanceId"]}
    ]


def roots(listing: Listing) -> list[Row]:
    """Return failed ones that nobody called, of the last week."""
    failed = listing.within(168 * HOUR, "Failed")
    return [row for row in failed if "parentInstanceId" not in row]


NAME = "SettleClaim"
FLEET = ("fleet", "Task hubs, the worst first")
TRUTH: Mapping[tuple[str, str, str], Callable[[Listing], Found]] = {
    (*FLEET, "Pending"): lambda its: count(its.instances("Pending")),
    (*FLEET, "Running"): lambda its: count(its.instances("Running")),
    (*FLEET, "Longest pending"): lambda its: oldest(map(its.idle, its.instances("Pending"))),
    (*FLEET, "Failed, 1 h"): lambda its: count(its.within(HOUR, "Failed")),
    (*FLEET, "Failure ratio, 1 h"): failure_ratio,
    (*FLEET, "Unresolved"): lambda its: count(roots(its)),
    (*FLEET, "Orphans"): lambda its: count(orphans(its)),
    ("hub", "Pending", "pending"): lambda its: count(its.instances("Pending")),
    ("hub", "In flight", "active"): lambda its: count(its.instances(*ACTIVE)),
    ("hub", "Failed, 1 h", "failed"): lambda its: count(its.within(HOUR, "Failed")),
    ("hub", "Failure ratio, 1 h", "ratio"): failure_ratio,
    ("hub", "Unresolved failures", "unresolved"): lambda its: count(roots(its)),
    ("hub", "Unresolved failures", "Unresolved"): lambda its: count(roots(its), "name"),
    ("hub", "Backlog: pending instances", "{{orchestrator}}"): lambda its: count(
        its.instances("Pending"), "name"
    ),
    ("hub", "In flight", "{{orchestrator}}"): lambda its: count(its.instances(*ACTIVE), "name"),
    ("hub", "Orphaned", "{{orchestrator}}"): lambda its: count(orphans(its), "name"),
    ("hub", "Failure ratio in the hour before", "{{orchestrator}}"): lambda its: failure_ratio(
        its, "name"
    ),
    ("hub", "Top failing orchestrators, 24 h", "{{orchestrator}}"): lambda its: count(
        its.within(24 * HOUR, "Failed"), "name"
    ),
    ("hub", "Stored instances, by status", "{{runtime_status}}"): lambda its: count(
        its.instances(), "runtimeStatus"
    ),
    ("hub", "Running: for how long", "{{le}}"): lambda its: {
        (le,): len([row for row in its.instances("Running") if its.age(row) <= float(le)])
        for le in ("300.0", "3600.0", "14400.0", "86400.0", "604800.0", "+Inf")
    },
    ("orchestrator", "In flight", "{{runtime_status}}"): lambda its: count(
        its.instances(*ACTIVE, name=NAME), "runtimeStatus"
    ),
    ("orchestrator", "Last started", "before"): lambda its: latest(
        map(its.age, its.instances(name=NAME))
    ),
    ("orchestrator", "Last success", "before"): lambda its: latest(
        map(its.idle, its.instances("Completed", name=NAME))
    ),
    ("orchestrator", "Running: longest idle, and its limit", "longest idle"): lambda its: oldest(
        map(its.idle, its.instances("Running", name=NAME))
    ),
    ("orchestrator", "Active: highest age, and its limit", "highest age"): lambda its: oldest(
        map(its.age, its.instances(*ACTIVE, name=NAME))
    ),
    ("entities", "Entities", "entities"): lambda its: {
        (): sum(row["instanceId"].startswith("@") for row in its.rows)
    },
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A Prometheus that holds what was played, and the listings at its end."""

    prometheus: Prometheus
    at: float
    listings: Mapping[str, Listing]
    page: str

    async def ask(self, board: str, panel: str, legend: str, **chosen: str) -> list[Sample]:
        """Ask a query of a panel, at the end of what was played."""
        (expr,) = {
            query.expr
            for query in all_queries()
            if (query.board, query.panel, query.legend) == (board, panel, legend)
        }
        found = await self.prometheus.query(interpolate(expr, {**LIVE, **chosen}), self.at)
        return [sample for sample in found if not math.isnan(sample.value)]


async def listing(emulator: Emulator, at: float) -> Listing:
    """Read all rows of a hub from its API, page by page."""
    rows: list[Row] = []
    token: str | None = ""
    async with running(emulator) as url, httpx.AsyncClient(trust_env=False) as client:
        path = f"{url}/runtime/webhooks/durabletask/instances"
        while token is not None:
            asked = {"x-ms-continuation-token": token} if token else {}
            answer = await client.get(path, params={"taskHub": "ClaimsHub"}, headers=asked)
            rows += answer.json()
            token = answer.headers.get("x-ms-continuation-token")
    return Listing(at, rows)


def wide(samples: Samples, at: float) -> None:
    """Add a hub of many orchestrators."""
    for name, count_ in WIDE.items():
        samples["durable_functions_instances"] += [
            f'durable_functions_instances{{task_hub="wide",job="wide",orchestrator="{name}",'
            f'runtime_status="Pending"}} {count_} {at - ago:.3f}'
            for ago in range(int(SECONDS), -1, -15)
        ]


@pytest.fixture(scope="module")
async def shown(
    tmp_path_factory: pytest.TempPathFactory,
    prometheus_at_hand: None,  # noqa: ARG001 - asked for so that it comes first
) -> AsyncIterator[Shown]:
    folder = tmp_path_factory.mktemp("played")
    clock = ManualClock(START)
    stuck = incident(clock)
    clock.advance(3 * HOUR + 30 - SECONDS)
    apps = {name: play(load_scenario(name), clock) for name in SCENARIOS}
    hubs = {
        name: Hub("claims", app, "ClaimsHub", {"labels.team": f"team-{name}"})
        for name, app in apps.items()
    }
    outside = TaskHub("OrdersHub", clock)
    for instance_id in ("order-1", "payment-1"):
        outside.engine.start("HelloSequence", instance_id, None, clock.now())
    hubs["demo"] = Hub(
        "demo", play(load_scenario("demo"), clock), options={**OPTIONS, "retries.max_retries": "0"}
    )
    hubs["incident"] = Hub("orders", Emulator(stuck, clock=clock))
    hubs["prefixes"] = Hub(
        "prefixes", Emulator(outside, clock=clock), options={"id_prefixes": '["order-"]'}
    )
    hubs["dead"] = Hub("dead", "http://127.0.0.1:9", options={"retries.max_retries": "0"})
    exporters = {
        name: Exporter({"job": name, "instance": f"{name}:10771"}, [hub])
        for name, hub in hubs.items()
    }
    samples = await played(clock, list(exporters.values()), SECONDS)
    at = clock.now()
    wide(samples, at)
    create_blocks(folder, samples)
    (incidents,) = exporters["incident"].collectors
    page = Read(hub_page(incidents.snapshot, View(at, "./", refreshes=True))).text
    listings = {name: await listing(app, at) for name, app in apps.items()}
    # What was stored has no marks where series end, so only the last scrape counts.
    only_last = ("--query.lookback-delta=29s",)
    async with running_prometheus(folder, flags=only_last) as prometheus:
        yield Shown(prometheus, at, listings, page)


async def test_dashboards_say_what_the_listings_say(shown: Shown) -> None:
    assert len(TRUTH) >= 20
    wrong = {}
    for name, its in shown.listings.items():
        for asked, told in TRUTH.items():
            board = asked[0]
            chosen = {"cluster": "", "namespace": "", "job": name, "task_hub": "claims"}
            chosen["orchestrator"] = NAME if board == "orchestrator" else ".+"
            places = {"job", "task_hub", "cluster", "namespace"}
            # Of hubs of the same name, Fleet has one row each, though it is asked for all.
            samples = await shown.ask(*asked, **({} if board == "fleet" else chosen))
            found = {
                tuple(value for key, value in sample.labels.items() if key not in places):
                    sample.value
                for sample in samples
                if sample.value and sample.labels.get("job", name) == name
                and sample.labels.get("task_hub", "claims") == "claims"
            }  # fmt: skip
            truth = {key: value for key, value in told(its).items() if value}
            if found != pytest.approx(truth, rel=1e-9, abs=1.0 if "ratio" not in asked[1] else 0):
                wrong[name, asked] = found, truth
    assert wrong == {}


async def test_bars_add_up_to_what_finished(shown: Shown) -> None:
    chosen = {"cluster": "", "namespace": "", "job": "families", "task_hub": "claims"}
    (expr,) = {
        query.expr
        for query in all_queries()
        if (query.board, query.panel) == ("hub", "Finished, by outcome")
    }
    expr = interpolate(expr, {**LIVE, **chosen})
    bars = 0.0
    steps = int(SECONDS) // STEP - 1
    for step in range(steps):
        samples = await shown.prometheus.query(expr, shown.at - step * STEP)
        bars += sum(sample.value for sample in samples)
    ended = len(shown.listings["families"].within(steps * STEP, *ENDED))
    assert ended > 100
    assert bars == pytest.approx(ended, rel=0.05)


async def test_every_query_of_a_panel_is_answered(shown: Shown) -> None:
    unanswered = Unanswered(shown.prometheus, shown.at, LIVE)
    assert await unanswered.ask_again() == ONLY_OF_A_PROCESS


async def test_fleet_says_the_same_three_lines_as_the_page(shown: Shown) -> None:
    panel = ("fleet", "What is stalled, and what waits as expected")
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for column in ("Stalled", "Orphaned", "As expected", "For"):
        for sample in await shown.ask(*panel, column, job="incident"):
            labels = [
                sample.labels.get(key, "") for key in ("orchestrator", "waiting_on", "target")
            ]
            rows.setdefault(tuple(labels), {})[column] = sample.value
    lines = []
    for (orchestrator, waiting_on, target), row in rows.items():
        number = row.get("Stalled", row.get("As expected", row.get("Orphaned", 0)))
        what = f"{waiting_on} {target}".strip().replace("_", " ")
        since = f" for {span(row['For'])}" if "For" in row else ""
        lines.append(f"{number:.0f} {orchestrator}: {what}{since}")
    assert sorted(lines) == sorted([HANGS, WAITS, "1 : orphaned lock inventory"])
    for line in (HANGS, WAITS, ORPHANED):
        assert line in shown.page


async def test_a_hub_that_cannot_be_polled_is_counted_and_comes_first(shown: Shown) -> None:
    table = ("fleet", "Task hubs, the worst first")
    rows = await shown.ask(*table, "Polled")
    assert {sample.labels["job"]: sample.value for sample in rows} == {
        **dict.fromkeys((*SCENARIOS, "demo", "incident", "prefixes"), 1.0),
        "dead": 0.0,
    }
    (hubs,) = await shown.ask("fleet", "Hubs that cannot be polled", "hubs")
    assert hubs.value == 1
    # Ten minutes after the last scrape, there is no series, and nothing that was polled.
    later = Shown(shown.prometheus, shown.at + 600, shown.listings, shown.page)
    rows = await later.ask(*table, "Polled")
    assert {sample.value for sample in rows} == {-1.0}
    (hubs,) = await later.ask("fleet", "Hubs that cannot be polled", "hubs")
    assert hubs.value == len(rows) == 6
    rows = await later.ask(*table, "Polled", team="team-families")
    assert [sample.labels["job"] for sample in rows] == ["families"]


async def test_the_hubs_of_a_team_are_shown_alone(shown: Shown) -> None:
    rows = await shown.ask("fleet", "Task hubs, the worst first", "Running", team="team-families")
    assert [sample.labels["job"] for sample in rows] == ["families"]


async def test_over_a_limit_counts_each_instance_once(shown: Shown) -> None:
    panel = ("fleet", "Task hubs, the worst first")
    (row,) = await shown.ask(*panel, "Over a limit", job="incident")
    assert row.value == 30 + 40
    (row,) = await shown.ask(*panel, "Over a limit", job="demo")
    each_limit = 'sum(durable_functions_instances_over_limit{job="demo"})'
    ((_, twice),) = await shown.prometheus.query(each_limit, shown.at)
    assert 0 < row.value < twice


async def test_requests_of_a_day_are_those_of_the_chosen_time(shown: Shown) -> None:
    counted = 'sum(durable_functions_exporter_api_requests_total{job="healthy"})'
    ((_, until),) = await shown.prometheus.query(counted, shown.at)
    ((_, begin),) = await shown.prometheus.query(counted, shown.at - SECONDS)
    (day,) = await shown.ask("exporter", "Requests a day", "requests", job="healthy")
    assert day.value == pytest.approx((until - begin) * 24 * HOUR / SECONDS, rel=0.05)


async def test_of_many_orchestrators_the_most_are_shown_and_all_others_as_one(
    shown: Shown,
) -> None:
    chosen = {"cluster": "", "namespace": "", "job": "wide", "task_hub": "wide"}
    found = {
        sample.labels["orchestrator"]: sample.value
        for sample in await shown.ask(
            "hub", "Backlog: pending instances", "{{orchestrator}}", **chosen
        )
    }
    most = dict(sorted(WIDE.items(), key=lambda each: -each[1])[:MOST_LINES])
    assert found == {**most, OTHERS: sum(WIDE.values()) - sum(most.values())}
