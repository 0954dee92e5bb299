"""How long a census reads at a real server's pace, beside a bare fetch of the same pages."""

from __future__ import annotations

import time
from statistics import median

import anyio

from bench.counted_hub import HubProcess, Plan, counted_hub
from bench.polled_hub import polled, sweep
from bench.report import Ratio, machine, write_section
from bench.served_hub import HUB
from bench.sweeping import bare_pages
from exporter.api.query import InstanceQuery
from exporter.collector.snapshot import Sweep
from exporter.ledger.status import TERMINAL

ROWS = 200_000
PAGE_SECONDS = 0.040
ROUNDS = 5


def bare(hub: HubProcess) -> float:
    """Fetch the pages one after the other and throw them away; returns the seconds."""
    with bare_pages(hub.port, HUB, InstanceQuery(statuses=TERMINAL)) as pages:
        started = time.perf_counter()
        for _ in pages:
            pass
        return time.perf_counter() - started


async def census(hub: HubProcess) -> float:
    """Make the first census of a collector; returns the seconds without the pauses of a daemon."""
    async with polled(hub, interval=30.0, durations=True) as collector:
        await sweep(collector, Sweep.ACTIVE)
        hub.served()
        started = time.perf_counter()
        await sweep(collector, Sweep.CENSUS)
        seconds = time.perf_counter() - started
        retained = collector.snapshot.retained
    assert retained is not None
    assert sum(retained.instances.values()) == ROWS
    return seconds


def report() -> list[str]:
    """Let both read, by turns; returns the lines of the report."""
    found: dict[str, list[float]] = {"bare fetch": [], "census": []}
    pages = {}
    with counted_hub(Plan(ROWS, traffic_seconds=0.0, delay=PAGE_SECONDS)) as hub:
        for _ in range(ROUNDS):
            hub.served()
            found["bare fetch"].append(bare(hub))
            pages["bare fetch"] = hub.served().pages
            found["census"].append(anyio.run(census, hub))
            pages["census"] = hub.served().pages
    ratio = median(found["census"]) / median(found["bare fetch"])
    return [
        f"{ROWS:,} finished instances, {PAGE_SECONDS * 1000:.0f} ms a page:",
        f"seconds of reading, median of {ROUNDS} rounds by turns, the fastest and the slowest",
        *(
            f"  {name:10} {median(each):6.2f}  ({min(each):.2f} to {max(each):.2f};"
            f" {pages[name]} pages)"
            for name, each in found.items()
        ),
        f"  {Ratio('census against a bare fetch', ratio, 1.1, at_most=True)}",
    ]


def main() -> None:
    """Measure, print and write down."""
    lines = report()
    print("\n".join(lines))
    write_section("census", [*machine(), *lines])


if __name__ == "__main__":
    main()
