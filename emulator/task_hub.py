"""A task hub in memory: its rows, listings, and the log that is the truth about it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from emulator.api import ExtensionVersion
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, Latency, Listing
from emulator.clock import Clock
from emulator.engine.engine import Engine
from emulator.engine.functions import Functions
from emulator.engine.orchestration import Identities
from emulator.engine.pace import Crash, Pace
from emulator.engine.workers import Worker
from emulator.faults import Faults
from emulator.storage.rows import Entity, Instance, Row, RuntimeStatus
from emulator.storage.table import EntityQuery, InstanceQuery, Table


@dataclass(frozen=True, slots=True)
class Start:
    """A start of an instance; `visible` is when its row first showed it."""

    name: str
    instance_id: str
    created: float
    visible: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an instance; `visible` is when its row first showed it."""

    name: str
    instance_id: str
    status: RuntimeStatus
    created: float
    updated: float
    visible: float


class TaskHub:
    """
    The instances and entities of one hub.

    `functions` are those of the app that serves it, if any. `starts` and `finishes` log what its
    rows showed, in that order: the truth that an observer is measured by. `worker` is the language
    of the app. Raises `HubNameRefused` for a name that the backend does not take.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        functions: Functions | None = None,
        seed: int | str = 0,
        pace: Pace | None = None,
        crashes: Sequence[Crash] = (),
        version: ExtensionVersion = ExtensionVersion.V3,
        identities: Identities | None = None,
        backend: Backend | None = None,
        worker: Worker = Worker.DOTNET,
    ) -> None:
        self.name = name
        self.clock = clock
        self.backend = backend or AzureStorage()
        self.backend.check_hub(name)
        self.latency = Latency()
        self.faults = Faults(f"{name}/{seed}")
        self.starts: list[Start] = []
        self.finishes: list[Finish] = []
        self._table = Table()
        self.version = version
        self.functions = functions
        self.engine = Engine(
            self,
            functions=functions,
            seed=seed,
            pace=pace,
            crashes=crashes,
            version=version,
            identities=identities,
            traits=self.backend.traits,
            worker=worker,
        )
        self.advance()

    @property
    def is_down(self) -> bool:
        """Whether the host is down, and answers nothing."""
        return self.engine.host.is_down(self.clock.now())

    def advance(self) -> float:
        """Run what is due by now, and return the time."""
        now = self.clock.now()
        self.engine.advance(now)
        return now

    def put(self, row: Row, *, at: float | None = None) -> None:
        """Insert or replace a row, now or *at* a time."""
        previous = self._table.get(row.instance_id)
        self._table.put(row)
        if isinstance(row, Instance):
            self._log(previous, row, self.clock.now() if at is None else at)

    def remove(self, instance_id: str) -> None:
        """Delete a row, if there is one."""
        self._table.remove(instance_id)

    def purge(self, instance_id: str) -> bool:
        """Delete an instance or entity in any state; returns whether there was one."""
        self.engine.forget(instance_id)
        return self._table.remove(instance_id) is not None

    def purge_where(self, query: InstanceQuery) -> int:
        """Delete the instances and entities that match; returns how many."""
        found = [row.instance_id for row in self._table if query.matches(row)]
        return sum(self.purge(instance_id) for instance_id in found)

    def purge_finished(self, *, before: float) -> None:
        """Delete the orchestrations that ended before a time."""
        old = [row for row in self.instances() if row.status.terminal and row.updated < before]
        for row in old:
            self.purge(row.instance_id)

    def forget(self, *, before: float) -> None:
        """Drop log entries from before a time."""
        self.starts = [start for start in self.starts if start.visible >= before]
        self.finishes = [finish for finish in self.finishes if finish.visible >= before]

    def get(self, instance_id: str) -> Row | None:
        """Return the row of an instance or entity."""
        return self._table.get(instance_id)

    def entity(self, class_name: str, key: str) -> Entity | None:
        """Return an existing entity; the class in any letter case."""
        row = self._table.get(f"@{class_name.lower()}@{key}")
        return row if isinstance(row, Entity) and row.exists else None

    def instances(self) -> Iterator[Instance]:
        """Iterate over the orchestrations, in key order."""
        return (row for row in self._table if isinstance(row, Instance))

    def entities(self) -> Iterator[Entity]:
        """Iterate over the entities, also deleted ones, in key order."""
        return (row for row in self._table if isinstance(row, Entity))

    def list_instances(self, query: InstanceQuery, token: str = "") -> Listing[Row]:
        """
        Return a page of the matching instances and entities.

        Raises `ApiError` for a token or page size that the backend rejects.
        """
        return self.backend.page(self._table, query, token, self.version)

    def list_entities(self, query: EntityQuery, token: str = "") -> Listing[Entity]:
        """
        Return a page of the matching, existing entities.

        Raises `ApiError` for a token or page size that the backend rejects.
        """
        page = self.backend.page(self._table, query, token, self.version)
        found = [row for row in page.rows if isinstance(row, Entity) and row.exists]
        return Listing(found, page.token, page.scanned)

    def endless_token(self, number: int) -> str:
        """Return a token behind the last row, another one per number."""
        return self.backend.endless_token(number, self.version)

    def _log(self, previous: Row | None, row: Instance, at: float) -> None:
        same_life = previous is not None and previous.created == row.created
        was_terminal = previous is not None and previous.status.terminal
        # A newer createdTime while active is the next generation.
        if previous is None or (was_terminal and not same_life):
            self.starts.append(Start(row.name, row.instance_id, row.created, at))
        if row.status.terminal and not (was_terminal and same_life):
            finish = Finish(row.name, row.instance_id, row.status, row.created, row.updated, at)
            self.finishes.append(finish)


Pair = tuple[str, RuntimeStatus]


@dataclass(frozen=True, slots=True)
class Truth:
    """
    The state of a hub at a time.

    Orchestrations are counted by name and status, existing entities by class; the oldest times are
    truncated to seconds, as in the API.
    """

    at: float
    instances: Mapping[Pair, int]
    oldest_created: Mapping[Pair, int]
    oldest_updated: Mapping[Pair, int]
    entities: Mapping[str, int]


def truth(hub: TaskHub) -> Truth:
    """Return what an exporter of the hub should show now."""
    now = hub.advance()
    rows = list(hub.instances())
    pairs = [(row.name, row.status) for row in rows]
    return Truth(
        at=now,
        instances=Counter(pairs),
        oldest_created=_oldest(zip(pairs, (row.created for row in rows), strict=True)),
        oldest_updated=_oldest(zip(pairs, (row.updated for row in rows), strict=True)),
        entities=Counter(entity.class_name for entity in hub.entities() if entity.exists),
    )


def finishes_between(hub: TaskHub, after: float, until: float) -> Mapping[Pair, int]:
    """Count finishes after one time and up to another, by name and status."""
    hub.advance()
    return Counter(
        (finish.name, finish.status) for finish in hub.finishes if after < finish.updated <= until
    )


def _oldest(times: Iterable[tuple[Pair, float]]) -> Mapping[Pair, int]:
    oldest: dict[Pair, int] = {}
    for pair, time in times:
        oldest[pair] = min(oldest.get(pair, int(time)), int(time))
    return oldest
