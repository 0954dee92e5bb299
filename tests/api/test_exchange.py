"""The way to a URL is the same whether httpx takes the whole of it apart or only its begin."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.exchange import routes_below
from exporter.api.query import HubAddress, InstanceQuery, encode_id
from exporter.api.transport.client import DirectClient
from exporter.api.transport.direct import DirectTransport

BASES = st.sampled_from(
    (
        "http://127.0.0.1:7071/runtime/webhooks/durabletask",
        "https://app.example/a%20b/durabletask",
        "https://app.example:8443/a b/ž/durabletask",
        "http://[::1]:80/durabletask",
    )
)
# A path has no segments that lead up or stay: both servers and httpx take them away.
IDS = st.text(min_size=1).filter(lambda text: text not in (".", ".."))
PREFIXES = st.text(max_size=9)


@pytest.fixture(scope="module")
def http() -> DirectClient:
    return DirectClient(DirectTransport(verify=httpx.create_ssl_context()))


@given(base=BASES, instance_id=IDS, twice=st.booleans())
def test_reads(http: DirectClient, base: str, instance_id: str, twice: bool) -> None:
    path = f"instances/{encode_id(instance_id, twice=twice)}"
    assert_same_way(http, base, HubAddress(base, "Hub").target(path, [("showInput", "false")]))


@given(base=BASES, prefix=PREFIXES, connection=st.none() | st.text(min_size=1))
def test_lists(http: DirectClient, base: str, prefix: str, connection: str | None) -> None:
    query = InstanceQuery(statuses=("Running", "Pending"), id_prefix=prefix)
    address = HubAddress(base, "Hub", connection)
    assert_same_way(http, base, address.target("instances", query.parameters(1000)))


def assert_same_way(http: DirectClient, base: str, target: str) -> None:
    route = routes_below(base, http)(target)
    url = httpx.URL(base + target)
    assert route.path == url.raw_path  # type: ignore[attr-defined] # it is the direct way
    assert (b"Host", url.netloc) in route.usual  # type: ignore[attr-defined] # likewise
