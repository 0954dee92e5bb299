"""`estimate`: its forecast is what the daemon then does."""

from __future__ import annotations

import json

import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass
from exporter.api.connection import SharedLimits, connect
from exporter.cli.forecast import Cost, Listing
from exporter.cli.observing import Durations
from exporter.collector.hub import HubCollector
from exporter.collector.service import plan_of, rules_of
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.settings import Settings, load_settings
from tests.cli.asked import ask, clock_of_commands, serving_hub, settings_for
from tests.diagnosis.stuck_app import BACKENDS, START, VERSIONS, stuck_hub
from tests.ledger.world import row

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
ROWS = 12_000
MONTH = 30 * 86_400.0


def big_app(backend: str) -> Emulator:
    clock = ManualClock(START)
    own = TaskHub("OwnHub", clock, backend=BACKENDS[backend]())
    big = SyntheticHub(
        "BigHub",
        clock,
        rows=ROWS,
        active=300,
        entities=[EntityClass(name="cart", rows=700)],
        newest=START - MONTH,
        backend=BACKENDS[backend](),
    )
    return Emulator(own, clock=clock, synthetic=[big])


def settings_of(url: str, **more: str) -> Settings:
    return load_settings({}, {"url": url, "task_hub": "BigHub", "name": "big", **more})


async def daemon_after(settings: Settings, cycles: int, now: float) -> HubSnapshot:
    """Return what a daemon's collector shows after each sweep and some more active ones."""
    (hub,) = settings.own_hubs
    client, http = connect(hub, SharedLimits())
    async with http:
        plan = plan_of(hub, first_sweep_after=0.0, holds=False)
        collector = HubCollector(plan, client, rules_of(hub, settings), wall=lambda: now)
        assert await collector.collect_once() is None
        for _ in range(cycles):
            assert await collector.make(Sweep.ACTIVE) is None
        return collector.snapshot


class TestForecast:
    @pytest.mark.parametrize("backend", ["azure-storage", "mssql"])
    async def test_where_nothing_happens_pages_and_series_are_those_of_the_daemon(
        self, capfd: Capture, backend: str
    ) -> None:
        cycles = 4
        async with running(big_app(backend)) as url:
            settings = settings_of(url)
            with clock_of_commands(lambda: START):
                told = await ask(capfd, settings, "estimate", "--format", "json")
            daemon = await daemon_after(settings, cycles, START)
        assert told.code == 0
        (forecast,) = json.loads(told.out)
        sweeps = {each["sweep"]: each for each in forecast["sweeps"]}
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            made = daemon.sweeps[sweep].results["complete"]
            per_sweep = daemon.sweeps[sweep].pages / made
            assert sweeps[sweep.value]["pages"] == pytest.approx(per_sweep, rel=0.05), sweep
        text = Exposition().body([daemon], START, Format.CLASSIC).text.decode()
        series = next(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("durable_functions_exporter_series{")
        )
        assert forecast["series"] == pytest.approx(series, rel=0.05)
        assert forecast["active_instances"] == 300
        assert forecast["active_instances"] + forecast["finished_instances"] == ROWS
        assert forecast["entities"] == 700
        assert (forecast["finishes_per_day"], forecast["reads_per_day"]) == (0, 0)
        assert daemon.diagnosis is not None
        over = sum(each.over for each in daemon.diagnosis.coverage.values())
        assert forecast["instances_over_limit"] == over > 250

    async def test_a_day_is_so_many_sweeps(self, capfd: Capture) -> None:
        async with running(big_app("azure-storage")) as url:
            settings = settings_of(url, **{"intervals.active": "1h", "intervals.census": "0"})
            told = await ask(capfd, settings, "estimate", "--format", "json")
        (forecast,) = json.loads(told.out)
        sweeps = {each["sweep"]: each for each in forecast["sweeps"]}
        assert set(sweeps) == {"active", "finished", "failed", "entities"}
        active = sweeps["active"]
        assert active["pages_per_day"] == active["pages"] * 24
        total = sum(each["pages_per_day"] for each in sweeps.values())
        assert forecast["requests_per_day"] == pytest.approx(total + forecast["reads_per_day"])


async def test_a_table_tells_people(capfd: Capture) -> None:
    hub = stuck_hub(VERSIONS["v3"], BACKENDS["azure-storage"]())
    async with serving_hub(hub) as url:
        outcome = await ask(capfd, settings_for(orders=url), "estimate")
    assert (outcome.code, outcome.err) == (0, "")
    assert "in a day about" in outcome.out
    assert "transactions" in outcome.out
    assert "series in Prometheus" in outcome.out


async def test_a_hub_that_is_not_there_is_said(capfd: Capture) -> None:
    settings = settings_for(gone="http://127.0.0.1:9")
    outcome = await ask(capfd, settings, "estimate", "--format", "json")
    assert (outcome.code, json.loads(outcome.out)) == (1, [])
    assert "hub gone: listInstances: no connection" in outcome.err


async def test_an_empty_hub_has_a_forecast_too(capfd: Capture) -> None:
    async with serving_hub(TaskHub("OrdersHub", ManualClock(START))) as url:
        outcome = await ask(capfd, settings_for(orders=url), "estimate", "--format", "json")
    (forecast,) = json.loads(outcome.out)
    assert outcome.code == 0
    assert forecast["active_instances"] == forecast["finished_instances"] == 0
    assert forecast["requests_per_day"] > 0
    assert forecast["suggestions"] == {}


class TestDurations:
    def test_a_quantile_is_never_below_the_truth_and_a_little_above(self) -> None:
        durations = Durations()
        durations.add(
            row(f"i{number}", "Completed", created=0.0, updated=float(number))
            for number in range(1, 1001)
        )
        for share in (0.5, 0.9, 0.99, 1.0):
            found = durations.quantile(row("x").name or "", share)
            assert share * 1000 <= found <= share * 1000 * 1.15

    def test_only_what_completed_counts(self) -> None:
        durations = Durations()
        durations.add([row("a", "Failed", created=0.0, updated=9.0), row("b", created=0.0)])
        durations.add([row("@cart@x", "Completed", name="@cart@x", created=0.0, updated=9.0)])
        assert list(durations.names()) == []

    def test_short_ones_are_seldom_seen_active(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=3.0) for n in range(100))
        assert durations.share_seen(30.0) == pytest.approx(0.1, abs=0.02)
        assert durations.share_seen(1.0) == 1.0
        assert Durations().share_seen(30.0) == 1.0

    def test_the_longest_are_kept_with_their_ids_and_no_others(self) -> None:
        durations = Durations()
        durations.add(
            row(f"i{n}", "Completed", created=0.0, updated=float(n * 37 % 101)) for n in range(101)
        )
        kept = durations.longest(row("x").name or "")
        assert [seconds for seconds, _ in kept] == [100.0, 99.0, 98.0]
        assert all(int(each[1:]) * 37 % 101 == seconds for seconds, each in kept)

    def test_the_longest_of_many_is_longer_than_that_of_few(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=float(n)) for n in range(1000))
        # As of that many numbers drawn evenly.
        assert durations.longest_of(1, 0.001) == pytest.approx(500, rel=0.1)
        assert durations.longest_of(9, 0.001) == pytest.approx(900, rel=0.1)
        assert Durations().longest_of(9, 30.0) == 0.0

    def test_of_the_first_seconds_instances_spend_as_many_as_they_take(self) -> None:
        durations = Durations()
        durations.add(row(f"i{n}", "Completed", created=0.0, updated=float(n)) for n in range(1000))
        assert durations.mean_within(10_000.0) == pytest.approx(500, rel=0.1)
        assert durations.mean_within(100.0) == pytest.approx(95, rel=0.1)
        assert Durations().mean_within(100.0) == 0.0


def cost(rows: float, pages: float) -> Cost:
    return Cost(pages, rows, pages * 0.5, rows * 100.0)


class TestListing:
    def test_full_pages_are_as_many_as_rows_fill(self) -> None:
        listing = Listing.of(cost(300, 1), cost(40_000, 40))
        assert [listing.cost(rows).pages for rows in (0, 900, 1001, 5500)] == [1, 1, 2, 6]
        assert listing.cost(5500) == cost(5500, 6)

    def test_where_all_rows_are_looked_at_rows_add_little(self) -> None:
        listing = Listing.of(cost(300, 500), cost(40_000, 500))
        assert listing.cost(5000).pages == 500

    def test_of_short_lists_alone_nothing_is_known_but_that_they_are_short(self) -> None:
        listing = Listing.of(cost(0, 1), cost(0, 1))
        assert listing.cost(10) == Cost(1, 10, 0.5, 0.0)
