"""A process that serves a synthetic hub, and says what that has cost it."""

from __future__ import annotations

import resource
import sys
import threading
import time
from dataclasses import replace

import anyio

from emulator import Emulator, ManualClock, TaskHub, running
from emulator.storage.rows import RuntimeStatus
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import SHOP, EntityClass

HUB = "SyntheticHub"
ACTIVE = 1000
AT = 1_795_428_000.0


def report() -> None:
    """Answer every line of input with the processor seconds and the most memory so far."""
    for _ in sys.stdin:
        print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


# Ids come sixteen a second, so a million rows are of one day, and all their failures are followed.
# A hub that keeps what has finished for a month, and of which one in 25 fails, follows those of a
# week: one row in a hundred.
STATUSES = {RuntimeStatus.COMPLETED: 0.96, RuntimeStatus.FAILED: 0.01}
MIX = [
    replace(
        each, statuses={**each.statuses, RuntimeStatus.COMPLETED: 0.96, RuntimeStatus.FAILED: 0.01}
    )
    for each in SHOP
]


async def main(rows: int, entities: int, age: float) -> None:
    """Serve a hub of *rows* instances, the newest of a certain *age*, until terminated."""
    clock = ManualClock(AT)
    hub = SyntheticHub(
        HUB,
        clock,
        rows=rows,
        active=min(ACTIVE, rows // 2),
        entities=[EntityClass(name="cart", rows=entities)] if entities else [],
        orchestrators=MIX,
        seed=1,
        newest=AT - age,
    )
    async with running(Emulator(TaskHub("OwnHub", clock), clock=clock, synthetic=[hub])) as url:
        print(url.rpartition(":")[2], flush=True)
        threading.Thread(target=report, daemon=True).start()
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
