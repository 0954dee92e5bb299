"""No client keeps Prometheus out, whatever it sends and however often."""

from __future__ import annotations

import json
import re
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path

import anyio
import bcrypt
import pytest
from anyio.abc import AnyByteStream

from emulator import running
from tests.certificates import Authority
from tests.cli.process import KEY, frozen_emulator
from tests.hostile.flood import HOST
from tests.hostile.process import Exporter, serving
from tests.real.polling import poll

pytestmark = pytest.mark.anyio


@dataclass
class Waits:
    """The longest waits of clients that mean well, in seconds, and how many there were."""

    scrape: float = 0.0
    login: float = 0.0
    health: float = 0.0
    probes: int = 0


HUBS = ("Orders", "Billing", "Shipping", "Returns")
UP = re.compile(r"^durable_functions_up\{.*\} 1\.0$", re.MULTILINE)
NEW_LOGINS, LOGINS_A_HEAVY_FLOOD, LOGINS_A_FLOOD = 400, 200, 30
PATIENCE_SECONDS = 300.0
TARGETS = Waits(scrape=1.0, login=3.0, health=1.0)
# Where other tests keep the cores busy, only what does not end by itself is found.
PATIENT = Waits(scrape=20.0, login=20.0, health=20.0)
# What the allocator keeps may differ between rounds of the same.
FLAT_BYTES = 16 << 20


def users() -> dict[str, str]:
    """Return hashes of one password: of whom is verified, and of some who never were."""
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()
    return dict.fromkeys(["prometheus", *(f"new-{number}" for number in range(NEW_LOGINS))], hashed)


@dataclass
class Target:
    """An exporter under attack, and how it treats its other clients."""

    exporter: Exporter
    context: ssl.SSLContext | None
    newcomers: Iterator[str] = field(
        default_factory=lambda: (f"new-{number}" for number in range(NEW_LOGINS))
    )

    async def ask(self, path: str, user: str | None = None) -> tuple[float, str]:
        """Return how long an answer took, on a connection of its own, and what it is: 200."""
        login = f"authorization: Basic {b64encode(f'{user}:right'.encode()).decode()}\r\n"
        head = (
            f"GET {path} HTTP/1.1\r\nhost: exporter\r\n{login if user else ''}"
            "connection: close\r\n\r\n"
        )
        begun = anyio.current_time()
        with anyio.fail_after(PATIENCE_SECONDS):
            async with await self._connect() as stream:
                await stream.send(head.encode())
                answer = b"".join([part async for part in stream])
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        return anyio.current_time() - begun, answer.decode()

    async def hubs_up(self) -> int:
        """Return how many hubs are polled."""
        _, text = await self.ask("/metrics", "prometheus")
        return len(UP.findall(text))

    async def _connect(self) -> AnyByteStream:
        port = self.exporter.port
        if self.context is None:
            return await anyio.connect_tcp(HOST, port)
        return await anyio.connect_tcp(
            HOST, port, ssl_context=self.context, tls_standard_compatible=False
        )

    async def flood(self, kind: str, count: int, source: str, logins: int) -> Waits:
        """Send *count* clients of a kind from the address *source*, and be others all the while."""
        command = [sys.executable, "-m", "tests.hostile.flood", kind]
        waits, done = Waits(), anyio.Event()

        async def keep_asking(who: str, path: str, users: Iterator[str | None]) -> None:
            while not done.is_set() and (user := next(users, "")) != "":
                waited, _ = await self.ask(path, user)
                setattr(waits, who, max(getattr(waits, who), waited))
                waits.probes += 1

        async with await anyio.open_process(
            [*command, str(self.exporter.port), str(count), source], stderr=None
        ) as process:
            assert process.stdout is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_asking, "scrape", "/metrics", repeat("prometheus"))
                tasks.start_soon(keep_asking, "health", "/-/healthy", repeat(None))
                newcomers = islice(self.newcomers, logins)
                tasks.start_soon(keep_asking, "login", "/metrics", newcomers)
                assert (await process.stdout.receive()).strip() == b"done"
                done.set()
            # While they are all still there.
            waited, text = await self.ask("/metrics", "prometheus")
            waits.scrape = max(waits.scrape, waited)
            assert len(UP.findall(text)) == len(HUBS)
            assert process.stdin is not None
            await process.stdin.aclose()
        return waits


@asynccontextmanager
async def target(folder: Path, *, tls: bool) -> AsyncIterator[Target]:
    """Run an exporter with passwords that polls four hubs."""
    web: dict[str, object] = {"basic_auth_users": users()}
    context = None
    if tls:
        authority = Authority(folder)
        own = authority.sign("server", HOST)
        web["tls_server_config"] = {"cert_file": str(own.cert), "key_file": str(own.key)}
        context = ssl.create_default_context(cafile=authority.file)
    (folder / "web.yaml").write_text(json.dumps(web))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(frozen_emulator(hub_names=HUBS)))
        environ = {
            "DURABLE_EXPORTER_WEB_CONFIG_FILE": str(folder / "web.yaml"),
            "DURABLE_EXPORTER_INTERVALS__ACTIVE": "1s",
        }
        for hub in HUBS:
            environ[f"DURABLE_EXPORTER_HUBS__{hub.upper()}__URL"] = url
            environ[f"DURABLE_EXPORTER_HUBS__{hub.upper()}__TASK_HUB"] = hub
            environ[f"DURABLE_EXPORTER_HUBS__{hub.upper()}__KEY"] = KEY
        exporter = await stack.enter_async_context(serving(folder, environ))
        found = Target(exporter, context)
        await poll(found.hubs_up, lambda count: count == len(HUBS), within=PATIENCE_SECONDS)
        yield found


KINDS = [
    # kind, encrypted, how many in the quick form, and in the heavy one
    ("silent", False, 2_500, 5_000),
    ("silent", True, 300, 5_000),
    ("encrypted", True, 250, 5_000),
    ("logins", False, 200, 20_000),
    ("pages", False, 100, 3_000),
    ("pipelined", False, 50, 1_000),
    ("slow", False, 60, 1_000),
]
IDS = [f"{kind} over TLS" if tls else kind for kind, tls, _, _ in KINDS]


def check(waits: Waits, allowed: Waits) -> None:
    assert waits.scrape < allowed.scrape, waits
    assert waits.login < allowed.login, waits
    assert waits.health < allowed.health, waits


@pytest.mark.parametrize(("kind", "tls", "count", "_heavy"), KINDS, ids=IDS)
async def test_a_flood_keeps_nobody_else_out(
    tmp_path: Path, kind: str, tls: bool, count: int, _heavy: int
) -> None:
    async with target(tmp_path, tls=tls) as attacked:
        check(await attacked.flood(kind, count, "127.0.0.2", LOGINS_A_FLOOD), PATIENT)


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "tls", "_quick", "count"), KINDS, ids=IDS)
async def test_a_heavy_flood_keeps_nobody_out_and_a_second_one_takes_no_more_memory(
    tmp_path: Path, kind: str, tls: bool, _quick: int, count: int
) -> None:
    async with target(tmp_path, tls=tls) as attacked:
        peaks = []
        for source in ("127.0.0.2", "127.0.0.3"):
            waits = await attacked.flood(kind, count, source, LOGINS_A_HEAVY_FLOOD)
            peaks.append(attacked.exporter.peak_memory)
            sys.stderr.write(f"\n{kind}: {waits}, {peaks[-1] >> 20} MiB at the peak\n")
            check(waits, TARGETS)
        assert peaks[1] < peaks[0] + FLAT_BYTES
