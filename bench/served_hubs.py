"""A process that serves many small hubs."""

from __future__ import annotations

import sys

import anyio

from emulator import Emulator, RealClock, TaskHub, running
from emulator.synthetic.hub import SyntheticHub

ROWS = 200
ACTIVE = 20


async def main(hubs: int) -> None:
    """Serve *hubs* hubs until terminated."""
    clock = RealClock()
    served = [
        SyntheticHub(f"Hub{number:03}", clock, rows=ROWS, active=ACTIVE, seed=number)
        for number in range(hubs)
    ]
    async with running(Emulator(TaskHub("OwnHub", clock), clock=clock, synthetic=served)) as url:
        print(url.rpartition(":")[2], flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
