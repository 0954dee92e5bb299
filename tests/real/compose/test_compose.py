"""What `compose.yaml` starts works together: an alert of the emulated app reaches Alertmanager."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
import yaml

from exporter.alerts.inhibition import inhibition
from exporter.alerts.table import chosen
from tests.compose.specification import read_compose
from tests.real.compose.stack import Part, Stack, addresses_of, running, until_well
from tests.real.polling import poll
from tests.real.program import Program
from tests.tools import tool

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

COMPOSE = read_compose(environ={})
RUN = ("emulator", "exporter", "prometheus", "alertmanager")
PATIENCE_SECONDS = 120.0
LONG_SECONDS = 600.0
OF_FAILURES = "DurableFunctionsOrchestrationsFailing"
# Of so many of the last hour as the demo has, more than 5 %.
FAILING_PAYMENTS = 40


class Alert(msgspec.Struct):
    """An alert, as Prometheus and Alertmanager have it."""

    labels: dict[str, str]
    annotations: dict[str, str]


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


@pytest.mark.parametrize(
    "long", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["pending", "arrives"]
)
async def test_failures_of_the_emulated_app_raise_an_alert(tmp_path: Path, *, long: bool) -> None:
    tool("prometheus-alertmanager")
    async with everything(tmp_path) as parts:
        await the_exporter_has_seen_the_hub(parts)
        # What is looked at meanwhile takes less time than the way of an alert.
        await payments_fail(parts)
        await the_exporter_is_scraped(parts)
        await the_shipped_rules_are_loaded(parts)
        await the_inhibition_rules_are_loaded(parts)
        await its_runbook_is_at_the_exporter(parts, await its_alert_waits(parts))
        if long:
            await it_arrives(parts)


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
    assert alerting == {alert.full_name for alert in chosen()}


async def the_inhibition_rules_are_loaded(parts: Running) -> None:
    url = f"{parts.stack.url('alertmanager')}/api/v2/status"
    loaded = yaml.safe_load((await parts.client.get(url)).json()["config"]["original"])
    shipped = yaml.safe_load(inhibition())
    assert len(loaded["inhibit_rules"]) == len(shipped["inhibit_rules"])
    assert loaded["route"]["receiver"] == "working-hours"


async def payments_fail(parts: Running) -> None:
    """Pay with a closed bank: which payments of the scenario fail, and when, chance decides."""
    for payment in range(FAILING_PAYMENTS):
        await a_payment_fails(parts, 999_000 + payment)


async def a_payment_fails(parts: Running, payment: int) -> None:
    url = f"{parts.stack.url('emulator')}/runtime/webhooks/durabletask/orchestrators/PaymentSaga"
    started = await parts.client.post(
        url,
        params={"taskHub": "OrdersHub"},
        headers={"x-functions-key": parts.stack.secret("emulator", "emulator-key")},
        json={"payment": payment, "item": "sku-1000", "bank": "closed"},
    )
    assert started.status_code == httpx.codes.ACCEPTED, started.text


async def its_alert_waits(parts: Running) -> Alert:
    """Return the alert as Prometheus has it, which knows where to send it."""
    url = f"{parts.stack.url('prometheus')}/api/v1"

    async def of_failures() -> list[Alert]:
        answer = await parts.client.get(f"{url}/alerts")
        alerts = msgspec.convert(answer.json()["data"]["alerts"], list[Alert])
        return [each for each in alerts if each.labels["alertname"] == OF_FAILURES]

    (alert, *_) = await poll(of_failures, bool, within=PATIENCE_SECONDS)
    assert (alert.labels["task_hub"], alert.labels["orchestrator"]) == ("demo", "PaymentSaga")
    assert alert.labels["orchestrator"] in alert.annotations["summary"]
    receivers = (await parts.client.get(f"{url}/alertmanagers")).json()["data"]
    (receiver,) = receivers["activeAlertmanagers"]
    assert receiver["url"].startswith(parts.stack.url("alertmanager"))
    return alert


async def it_arrives(parts: Running) -> None:
    """It does once it has lasted for long enough."""

    async def names() -> set[str]:
        answer = await parts.client.get(f"{parts.stack.url('alertmanager')}/api/v2/alerts")
        return {each.labels["alertname"] for each in msgspec.convert(answer.json(), list[Alert])}

    await poll(names, lambda found: OF_FAILURES in found, within=LONG_SECONDS)


async def its_runbook_is_at_the_exporter(parts: Running, alert: Alert) -> None:
    """The shipped rules know no address: they name the page of the documentation."""
    page = Path(alert.annotations["runbook_url"])
    assert page.parent == Path("docs/runbooks")
    address = f"{parts.stack.url('exporter')}/runbooks/{page.stem}"
    assert (await parts.client.get(address)).status_code == httpx.codes.OK
