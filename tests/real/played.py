"""Exporters that poll emulated apps and are scraped, all by a clock of their own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from emulator import Emulator, ManualClock, running
from exporter.api.connection import SharedLimits, connect
from exporter.collector.hub import HubCollector
from exporter.collector.polling_inputs import polling_inputs_of, rules_of
from exporter.collector.snapshot import ProcessView, Sweep
from exporter.metrics.exposition import Exposition
from exporter.metrics.lines import Format
from exporter.settings import load_settings

TICK = 30.0
"""As often as hubs are polled by default, and as Prometheus scrapes here; in seconds."""

_EVERY = {Sweep.FAILED: 120.0, Sweep.ENTITIES: 120.0, Sweep.CENSUS: 300.0}
_INTERVALS = {
    "intervals.active": f"{TICK:.0f}s",
    **{f"intervals.{sweep.value}": f"{seconds:.0f}s" for sweep, seconds in _EVERY.items()},
}
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)

Samples = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub to poll: an app that is emulated, or an address at which nothing answers."""

    name: str
    app: Emulator | str
    task_hub: str = "OrdersHub"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Exporter:
    """An exporter of some hubs; *target* are the labels that scrapes add to its series."""

    target: Mapping[str, str]
    hubs: Sequence[Hub]
    exposition: Exposition = field(default_factory=Exposition)
    collectors: list[HubCollector] = field(default_factory=list)

    async def open(self, stack: AsyncExitStack, clock: ManualClock) -> None:
        """Serve the apps and connect to them, until *stack* is closed."""
        for hub in self.hubs:
            url = hub.app
            if isinstance(url, Emulator):
                url = await stack.enter_async_context(running(url))
            given = {"url": url, "task_hub": hub.task_hub, **hub.options, **_INTERVALS}
            settings = load_settings(
                {}, {f"hubs.{hub.name}.{key}": value for key, value in given.items()}
            )
            (configured,) = settings.own_hubs
            client = connect(configured, SharedLimits())
            stack.push_async_callback(client.aclose)
            collector = HubCollector(
                polling_inputs_of(configured, settings.buckets),
                client,
                rules_of(configured, settings.buckets),
                wall=clock.now,
                monotonic=clock.now,
            )
            await collector.open()
            self.collectors.append(collector)

    async def poll(self, sweeps: Sequence[Sweep]) -> None:
        """Make sweeps of every hub."""
        for hub, collector in zip(self.hubs, self.collectors, strict=True):
            if isinstance(hub.app, Emulator):
                hub.app.advance()
            for sweep in sweeps:
                await collector.make(sweep)

    def scrape_into(self, samples: Samples, now: float, process: ProcessView) -> None:
        """Add what a scrape gives."""
        snapshots = [collector.snapshot for collector in self.collectors]
        shown = self.exposition.body(snapshots, now, Format.CLASSIC, process).text
        added = ",".join(f'{label}="{value}"' for label, value in self.target.items())
        for name, labels, value in _SAMPLE.findall(
            (shown + self.exposition.tail(Format.CLASSIC)).decode()
        ):
            inside = ",".join(filter(None, (labels, added)))
            samples[name].append(f"{name}{{{inside}}} {value} {now:.3f}")


async def played(
    clock: ManualClock, exporters: Sequence[Exporter], seconds: float, *, scraped_after: float = 0.0
) -> Samples:
    """
    Let time pass, and return what a Prometheus has of it; the last scrape is now.

    Hubs are polled at once, and scraped so many seconds later.
    """
    begun, samples = clock.now(), defaultdict[str, list[str]](list)
    process = ProcessView(0, 1, reload_successful=True, loaded=begun)
    async with AsyncExitStack() as stack:
        for exporter in exporters:
            await exporter.open(stack, clock)
        due = dict.fromkeys(_EVERY, begun)
        while True:
            now = clock.now()
            sweeps = [Sweep.ACTIVE, *(each for each, at in due.items() if now >= at)]
            due |= {each: now + _EVERY[each] for each in sweeps if each in _EVERY}
            for exporter in exporters:
                await exporter.poll(sweeps)
            clock.advance(scraped_after)
            for exporter in exporters:
                exporter.scrape_into(samples, clock.now(), process)
            if now >= begun + seconds:
                return samples
            clock.set(now + TICK)
