"""The key, and every other secret, is in no output of any run."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import httpx
import pytest

from exporter.emulator import Fault, FaultKind, running
from tests.cli.process import COMMAND, KEY, Daemon, frozen_emulator, run, serving

pytestmark = pytest.mark.anyio

HEADER_SECRET = "h3ader-secret-value"
PROXY_SECRET = "pr0xy-secret-value"
SECRETS = (KEY, HEADER_SECRET, PROXY_SECRET)
PATHS = (
    "/metrics", "/", "/hubs/orders", "/hubs/proxied", "/hubs/nothing", "/api/v1/hubs",
    "/api/v1/hubs/orders", "/api/v1/hubs/proxied", "/-/healthy", "/nothing",
)  # fmt: skip
FAULTS = [
    FaultKind.UNAUTHORIZED,
    FaultKind.STOPPED,
    FaultKind.ERROR,
    FaultKind.CUT,
    FaultKind.MALFORMED,
    FaultKind.REDIRECT,
    FaultKind.HTML,
]


def environ_of(url: str, key_file: Path) -> dict[str, str]:
    key_file.write_text(KEY)
    return {
        "DURABLE_EXPORTER_LOG_LEVEL": "debug",
        "DURABLE_EXPORTER_RETRIES__ATTEMPTS": "0",
        "DURABLE_EXPORTER_INTERVALS__ACTIVE": "0.1s",
        "DURABLE_EXPORTER_HEADERS": f'{{"x-team": "{HEADER_SECRET}"}}',
        "DURABLE_EXPORTER_HUBS__ORDERS__URL": url,
        "DURABLE_EXPORTER_HUBS__ORDERS__TASK_HUB": "OrdersHub",
        "DURABLE_EXPORTER_HUBS__ORDERS__KEY_FILE": str(key_file),
        "DURABLE_EXPORTER_HUBS__DIRECT__URL": url,
        "DURABLE_EXPORTER_HUBS__DIRECT__KEY": KEY,
        "DURABLE_EXPORTER_HUBS__PROXIED__URL": "https://app.invalid",
        "DURABLE_EXPORTER_HUBS__PROXIED__PROXY": f"http://user:{PROXY_SECRET}@127.0.0.1:9",
    }


def without_secrets(text: str, of: str) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{of} shows a secret"


@pytest.mark.parametrize("kind", [None, *FAULTS])
async def test_no_run_shows_a_secret(tmp_path: Path, kind: FaultKind | None) -> None:
    emulator = frozen_emulator()
    if kind is not None:
        emulator.hubs["ordershub"].faults.set(Fault(kind=kind))
    async with running(emulator) as url:
        environ = environ_of(url, tmp_path / "key")
        async with (
            serving("--log-format", "json", environ=environ) as daemon,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{daemon.port}") as client,
        ):
            await daemon.until("hub is up" if kind is None else "hub is down")
            for path in PATHS:
                answer = await client.get(path)
                without_secrets(answer.text + str(answer.headers), path)
            daemon.process.send_signal(signal.SIGTERM)
            await daemon.until("stopping")
            without_secrets(daemon.log, "the log")
            assert "sweep" in daemon.log
        for arguments in (["check"], ["collect"], ["collect", "--format", "json"]):
            outcome = await run(*arguments, environ=environ)
            assert outcome.code == 1
            without_secrets(outcome.out + outcome.err, arguments[0])


async def test_a_defect_of_the_program_shows_no_secret_either(tmp_path: Path) -> None:
    """The traceback of a crashed sweep has no local variables."""
    script = tmp_path / "crash.py"
    script.write_text(
        "import sys\n"
        "from exporter.api.client import HubClient\n"
        "from exporter.cli.main import main\n"
        "def crash(self, query):\n"
        "    secret = self._key.current()\n"
        "    raise ZeroDivisionError('a defect')\n"
        "HubClient.list_instances = crash\n"
        "main(['serve', '--listen-address', '127.0.0.1:0'])\n"
    )
    async with running(frozen_emulator()) as url:
        environ = environ_of(url, tmp_path / "key")
        for log_format in ("json", "console"):
            await crashed(script, {**environ, "DURABLE_EXPORTER_LOG_FORMAT": log_format})


async def crashed(script: Path, environ: dict[str, str]) -> None:
    process = await anyio.open_process([COMMAND[0], str(script)], env=environ)
    daemon = Daemon(process)
    assert process.stderr is not None
    try:
        with anyio.fail_after(30):
            while daemon.log.count("a defect") < 2:
                daemon.log += (await process.stderr.receive()).decode()
    finally:
        process.kill()
        await process.aclose()
    assert "ZeroDivisionError" in daemon.log
    without_secrets(daemon.log, "the traceback")
