"""A process that serves one big synthetic hub, with or without traffic, in real time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from emulator import Emulator, RealClock, TaskHub, running
from emulator.storage.rows import RuntimeStatus
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import EntityClass, Orchestrator
from emulator.synthetic.traffic import Traffic

HUB = "BigHub"
DAY = 86_400.0
MONTH = 30 * DAY
ACTIVE = 50
# As many fail as is usual; all take so long that most are seen active.
MIX = [
    Orchestrator(
        name=name,
        share=share,
        longest=120.0,
        output={"order": number, "shipped": True},
        statuses={
            RuntimeStatus.COMPLETED: 0.95,
            RuntimeStatus.FAILED: 0.04,
            RuntimeStatus.TERMINATED: 0.01,
            RuntimeStatus.RUNNING: 1e-9,
        },
    )
    for number, (name, share) in enumerate(
        {"ProcessOrder": 0.7, "PaymentSaga": 0.2, "Approval": 0.05, "NightlyReport": 0.05}.items()
    )
]


def big_hub(clock: RealClock, rows: int, per_second: float) -> SyntheticHub:
    """Return a hub with a day of traffic, or without any, all a month old."""
    now = clock.now()
    traffic = None
    if per_second:
        traffic = Traffic(begin=now - DAY, per_second=per_second, orchestrators=MIX)
    return SyntheticHub(
        HUB,
        clock,
        rows=rows,
        active=0 if traffic else min(ACTIVE, rows // 2),
        entities=[EntityClass(name="cart", rows=500)],
        orchestrators=MIX,
        newest=now - MONTH,
        traffic=traffic,
    )


@contextmanager
def served(rows: int, per_second: float = 0.0) -> Generator[str, None, None]:
    """Run a serving process; yields its URL."""
    command = [sys.executable, "-m", "tests.cli.served_hub", str(rows), str(per_second)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def main(rows: int, per_second: float) -> None:
    """Serve until terminated."""
    clock = RealClock()
    big = big_hub(clock, rows, per_second)
    own = TaskHub("OwnHub", clock)
    async with running(Emulator(own, clock=clock, synthetic=[big])) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), float(sys.argv[2]))
