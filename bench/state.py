"""What a cycle writes to keep the accounts of a hub, beside what a whole state takes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from statistics import mean, median
from tempfile import TemporaryDirectory

import anyio
import structlog

from bench.report import Ratio, machine, write_section
from bench.sweeping import DEFAULT_RULES
from exporter.api.times import format_shown_time
from exporter.api.wire import InstanceRow
from exporter.collector.state import LearnedFacts, Owner
from exporter.collector.state_file import StateFile
from exporter.ledger.ledger import Ledger, Source

AT = 1_795_428_000.0
INTERVAL = 30.0
ORCHESTRATORS = 30
FINISHES = 50
MOST_BYTES = 64_000
# The last so many include one that puts changes in their places.
CYCLES = {(1_000, 1_000): 400, (100_000, 1_000): 400, (1_000_000, 1_000): 400, (1_000, 100_000): 40}
OWNER = Owner("orders", "https://app.example", "ordershub", "")
TICK_SECONDS = 0.002


@dataclass(slots=True)
class Measured:
    """Bytes and milliseconds of each commit, and what the whole takes."""

    whole_bytes: int = 0
    whole_ms: float = 0.0
    written: list[int] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    blocks: float = 0.0
    size: int = 0
    open_ms: float = 0.0
    held_ms: float = 0.0


class World:
    """Instances of many orchestrators, of which some start and some finish in every cycle."""

    def __init__(self, finishes: int, active: int) -> None:
        self.ledger = Ledger(DEFAULT_RULES)
        self.now = AT
        self._random = Random("state")
        self._active = [self._start(600.0) for _ in range(active)]
        self.ledger.begin_active(self.now)
        self._list()
        search = self.ledger.begin_finished(self.now)
        for _ in range(finishes):
            updated = self.now - 86_000.0 * self._random.random()
            row = self._row(self._start(0.0), "Completed", updated)
            self.ledger.apply_row(row, search.source, self.now)
        self.ledger.complete_finished(self.now)

    def cycle(self) -> None:
        """Let an interval pass: as many start as finish, all that stay make progress."""
        self.now += INTERVAL
        ended = [
            self._active.pop(self._random.randrange(len(self._active))) for _ in range(FINISHES)
        ]
        self._active += [self._start(INTERVAL) for _ in range(FINISHES)]
        self.ledger.begin_active(self.now)
        self._list()
        self.ledger.begin_finished(self.now)
        rows = [
            self._row(each, "Completed", self.now - INTERVAL * self._random.random())
            for each in ended
        ]
        self.ledger.apply_rows(rows, Source.RECENT, self.now)
        self.ledger.complete_finished(self.now)
        self.ledger.counters(self.now, 120.0)

    def _start(self, within: float) -> tuple[str, str, float]:
        """Return the id, the name and the start of an instance."""
        number = self._random.randrange(ORCHESTRATORS)
        created = self.now - within * self._random.random()
        return f"{self._random.getrandbits(128):032x}", f"ProcessOrder{number}", created

    def _row(self, instance: tuple[str, str, float], status: str, updated: float) -> InstanceRow:
        instance_id, name, created = instance
        shown = format_shown_time(min(created, updated))
        return InstanceRow(instance_id, name, status, shown, format_shown_time(updated))

    def _list(self) -> None:
        self.ledger.apply_active_page(
            [self._row(each, "Running", self.now) for each in self._active], self.now
        )
        self.ledger.complete_active(self.now)


def block_bytes() -> int:
    """Return the bytes of the blocks that this process has changed on a disk, so far."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


async def held_ms(work: Callable[[], Awaitable[None]]) -> float:
    """Return for how long the event loop was held at most while *work* was waited for."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await anyio.sleep(TICK_SECONDS)
            late = time.perf_counter() - began - TICK_SECONDS
            longest = max(longest, late)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await anyio.sleep(10 * TICK_SECONDS)
        await work()
        tasks.cancel_scope.cancel()
    return 1000 * longest


async def measure(finishes: int, active: int) -> Measured:
    """Keep the state of a world through its cycles, and open it again."""
    world, found = World(finishes, active), Measured()
    with TemporaryDirectory() as folder:

        def state_file() -> StateFile:
            return StateFile(Path(folder), OWNER, max_age=1e9, wall=lambda: world.now)

        with closing(state_file()) as state:
            await state.open(world.ledger.rules)

            async def commit() -> None:
                state.learned = LearnedFacts({"Running": world.now})
                await state.commit(world.ledger)

            begin = time.perf_counter()
            found.held_ms = await held_ms(commit)
            found.whole_ms = 1000 * (time.perf_counter() - begin)
            found.whole_bytes = state.use.written_bytes or 0
            blocks = block_bytes()
            for _ in range(CYCLES[finishes, active]):
                world.cycle()
                before, begin = state.use.written_bytes or 0, time.perf_counter()
                await commit()
                found.ms.append(1000 * (time.perf_counter() - begin))
                found.written.append((state.use.written_bytes or 0) - before)
            found.blocks = (block_bytes() - blocks) / len(found.ms)
            found.size = state.path.stat().st_size
        with closing(state_file()) as state:
            begin = time.perf_counter()
            await state.open(world.ledger.rules)
            found.open_ms = 1000 * (time.perf_counter() - begin)
    return found


def measured(finishes: int, active: int) -> Measured:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.state", str(finishes), str(active)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Measured(**json.loads(done.stdout))


def lines_of(finishes: int, active: int, found: Measured) -> Sequence[str]:
    """Say what one hub takes."""
    written = [each / 1000 for each in found.written]
    mean_written = Ratio(
        "kB written per cycle, mean", mean(written), MOST_BYTES / 1000, at_most=True, unit="kB"
    )
    whole = f"whole: {found.whole_bytes / 1000:,.0f} kB in {found.whole_ms:.0f} ms"
    cycles = f"{len(written)} cycles: median {median(written):.1f} kB, most {max(written):,.0f} kB"
    blocks = f"blocks of the disk that change: {found.blocks / 1000:.1f} kB per cycle, mean"
    return [
        f"{finishes:,} finishes, {active:,} active, {FINISHES} finish and start per cycle",
        f"  {whole}, event loop held {found.held_ms:.0f} ms; opened in {found.open_ms:.0f} ms",
        f"  {cycles}; median {median(found.ms):.1f} ms, most {max(found.ms):.0f} ms",
        f"  {blocks}; file in the end {found.size / 1000:,.0f} kB",
        f"  {mean_written}",
    ]


def main() -> None:
    """Measure, print and write down."""
    lines: list[str] = []
    for finishes, active in CYCLES:
        lines += lines_of(finishes, active, measured(finishes, active))
    print("\n".join(lines))
    write_section("state", [*machine(), *lines])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        print(json.dumps(asdict(anyio.run(measure, int(sys.argv[1]), int(sys.argv[2])))))
    else:
        main()
