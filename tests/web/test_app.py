"""The app over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from exporter.collector.snapshot import HubSnapshot, Trouble
from exporter.ledger.snapshot import ActiveView
from exporter.ledger.status import RuntimeStatus
from exporter.metrics.exposition import Format
from exporter.web.app import create_app
from exporter.web.server import CannotListen, bind, serving
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot

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
    app = create_app(lambda: snapshots, wall=lambda: NOW + 200.0)
    async with (
        serving(app, "127.0.0.1", 0, grace_seconds=1.0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as connections,
    ):
        yield connections


class TestMetrics:
    async def test_the_format_is_negotiated(self, client: httpx.AsyncClient) -> None:
        classic = await client.get("/metrics")
        openmetrics = await client.get(
            "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}
        )
        assert classic.headers["content-type"] == Format.CLASSIC.value
        assert openmetrics.headers["content-type"] == Format.OPENMETRICS.value
        assert openmetrics.text.endswith("# EOF\n")
        assert classic.headers["vary"] == "Accept, Accept-Encoding"

    async def test_it_is_compressed_for_those_who_take_it(self, client: httpx.AsyncClient) -> None:
        compressed = await client.get("/metrics", headers={"accept-encoding": "gzip"})
        plain = await client.get("/metrics", headers={"accept-encoding": "identity"})
        assert compressed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert hub_lines(compressed.text) == hub_lines(plain.text)
        assert int(compressed.headers["content-length"]) < len(plain.content) / 5

    async def test_hubs_can_be_chosen(self, client: httpx.AsyncClient) -> None:
        chosen = await client.get("/metrics", params={"task_hub": ["orders", "billing"]})
        assert 'durable_functions_up{task_hub="orders"} 1.0' in chosen.text
        assert 'durable_functions_up{task_hub="billing"} 0.0' in chosen.text
        assert "<script" not in chosen.text

    async def test_an_unknown_hub_is_not_found(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/metrics", params={"task_hub": "nope"})
        assert answer.status_code == 404
        assert "nope" in answer.text

    async def test_head_is_allowed_and_other_methods_are_not(
        self, client: httpx.AsyncClient
    ) -> None:
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")
        for path in ("/metrics", "/", "/-/healthy"):
            assert (await client.post(path)).status_code == 405
        assert (await client.get("/nothing")).status_code == 404


def hub_lines(text: str) -> list[str]:
    """Return the lines that do not tell of the process, which changes while it runs."""
    return [line for line in text.splitlines() if line.startswith("durable_functions_")]


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

    async def test_no_host_means_every_address(self) -> None:
        with bind("", 0) as everywhere:
            assert everywhere.getsockname()[0] in ("::", "0.0.0.0")
