"""The sweeps of one hub: what is asked for, and what the ledger is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.to_thread

from exporter.api.chain import ListingChain
from exporter.api.client import LIST_INSTANCES, BriefListing, HubClient, InstanceListing
from exporter.api.errors import ApiError, ErrorKind, HubFailed, ListingTruncated, ProtocolError
from exporter.api.listing import Listing, Page
from exporter.api.query import InstanceQuery
from exporter.api.wire import BriefRow, EntityRow, InstanceRow, bounded_row, bounded_rows
from exporter.collector.clock import ServerClock
from exporter.collector.fair_share import ProcessLimits
from exporter.ledger.absence import are_many, is_suspicious
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.snapshot import ActiveView, EntityView, FinishedView, WholeView
from exporter.ledger.status import ACTIVE, TERMINAL, RuntimeStatus

Row = TypeVar("Row", InstanceRow, EntityRow)
Instance = TypeVar("Instance", bound=BriefRow)

_CONCURRENT_READS = 4
_HUB_FAILURES_BEFORE_GIVING_UP = 3
_FAILURES_IN_A_ROW_BEFORE_GIVING_UP = 20
_MOST_UNREADABLE_KEPT = 10_000
_FAILURES_READ_PER_SWEEP = 50
# So many take some milliseconds; more are measured off the event loop.
_MOST_MEASURED_AT_ONCE = 10_000


class TooManyActive(ListingTruncated):
    """More instances are active than can be tracked; those that are have been read."""


@dataclass(slots=True)
class _ReadFailures:
    """Failures of reads by id: those of one instance, and those that all will have."""

    of_hub: int = 0
    in_a_row: int = 0

    def add(self, error: ApiError) -> None:
        self.in_a_row += 1
        self.of_hub += not isinstance(error, HubFailed | ProtocolError)

    @property
    def are_of_the_hub(self) -> bool:
        return (
            self.of_hub >= _HUB_FAILURES_BEFORE_GIVING_UP
            or self.in_a_row >= _FAILURES_IN_A_ROW_BEFORE_GIVING_UP
        )


@dataclass(slots=True)
class SweepCost:
    """Pages and rows of one sweep, and how many of the rows were refused for their long ids."""

    pages: int = 0
    rows: int = 0
    refused: int = 0

    def add(self, other: SweepCost) -> None:
        """Add what was read besides."""
        self.pages += other.pages
        self.rows += other.rows
        self.refused += other.refused


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
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    _cost: SweepCost = field(default_factory=SweepCost)
    _census: BriefListing | None = None
    _census_is_second: bool = False
    _entities_before: int = 0
    _contact_began: float | None = None
    _list_ended: bool = True
    _unreadable: dict[str, int] = field(default_factory=dict)
    _one_listing: anyio.Lock = field(default_factory=anyio.Lock)

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

        Raises:
            TooManyActive: not all have room beside those of the other hubs.
        """
        self.ledger.lives.limit(self.limits.tracked.of(self.ledger))
        at, doubtful = await self._list_active()
        if self.ledger.too_many_absent(doubtful=doubtful):
            at, _ = await self._list_active()
        absent = self.ledger.absent()
        if absent and not are_many(absent):
            await self._read_all(absent)
        if self.ledger.untracked:
            raise self._too_many_active()
        if len(self.ledger.lives) <= _MOST_MEASURED_AT_ONCE:
            return self.ledger.complete_active(at)
        return await anyio.to_thread.run_sync(self.ledger.complete_active, at)

    def _too_many_active(self) -> TooManyActive:
        tracked, left_out = len(self.ledger.lives), self.ledger.untracked
        error = TooManyActive(
            f"{tracked + left_out:,} instances are active, of which {tracked:,} can be tracked",
            hub=self.client.hub,
            operation=LIST_INSTANCES,
            kind=ErrorKind.TOO_LARGE,
            hint="give this hub an exporter of its own, or list less of it by id_prefixes",
        )
        self.client.telemetry.errors[LIST_INSTANCES, error.kind] += 1
        return error

    async def _list_active(self) -> tuple[float, bool]:
        """List once; returns the server's time at the end, and whether the end is doubtful."""
        listing = self._list(InstanceQuery(statuses=ACTIVE))
        at = self.clock.now()
        begun = False
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                at = self.clock.note(page)
                if not begun:
                    if not self.ledger.has_contact:
                        self._contact_began = self.clock.began(page)
                    agreed = page.date is not None and not self.clock.is_ignored
                    self.ledger.begin_active(at - page.seconds, is_agreed=agreed)
                    begun = True
                self.ledger.see_active(self._bounded(page.rows), at)
        return at, listing.is_doubtful

    async def finished(self, affordable: float) -> FinishedView:
        """
        List what was created and finished lately, then read by id what is still absent.

        *affordable* is how many seconds the listing may take; if it takes more, it will look back
        less far. After one that did not come to its end none is widened: all that is stored since
        the oldest of many that left may be more than can be listed.
        """
        self._settle_contact()
        at = self.clock.now()
        search = self.ledger.begin_finished(at, may_widen=self._list_ended)
        self._list_ended = False
        listing = self._list(InstanceQuery(statuses=TERMINAL, created_from=search.begin))
        seconds = 0.0
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                at = self.clock.note(page)
                seconds += page.seconds
                self.ledger.see_all(self._bounded(page.rows), search.source, at)
        self._list_ended = True
        if search.is_usual:
            self.ledger.ruler.took(seconds, affordable)
        await self._read_all(self.ledger.absent())
        self.ledger.end_reads()
        self._settle_contact()
        return self.ledger.complete_finished(at, self.limits.finishes.of(self.ledger))

    def _settle_contact(self) -> None:
        """Say again when first contact was: by now more answers have told the server's time."""
        if self._contact_began is not None:
            self.ledger.settle_contact(self.clock.at(self._contact_began))

    async def _read_all(self, instance_ids: Iterable[str]) -> None:
        """
        Read each of some ids, a few at once.

        Those that failed before come last, and what is wrong with one instance stops nothing; what
        is wrong with the hub does.
        """
        todo = iter(sorted(instance_ids, key=lambda each: self._unreadable.get(each, 0)))
        failures = _ReadFailures()

        async def work() -> None:
            for instance_id in todo:
                try:
                    await self._read_one(instance_id)
                except ApiError as error:
                    self._unreadable[instance_id] = self._unreadable.get(instance_id, 0) + 1
                    failures.add(error)
                else:
                    self._unreadable.pop(instance_id, None)
                    failures.in_a_row = 0
                if failures.are_of_the_hub:
                    return

        async with anyio.create_task_group() as tasks:
            for _ in range(_CONCURRENT_READS):
                tasks.start_soon(work)
        if len(self._unreadable) > _MOST_UNREADABLE_KEPT:
            self._unreadable.clear()

    async def _read_one(self, instance_id: str) -> None:
        row: InstanceRow | None = await self.client.read_instance(instance_id)
        if row is None:
            row = await self._second_opinion(instance_id)
        if row is None:
            self.ledger.gone(instance_id)
        else:
            self.ledger.see(bounded_row(row), Source.READ, self.clock.now())

    async def _second_opinion(self, instance_id: str) -> InstanceRow | None:
        """List what begins with the id: a 404 alone is also what a restarting host answers."""
        async with self._one_listing:
            return await self.client.find_instance(instance_id, self._count)

    async def failed(self) -> None:
        """
        List what is Failed and was created lately, then read what the list cannot tell of.

        It is listed twice, if suspiciously many are missing.
        """
        unresolved = self.ledger.unresolved
        unresolved.limit(self.limits.failures.of(self.ledger))
        begin = self.clock.now() - self.ledger.rules.failed_lookback
        unresolved.begin_listing(begin)
        doubtful = await self._list_failed(begin)
        if is_suspicious(len(unresolved.missed()), len(unresolved), doubtful=doubtful):
            unresolved.list_again()
            await self._list_failed(begin)
        unresolved.complete_listing(self.clock.now())
        await self._read_all(unresolved.to_read(_FAILURES_READ_PER_SWEEP))

    async def _list_failed(self, begin: float) -> bool:
        """List once; returns whether the end of the list is doubtful."""
        query = InstanceQuery(statuses=(RuntimeStatus.FAILED,), created_from=begin)
        listing = self._list(query)
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                at = self.clock.note(page)
                self.ledger.see_all(self._bounded(page.rows), Source.FAILED, at)
        return listing.is_doubtful

    async def entities(self) -> EntityView:
        """List the entities; twice, if suspiciously few are left."""
        view, doubtful = await self._list_entities()
        if doubtful and sum(view.entities.values()) < self._entities_before:
            view, _ = await self._list_entities()
        self._entities_before = sum(view.entities.values())
        return view

    async def whole(self) -> WholeView:
        """List all active instances, to count those outside the prefixes; entities come along."""
        fold = self.ledger.begin_whole()
        listing = self.client.list_instances(InstanceQuery(statuses=ACTIVE))
        async with aclosing(self._pages(listing)) as pages:
            async for page in pages:
                self.clock.note(page)
                fold.see(self._bounded(page.rows))
        return fold.complete()

    async def _list_entities(self) -> tuple[EntityView, bool]:
        """List all entities, or those of the configured names, once."""
        self.ledger.entities.begin(self.clock.now())
        doubtful = False
        for name in self.entity_names or ("",):
            listing = self.client.list_entities(name)
            async with aclosing(self._pages(listing)) as pages:
                async for page in pages:
                    self.clock.note(page)
                    self.ledger.entities.see(page.rows)
            doubtful = doubtful or listing.is_doubtful
        return self.ledger.entities.complete(), doubtful

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
            prefixes = self.ledger.rules.id_prefixes
            self._census = self.client.list_briefly(InstanceQuery(statuses=TERMINAL), prefixes)
            self.ledger.begin_census()
        page = await self._census.next_page()
        if page is not None:
            self._count(page)
            at = self.clock.note(page)
            rows = self._bounded(page.rows)
            ids = page.ids if rows is page.rows else ()
            self.ledger.see_census(rows, at, ids, lambda: bounded_rows(page.whole()))
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
        self._census_is_second = False
        self.ledger.abandon_census()

    def _list(self, query: InstanceQuery) -> InstanceListing:
        """Start to list instances, prefix by prefix where there are any."""
        return self.client.list_instances(query, self.ledger.rules.id_prefixes)

    async def _pages(
        self, listing: Listing[Row] | ListingChain[Row]
    ) -> AsyncGenerator[Page[Row], None]:
        async with aclosing(listing.read_on()) as pages:
            async for page in pages:
                self._count(page)
                yield page

    def _count(self, page: Page[Row] | Page[BriefRow]) -> None:
        self._cost.pages += 1
        self._cost.rows += len(page.rows)

    def _bounded(self, rows: Sequence[Instance]) -> Sequence[Instance]:
        """Return the rows of a page that can be kept; the others are counted."""
        bounded = bounded_rows(rows)
        self._cost.refused += len(rows) - len(bounded)
        return bounded
