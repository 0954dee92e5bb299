"""A process that serves a synthetic hub with traffic, and tells what it was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import anyio

from bench.served_hub import ACTIVE, AT, HUB, MIX
from emulator import Emulator, Entity, Instance, ManualClock, TaskHub, running
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, Latency
from emulator.backends.mssql import MSSQL
from emulator.storage.rows import RuntimeStatus
from emulator.storage.table import EntityQuery, InstanceQuery
from emulator.synthetic.hub import SyntheticHub
from emulator.synthetic.mix import LONGEST_SECONDS, EntityClass
from emulator.synthetic.paging import SyntheticPage
from emulator.synthetic.population import ROWS_PER_SECOND
from emulator.synthetic.traffic import Traffic

STARTS_PER_SECOND = 2.0
# Of which the mean is a quarter: so 1,000 instances are active at any time.
LONGEST = 2000.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to serve: finished instances, entities, and 1,000 active instances.

    These are those of traffic that began so many seconds ago; without traffic they stand still.
    `retained` are all that have finished, at least those of the traffic. `scan_rows` is the scan
    limit of Azure Storage, `None` for none; `mssql` has indexes instead. Each answer takes `delay`
    seconds.
    """

    retained: int
    entities: int = 0
    locked: int = 0
    traffic_seconds: float = 3600.0
    mssql: bool = False
    scan_rows: int | None = None
    delay: float = 0.0


@dataclass(slots=True)
class Served:
    """
    What was asked for: pages of each listing, and reads by id.

    `rows` are those of all pages, `entity_rows` those of entities among them; `scanned` are those
    that were looked at.
    """

    active_pages: int = 0
    finished_pages: int = 0
    entity_pages: int = 0
    reads: int = 0
    rows: int = 0
    entity_rows: int = 0
    scanned: int = 0

    @property
    def pages(self) -> int:
        """Pages of all listings."""
        return self.active_pages + self.finished_pages + self.entity_pages


class ControlledClock(ManualClock):
    """Moves when it is told to, but whoever waits does so in real time."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class CountedHub(SyntheticHub):
    """A synthetic hub that counts what it serves."""

    served: Served

    def get(self, instance_id: str) -> Instance | Entity | None:
        self.served.reads += 1
        return super().get(instance_id)

    def list_instances(self, query: InstanceQuery, token: str = "") -> SyntheticPage:
        if RuntimeStatus.RUNNING in (query.statuses or ()):
            self.served.active_pages += 1
        else:
            self.served.finished_pages += 1
        return self._counted(super().list_instances(query, token))

    def list_entities(self, query: EntityQuery, token: str = "") -> SyntheticPage:
        self.served.entity_pages += 1
        return self._counted(super().list_entities(query, token))

    def _counted(self, page: SyntheticPage) -> SyntheticPage:
        # Entities stand before all instances.
        entities = sum(each.rows for each in self.population.segments if each.head[0] == "@")
        served = self.served
        served.scanned += page.scanned
        for rows in page.parts:
            end = rows.view.rank(entities)
            served.rows += len(rows)
            served.entity_rows += max(0, min(rows.last, end) - rows.first)
        return page


def hub_of(plan: Plan, clock: ManualClock) -> CountedHub:
    """
    Return the hub of a plan.

    A thirtieth of what stands still finished within the last day, as in a hub that keeps a month.
    """
    traffic = None
    still = plan.retained + ACTIVE
    if plan.traffic_seconds:
        traffic = Traffic(
            begin=AT - plan.traffic_seconds,
            per_second=STARTS_PER_SECOND,
            orchestrators=[replace(each, longest=LONGEST) for each in MIX],
        )
        still = plan.retained - round(STARTS_PER_SECOND * (plan.traffic_seconds - LONGEST / 4))
    newest = AT - DAY + still / 30 / ROWS_PER_SECOND + LONGEST_SECONDS
    backend: Backend = MSSQL() if plan.mssql else AzureStorage(scan_rows=plan.scan_rows)
    entities = EntityClass(name="cart", rows=plan.entities, locked=plan.locked)
    hub = CountedHub(
        HUB,
        clock,
        rows=still,
        active=0 if traffic else ACTIVE,
        entities=[entities] if plan.entities else [],
        orchestrators=MIX,
        seed=1,
        newest=newest,
        traffic=traffic,
        backend=backend,
    )
    hub.latency = Latency(request=plan.delay)
    hub.served = Served()
    return hub


class HubProcess:
    """A serving process, seen from the one that polls: its port, its clock, and its counts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.port = int(self._output.readline())
        self.now = AT

    def served(self) -> Served:
        """Return what was served since the last call."""
        return self.advance(0.0)

    def advance(self, seconds: float) -> Served:
        """Let time pass in the hub, and return what was served since the last call."""
        self.now += seconds
        print(seconds, file=self._input, flush=True)
        return Served(**json.loads(self._output.readline()))


@contextmanager
def counted_hub(plan: Plan) -> Iterator[HubProcess]:
    """Run a serving process."""
    command = [sys.executable, "-m", "bench.counted_hub", json.dumps(asdict(plan))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield HubProcess(process)
        finally:
            process.terminate()


async def main(plan: Plan) -> None:
    """Serve until terminated; every line of input moves the clock, and is answered by counts."""
    clock = ControlledClock(AT)
    hub = hub_of(plan, clock)
    own = TaskHub("OwnHub", clock)

    def passing(seconds: float) -> Served:
        clock.advance(seconds)
        served, hub.served = hub.served, Served()
        return served

    def control() -> None:
        for line in sys.stdin:
            served = anyio.from_thread.run_sync(passing, float(line), token=token)
            print(json.dumps(asdict(served)), flush=True)

    async with running(Emulator(own, clock=clock, synthetic=[hub])) as url:
        print(url.rpartition(":")[2], flush=True)
        token = anyio.lowlevel.current_token()
        threading.Thread(target=control, daemon=True).start()
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, Plan(**json.loads(sys.argv[1])))
