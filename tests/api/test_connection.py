"""Which way requests go: straight, or through httpx where there may be a proxy."""

from __future__ import annotations

import httpx
import pytest

from exporter.api.connection import connect, open_connections
from exporter.api.query import InstanceQuery
from exporter.api.slots import HostSlots
from exporter.api.transport.client import DirectClient
from tests.api.scripted import answer, scripted
from tests.settings.configured import load_hub

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{scheme}_PROXY", raising=False)
        monkeypatch.delenv(f"{scheme.lower()}_proxy", raising=False)


async def is_direct(**variables: str) -> bool:
    async with open_connections(load_hub(variables)) as http:
        return isinstance(http, DirectClient)


async def test_without_a_proxy_requests_go_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await is_direct()
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")  # the hub is at https://
    assert await is_direct()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_where_the_environment_names_a_proxy_httpx_decides(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "azurewebsites.net")
    assert not await is_direct()


async def test_a_configured_proxy_is_left_to_httpx() -> None:
    assert not await is_direct(PROXY="http://proxy.example:3128")


@pytest.mark.parametrize("proxy", [None, "http://proxy.example:3128"])
async def test_both_ways_send_the_same_request(
    monkeypatch: pytest.MonkeyPatch, proxy: str | None
) -> None:
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with scripted(answer(x_ms_continuation_token="t"), answer()) as server:
        hub = load_hub({"URL": server.url, "KEY": "the-key", "HEADERS": '{"x-team": "orders"}'})
        client, http = connect(hub, HostSlots())
        async with http:
            assert isinstance(http, DirectClient) is (proxy is None)
            listing = client.list_instances(InstanceQuery())
            while await listing.next_page() is not None:
                pass
    assert len(server.requests) == 2
    for request, token in zip(server.requests, (None, "t"), strict=True):
        fields = httpx.Headers(dict(line.split(": ", 1) for line in request.split("\r\n")[1:]))
        assert fields["x-functions-key"] == "the-key"
        assert fields["x-team"] == "orders"
        assert fields["accept"] == "application/json"
        assert fields["accept-encoding"] == "identity"
        assert fields["user-agent"].startswith("durable-functions-exporter/")
        assert fields["host"] == server.url.split("/")[2]
        assert fields.get("x-ms-continuation-token") == token
