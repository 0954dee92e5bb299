"""Many hubs in one process: the cadence of each, and how free the event loop stays."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
import structlog

from bench.memory import resident_bytes
from exporter.collector.service import Collector, open_collector
from exporter.collector.snapshot import Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.formats import Format
from exporter.settings import load_settings

HUBS = 500
SECONDS = 90.0
INTERVAL = 30.0
_TICK = 0.005
# Nothing listens on the port of discard.
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Findings:
    """Of one run: milliseconds of lag, seconds between sweeps, megabytes, shares."""

    lag_p99: float
    lag_most: float
    fewest_sweeps: int
    median_sweeps: float
    resident: float
    processor: float
    scrape: float

    def __str__(self) -> str:
        return (
            f"lag of the event loop p99 {self.lag_p99:.1f} ms, most {self.lag_most:.1f} ms; "
            f"active sweeps per reachable hub {self.fewest_sweeps} at least, "
            f"{self.median_sweeps:.0f} median; {self.resident:.0f} MB resident; "
            f"{self.processor:.0%} of a core; a scrape of all hubs {self.scrape:.2f} s"
        )


def configuration(port: int, unreachable: int) -> dict[str, object]:
    """Return the settings of all hubs, the first *unreachable* of which nobody serves."""
    hubs = {
        f"hub{number:03}": {
            "url": _NOWHERE if number < unreachable else f"http://127.0.0.1:{port}",
            "task_hub": f"Hub{number:03}",
        }
        for number in range(HUBS)
    }
    return {"hubs": hubs, "intervals": {"active": INTERVAL}, "host_requests": 4}


async def measure(port: int, unreachable: int) -> Findings:
    """Poll all hubs for a while."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hubs.yaml"
        file.write_text(json.dumps(configuration(port, unreachable)), encoding="utf-8")
        settings = load_settings({}, {"config_file": str(file)})
    lags: list[float] = []
    async with open_collector(settings) as collector, anyio.create_task_group() as tasks:
        tasks.start_soon(collector.run)
        started = time.process_time()
        with anyio.move_on_after(SECONDS):
            await watch_lag(lags)
        processor = (time.process_time() - started) / SECONDS
        tasks.cancel_scope.cancel()
    return findings(collector, lags, processor, unreachable)


async def watch_lag(lags: list[float]) -> None:
    """Note by how much each short sleep is longer than it should be, in milliseconds."""
    while True:
        before = time.perf_counter()
        await anyio.sleep(_TICK)
        lags.append((time.perf_counter() - before - _TICK) * 1000)


def findings(
    collector: Collector, lags: Sequence[float], processor: float, unreachable: int
) -> Findings:
    """Sum up a run."""
    snapshots = collector.snapshots()
    sweeps = [
        snapshot.sweeps[Sweep.ACTIVE].results["complete"] for snapshot in snapshots[unreachable:]
    ]
    exposition = Exposition()
    for snapshot in snapshots:
        exposition.write(snapshot)
    started = time.perf_counter()
    exposition.body(snapshots, time.time(), Format.CLASSIC)
    return Findings(
        lag_p99=quantiles(lags, n=100)[98],
        lag_most=max(lags),
        fewest_sweeps=min(sweeps),
        median_sweeps=median(sweeps),
        resident=resident_bytes() / 1e6,
        processor=processor,
        scrape=time.perf_counter() - started,
    )


def main() -> None:
    """Print what was found: all hubs reachable, then half of them."""
    command = [sys.executable, "-m", "bench.served_hubs", str(HUBS)]
    print(f"{HUBS} hubs in one process, swept every {INTERVAL:g} s, for {SECONDS:g} s")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            for unreachable in (0, HUBS // 2):
                work = [sys.executable, "-m", "bench.many_hubs", port, str(unreachable)]
                result = subprocess.run(work, check=True, capture_output=True, text=True)
                print(f"  {unreachable} unreachable: {result.stdout.strip()}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(anyio.run(measure, int(sys.argv[1]), int(sys.argv[2])))
