"""The sweeps of one hub: what is asked for, and what the ledger is told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from statistics import median_low
from typing import TypeVar

import anyio

from exporter.api.client import HubClient
from exporter.api.errors import ApiError
from exporter.api.listing import Listing, Page
from exporter.api.query import InstanceQuery
from exporter.api.wire import EntityRow, InstanceRow
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.snapshot import ActiveView, EntityView, FinishedView
from exporter.ledger.status import ACTIVE, TERMINAL, RuntimeStatus

Row = TypeVar("Row", InstanceRow, EntityRow)

_CONCURRENT_READS = 4
_READ_FAILURES_BEFORE_GIVING_UP = 3
_MANY_ABSENT = 100
_FAILURES_READ_PER_SWEEP = 50
_ANSWERS_THAT_TELL_THE_SKEW = 5


@dataclass(slots=True)
class SweepCost:
    """Pages and rows of one sweep."""

    pages: int = 0
    rows: int = 0


class ServerClock:
    """
    The server's clock, as far as its answers tell; *wall* is the exporter's own.

    The skew is the middle one of the last few answers: one wrong `Date`, as a proxy may send, must
    not move the horizon of the accounts.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self.wall = wall
        self._skews: deque[float] = deque(maxlen=_ANSWERS_THAT_TELL_THE_SKEW)

    @property
    def skew(self) -> float | None:
        """The server's clock less the exporter's, in seconds; None before the first answer."""
        return median_low(self._skews) if self._skews else None

    def now(self) -> float:
        """Return the server's time, early by up to a second."""
        return self.wall() + (self.skew or 0.0)

    def note(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        """Learn from a page, and return the server's time when it came."""
        if page.date is not None:
            self._skews.append(page.date - self.wall())
        return self.now()


@dataclass(slots=True)
class HubSweeps:
    """
    Runs the sweeps of a hub, one at a time.

    Raises what the client raises; rows that were read before stay facts in the ledger, only the
    aggregates wait for a sweep that was read to its end.
    """

    client: HubClient
    ledger: Ledger
    clock: ServerClock
    entity_names: tuple[str, ...] = ()
    _cost: SweepCost = field(default_factory=SweepCost)
    _census: Listing[InstanceRow] | None = None
    _census_is_second: bool = False
    _entities_before: int = 0

    def take_cost(self) -> SweepCost:
        """Return what was read since the last call."""
        cost, self._cost = self._cost, SweepCost()
        return cost

    async def active(self) -> ActiveView:
        """
        List the active instances, then read by id those that the list no longer shows.

        It is listed twice, if suspiciously many are absent. Only what the reads leave out is not
        active: a list can end early without saying so. Where very many left at once, `finished`
        looks for them in its list first.
        """
        at, doubtful = await self._list_active()
        if self.ledger.too_many_absent(doubtful=doubtful):
            at, _ = await self._list_active()
        if len(self.ledger.absent()) <= _MANY_ABSENT:
            await self._read_departed()
        return self.ledger.complete_active(at)

    async def _list_active(self) -> tuple[float, bool]:
        """List once; returns the server's time at the end, and whether the end is doubtful."""
        listing = self.client.list_instances(InstanceQuery(statuses=ACTIVE))
        at = self.clock.now()
        begun = False
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                at = self.clock.note(page)
                if not begun:
                    self.ledger.begin_active(at - page.seconds)
                    begun = True
                self.ledger.see_active(page.rows, at)
        return at, listing.is_doubtful

    async def finished(self, affordable: float) -> FinishedView:
        """
        List what was created and finished lately, then read by id what is still absent.

        *affordable* is how many seconds the listing may take; if it takes more, it will look back
        less far.
        """
        begin, source = self.ledger.look_back_from()
        absent = self.ledger.absent()
        if len(absent) > _MANY_ABSENT:
            begin = min([begin, *(created for created in absent.values() if created is not None)])
        self.ledger.begin_finished()
        listing = self.client.list_instances(InstanceQuery(statuses=TERMINAL, created_from=begin))
        at = self.clock.now()
        seconds = 0.0
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                at = self.clock.note(page)
                seconds += page.seconds
                self.ledger.see_all(page.rows, source, at)
        if source is Source.RECENT:
            self.ledger.ruler.took(seconds, affordable)
        await self._read_departed()
        return self.ledger.complete_finished(at)

    async def _read_departed(self) -> None:
        """Read the ids that left the active set; those that cannot be read stay unconfirmed."""
        await self._read_all(self.ledger.absent())
        self.ledger.end_reads()

    async def _read_all(self, instance_ids: Iterable[str]) -> None:
        """Read each of some ids; after a few failures the rest is left for another time."""
        slots = anyio.CapacityLimiter(_CONCURRENT_READS)
        failures: list[ApiError] = []

        async def read(instance_id: str) -> None:
            async with slots:
                if len(failures) >= _READ_FAILURES_BEFORE_GIVING_UP:
                    return
                try:
                    await self._read_one(instance_id)
                except ApiError as error:
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for instance_id in instance_ids:
                tasks.start_soon(read, instance_id)

    async def _read_one(self, instance_id: str) -> None:
        row: InstanceRow | None = await self.client.read_instance(instance_id)
        if row is None:
            row = await self._second_opinion(instance_id)
        if row is None:
            self.ledger.gone(instance_id)
        else:
            self.ledger.see(row, Source.READ, self.clock.now())

    async def _second_opinion(self, instance_id: str) -> InstanceRow | None:
        """List what begins with the id: a 404 alone is also what a restarting host answers."""
        listing = self.client.list_instances(InstanceQuery(id_prefix=instance_id))
        found: InstanceRow | None = None
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                found = next((row for row in page.rows if row.instance_id == instance_id), found)
        return found

    async def failed(self) -> None:
        """
        List what is Failed and was created lately, then read what the list cannot tell of.

        It is listed twice, if suspiciously many are missing.
        """
        doubtful = await self._list_failed()
        if self.ledger.too_many_resolved(doubtful=doubtful):
            await self._list_failed()
        self.ledger.complete_failed(self.clock.now())
        await self._read_all(self.ledger.failures_to_read(_FAILURES_READ_PER_SWEEP))

    async def _list_failed(self) -> bool:
        """List once; returns whether the end of the list is doubtful."""
        begin = self.ledger.begin_failed(self.clock.now())
        query = InstanceQuery(statuses=(RuntimeStatus.FAILED,), created_from=begin)
        listing = self.client.list_instances(query)
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                self.ledger.see_all(page.rows, Source.FAILED, self.clock.note(page))
        return listing.is_doubtful

    async def entities(self) -> EntityView:
        """List the entities; twice, if suspiciously few are left."""
        view, doubtful = await self._list_entities()
        if doubtful and sum(view.entities.values()) < self._entities_before:
            view, _ = await self._list_entities()
        self._entities_before = sum(view.entities.values())
        return view

    async def _list_entities(self) -> tuple[EntityView, bool]:
        """List all entities, or those of the configured names, once."""
        self.ledger.begin_entities(self.clock.now())
        doubtful = False
        for name in self.entity_names or ("",):
            listing = self.client.list_entities(name)
            async with aclosing(self._pages(listing)) as pages:
                async for page in pages:
                    self.clock.note(page)
                    self.ledger.see_entities(page.rows)
            doubtful = doubtful or listing.is_doubtful
        return self.ledger.complete_entities(), doubtful

    @property
    def census_is_running(self) -> bool:
        """Tell whether a census was begun and has not ended."""
        return self._census is not None

    async def census_step(self) -> bool:
        """
        Read one page of the census, the first of a new one if none is running; True at its end.

        After an error the next call asks for the same page again.
        """
        if self._census is None:
            self._census = self.client.list_instances(InstanceQuery(statuses=TERMINAL))
            self.ledger.begin_census()
        page = await self._census.next_page()
        if page is not None:
            self._count(page)
            self.ledger.see_census(page.rows, self.clock.note(page))
        if not self._census.finished:
            return False
        if self._census.is_doubtful and self.ledger.census_fell() and not self._census_is_second:
            self.abandon_census()
            self._census_is_second = True
            return await self.census_step()
        self._census = None
        self._census_is_second = False
        self.ledger.complete_census(self.clock.wall())
        return True

    def abandon_census(self) -> None:
        """Give up the running census."""
        self._census = None
        self.ledger.abandon_census()

    async def _pages(self, listing: Listing[Row]) -> AsyncGenerator[Page[Row], None]:
        async with aclosing(listing.read_on()) as pages:
            async for page in pages:
                self._count(page)
                yield page

    def _count(self, page: Page[Row]) -> None:
        self._cost.pages += 1
        self._cost.rows += len(page.rows)
