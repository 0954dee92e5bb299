"""`check` marks as `ok` only what is proved; a failing hub hides no other."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from emulator import Emulator, Fault, FaultKind, ManualClock, TaskHub, running
from emulator.backends.mssql import MSSQL
from exporter.api.client import HubClient
from exporter.api.connection import SharedLimits, connect
from exporter.cli import check as check_module
from exporter.cli.main import parse
from exporter.settings import HubSettings, load_settings
from tests.cli.process import KEY, START, frozen_emulator, run

pytestmark = pytest.mark.anyio


def pointing_at(url: str, key_file: Path) -> dict[str, str]:
    key_file.write_text(KEY)
    return {"DURABLE_EXPORTER_URL": url, "DURABLE_EXPORTER_KEY_FILE": str(key_file)}


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
async def test_an_empty_hub_under_a_name_may_be_a_wrong_one(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    async with running(frozen_emulator()) as url:
        environ = pointing_at(url, tmp_path / "key")
        outcome = await run(
            "check", *options, environ=environ | {"DURABLE_EXPORTER_TASK_HUB": "OrderHub"}
        )
    assert outcome.code == code
    said = " ".join(outcome.out.split())
    assert "task hub OrderHub is empty" in said
    assert "compare task_hub with host.json" in said


async def test_an_empty_hub_of_the_app_s_default_name_is_only_noted() -> None:
    hub = TaskHub("OrdersHub", ManualClock(START))
    async with running(Emulator(hub, clock=hub.clock)) as url:
        outcome = await run("check", "--strict", "--url", url)
    assert outcome.code == 0
    assert outcome.err == ""
    assert "the hub is empty" in outcome.out


async def test_a_name_that_azure_storage_would_refuse_is_noted() -> None:
    for options in ((), ("--offline",)):
        hub = TaskHub("orders-hub", ManualClock(START), backend=MSSQL())
        async with running(Emulator(hub, clock=hub.clock)) as url:
            outcome = await run("check", *options, "--url", url, "--task-hub", "orders-hub")
        assert "Azure Storage would refuse the name" in outcome.out


async def test_a_defect_of_one_hub_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(hub: HubSettings, shared: SharedLimits) -> HubClient:
        if hub.name == "bad":
            raise ZeroDivisionError("by nought")
        return connect(hub, shared)

    monkeypatch.setattr(check_module, "connect", broken)
    async with running(frozen_emulator()) as url:
        settings = load_settings(
            {},
            {
                "hubs.bad.url": "http://127.0.0.1:9",
                "hubs.good.url": url,
                "hubs.good.key": KEY,
            },
        )
        code = await check_module.check(settings, parse(["check"]))
    said = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert "bad - - - - failed good ok ok - ok ok" in said
    assert "bad: listing: checking this hub failed with ZeroDivisionError" in said


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_drops_what_is_asked_proves_nothing(scheme: str) -> None:
    async def drop(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, drop)
        (hub,) = load_settings(
            {},
            {
                "url": f"{scheme}://app.example",
                "allow_insecure": "true",
                "proxy": f"http://127.0.0.1:{port}",
                "retries.max_retries": "0",
            },
        ).own_hubs
        checked = await check_module.check_hub(hub)
        tasks.cancel_scope.cancel()
    await listener.aclose()
    assert checked.failed is not None
    assert checked.passed == []


async def test_a_page_of_html_does_not_prove_the_key() -> None:
    emulator = frozen_emulator()
    emulator.hubs["ordershub"].faults.set(Fault(kind=FaultKind.HTML))
    async with running(emulator) as url:
        (hub,) = load_settings({}, {"url": url, "key": KEY}).own_hubs
        checked = await check_module.check_hub(hub)
    assert list(checked.passed) == ["host name", "connection"]


async def test_an_answer_in_json_proves_the_key_though_its_rows_are_wrong() -> None:
    emulator = frozen_emulator()
    # The first page is asked for twice: small, then as large as its rows allow.
    fault = Fault(kind=FaultKind.HTML, skip=2)
    emulator.hubs["ordershub"].faults.set(fault)
    async with running(emulator) as url:
        (hub,) = load_settings({}, {"url": url, "key": KEY}).own_hubs
        checked = await check_module.check_hub(hub)
    assert list(checked.passed) == ["host name", "connection", "key"]
