"""Millions of entities beside a thousand active instances: what active sweeps read and keep."""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import anyio
import structlog

from bench.counted_hub import Plan, Served, counted_hub
from bench.polled_hub import polled, sweep
from bench.report import Ratio, machine, write_section
from bench.served_hub import ACTIVE
from exporter.collector.snapshot import Sweep

FEW, MANY = 20_000, 2_000_000
RETAINED = 10_000
LOCKED = 100
INTERVAL = 30.0
CYCLES = 2
# Those of GUIDs, and the one that the instances of the hub have.
PREFIXES = (*"0123456789abcdef", "run-")
MORE_REQUESTS = 5
MOST_MEMORY = 1.1


@dataclass(frozen=True, slots=True)
class Measured:
    """What a cycle was served, the locks it found, its seconds, and the most resident kibibytes."""

    served: Served
    locked: int
    seconds: float
    memory: int


async def measure(entities: int, prefixes: str) -> Measured:
    """Poll a hub with so many entities; without prefixes its entities are listed once, too."""
    plan = Plan(retained=RETAINED, entities=entities, locked=LOCKED, traffic_seconds=0.0)
    settings = {"ID_PREFIXES": prefixes} if prefixes else {}
    with counted_hub(plan) as hub:
        async with polled(hub, interval=INTERVAL, settings=settings) as collector:
            for _ in range(CYCLES):
                hub.advance(INTERVAL)
                begin = time.process_time()
                await sweep(collector, Sweep.ACTIVE)
                seconds = time.process_time() - begin
                served = hub.served()
            if not prefixes:
                await sweep(collector, Sweep.ENTITIES)
                assert collector.snapshot.entities is not None
                assert sum(collector.snapshot.entities.entities.values()) == entities
            active = collector.snapshot.active
    assert active is not None
    assert active.tracked == ACTIVE
    locked = sum(each.locked for each in (active.locks or {}).values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(served, locked, seconds, memory)


def measured(entities: int, prefixes: Sequence[str] = ()) -> Measured:
    """Poll a hub in a process of its own."""
    command = [sys.executable, "-m", "bench.entities", str(entities), ",".join(prefixes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return Measured(**{**found, "served": Served(**found["served"])})


def without_prefixes() -> list[str]:
    """Say what active sweeps read and keep that cannot leave entities out."""
    few, many = (measured(entities) for entities in (FEW, MANY))
    assert (few.locked, many.locked) == (LOCKED, LOCKED)
    passes = many.served.entity_rows / MANY
    memory = f"most memory, {MANY:,} entities against {FEW:,}"
    return [
        f"  pages of an active sweep: {many.served.active_pages:,}, in {many.seconds:.1f} s",
        f"  the most memory, also while the entities were listed: {many.memory / 1024:.0f} MiB",
        f"  {Ratio('passes over the rows of entities in a cycle', passes, 1.0, at_most=True)}",
        f"  {Ratio(memory, many.memory / few.memory, MOST_MEMORY, at_most=True)}",
    ]


def with_prefixes() -> list[str]:
    """Say what sweeps ask for that leave entities out."""
    served = measured(MANY, PREFIXES).served
    requests = served.active_pages + served.reads
    most = len(PREFIXES) + MORE_REQUESTS
    rows = Ratio("rows of entities in a cycle", served.entity_rows, 0.0, at_most=True, unit=" ")
    name = f"requests of an active sweep with {len(PREFIXES)} prefixes"
    return [
        f"  rows looked at in a cycle with {len(PREFIXES)} id_prefixes: {served.scanned:,}",
        f"  {rows}",
        f"  {Ratio(name, requests, most, at_most=True, unit=' ')}",
        f"  requests for what finished, beside those: {served.finished_pages}",
    ]


def main() -> None:
    """Measure, print and write down."""
    lines = [f"{MANY:,} entities, {ACTIVE:,} active and {RETAINED:,} finished instances"]
    lines += without_prefixes() + with_prefixes()
    print("\n".join(lines))
    write_section("entities", [*machine(), *lines])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        print(json.dumps(asdict(anyio.run(measure, int(sys.argv[1]), sys.argv[2]))))
    else:
        main()
