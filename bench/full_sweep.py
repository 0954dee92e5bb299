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
from exporter.emulator.synthetic.mix import LONGEST_SECONDS
from exporter.emulator.synthetic.population import ROWS_PER_SECOND

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
TARGETS = {JAVASCRIPT: 3.0, SCRIPT: 4.0, LIMIT: 0.55}


@dataclass(slots=True)
class Client:
    """A way to sweep, and the instances per processor second of every round."""

    name: str
    command: Sequence[str]
    rates: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle round."""
        return median(self.rates)

    def sweep(self) -> None:
        """Sweep once in a process of its own."""
        done = subprocess.run(self.command, check=True, capture_output=True, text=True)
        seconds, instances = done.stdout.split()[:2]
        assert int(instances) == ROWS, f"{self.name} found {instances}"
        self.rates.append(ROWS / float(seconds))

    def __str__(self) -> str:
        low, high = min(self.rates), max(self.rates)
        return f"{self.name:46} {self.median:9,.0f}  ({low:,.0f} to {high:,.0f})"


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


def clients(port: str) -> list[Client]:
    """Return the clients that can be run here."""
    sweeping = [sys.executable, "-m", "bench.sweeping"]
    found = [
        Client(LIMIT, [*sweeping, "bare", port, HUB]),
        Client(EXPORTER, [*sweeping, "exporter", port, HUB]),
        Client(SCRIPT, [sys.executable, "-m", "bench.plain_script", port, HUB]),
    ]
    node = shutil.which("node")
    if node is not None and _PACKAGE.is_dir():
        script = str(Path(__file__).with_name("javascript_client.js"))
        found.append(Client(JAVASCRIPT, [node, script, port, HUB, str(_PACKAGE)]))
    return found


def report(measured: Sequence[Client]) -> list[str]:
    """Return the lines of the report."""
    by_name = {client.name: client for client in measured}
    own = by_name[EXPORTER].median
    lines = [
        f"full sweep of {ROWS:,} instances: instances per processor second of the client,",
        f"median of {ROUNDS} rounds by turns, and the slowest and the fastest round",
        *(f"  {client}" for client in measured),
    ]
    for name, target in TARGETS.items():
        if name in by_name:
            lines.append(f"  {Ratio(f'against: {name}', own / by_name[name].median, target)}")
        else:
            lines.append(f"  not measured: {name}: node or its package is missing")
    return lines


def main() -> None:
    """Measure, print and write down."""
    with served(ROWS, NEWEST_BEFORE) as port:
        measured = clients(port)
        for _ in range(ROUNDS):
            for client in measured:
                client.sweep()
    lines = report(measured)
    print("\n".join(lines))
    write_section("full sweep", [*machine(), *lines])


if __name__ == "__main__":
    main()
