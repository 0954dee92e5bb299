"""A day in an emulator's life, seen by the real collector at its defaults, raises no alert."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from emulator import ManualClock, running
from emulator.scenarios.play import play
from emulator.scenarios.scenario import load_scenario
from exporter.alerts.prometheus import rules
from exporter.alerts.table import ALERTS
from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import polling_inputs_of, rules_of
from exporter.collector.snapshot import ProcessView, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Buckets, HubSettings
from exporter.settings.durations import DAY, HOUR
from tests.alerts.promtool_rules import findings
from tests.api.scripted import connections

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

HUB = "ClaimsHub"
START = 1_800_000_000.0
# As often as the exporter polls by default, and as Prometheus scrapes it here.
TICK = 30.0
EVERY = {Sweep.FAILED: 300.0, Sweep.ENTITIES: 300.0, Sweep.CENSUS: 3600.0}
OPT_IN = {alert.full_name for alert in ALERTS if alert.opt_in}
TARGET = 'job="exporter",instance="exporter:10771"'
ASKED = set(re.findall(r"\bdurable_functions_\w+", rules(opted=OPT_IN)))
FOUND = re.compile(
    r'alertname="DurableFunctions(\w+)",[^}]*?(?:orchestrator="(\w+)"[^}]*)?\} (\S+)'
)
# Three claims that are refused within an hour in which 36 are settled are 8 %, by chance.
WANTED = {("OrchestrationsFailing", "SettleClaim")}
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")

log = logging.getLogger(__name__)


@dataclass
class Scraped:
    """Series as runs of equal values, from the first scrape on; None where one is absent."""

    scrapes: int = 0
    runs: dict[str, list[tuple[float | None, int]]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Add a scrape; times are from the first one on, as those of promtool."""
        shown: dict[str, float] = {}
        for name, labels, value in SAMPLE.findall(text):
            if name in ASKED:
                series = f"{name}{{{','.join(filter(None, (labels, TARGET)))}}}"
                shown[series] = float(value) - (START if "_timestamp_" in name else 0.0)
        for series in self.runs.keys() | shown.keys():
            runs = self.runs.setdefault(series, [(None, self.scrapes)])
            value, times = runs[-1]
            if shown.get(series) == value:
                runs[-1] = value, times + 1
            else:
                runs.append((shown.get(series), 1))
        self.scrapes += 1

    def input_series(self) -> Iterator[dict[str, str]]:
        """Yield the series as promtool reads them."""
        for series, runs in self.runs.items():
            values = (
                f"_x{times}" if value is None else f"{value:.15g}+0x{times - 1}"
                for value, times in runs
                if times
            )
            yield {"series": series, "values": " ".join(values)}


async def watched(scenario: str, seconds: float, **settings: object) -> Scraped:
    """Play a scenario, poll it with the defaults of the exporter, and scrape that."""
    clock = ManualClock(START)
    hub = HubSettings.model_validate(
        {"name": "claims", "url": "http://127.0.0.1", "task_hub": HUB, **settings}
    )
    scraped, exposition = Scraped(), Exposition()
    process = ProcessView(0, 1, reload_successful=True, loaded=START)
    emulator = play(load_scenario(scenario), clock)
    async with running(emulator) as url, connections() as http:
        client = HubClient(
            HUB,
            HubAddress(f"{url}/runtime/webhooks/durabletask", HUB),
            http=http,
            key=KeySource(),
            retry=RetryPolicy(hub.retries.max_retries, 0.01, 0.1),
            limits=RequestLimits(hub.timeouts.request, hub.max_page_size, hub.max_pages),
            host=HostSlots().of(url, hub.max_requests_per_host),
            bodies=BodyBudget(),
        )
        collector = HubCollector(
            polling_inputs_of(hub, Buckets()),
            client,
            rules_of(hub, Buckets()),
            wall=clock.now,
            monotonic=clock.now,
        )
        await collector.open()
        due = dict.fromkeys(EVERY, 0.0)
        while (now := clock.now()) <= START + seconds:
            emulator.advance()
            await collector.make(Sweep.ACTIVE)
            for sweep, interval in EVERY.items():
                if now >= due[sweep]:
                    await collector.make(sweep)
                    due[sweep] = now + interval
            scraped.add(
                exposition.body([collector.snapshot], now, Format.CLASSIC, process).text.decode()
            )
            clock.advance(TICK)
    return scraped


def fired(scraped: Scraped, folder: Path) -> dict[tuple[str, str], float]:
    """Return for how many minutes alerts fire, by name and orchestrator, opt-in ones too."""
    (folder / "rules.json").write_text(json.dumps(yaml.safe_load(rules(opted=OPT_IN))))
    until = f"{(scraped.scrapes - 1) * TICK:.0f}s"
    ever = f'count_over_time(ALERTS{{alertstate="firing"}}[{until}])'
    test = {
        "interval": f"{TICK:.0f}s",
        "input_series": list(scraped.input_series()),
        "promql_expr_test": [{"expr": ever, "eval_time": until, "exp_samples": []}],
    }
    path = folder / "day.json"
    tests = {"rule_files": ["rules.json"], "evaluation_interval": "30s", "tests": [test]}
    path.write_text(json.dumps(tests))
    found = {
        (alert, name): float(count) * TICK / 60.0
        for alert, name, count in FOUND.findall(findings([path])[path])
    }
    log.info("%d series, %d scrapes, minutes: %s", len(scraped.runs), scraped.scrapes, found)
    return found


async def test_an_hour_of_a_healthy_app_is_quiet(tmp_path: Path) -> None:
    assert not fired(await watched("healthy", HOUR), tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("scenario", ["healthy", "busy"])
async def test_a_day_is_quiet(scenario: str, tmp_path: Path) -> None:
    found = fired(await watched(scenario, DAY), tmp_path)
    assert found.keys() <= (WANTED if scenario == "healthy" else set())
    assert sum(found.values()) < 60.0


async def test_an_hour_of_starts_that_no_worker_takes_is_not(tmp_path: Path) -> None:
    found = fired(await watched("version-mismatch", HOUR), tmp_path)
    assert found.keys() == {("PendingStuck", "SettleClaim")}
