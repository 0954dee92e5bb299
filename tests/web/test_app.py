"""The app over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import httpx
import pytest

from exporter.collector.snapshot import HubSnapshot, Trouble
from exporter.ledger.snapshot import ActiveView
from exporter.ledger.status import RuntimeStatus
from exporter.web.server import listening
from exporter.web.sockets import CannotListen, bind
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot
from tests.web.looking import app_of

pytestmark = pytest.mark.anyio

DOWN = replace(
    busy_snapshot("billing"),
    up=False,
    trouble=Trouble("auth", "401, the <key> was refused", "check key_file"),
)


def hostile() -> HubSnapshot:
    """Return a hub whose names are markup."""
    snapshot = busy_snapshot("<script>alert(1)</script>")
    name = '"><img src=x onerror=alert(2)>'
    assert isinstance(snapshot.active, ActiveView)
    active = replace(snapshot.active, instances={(name, RuntimeStatus.RUNNING): 3})
    known = replace(snapshot.known, orchestrators=(name,))
    return replace(snapshot, active=active, known=known)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    snapshots = [busy_snapshot(), DOWN, hostile()]
    app = app_of(lambda: snapshots, lambda: NOW + 200.0)
    async with (
        listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", trust_env=False
        ) as connections,
    ):
        yield connections


class TestMethods:
    async def test_head_is_allowed_and_other_methods_are_not(
        self, client: httpx.AsyncClient
    ) -> None:
        for path in ("/metrics", "/", "/-/healthy"):
            assert (await client.head(path)).status_code == 200
            assert (await client.post(path)).status_code == 405
        assert (await client.get("/nothing")).status_code == 404


class TestHealth:
    @pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
    async def test_it_is_the_process_that_is_healthy_not_the_data(
        self, client: httpx.AsyncClient, path: str
    ) -> None:
        assert (await client.get(path)).status_code == 200


class TestListening:
    async def test_a_taken_address_is_said_in_one_line(self) -> None:
        with bind("127.0.0.1", 0) as taken:
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(CannotListen, match=rf"cannot listen on 127\.0\.0\.1:{port}: "):
                bind("127.0.0.1", port)

    @pytest.mark.parametrize("host", ["", "::"])
    async def test_all_addresses_are_those_of_both_families(self, host: str) -> None:
        with bind(host, 0) as everywhere:
            everywhere.listen()
            for address in ("127.0.0.1", "::1"):
                async with await anyio.connect_tcp(address, everywhere.getsockname()[1]):
                    pass

    async def test_no_host_means_every_address(self) -> None:
        with bind("", 0) as everywhere:
            assert everywhere.getsockname()[0] in ("::", "0.0.0.0")
