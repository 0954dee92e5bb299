"""What `compose.yaml` starts works together: an alert of the emulated app reaches Alertmanager."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import msgspec
import pytest
import yaml

from exporter.alerts.inhibition import inhibition
from exporter.alerts.table import ALERTS
from tests.compose.specification import read_compose
from tests.real.compose.stack import Part, Stack, addresses_of, running, until_well
from tests.real.polling import poll
from tests.real.program import Program
from tests.tools import tool

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

COMPOSE = read_compose(environ={})
RUN = ("emulator", "exporter", "prometheus", "alertmanager")
PATIENCE_SECONDS = 120.0


class Alert(msgspec.Struct):
    """An alert that Alertmanager has been told of."""

    labels: dict[str, str]
    annotations: dict[str, str]
    generatorURL: str  # noqa: N815 - as it is called there


class Rule(msgspec.Struct):
    """A rule of Prometheus; `health` is `ok`, `err` or `unknown`."""

    name: str
    type: str
    health: str


class Group(msgspec.Struct):
    """A group of rules."""

    rules: list[Rule]


class Target(msgspec.Struct, rename="camel"):
    """A scrape target."""

    scrape_pool: str
    health: str


@dataclass(frozen=True, slots=True)
class Running:
    """All parts that run, and whoever asks them."""

    stack: Stack
    client: httpx.AsyncClient

    async def rules(self) -> list[Rule]:
        answer = (await self.client.get(f"{self.stack.url('prometheus')}/api/v1/rules")).json()
        groups = msgspec.convert(answer["data"]["groups"], list[Group])
        return [rule for group in groups for rule in group.rules]

    async def targets(self) -> list[Target]:
        answer = (await self.client.get(f"{self.stack.url('prometheus')}/api/v1/targets")).json()
        return msgspec.convert(answer["data"]["activeTargets"], list[Target])

    async def alerts(self) -> list[Alert]:
        answer = await self.client.get(f"{self.stack.url('alertmanager')}/api/v2/alerts")
        return msgspec.convert(answer.json(), list[Alert])


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[Running]:
    """Start all parts at once, as Compose does, and wait until each says that it is well."""
    async with AsyncExitStack() as stack:
        places = Stack(COMPOSE, folder, stack.enter_context(addresses_of(COMPOSE)))
        parts = [places.part(name) for name in RUN]
        started: list[tuple[Part, Program]] = [
            (part, await stack.enter_async_context(running(part, folder))) for part in parts
        ]
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        async with anyio.create_task_group() as group:
            for part, program in started:
                group.start_soon(until_well, part, program)
        yield Running(places, client)


def test_all_that_can_be_run_here_is_run() -> None:
    assert {*RUN, "grafana"} == set(COMPOSE.services)


async def test_an_alert_of_the_emulated_app_reaches_alertmanager(tmp_path: Path) -> None:
    tool("prometheus-alertmanager")
    async with everything(tmp_path) as parts:
        await the_exporter_has_seen_the_hub(parts)
        # What is looked at meanwhile takes less time than the way of an alert.
        await a_payment_fails(parts)
        await the_exporter_is_scraped(parts)
        await the_shipped_rules_are_loaded(parts)
        await the_inhibition_rules_are_loaded(parts)
        told = await its_alert_arrives(parts)
        await its_links_lead_somewhere(parts, told)


async def the_exporter_has_seen_the_hub(parts: Running) -> None:
    """Until then a failure is none that is new."""

    async def metrics() -> str:
        return (await parts.client.get(f"{parts.stack.url('exporter')}/metrics")).text

    up = 'durable_functions_up{task_hub="demo"} 1'
    await poll(metrics, lambda text: up in text, within=PATIENCE_SECONDS)


async def the_exporter_is_scraped(parts: Running) -> None:
    def is_up(targets: list[Target]) -> bool:
        return {(each.scrape_pool, each.health) for each in targets} == {
            ("durable-functions", "up")
        }

    await poll(parts.targets, is_up, within=PATIENCE_SECONDS)


async def the_shipped_rules_are_loaded(parts: Running) -> None:
    def are_evaluated(rules: list[Rule]) -> bool:
        return bool(rules) and all(rule.health != "unknown" for rule in rules)

    rules = await poll(parts.rules, are_evaluated, within=PATIENCE_SECONDS)
    assert {rule.health for rule in rules} == {"ok"}
    alerting = {rule.name for rule in rules if rule.type == "alerting"}
    assert alerting == {alert.full_name for alert in ALERTS}


async def the_inhibition_rules_are_loaded(parts: Running) -> None:
    url = f"{parts.stack.url('alertmanager')}/api/v2/status"
    loaded = yaml.safe_load((await parts.client.get(url)).json()["config"]["original"])
    shipped = yaml.safe_load(inhibition())
    assert len(loaded["inhibit_rules"]) == len(shipped["inhibit_rules"])
    assert loaded["route"]["receiver"] == "working-hours"


async def a_payment_fails(parts: Running) -> None:
    """Pay with a closed bank: which payments of the scenario fail, and when, chance decides."""
    url = f"{parts.stack.url('emulator')}/runtime/webhooks/durabletask/orchestrators/PaymentSaga"
    started = await parts.client.post(
        url,
        params={"taskHub": "OrdersHub"},
        headers={"x-functions-key": parts.stack.secret("emulator", "emulator-key")},
        json={"payment": 999_999, "item": "sku-1000", "bank": "closed"},
    )
    assert started.status_code == httpx.codes.ACCEPTED, started.text


async def its_alert_arrives(parts: Running) -> Alert:
    def of_failures(alerts: list[Alert]) -> list[Alert]:
        return [
            each for each in alerts if each.labels["alertname"] == "DurableFunctionsNewFailures"
        ]

    alerts = await poll(
        parts.alerts, lambda found: bool(of_failures(found)), within=PATIENCE_SECONDS
    )
    told = of_failures(alerts)[0]
    assert (told.labels["task_hub"], told.labels["job"]) == ("demo", "durable-functions")
    assert told.labels["orchestrator"] in told.annotations["summary"]
    return told


async def its_links_lead_somewhere(parts: Running, told: Alert) -> None:
    """Grafana does not run: of the dashboard only the address can be looked at."""
    assert told.generatorURL.startswith(parts.stack.url("prometheus"))
    for link in ("runbook_url", "page_url"):
        address = told.annotations[link]
        assert address.startswith(parts.stack.url("exporter"))
        assert (await parts.client.get(address)).status_code == httpx.codes.OK, address
    dashboard = urlsplit(told.annotations["dashboard_url"])
    assert f"http://{dashboard.netloc}" == parts.stack.url("grafana")
    assert dashboard.path == "/d/durable-functions-orchestrator"
