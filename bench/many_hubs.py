"""Many hubs in one process: the cadence of each, and how free the event loop stays."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

import anyio
import structlog

from bench.memory import resident_bytes
from bench.report import Ratio, machine, write_section
from exporter.collector.service import Collector, open_collector
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Settings, load_settings

HUBS = 500
INTERVAL = 30.0
SECONDS = 95.0
MOST_LAG = 50.0
# Sweeps end when their answers come, a little sooner or later than those before.
MOST_OF_INTERVAL = 1.1
MOST_SLOWER = 1.25
_TICK = 0.005
_LOOK = 0.25
# Nothing listens on the port of discard.
_REFUSING = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What came of a run.

    `lag_p99` and `lag_most` are milliseconds of the event loop. Of the reachable hubs: seconds from
    the end of a sweep to that of the next, `longest_gap` of all; how many sweeps failed; and how
    many milliseconds requests took, on the average. `resident` are megabytes, `processor` is the
    share of a core, `scrape` seconds for a scrape of all hubs.
    """

    lag_p99: float
    lag_most: float
    sweeps: int
    failed: int
    longest_gap: float
    request: float
    resident: float
    processor: float
    scrape: float

    def lines(self) -> list[str]:
        """Return them as lines of the report."""
        sweeps = f"{self.sweeps} sweeps of reachable hubs, {self.failed} failed"
        lag = f"lag p99 {self.lag_p99:.1f} ms, most {self.lag_most:.0f} ms"
        return [
            f"    {sweeps}; longest gap {self.longest_gap:.1f} s; {self.request:.1f} ms a request",
            f"    {lag}; {self.resident:.0f} MB; {self.processor:.0%} of a core",
            f"    a scrape of all hubs takes {self.scrape:.2f} s",
        ]


@dataclass(frozen=True, slots=True)
class Layout:
    """How many hubs answer, and how many beside them, which start after those, do not."""

    reachable: int
    unreachable: int = 0

    def settings(self, port: int, silent_port: int) -> Settings:
        """Return the settings of all hubs; of those that do not answer half refuse, half hang."""
        silent = f"http://127.0.0.1:{silent_port}"
        hubs = {
            f"hub{number:03}": {
                "url": f"http://127.0.0.1:{port}",
                "task_hub": f"Hub{number:03}",
            }
            for number in range(self.reachable)
        }
        for number in range(self.unreachable):
            url = silent if number % 2 else _REFUSING
            hubs[f"bad{number:03}"] = {"url": url, "task_hub": f"Bad{number:03}"}
        given = {"hubs": hubs, "intervals": {"active": INTERVAL}}
        with TemporaryDirectory() as folder:
            file = Path(folder) / "hubs.yaml"
            file.write_text(json.dumps(given), encoding="utf-8")
            return load_settings({}, {"config_file": str(file)})


ALL = Layout(HUBS)
ALONE = Layout(HUBS // 2)
BESIDE_OTHERS = Layout(HUBS // 2, HUBS // 2)


async def measure(port: int, layout: Layout) -> Findings:
    """Poll all hubs for a while."""
    lags: list[float] = []
    ends: dict[str, set[float]] = defaultdict(set)
    with silent_server() as silent_port:
        settings = layout.settings(port, silent_port)
        async with open_collector(settings) as collector, anyio.create_task_group() as tasks:
            tasks.start_soon(collector.run)
            tasks.start_soon(watch_lag, lags)
            started = time.process_time()
            with anyio.move_on_after(SECONDS):
                await watch_ends(collector, ends)
            processor = (time.process_time() - started) / SECONDS
            tasks.cancel_scope.cancel()
    return findings(collector.snapshots(), lags, list(ends.values()), processor)


@contextmanager
def silent_server() -> Iterator[int]:
    """Let connections to a port be made, or hang, and never be answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server.getsockname()[1]


async def watch_lag(lags: list[float]) -> None:
    """Note by how much each short sleep is longer than it should be, in milliseconds."""
    while True:
        before = time.perf_counter()
        await anyio.sleep(_TICK)
        lags.append((time.perf_counter() - before - _TICK) * 1000)


async def watch_ends(collector: Collector, ends: dict[str, set[float]]) -> None:
    """Note when active sweeps ended, by hub."""
    while True:
        for snapshot in collector.snapshots():
            completed = snapshot.sweeps[Sweep.ACTIVE].completed
            if completed is not None:
                ends[snapshot.identity.name].add(completed)
        await anyio.sleep(_LOOK)


def findings(
    snapshots: Sequence[HubSnapshot],
    lags: Sequence[float],
    ends: Sequence[set[float]],
    processor: float,
) -> Findings:
    """Sum up a run."""
    reachable = [each for each in snapshots if each.identity.name.startswith("hub")]
    assert len(ends) == len(reachable), "a hub was never swept, or one that cannot be"
    sweeps = [each.sweeps[Sweep.ACTIVE].results for each in reachable]
    longest = max(map(longest_gap, ends))
    exposition = Exposition()
    for snapshot in snapshots:
        exposition.write(snapshot)
    started = time.perf_counter()
    exposition.body(snapshots, time.time(), Format.CLASSIC)
    return Findings(
        lag_p99=quantiles(lags, n=100)[98],
        lag_most=max(lags),
        sweeps=sum(each["complete"] for each in sweeps),
        failed=sum(each["failed"] + each["truncated"] for each in sweeps),
        longest_gap=longest,
        request=1000 * mean_request(reachable),
        resident=resident_bytes() / 1e6,
        processor=processor,
        scrape=time.perf_counter() - started,
    )


def longest_gap(ends: set[float]) -> float:
    """Return the most seconds from one end to the next, or to now."""
    return max(later - end for end, later in pairwise([*sorted(ends), time.time()]))


def mean_request(snapshots: Sequence[HubSnapshot]) -> float:
    """Return how many seconds requests took on the average."""
    durations = [each for snapshot in snapshots for each in snapshot.api.durations.values()]
    return sum(each.total for each in durations) / sum(sum(each.counts) for each in durations)


def ratios(everything: Findings, alone: Findings, beside: Findings) -> list[Ratio]:
    """Compare the runs with what they should show."""
    gap = f"longest gap of a hub's sweeps / {INTERVAL:g} s"
    gaps = beside.longest_gap / alone.longest_gap
    return [
        Ratio("lag of the event loop, p99, ms", everything.lag_p99, MOST_LAG, True, " "),
        Ratio(gap, everything.longest_gap / INTERVAL, MOST_OF_INTERVAL, True),
        Ratio("beside unreachable hubs: failed sweeps", beside.failed, 0.0, True, " "),
        Ratio("sweeps against those of hubs alone", beside.sweeps / alone.sweeps, 0.95),
        Ratio("longest gap against that of hubs alone", gaps, MOST_SLOWER, True),
        Ratio("time of a request likewise", beside.request / alone.request, MOST_SLOWER, True),
        Ratio("lag p99 likewise", beside.lag_p99 / alone.lag_p99, MOST_SLOWER, True),
    ]


async def idle() -> float:
    """Return the lag of a process that does nothing else: that of the machine."""
    lags: list[float] = []
    with anyio.move_on_after(SECONDS):
        await watch_lag(lags)
    return quantiles(lags, n=100)[98]


def measured(port: str, *layouts: Layout) -> tuple[list[Findings], float]:
    """Poll in a process for each layout, all at once; returns also the lag of an idle process."""
    module = [sys.executable, "-m", "bench.many_hubs"]
    asked = [json.dumps(asdict(layout)) for layout in layouts]
    commands = [[*module, port, layout] for layout in asked]
    with ExitStack() as stack:
        *polling, doing_nothing = (
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for command in [*commands, [*module, "idle"]]
        )
        found = [Findings(**json.loads(process.communicate()[0])) for process in polling]
        return found, float(doing_nothing.communicate()[0])


def main() -> None:
    """Measure, print and write down."""
    command = [sys.executable, "-m", "bench.served_hubs", str(HUBS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            (everything,), lag = measured(port, ALL)
            # Those two at the same time: the machine is as busy for the one as for the other.
            (alone, beside), lag_of_both = measured(port, ALONE, BESIDE_OTHERS)
        finally:
            server.terminate()
    lines = [
        f"hubs in one process, each swept every {INTERVAL:g} s, for {SECONDS:g} s",
        f"  {HUBS} reachable; lag p99 of an idle process meanwhile {lag:.1f} ms",
        *everything.lines(),
        f"  {HUBS // 2} reachable; lag p99 of an idle process meanwhile {lag_of_both:.1f} ms",
        *alone.lines(),
        f"  at the same time {HUBS // 2} reachable and as many unreachable",
        *beside.lines(),
        *(f"  {ratio}" for ratio in ratios(everything, alone, beside)),
    ]
    if max(lag, lag_of_both) > MOST_LAG / 5:
        lines.append("  the machine was too busy: its own lag is a large part of what was measured")
    print("\n".join(lines))
    write_section("many hubs", [*machine(), *lines])


if __name__ == "__main__":
    if sys.argv[1:] == ["idle"]:
        print(anyio.run(idle))
    elif len(sys.argv) > 1:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        chosen = Layout(**json.loads(sys.argv[2]))
        print(json.dumps(asdict(anyio.run(measure, int(sys.argv[1]), chosen))))
    else:
        main()
