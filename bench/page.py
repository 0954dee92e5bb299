"""What a page of 1,000 rows costs: the bare fetch and decode, and the exporter's whole way."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from statistics import median

import anyio
import msgspec

from bench.sweeping import DEFAULT_RULES, client_of, connections
from exporter.api.client import HubClient
from exporter.api.listing import Page
from exporter.api.query import InstanceQuery
from exporter.api.wire import InstanceRow
from exporter.ledger.ledger import Ledger
from exporter.ledger.status import ACTIVE, TERMINAL

PAGES = 200
ROUNDS = 7
AT = 1_795_428_000.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """Milliseconds of processor time per page, of every round."""

    name: str
    rounds: list[float]

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.rounds)

    def __str__(self) -> str:
        low, high = min(self.rounds), max(self.rounds)
        return f"{self.name:44} {self.median:6.2f} ms  ({low:.2f} to {high:.2f})"


@contextmanager
def served_pages() -> Iterator[int]:
    """Run the serving process; yields its port."""
    command = [sys.executable, "-m", "bench.served_pages"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def bare(port: int, target: str) -> None:
    """Read pages from a socket and decode them into the same rows, nothing else."""
    decoder = msgspec.json.Decoder(list[InstanceRow])
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(PAGES):
            connection.sendall(request)
            decoder.decode(_read_body(connection))


def _read_body(connection: socket.socket) -> memoryview:
    buffer = bytearray()
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        buffer += connection.recv(1 << 18)
    length = int(buffer[:end].rsplit(b"Content-Length: ", 1)[1])
    while len(buffer) < end + 4 + length:
        buffer += connection.recv(1 << 18)
    return memoryview(buffer)[end + 4 :]


async def one_page(client: HubClient, query: InstanceQuery) -> Page[InstanceRow]:
    """Read the first page of a list."""
    async with aclosing(client.pages(client.list_instances(query), lambda: False)) as pages:
        return await anext(pages)


async def census(client: HubClient) -> None:
    """Fetch, decode, check and fold pages of finished instances."""
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(AT)
    ledger.begin_census()
    for _ in range(PAGES):
        page = await one_page(client, InstanceQuery(statuses=TERMINAL))
        ledger.apply_census_page(page.rows, AT, page.ids)
    ledger.complete_census(AT)


async def active(client: HubClient) -> None:
    """Fetch, decode, check, fold and measure pages of active instances, one page a sweep."""
    ledger = Ledger(DEFAULT_RULES)
    for _ in range(PAGES):
        page = await one_page(client, InstanceQuery(statuses=ACTIVE))
        ledger.begin_active(AT)
        ledger.apply_active_page(page.rows, AT)
        ledger.complete_active(AT)


def run(port: int, work: Callable[[HubClient], Awaitable[None]]) -> list[float]:
    """Do *work* in rounds with one client, after a first one to get warm."""

    async def main() -> list[float]:
        async with connections() as http:
            client = client_of(port, "BenchHub", http)
            await work(client)
            rounds = []
            for _ in range(ROUNDS):
                started = time.process_time()
                await work(client)
                rounds.append(per_page(started))
            return rounds

    return anyio.run(main)


def run_bare(port: int, target: str) -> list[float]:
    """Do the bare work in rounds, after a first one to get warm."""
    bare(port, target)
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        bare(port, target)
        rounds.append(per_page(started))
    return rounds


def per_page(started: float) -> float:
    """Return the milliseconds of processor time per page since *started*."""
    return (time.process_time() - started) * 1000 / PAGES


def main() -> None:
    """Print the table."""
    finished_target = "/instances?runtimeStatus=Completed"
    active_target = "/instances?runtimeStatus=Running"
    with served_pages() as port:
        results = [
            Measurement("bare fetch and decode, finished rows", run_bare(port, finished_target)),
            Measurement("exporter, page of a census", run(port, census)),
            Measurement("bare fetch and decode, active rows", run_bare(port, active_target)),
            Measurement("exporter, active sweep of one page", run(port, active)),
        ]
    print(f"processor time per page of 1,000 rows, median of {ROUNDS} rounds of {PAGES} pages")
    for result in results:
        print(f"  {result}")
    for limit, whole in (results[:2], results[2:]):
        print(f"  {whole.name}: {whole.median / limit.median:.2f} x the bare limit")
