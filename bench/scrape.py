"""What a scrape costs, against the client library; and how free it leaves the event loop."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import httpx
import structlog
from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import generate_latest as classic_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as classic_families
from prometheus_client.registry import Collector as LibraryCollector

from bench.published import AT, published
from bench.report import Ratio, machine, write_section
from bench.rounds import Rounds
from exporter.cli.process import collect_garbage, tuned_garbage_collection
from exporter.collector.service import Collector, open_collector
from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import Settings, load_settings
from exporter.web.app import create_app
from exporter.web.scrapes import Scrapes
from exporter.web.server import listening

ROUNDS = 15
# Hubs and orchestrators of each: 10,000 series.
SMALL = (10, 18)

# 54,000 series.
HUBS = 190
INTERVAL = 10.0
SCRAPERS = 50
BURST_EVERY = 5.0
SECONDS = 60.0
_TICK = 0.005
# Until all hubs have been swept and counted.
WARM_UP_SECONDS = 60.0


class Library(LibraryCollector):
    """The same series as objects of the client library, beside those of the process."""

    def __init__(self, text: bytes, form: Format) -> None:
        self._form = form
        self._families: list[Metric] = (
            list(classic_families(text.decode()))
            if form is Format.CLASSIC
            else list(openmetrics_families(text.decode()))  # type: ignore[no-untyped-call] # library
        )

    def collect(self) -> Iterator[Metric]:
        yield from self._families
        yield from REGISTRY.collect()

    def exposition(self) -> bytes:
        """Return the text as the library writes it."""
        if self._form is Format.CLASSIC:
            return bytes(classic_latest(self))
        return bytes(openmetrics_latest(self))  # type: ignore[no-untyped-call] # library


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of processor time, medians of all rounds, and the number of series."""

    series: int
    library: float
    scrape: float
    again: float
    compressed: float
    written: float

    def lines(self, form: Format) -> list[str]:
        """Return them as lines of the report."""
        whole = self.library / (self.written + self.scrape)
        return [
            (
                f"  {form.name.lower()}, {self.series:,} series: client library"
                f" {self.library:.1f} ms, scrape {self.scrape:.2f} ms, the next scraper"
                f" {self.again:.2f} ms,"
            ),
            (
                f"    gzip adds {self.compressed:.2f} ms once; writing all hubs, before any scrape,"
                f" {self.written:.1f} ms ({whole:.1f} x together with a scrape)"
            ),
        ]


def costs(form: Format) -> Costs:
    """Compare with the client library, turn by turn."""
    snapshots = published(*SMALL)
    exposition = Exposition()
    body = exposition.body(snapshots, AT, form).text
    end = b"# EOF\n" if form is Format.OPENMETRICS else b""
    library = Library(body + end, form)
    assert library.exposition().startswith(body)
    rounds = []
    for _ in range(ROUNDS):
        # What hubs publish next: the same, in new objects.
        snapshots = [replace(snapshot) for snapshot in snapshots]
        rounds.append((milliseconds(library.exposition), *turn(exposition, snapshots, form)))
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    return Costs(series, *(median(taken) for taken in zip(*rounds, strict=True)))


def turn(
    exposition: Exposition, snapshots: Sequence[HubSnapshot], form: Format
) -> tuple[float, float, float, float]:
    """Return what a scrape, the next one, compressing and, before them, writing took."""

    def write() -> None:
        for snapshot in snapshots:
            exposition.write(snapshot)

    def scrape() -> None:
        exposition.body(snapshots, AT, form)
        exposition.tail(form)

    written = milliseconds(write)
    first, again = milliseconds(scrape), milliseconds(scrape)
    body = exposition.body(snapshots, AT, form)
    return first, again, milliseconds(lambda: body.compressed(b"")), written


def milliseconds(work: Callable[[], object]) -> float:
    """Return the processor time that some work takes."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


@dataclass(frozen=True, slots=True)
class Findings:
    """
    Of one run: how long the event loop was held, in milliseconds, and what was done meanwhile.

    `own` is what the process itself can have held it for; the rest of the lag is the machine's.
    """

    own: Sequence[float]
    lag: Sequence[float]
    rounds: Rounds
    sweeps: int
    processor: float

    def lines(self) -> list[str]:
        """Return them as lines of the report."""
        return [
            (
                f"    event loop held by the process itself p99 {p99(self.own):.1f} ms, most"
                f" {max(self.own):.1f} ms"
            ),
            self.rounds.line(),
            (
                f"    with what other processes took {p99(self.lag):.1f} and"
                f" {max(self.lag):.1f} ms; {self.sweeps} complete active sweeps;"
                f" {self.processor:.0%} of a core"
            ),
        ]


def p99(values: Sequence[float]) -> float:
    """Return what one of a hundred values exceeds."""
    return quantiles(values, n=100)[98]


async def watch_loop(own: list[float], lag: list[float]) -> None:
    """
    Note by how much each short sleep is longer than it should be, in milliseconds.

    On a busy machine much of that is the turn of other processes: what this one holds its loop for
    is no longer than the processor time that it uses meanwhile.
    """
    while True:
        before, used = time.perf_counter(), time.process_time()
        await anyio.sleep(_TICK)
        late = (time.perf_counter() - before - _TICK) * 1000
        lag.append(late)
        own.append(min(late, (time.process_time() - used) * 1000))


def configuration(hubs_port: int) -> dict[str, object]:
    """Return the settings of all hubs."""
    url = f"http://127.0.0.1:{hubs_port}"
    hubs = {f"hub{n:03}": {"url": url, "task_hub": f"Hub{n:03}"} for n in range(HUBS)}
    return {"hubs": hubs, "intervals": {"active": INTERVAL}, "max_requests_per_host": 4}


async def serve(hubs_port: int) -> None:
    """
    Poll all hubs and be scraped, until nothing more can come from standard input.

    Prints the port, and at the end what the event loop had to bear.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "hubs.yaml"
        file.write_text(json.dumps(configuration(hubs_port)), encoding="utf-8")
        settings = load_settings({}, {"config_file": str(file)})
    # As the daemon does.
    with tuned_garbage_collection():
        await serve_hubs(settings)


async def serve_hubs(settings: Settings) -> None:
    """Print the port once all hubs have been swept, and the findings at the end."""
    async with open_collector(settings) as collector:
        scrapes = Scrapes(collector.snapshots, lambda: settings.metrics, wall=time.time)
        collector.listen(scrapes.note_publication)
        app = create_app(collector.snapshots, scrapes, wall=time.time)
        async with (
            listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(collector.run)
            tasks.start_soon(scrapes.keep_written)
            tasks.start_soon(collect_garbage, lambda: scrapes.is_idle)
            await anyio.sleep(WARM_UP_SECONDS)
            print(server.port, flush=True)
            found = await observed(collector)
            tasks.cancel_scope.cancel()
    print(json.dumps({"held": max(found.own), "told": found.lines()}), flush=True)


async def observed(collector: Collector) -> Findings:
    """Return what happens until nothing more can come from standard input."""
    own: list[float] = []
    lag: list[float] = []
    rounds = Rounds()
    before, began = completed(collector.snapshots()), time.perf_counter()
    used = time.process_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_loop, own, lag)
        with rounds.watched():
            await anyio.to_thread.run_sync(sys.stdin.read)
            if not rounds.full:
                # What they hold the loop for counts, however rarely the daemon makes them.
                gc.collect()
                await anyio.sleep(2 * _TICK)
        tasks.cancel_scope.cancel()
    processor = (time.process_time() - used) / (time.perf_counter() - began)
    sweeps = completed(collector.snapshots()) - before
    return Findings(own, lag, rounds, sweeps, processor)


def completed(snapshots: Sequence[HubSnapshot]) -> int:
    """Return how many active sweeps were completed."""
    return sum(snapshot.sweeps[Sweep.ACTIVE].results["complete"] for snapshot in snapshots)


async def scrape_in_bursts(port: int) -> None:
    """Scrape as Prometheus does, all scrapers at once."""
    seconds: list[float] = []

    async def one(client: httpx.AsyncClient, form: Format) -> None:
        started = time.perf_counter()
        async with client.stream("GET", "/metrics", headers={"accept": form.value}) as answer:
            answer.raise_for_status()
            # As it comes: to decompress fifty of them here would take the server's processor.
            async for _ in answer.aiter_raw():
                pass
        seconds.append(time.perf_counter() - started)

    # The server closes connections that are idle for as long as a pause: none is used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + SECONDS
    async with httpx.AsyncClient(
        base_url=address, trust_env=False, timeout=60.0, limits=limits
    ) as client:
        text = (await client.get("/metrics")).text
        series = text.count("\n") - text.count("\n#")
        while time.monotonic() < deadline:
            pause = anyio.current_time() + BURST_EVERY
            async with anyio.create_task_group() as tasks:
                for place in range(SCRAPERS):
                    form = Format.OPENMETRICS if place % 2 else Format.CLASSIC
                    tasks.start_soon(one, client, form)
            await anyio.sleep_until(pause)
    print(
        f"    {len(seconds)} scrapes of {series:,} series, median {median(seconds):.2f} s,"
        f" most {max(seconds):.2f} s",
        flush=True,
    )


def main() -> None:
    """Measure, print and write down what a scrape costs, and what the event loop bears."""
    lines = [f"a scrape after every hub has published, processor time, median of {ROUNDS} rounds"]
    for form in Format:
        found = costs(form)
        lines += found.lines(form)
        name = f"a scrape against the client library, {form.name.lower()}"
        lines.append(f"  {Ratio(name, found.library / found.scrape, 20)}")
    lines += loop_lines()
    print("\n".join(lines))
    write_section("scrape", [*machine(), *lines])


def loop_lines() -> list[str]:
    """Return what the event loop bears without and with scrapers."""
    lines = [f"{HUBS} hubs swept every {INTERVAL:g} s, for {SECONDS:g} s"]
    command = [sys.executable, "-m", "bench.served_hubs", str(HUBS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hubs:
        assert hubs.stdout is not None
        port = hubs.stdout.readline().strip()
        try:
            for scraped in (False, True):
                every = f"{SCRAPERS} at once every {BURST_EVERY:g} s"
                lines.append(f"  scrapers: {every if scraped else 'none'}")
                lines += run(port, scraped=scraped)
        finally:
            hubs.terminate()
    return lines


def run(hubs_port: str, *, scraped: bool) -> list[str]:
    """Run the exporter in a process of its own, and the scrapers in another."""
    command = [sys.executable, "-m", "bench.scrape", "serve", hubs_port]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        scrapes = scraping(port) if scraped else []
        if not scraped:
            time.sleep(SECONDS)
        server.stdin.close()
        found = json.loads(server.stdout.readline())
    held = Ratio("event loop held by the process, most", found["held"], 50, at_most=True, unit="ms")
    return [*found["told"], *scrapes, f"  {held}"]


def scraping(port: str) -> list[str]:
    """Scrape for a while; returns what that was like."""
    scrapers = [sys.executable, "-m", "bench.scrape", "scrape", port]
    done = subprocess.run(scrapers, check=True, capture_output=True, text=True)
    return [done.stdout.rstrip()]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if len(sys.argv) > 1:
        work, port_of_it = sys.argv[1:]
        anyio.run({"serve": serve, "scrape": scrape_in_bursts}[work], int(port_of_it))
    else:
        main()
