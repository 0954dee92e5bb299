"""The sweeps of one hub: what is requested, and what the ledger receives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import anyio.to_thread

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ErrorKind, HubFailed, ListingTruncated, ProtocolError
from exporter.api.listing import Cursor, Page
from exporter.api.pacing import Priority, with_priority
from exporter.api.query import InstanceQuery
from exporter.api.telemetry import LIST_INSTANCES
from exporter.api.wire import EntityRow, InstanceRow
from exporter.collector.budgets import ProcessLimits
from exporter.collector.clock import ServerClock
from exporter.collector.stepped_listing import SteppedListing, always
from exporter.ledger.entities import EntityFold, UnfilteredFold
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.missing_rows import are_many, is_suspicious
from exporter.ledger.search import Search
from exporter.ledger.snapshot import ActiveView, EntityView, FinishedView, UnfilteredView
from exporter.ledger.status import ACTIVE, TERMINAL, RuntimeStatus, known_status

_CONCURRENT_READS = 4
_HUB_FAILURES_BEFORE_GIVING_UP = 3
_FAILURES_IN_A_ROW_BEFORE_GIVING_UP = 20
_MOST_UNREADABLE_KEPT = 10_000
_FAILURES_READ_PER_SWEEP = 50
# Measuring this many takes some milliseconds; more are measured off the event loop.
_MOST_MEASURED_AT_ONCE = 10_000


class TooManyActive(ListingTruncated):
    """More instances are active than can be tracked; those tracked were read."""


@dataclass(slots=True)
class _ReadFailures:
    """Failures of reads by id: of single instances, and of the hub."""

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


class HubSweeps:
    """
    Runs the sweeps of a hub, one at a time.

    Long ones read at least one page, and more while *goes_on* returns True; they return None or
    False if not done, and the next call continues. They raise what the client raises; rows that
    were read before stay facts in the ledger, only aggregates wait for a complete sweep. *came* is
    called with the number of rows of each page, and of those refused.
    """

    def __init__(
        self,
        client: HubClient,
        ledger: Ledger,
        clock: ServerClock,
        *,
        entity_names: Sequence[str] = (),
        limits: ProcessLimits | None = None,
        came: Callable[[int, int], None] = lambda _rows, _refused: None,
    ) -> None:
        self.client = client
        self.ledger = ledger
        self.clock = clock
        self._entity_names = entity_names
        self._limits = limits or ProcessLimits()
        self._came = came
        self._finished = SteppedListing[InstanceRow](client, self._arrived, clock.monotonic)
        self._failed = SteppedListing[InstanceRow](client, self._arrived, clock.monotonic)
        self._entities = SteppedListing[EntityRow](client, self._arrived, clock.monotonic)
        self._unfiltered = SteppedListing[InstanceRow](client, self._arrived, clock.monotonic)
        self._census = SteppedListing[InstanceRow](client, self._arrived, clock.monotonic)
        self._search: Search | None = None
        self._entity_fold: EntityFold | None = None
        self._unfiltered_fold: UnfilteredFold | None = None
        self._entities_before = 0
        self._contact_began: float | None = None
        self._list_ended = True
        self._unreadable: dict[str, int] = {}
        self._one_listing = anyio.Lock()

    def _arrived(self, page: Page[InstanceRow] | Page[EntityRow]) -> float:
        self._came(len(page.rows), page.refused)
        return self.clock.note(page)

    async def active(self, goes_on: Callable[[], bool] = always) -> ActiveView:
        """
        List the active instances, then read by id those that the listing does not show any more.

        Raises:
            ListingTruncated: *goes_on* returned False before the end.
            TooManyActive: there is no room for all of them and those of other hubs.

        A second listing must agree if suspiciously many are absent: a listing can end early without
        notice. Only what the reads confirm leaves. If very many left at once, `finished` looks for
        them in its listing first.
        """
        self.ledger.tracked.limit(self._limits.tracked.of(self.ledger))
        at, doubtful = await self._list_active(goes_on)
        if self.ledger.too_many_absent(doubtful=doubtful):
            at, _ = await self._list_active(goes_on)
        absent = self.ledger.absent()
        if absent and not are_many(absent):
            await self._read_all(absent)
        if self.ledger.untracked:
            raise self._too_many_active()
        if len(self.ledger.tracked) <= _MOST_MEASURED_AT_ONCE:
            return self.ledger.complete_active(at)
        return await anyio.to_thread.run_sync(self.ledger.complete_active, at)

    def _too_many_active(self) -> TooManyActive:
        tracked, left_out = len(self.ledger.tracked), self.ledger.untracked
        error = TooManyActive(
            f"{tracked + left_out:,} instances are active, of which {tracked:,} can be tracked",
            hub=self.client.hub,
            operation=LIST_INSTANCES,
            kind=ErrorKind.TOO_LARGE,
            hint="give this hub an exporter of its own, or list less of it by id_prefixes",
        )
        self.client.telemetry.errors[LIST_INSTANCES, error.kind] += 1
        return error

    async def _list_active(self, goes_on: Callable[[], bool]) -> tuple[float, bool]:
        """List once; return the server's time at the end, and whether the end is doubtful."""
        cursor = self._list(InstanceQuery(statuses=ACTIVE))
        at = self.clock.now()
        begun = False
        with with_priority(Priority.ACTIVE):
            async with aclosing(self.client.pages(cursor, goes_on)) as pages:
                async for page in pages:
                    at = self._arrived(page)
                    if not begun:
                        if not self.ledger.has_contact:
                            self._contact_began = self.clock.began(page)
                        agreed = page.date is not None and not self.clock.is_ignored
                        self.ledger.begin_active(at - page.seconds, is_agreed=agreed)
                        begun = True
                    self.ledger.apply_active_page(page.rows, at)
        if not cursor.finished:
            raise Failures(self.client.hub, LIST_INSTANCES).over_budget()
        return at, cursor.is_doubtful

    async def finished(
        self, affordable: float, goes_on: Callable[[], bool] = always
    ) -> FinishedView | None:
        """
        List what was created and finished recently, then read by id what is still absent.

        *affordable* is how many seconds the listing may take; after a longer one it looks back
        less. After an incomplete one the search is not widened: what is stored since the oldest of
        many that left may be more than can be listed.
        """
        self._settle_contact()
        listing = self._finished
        if self._search is None or listing.cursor is None:
            self._search = self.ledger.begin_finished(self.clock.now(), may_widen=self._list_ended)
            self._list_ended = False
            query = InstanceQuery(statuses=TERMINAL, created_from=self._search.begin)
            listing.begin(self._list(query))
        search = self._search
        with with_priority(Priority.FINISHED):
            is_done = await listing.read_on(
                goes_on, lambda page, at: self.ledger.apply_rows(page.rows, search.source, at)
            )
        if not is_done:
            return None
        listing.drop()
        self._list_ended = True
        if search.is_usual:
            self.ledger.ruler.took(listing.seconds, affordable)
        await self._read_all(self.ledger.absent())
        self.ledger.end_reads()
        self._settle_contact()
        return self.ledger.complete_finished(
            self.clock.now(), self._limits.finishes.of(self.ledger)
        )

    def _settle_contact(self) -> None:
        """Correct the time of first contact: more answers have shown the server's time."""
        if self._contact_began is not None:
            self.ledger.set_first_contact(self.clock.at(self._contact_began))

    async def _read_all(self, instance_ids: Iterable[str]) -> None:
        """
        Read each of some ids, a few at once.

        Those that failed before come last. Trouble with one instance stops nothing; trouble with
        the hub does.
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

        with with_priority(Priority.FINISHED):
            async with anyio.create_task_group() as tasks:
                for _ in range(_CONCURRENT_READS):
                    tasks.start_soon(work)
        if len(self._unreadable) > _MOST_UNREADABLE_KEPT:
            self._unreadable.clear()

    async def read_parents(
        self, instance_ids: Iterable[str], saw: Callable[[str, RuntimeStatus | None], None]
    ) -> None:
        """
        Read the parents of active instances, and call *saw* with the status of each.

        The status is None if it is certainly not stored. Unreadable ones are left for the next
        cycle.
        """
        for instance_id in instance_ids:
            try:
                row = await self._read_one(instance_id)
            except (HubFailed, ProtocolError):
                continue
            except ApiError:
                return
            saw(instance_id, None if row is None else known_status(row.runtime_status))

    async def _read_one(self, instance_id: str) -> InstanceRow | None:
        row: InstanceRow | None = await self.client.read_instance(instance_id)
        if row is None:
            row = await self._second_opinion(instance_id)
        if row is None:
            self.ledger.mark_vanished(instance_id)
        else:
            self.ledger.apply_row(row, Source.READ, self.clock.now())
        return row

    async def _second_opinion(self, instance_id: str) -> InstanceRow | None:
        """List by the id as prefix: a 404 alone may come from a restarting host."""
        async with self._one_listing:
            return await self.client.find_instance(instance_id, self._arrived)

    async def failed(self, goes_on: Callable[[], bool] = always) -> bool:
        """
        List what is Failed and was created recently, then read what the listing cannot show.

        Repeated if suspiciously many are missing. Returns whether it is done.
        """
        unresolved, listing = self.ledger.unresolved, self._failed
        if listing.cursor is None:
            begin = self.clock.now() - self.ledger.rules.failed_lookback
            unresolved.limit(self._limits.failures.of(self.ledger))
            unresolved.begin_listing(begin)
            query = InstanceQuery(statuses=(RuntimeStatus.FAILED,), created_from=begin)
            listing.begin(self._list(query))
        if not await listing.read_on(
            goes_on, lambda page, at: self.ledger.apply_rows(page.rows, Source.FAILED, at)
        ):
            return False
        if not listing.is_second and is_suspicious(
            len(unresolved.missed()), len(unresolved), doubtful=listing.is_doubtful
        ):
            unresolved.list_again()
            listing.begin_again()
            return await self.failed(goes_on)
        listing.drop()
        unresolved.complete_listing(self.clock.now())
        await self._read_all(unresolved.to_read(_FAILURES_READ_PER_SWEEP))
        self.ledger.settle_failures()
        return True

    async def entities(self, goes_on: Callable[[], bool] = always) -> EntityView | None:
        """List all entities, or those of the configured names; again if suspiciously few."""
        accounts, listing = self.ledger.entities, self._entities
        if listing.cursor is None or self._entity_fold is None:
            self._entity_fold = accounts.fold(self.clock.now())
            listing.begin(self.client.list_entities(*self._entity_names))
        fold = self._entity_fold
        if not await listing.read_on(goes_on, lambda page, _: fold.add_page(page.rows)):
            return None
        view = fold.complete()
        number = sum(view.entities.values())
        if listing.is_doubtful and number < self._entities_before and not listing.is_second:
            self._entity_fold = accounts.fold(self.clock.now())
            listing.begin_again()
            return await self.entities(goes_on)
        listing.drop()
        self._entities_before = number
        return view

    async def unfiltered(self, goes_on: Callable[[], bool] = always) -> UnfilteredView | None:
        """List all active instances, for those outside the prefixes, and entities' locks."""
        listing = self._unfiltered
        if listing.cursor is None or self._unfiltered_fold is None:
            self._unfiltered_fold = UnfilteredFold(
                self.ledger.entities, self.ledger.rules.id_prefixes, self.ledger.tracked
            )
            listing.begin(self.client.list_instances(InstanceQuery(statuses=ACTIVE)))
        fold = self._unfiltered_fold
        if not await listing.read_on(goes_on, lambda page, _: fold.add_page(page.rows)):
            return None
        listing.drop()
        return fold.complete()

    @property
    def census_is_running(self) -> bool:
        """Whether a census was begun and has not ended."""
        return self._census.cursor is not None

    async def census(self, goes_on: Callable[[], bool] = always) -> bool:
        """List all finished instances; again if suspiciously few. Return whether it is done."""
        listing = self._census
        if listing.cursor is None:
            self.ledger.begin_census()
            listing.begin(self._list(InstanceQuery(statuses=TERMINAL)))
        if not await listing.read_on(
            goes_on, lambda page, at: self.ledger.apply_census_page(page.rows, at, page.ids)
        ):
            return False
        if listing.is_doubtful and self.ledger.retained.fell() and not listing.is_second:
            self.ledger.begin_census()
            listing.begin_again()
            return await self.census(goes_on)
        listing.drop()
        self.ledger.complete_census(self.clock.wall())
        return True

    def abandon_census(self) -> None:
        """Drop the running census."""
        self._census.drop()
        self.ledger.retained.abandon()

    def _list(self, query: InstanceQuery) -> Cursor[InstanceRow]:
        """Return the start of a listing of instances, prefix by prefix if there are any."""
        return self.client.list_instances(query, self.ledger.rules.id_prefixes)
