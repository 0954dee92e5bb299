"""The key, and every other secret, is in no output of any run."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

import anyio
import httpx
import pytest

from emulator import Fault, FaultKind, running
from tests.cli.process import (
    COMMAND,
    KEY,
    PATIENCE_SECONDS,
    Daemon,
    frozen_emulator,
    run,
    serving,
)

pytestmark = pytest.mark.anyio

HEADER_SECRET = "h3ader-secret-value"
PROXY_SECRET = "pr0xy-secret-value"
SECRETS = (KEY, HEADER_SECRET, PROXY_SECRET)
PATHS = (
    "/metrics", "/", "/-/healthy", "/nothing", "/api/v1/hubs",
    "/hubs/goodbyfile", "/hubs/unauthorizedbyfile", "/hubs/proxied", "/hubs/nothing",
    "/api/v1/hubs/goodbyfile", "/api/v1/hubs/unauthorizedbyvariable", "/api/v1/hubs/proxied",
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
WAYS = ("ByFile", "ByVariable")
GOOD = {f"Good{way}": None for way in WAYS}
FAULTY = {f"{kind.name.title()}{way}": kind for kind in FAULTS for way in WAYS}
HUBS = {**GOOD, **FAULTY}


def environ_of(url: str, key_file: Path, hubs: Iterable[str]) -> dict[str, str]:
    """Let hubs get their keys in two ways, and a further one be behind a proxy."""
    key_file.write_text(KEY)
    settings: dict[str, str] = {}
    for hub in hubs:
        prefix = f"DURABLE_EXPORTER_HUBS__{hub.upper()}__"
        settings[f"{prefix}URL"] = url
        settings[f"{prefix}TASK_HUB"] = hub
        by_file = hub.endswith("ByFile")
        settings[f"{prefix}{'KEY_FILE' if by_file else 'KEY'}"] = str(key_file) if by_file else KEY
    return {
        "DURABLE_EXPORTER_LOG_LEVEL": "debug",
        "DURABLE_EXPORTER_RETRIES__MAX_RETRIES": "0",
        "DURABLE_EXPORTER_INTERVALS__ACTIVE": "0.1s",
        "DURABLE_EXPORTER_HEADERS": f'{{"x-team": "{HEADER_SECRET}"}}',
        **settings,
        "DURABLE_EXPORTER_HUBS__PROXIED__URL": "https://app.invalid",
        "DURABLE_EXPORTER_HUBS__PROXIED__PROXY": f"http://user:{PROXY_SECRET}@127.0.0.1:9",
    }


def lower(hubs: Iterable[str]) -> set[str]:
    return {hub.lower() for hub in hubs}


def without_secrets(text: str, of: str) -> None:
    for secret in SECRETS:
        assert secret not in text, f"{of} shows a secret"


async def test_no_run_shows_a_secret(tmp_path: Path) -> None:
    emulator = frozen_emulator(hub_names=[*HUBS])
    for hub, kind in FAULTY.items():
        emulator.hubs[hub.lower()].faults.set(Fault(kind=kind))
    async with running(emulator) as url:
        environ = environ_of(url, tmp_path / "key", HUBS)
        async with (
            serving("--log-format", "json", environ=environ) as daemon,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{daemon.port}") as client,
        ):
            await daemon.until_all("hub is up", lower(GOOD))
            await daemon.until_all("hub is down", {*lower(FAULTY), "proxied"})
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
            assert all(name in outcome.out + outcome.err for name in lower(HUBS))
            without_secrets(outcome.out + outcome.err, arguments[0])


async def test_a_defect_of_the_program_shows_no_secret_either(tmp_path: Path) -> None:
    """The traceback of a crashed sweep has no local variables."""
    script = tmp_path / "crash.py"
    script.write_text(
        "import sys\n"
        "from exporter.api.client import HubClient\n"
        "from exporter.cli.main import main\n"
        "def crash(self, *_):\n"
        "    secret = self._key.key\n"
        "    raise ZeroDivisionError('a defect')\n"
        "HubClient.list_instances = crash\n"
        "main(['serve', '--listen-address', '127.0.0.1:0'])\n"
    )
    async with running(frozen_emulator(hub_names=[*GOOD])) as url:
        environ = environ_of(url, tmp_path / "key", GOOD)
        for log_format in ("json", "console"):
            await crashed(script, {**environ, "DURABLE_EXPORTER_LOG_FORMAT": log_format})


async def crashed(script: Path, environ: dict[str, str]) -> None:
    process = await anyio.open_process([COMMAND[0], str(script)], env=environ)
    daemon = Daemon(process)
    assert process.stderr is not None
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            while daemon.log.count("a defect") < 2:
                daemon.log += (await process.stderr.receive()).decode()
    finally:
        process.kill()
        await process.aclose()
    assert "ZeroDivisionError" in daemon.log
    without_secrets(daemon.log, "the traceback")
