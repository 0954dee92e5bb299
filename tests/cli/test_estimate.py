"""`estimate`: its forecast is what the daemon then does."""

from __future__ import annotations

import json
from contextlib import aclosing
from functools import partial

import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import PollingInputs, rules_of
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Settings, load_settings
from tests.cli.asked import ask, clock_of_commands, serving_hub, settings_for
from tests.diagnosis.stuck_app import BACKENDS, START, VERSIONS, functions, stuck_hub

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
ROWS = 12_000
MONTH = 30 * 86_400.0
HOUR = 3600.0
DAY = 24 * HOUR
A_DAY_OF_THEM = 24


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


def settings_of(url: str, name: str = "big", **more: str) -> Settings:
    hub = {"task_hub": "BigHub"} if name == "big" else {}
    return load_settings({}, {"url": url, "name": name, **hub, **more})


async def daemon_after(settings: Settings, cycles: int, now: float) -> HubSnapshot:
    """Return a daemon's snapshot after every sweep and *cycles* more active ones."""
    (hub,) = settings.own_hubs
    client = connect(hub, SharedLimits())
    async with aclosing(client):
        inputs = PollingInputs(hub, settings.buckets)
        rules = rules_of(hub, settings.buckets)
        collector = HubCollector(inputs, client, rules, wall=lambda: now, holds=False)
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
    assert "per day about" in outcome.out
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


def patient_hub() -> TaskHub:
    """Return a hub of two days in which instances start to wait as expected every hour."""
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=functions, seed=3)
    engine = hub.engine
    for number in range(2 * A_DAY_OF_THEM):
        at = START + number * HOUR
        approval, timer, quick = f"approval-{number}", f"timer-{number}", f"quick-{number}"
        engine.at(at, partial(engine.start, "Approval", approval, None))
        engine.at(at + 26 * HOUR, partial(engine.raise_event, approval, "Approval", "true"))
        engine.at(at, partial(engine.start, "ShortTimer", timer, str(int(5 * HOUR))))
        engine.at(at, partial(engine.start, "HelloSequence", quick, None))
    clock.set(START + 2 * DAY)
    hub.advance()
    return hub


async def over_limits(settings: Settings, hub: TaskHub) -> dict[tuple[str, str], int]:
    """Return what a daemon finds over limits during the next hours."""
    (configured,) = settings.own_hubs
    client = connect(configured, SharedLimits())
    found: dict[tuple[str, str], int] = {}
    async with aclosing(client):
        collector = HubCollector(
            PollingInputs(configured, settings.buckets),
            client,
            rules_of(configured, settings.buckets),
            wall=hub.clock.now,
            holds=False,
        )
        for _ in range(12):
            assert isinstance(hub.clock, ManualClock)
            hub.clock.advance(HOUR)
            assert await collector.make(Sweep.ACTIVE) is None
            assert collector.snapshot.active is not None
            for key, count in collector.snapshot.active.over_limit.items():
                found[key] = max(count, found.get(key, 0))
    return found


async def test_what_is_proposed_is_not_broken_by_what_waits_as_expected(capfd: Capture) -> None:
    hub = patient_hub()
    async with serving_hub(hub) as url:
        told = await ask(capfd, settings_of(url, "orders"), "estimate", "--format", "json")
        shown_to_people = await ask(capfd, settings_of(url, "orders"), "estimate")
        (forecast,) = json.loads(told.out)
        before = await over_limits(settings_of(url, "orders"), hub)
        after = await over_limits(settings_of(url, "orders", **forecast["suggestions"]), hub)
    assert forecast["suggestions"] == {
        "limits.orchestrators.Approval.idle": "none",
        "limits.orchestrators.ShortTimer.idle": "8h",
    }
    assert set(forecast["reasons"]) == set(forecast["suggestions"])
    assert (
        "Approval.idle: none  # waits as expected for an event, up to 1 d 2 h"
        in shown_to_people.out
    )
    assert before["Approval", "idle"] > 0 < before["ShortTimer", "idle"]
    assert not any(after.values())
