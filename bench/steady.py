"""A cycle in which little has happened in a big hub, beside a sweep of the whole hub."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median

import anyio
import structlog

from bench.counted_hub import STARTS_PER_SECOND, HubProcess, Plan, Served, counted_hub
from bench.polled_hub import polled, sweep
from bench.report import Ratio, machine, write_section
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep

INTERVAL = 25.0
FINISHES = INTERVAL * STARTS_PER_SECOND
RETAINED = 1_000_000
FEW, MANY = 10_000, 10_000_000
# Within 64 cycles every look-back of the ruler comes, the longest once.
ROUNDS, CYCLES_PER_ROUND = 4, 16
FURTHEST_LOOK_BACK = 7200.0
REQUEST_CYCLES = 32
SCAN_ROWS = 1000
SCANNED_CYCLES = 2


@dataclass(slots=True)
class Measured:
    """Processor seconds of full sweeps and of cycles, and what cycles asked for and found."""

    full: list[float] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    finishes: list[int] = field(default_factory=list)
    tracked: list[int] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)

    async def cycle(self, hub: HubProcess, collector: HubCollector) -> None:
        """Let the time of an interval pass, and make a cycle."""
        hub.advance(INTERVAL)
        before = finished(collector)
        begin = time.process_time()
        await sweep(collector, Sweep.ACTIVE)
        self.cycles.append(time.process_time() - begin)
        self.served.append(hub.served())
        self.finishes.append(finished(collector) - before)
        assert collector.snapshot.active is not None
        self.tracked.append(collector.snapshot.active.tracked)
        self.intervals.append(collector.snapshot.sweeps[Sweep.ACTIVE].interval)

    async def full_sweep(self, collector: HubCollector) -> None:
        """Sweep the whole hub."""
        begin = time.process_time()
        await sweep(collector, Sweep.ACTIVE, Sweep.CENSUS)
        self.full.append(time.process_time() - begin)


def finished(collector: HubCollector) -> int:
    """Return how many finishes were counted."""
    return sum(collector.snapshot.counters["finished"].values())


async def measure(plan: Plan, rounds: int, cycles: int) -> Measured:
    """Poll a hub; in every round make some cycles, and before them sweep the whole hub on MSSQL."""
    found = Measured()
    scans = plan.scan_rows is not None
    with counted_hub(plan) as hub:
        async with polled(hub, interval=INTERVAL, durations=scans) as collector:
            await sweep(collector, Sweep.ACTIVE)
            for _ in range(rounds):
                if not scans:
                    await found.full_sweep(collector)
                for _ in range(cycles):
                    await found.cycle(hub, collector)
    return found


def measured(plan: Plan, rounds: int, cycles: int) -> Measured:
    """Poll a hub in a process of its own."""
    arguments = (json.dumps(asdict(plan)), str(rounds), str(cycles))
    command = [sys.executable, "-m", "bench.steady", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return Measured(**{**found, "served": [Served(**each) for each in found["served"]]})


def processor_lines(found: Measured) -> list[str]:
    """Say what cycles cost, as shares of a full sweep."""
    shares = [100 * each / median(found.full) for each in found.cycles]
    rounds = [
        f"{mean(shares[first : first + CYCLES_PER_ROUND]):.2f}"
        for first in range(0, len(shares), CYCLES_PER_ROUND)
    ]
    ratio = Ratio(
        "processor time of a cycle, mean, in % of a full sweep",
        mean(shares),
        1.5,
        at_most=True,
        unit="%",
    )
    cycles = f"{len(found.cycles)} cycles by turns with them, every look-back among them"
    return [
        f"steady cycles: {RETAINED:,} retained, {median(found.tracked):,.0f} active,",
        f"{mean(found.finishes):.1f} finishes a cycle on average",
        f"  {len(found.full)} full sweeps: {spread(found.full)} s",
        f"  {cycles}, in % of the median of those:",
        f"  {spread(shares)}; means of the rounds {', '.join(rounds)}",
        f"  {ratio}",
    ]


def spread(values: Sequence[float]) -> str:
    """Return the median, the least and the most."""
    return f"median {median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def requests(found: Measured) -> list[int]:
    """Return what each cycle asked for."""
    return [each.pages + each.reads for each in found.served]


def indexed_lines() -> list[str]:
    """Compare the requests of cycles where the provider has indexes."""
    few, many = (
        requests(measured(Plan(retained=rows, mssql=True), 1, REQUEST_CYCLES))
        for rows in (FEW, MANY)
    )
    differing = sum(one != other for one, other in zip(few, many, strict=True))
    name = f"requests of mssql, {MANY:,} retained against {FEW:,}"
    return [
        f"requests per cycle, of the same {REQUEST_CYCLES} cycles",
        f"  mssql, {FEW:,} retained: {spread(few)}",
        f"  mssql, {MANY:,} retained: {spread(many)}, other ones in {differing} cycles",
        f"  {Ratio(name, sum(many) / sum(few), 1.0, at_most=True)}",
    ]


def scanned_lines(rows: int) -> list[str]:
    """Say what cycles ask for where the table is scanned."""
    found = measured(Plan(retained=rows, scan_rows=SCAN_ROWS), 1, SCANNED_CYCLES)
    listings = sum(each.pages for each in found.served)
    filled = sum(each.scanned for each in found.served) / listings / SCAN_ROWS
    cycles = len(found.served)
    interval = f"sweep_interval_seconds {max(found.intervals):.0f}, {INTERVAL:g} as configured"
    reads = sum(each.reads for each in found.served) / cycles
    return [
        f"  azure-storage, {rows:,} retained: {listings / cycles:,.0f} pages a cycle,",
        f"    each of which looked at {filled:.0%} of the {SCAN_ROWS:,} rows that it may look at,",
        f"    and {reads:.0f} reads by id; {interval}",
    ]


def main() -> None:
    """Measure, print and write down."""
    lines = processor_lines(
        measured(
            Plan(retained=RETAINED, traffic_seconds=FURTHEST_LOOK_BACK + 600.0, mssql=True),
            ROUNDS,
            CYCLES_PER_ROUND,
        )
    )
    lines += indexed_lines()
    for rows in (FEW, MANY):
        lines += scanned_lines(rows)
    print("\n".join(lines))
    write_section("steady cycle", [*machine(), *lines])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        plan = Plan(**json.loads(sys.argv[1]))
        found = anyio.run(measure, plan, int(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps(asdict(found)))
    else:
        main()
