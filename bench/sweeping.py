"""A process that sweeps a whole hub once: the exporter's way, or the bare limit of any way."""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace

import anyio
import httpx
import msgspec

from bench.served_hub import AT
from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress, InstanceQuery
from exporter.api.transport import HubConnections, NameResolver, connections_to
from exporter.api.wire import InstanceRow
from exporter.collector.clock import ServerClock
from exporter.collector.polling_inputs import rules_of
from exporter.collector.sweeps import HubSweeps
from exporter.ledger.ledger import Ledger
from exporter.ledger.snapshot import ActiveView, RetainedView
from exporter.settings import HUB_DEFAULTS, Buckets

# At the defaults, without limits.
DEFAULT_RULES = replace(rules_of(HUB_DEFAULTS, Buckets()), limits={})

_LARGEST_PAGE = 1 << 22
_END_OF_HEAD = b"\r\n\r\n"
_TOKEN = b"x-ms-continuation-token: "
_LENGTH = b"content-length: "


def address_of(port: int, hub: str) -> HubAddress:
    """Return where a served hub is."""
    return HubAddress(f"http://127.0.0.1:{port}/runtime/webhooks/durabletask", hub)


def client_of(port: int, hub: str, http: HubConnections) -> HubClient:
    """Return the exporter's own client, with its usual limits."""
    return HubClient(
        "bench",
        address_of(port, hub),
        http=http,
        key=KeySource("key"),
        retry=RetryPolicy(0, 0.0, 0.0),
        limits=RequestLimits(60.0, 1000, 100_000, requests_per_second=10_000.0),
        host=HostSlots().of("http://hub", 4),
        bodies=BodyBudget(),
    )


@asynccontextmanager
async def connections() -> AsyncGenerator[HubConnections, None]:
    """Open connections as the exporter does."""
    tls, names = httpx.create_ssl_context(), NameResolver()
    http = connections_to("http://", tls=tls, names=names, connect_seconds=60.0)
    async with aclosing(http):
        yield http


async def sweep(port: int, hub: str) -> tuple[float, int]:
    """
    Sweep the active instances and make a whole census, after first contact was made.

    Returns the processor seconds, and the instances that were counted.
    """
    ledger, clock = Ledger(DEFAULT_RULES), ServerClock(lambda: AT, time.monotonic)
    async with connections() as http:
        sweeps = HubSweeps(client_of(port, hub, http), ledger, clock)
        await sweeps.active()
        await sweeps.finished(1e9)
        begin = time.process_time()
        active = await sweeps.active()
        await sweeps.census()
        seconds = time.process_time() - begin
    return seconds, counted(active, ledger.retained.view())


def counted(active: ActiveView, retained: RetainedView | None) -> int:
    """Return how many instances a sweep found."""
    assert retained is not None
    return sum(active.instances.values()) + sum(retained.instances.values())


@contextmanager
def bare_pages(port: int, hub: str, query: InstanceQuery) -> Iterator[Iterator[memoryview]]:
    """Read pages of 1,000 from a socket into one buffer, and yield their bodies where they are."""
    target = address_of(port, hub).url(query.path, query.parameters(1000)).raw_path
    request = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
    buffer = bytearray(_LARGEST_PAGE)
    view = memoryview(buffer)

    def pages(connection: socket.socket) -> Iterator[memoryview]:
        token = b""
        while True:
            connection.sendall(request + token + b"\r\n")
            filled = connection.recv_into(view)
            while (end := buffer.find(_END_OF_HEAD, 0, filled)) < 0:
                filled += connection.recv_into(view[filled:])
            lines = bytes(view[:end]).split(b"\r\n")
            length = int(next(line for line in lines if line.startswith(_LENGTH))[len(_LENGTH) :])
            begin = end + len(_END_OF_HEAD)
            while filled < begin + length:
                filled += connection.recv_into(view[filled:])
            yield view[begin : begin + length]
            token = next((line + b"\r\n" for line in lines if line.startswith(_TOKEN)), b"")
            if not token:
                return

    with socket.create_connection(("127.0.0.1", port)) as connection:
        yield pages(connection)


def bare(port: int, hub: str) -> tuple[float, int]:
    """Read and decode into rows, and nothing else."""
    decoder = msgspec.json.Decoder(list[InstanceRow])
    instances = 0
    with bare_pages(port, hub, InstanceQuery()) as pages:
        begin = time.process_time()
        for body in pages:
            instances += len(decoder.decode(body))
        return time.process_time() - begin, instances


def main() -> None:
    """Sweep once; prints the processor seconds, the instances and the most resident kibibytes."""
    way, port, hub = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if way == "exporter":
        seconds, instances = anyio.run(sweep, port, hub)
    else:
        seconds, instances = bare(port, hub)
    print(seconds, instances, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
