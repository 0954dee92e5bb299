"""A full sweep of a hub: the exporter beside the official client, a plain script and the limit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.report import Ratio, machine, write_section
from bench.served_hub import HUB
from emulator.synthetic.mix import LONGEST_SECONDS
from emulator.synthetic.population import ROWS_PER_SECOND

ROWS = 1_000_000
ROUNDS = 3
DAY = 86_400.0
# So that a thirtieth of the rows is of the last day, as in a hub that keeps what has finished for a
# month.
NEWEST_BEFORE = DAY - ROWS / 30 / ROWS_PER_SECOND - LONGEST_SECONDS
_PACKAGE = Path(__file__).parents[1] / ".tools/javascript/node_modules/durable-functions"

EXPORTER = "this exporter"
LIMIT = "bare limit"
JAVASCRIPT = "official JavaScript client, getStatusAll"
SCRIPT = "plain script: httpx, json, prometheus-client"
# It copies all that it has read for every page, of 100 rows since it sends no `top`. So most of the
# rounds are of a smaller hub, in which that costs less.
FEWER_ROWS = 200_000
MONTH = 30 * DAY
FEW_ROWS = 1000


@dataclass(slots=True)
class Client:
    """A way to sweep, and what came of every round: instances a second, and kibibytes."""

    name: str
    command: Sequence[str]
    rows: int = ROWS
    rates: list[float] = field(default_factory=list)
    memory: int = 0

    @property
    def median(self) -> float:
        """Instances per processor second in the middle round."""
        return median(self.rates)

    def sweep(self) -> None:
        """Sweep once in a process of its own."""
        done = subprocess.run(self.command, check=True, capture_output=True, text=True)
        seconds, instances, *memory = done.stdout.split()
        assert int(instances) == self.rows, f"{self.name} found {instances}"
        self.rates.append(self.rows / float(seconds))
        self.memory = int(memory[0]) if memory else 0

    def __str__(self) -> str:
        low, high = min(self.rates), max(self.rates)
        rounds = f"{len(self.rates)} x {self.rows:,}"
        return f"{self.name:46} {self.median:9,.0f}  ({low:,.0f} to {high:,.0f}; {rounds})"


@contextmanager
def served(rows: int, age: float) -> Iterator[str]:
    """Run the emulator with a hub of *rows* instances, the newest of an *age*; yields its port."""
    command = [sys.executable, "-m", "bench.served_hub", str(rows), "0", str(age)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def exporter(port: str, rows: int = ROWS) -> Client:
    """Return this exporter."""
    return Client(EXPORTER, [sys.executable, "-m", "bench.sweeping", "exporter", port, HUB], rows)


def python_clients(port: str) -> list[Client]:
    """Return the clients that read a million rows in every round."""
    return [
        Client(LIMIT, [sys.executable, "-m", "bench.sweeping", "bare", port, HUB]),
        exporter(port),
        Client(SCRIPT, [sys.executable, "-m", "bench.plain_script", port, HUB]),
    ]


def javascript_client(port: str, rows: int) -> Client | None:
    """Return the official client, if it is here."""
    node = shutil.which("node")
    if node is None or not _PACKAGE.is_dir():
        return None
    script = str(Path(__file__).with_name("javascript_client.js"))
    return Client(JAVASCRIPT, [node, script, port, HUB, str(_PACKAGE)], rows)


def sweeps() -> list[Client]:
    """Let every client sweep, by turns."""
    with served(ROWS, NEWEST_BEFORE) as port, served(FEWER_ROWS, NEWEST_BEFORE) as other_port:
        measured = python_clients(port)
        javascript = javascript_client(other_port, FEWER_ROWS)
        for _ in range(ROUNDS):
            for client in (*measured, javascript):
                if client is not None:
                    client.sweep()
        javascript_once = javascript_client(port, ROWS)
        if javascript is not None and javascript_once is not None:
            javascript_once.sweep()
            measured += [javascript, javascript_once]
    return measured


def memory() -> Ratio:
    """Compare the memory that a month of finished instances takes with that of a few."""
    found = {}
    for rows in (FEW_ROWS, ROWS):
        with served(rows, MONTH) as port:
            client = exporter(port, rows)
            client.sweep()
            found[rows] = client.memory
    name = f"most memory, {ROWS:,} retained against {FEW_ROWS:,}"
    return Ratio(name, found[ROWS] / found[FEW_ROWS], 1.25, at_most=True)


def report(measured: Sequence[Client]) -> list[str]:
    """Return the lines of the report."""
    by_name = {client.name: client for client in reversed(measured)}
    own = by_name[EXPORTER].median
    lines = [
        f"full sweep of {ROWS:,} instances: instances per processor second of the client,",
        "median of the rounds by turns, the slowest and the fastest round, rounds x instances",
        *(f"  {client}" for client in measured),
    ]
    for name, target in {JAVASCRIPT: 7.0, SCRIPT: 1.5}.items():
        if name in by_name:
            lines.append(f"  {Ratio(f'against: {name}', own / by_name[name].median, target)}")
        else:
            lines.append(f"  not measured: {name}: node or its package is missing")
    limit = own / by_name[LIMIT].median
    lines.append(f"  {f'against: {LIMIT}':55} {limit:6.2f} x  (for comparison)")
    return lines


def main() -> None:
    """Measure, print and write down."""
    lines = [*report(sweeps()), f"  {memory()}"]
    print("\n".join(lines))
    write_section("full sweep", [*machine(), *lines])


if __name__ == "__main__":
    main()
