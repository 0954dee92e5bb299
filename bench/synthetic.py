"""What the synthetic hub of the emulator costs: pages a second of one core, and memory."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from statistics import median

from bench.served_hub import HUB
from emulator.synthetic.layout import BLOCK_ROWS

SMALL = 10_000
LARGE = 10_000_000
PAGES = 400
ROUNDS = 5
TARGET = 500

_PATH = f"/runtime/webhooks/durabletask/{{path}}top=1000&taskHub={HUB}"
# What is asked for, and whether from the middle of the table on.
QUERIES = {
    "every row, from the first on": ("instances?showInput=false&instanceIdPrefix=&", False),
    "every row, from the middle on": ("instances?", True),
    "finished rows": (
        "instances?showInput=false&runtimeStatus=Completed,Failed,Terminated&",
        False,
    ),
    "failed rows, from the middle on": ("instances?runtimeStatus=Failed&", True),
    "active instances, one in 10,000": (
        "instances?runtimeStatus=Pending,Running,Suspended&instanceIdPrefix=run-&",
        False,
    ),
    "entities with their state": ("entities?fetchState=true&", False),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Pages per second of a query, of every round: of the server's processor, and by the clock."""

    name: str
    of_processor: list[float]
    of_clock: list[float]

    @property
    def median(self) -> float:
        """The middle round, of the server's processor."""
        return median(self.of_processor)

    def __str__(self) -> str:
        return (
            f"{self.name:34} {self.median:6.0f} ({min(self.of_processor):.0f} to"
            f" {max(self.of_processor):.0f}), {self.median / TARGET:4.2f} x {TARGET};"
            f" {median(self.of_clock):5.0f} by the clock"
        )


class ServedHub:
    """A serving process, and a connection to it that reads pages and decodes nothing."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        port = int(self._output.readline())
        self._connection = socket.create_connection(("127.0.0.1", port))

    def close(self) -> None:
        self._connection.close()

    def cost(self) -> tuple[float, int]:
        """Return the processor seconds of the process so far, and the most memory it had."""
        print("cost", file=self._input, flush=True)
        seconds, memory = self._output.readline().split()
        return float(seconds), int(memory)

    def pages(self, path: str, token: str) -> Iterator[int]:
        """Read page after page, from the begin again after the last; yields their sizes."""
        target = _PATH.format(path=path)
        following = token
        while True:
            size, following = self._page(target, following)
            yield size
            following = following or token

    def _page(self, target: str, token: str) -> tuple[int, str]:
        header = f"x-ms-continuation-token: {token}\r\n" if token else ""
        self._connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode()
        )
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        lines = received[:end].decode().split("\r\n")[1:]
        fields = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(fields["content-length"])
        left = end + len(b"\r\n\r\n") + size - len(received)
        while left > 0:
            left -= len(self._receive())
        return size, fields.get("x-ms-continuation-token", "")

    def _receive(self) -> bytes:
        received = self._connection.recv(1 << 20)
        assert received, "The server has gone"
        return received


@contextmanager
def served_hub(rows: int) -> Iterator[ServedHub]:
    """Run a serving process."""
    command = [sys.executable, "-m", "bench.served_hub", str(rows), str(rows // 5), "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            hub = ServedHub(process)
            yield hub
            hub.close()
        finally:
            process.terminate()


def rates(hubs: Mapping[int, ServedHub], name: str) -> dict[int, Rate]:
    """Read pages of hubs of several sizes in rounds by turns, after a few to get warm."""
    path, from_middle = QUERIES[name]
    listings = {
        rows: hub.pages(path, middle(rows) if from_middle else "") for rows, hub in hubs.items()
    }
    found = {rows: Rate(name, [], []) for rows in hubs}
    for pages in listings.values():
        read(pages, PAGES // 10)
    for _ in range(ROUNDS):
        for rows, pages in listings.items():
            measure(hubs[rows], pages, found[rows])
    return found


def measure(hub: ServedHub, pages: Iterator[int], found: Rate) -> None:
    """Read pages for one round."""
    used, _ = hub.cost()
    started = time.perf_counter()
    read(pages, PAGES)
    found.of_clock.append(PAGES / (time.perf_counter() - started))
    found.of_processor.append(PAGES / (hub.cost()[0] - used))


def middle(rows: int) -> str:
    """Return the token of a page in the middle of the instances."""
    key = f"run-{rows // 2 // BLOCK_ROWS:025}500"
    return base64.b64encode(key.encode()).decode()


def read(pages: Iterator[int], count: int) -> None:
    """Read some pages, each of which has rows."""
    assert all(size > len("[]") for size in islice(pages, count))


def main() -> None:
    """Print the rates and the ratios."""
    with served_hub(SMALL) as small_hub, served_hub(LARGE) as large_hub:
        hubs = {SMALL: small_hub, LARGE: large_hub}
        found = [rates(hubs, name) for name in QUERIES]
        memory = {rows: hub.cost()[1] for rows, hub in hubs.items()}
    print(
        f"pages of 1,000 rows of a synthetic hub of {LARGE:,} a second of one core,"
        f" median of {ROUNDS} rounds of {PAGES} pages"
    )
    for of_query in found:
        print(f"  {of_query[LARGE]}")
    first, middle_on = (of_query[LARGE].median for of_query in found[:2])
    print(f"  from the middle on: {middle_on / first:.2f} x the rate from the first page on")
    print(f"  {LARGE:,} rows: {first / found[0][SMALL].median:.2f} x the rate of {SMALL:,} rows")
    print(f"  {LARGE:,} rows: {memory[LARGE] / memory[SMALL]:.2f} x the memory of {SMALL:,} rows")


if __name__ == "__main__":
    main()
