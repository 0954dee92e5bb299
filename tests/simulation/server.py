"""The API of a task hub as its client sees it, without a network: pages, faults, a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

import anyio.lowlevel
import msgspec

from exporter.api.classify import Failures
from exporter.api.client import (
    GET_INSTANCE,
    LIST_ENTITIES,
    LIST_INSTANCES,
    BriefListing,
    HubClient,
)
from exporter.api.listing import Listing, Page
from exporter.api.query import EVER, InstanceQuery
from exporter.api.telemetry import ApiTelemetry
from exporter.api.wire import EntityRow, InstanceRow, InstanceStatus
from exporter.ledger.status import ACTIVE
from tests.api.paged import paged
from tests.simulation.observer import Found, Observer
from tests.simulation.troubles import FAILURES, Fault, Killed, Troubles, error_of
from tests.simulation.world import Instance, Order, Row, World

_MAX_PAGES = 100_000


@dataclass(slots=True)
class Traffic:
    """
    What was asked for by one sweep.

    A read is needless where the instance has been active since before the sweep began.
    """

    active_began: float | None = None
    recent_began: float | None = None
    active_lists: int = 0
    cuts: Counter[Found] = field(default_factory=Counter)
    doubtful_ends: int = 0
    reads: int = 0
    needless_reads: int = 0
    rows: Counter[Found] = field(default_factory=Counter)


class SimulatedClient(HubClient):
    """
    Answers what a hub with the rows of *world* would.

    Half of *latency* passes before an answer is made up, half before it arrives. Whatever is
    received is told to *observer*, page by page, before the exporter sees it.
    """

    def __init__(
        self,
        world: World,
        troubles: Troubles,
        observer: Observer,
        *,
        page_size: int,
        latency: float,
    ) -> None:
        self.hub = "simulated"
        self.telemetry = ApiTelemetry()
        self.traffic = Traffic()
        self.is_dead = False
        self._world = world
        self._troubles = troubles
        self._observer = observer
        self.page_size = page_size
        self.latency = latency
        self._by_id = world.order is Order.BY_ID

    def list_instances(
        self, query: InstanceQuery, prefixes: Sequence[str] = ()
    ) -> Listing[InstanceRow]:
        """Start to list instances."""
        found = self._found_by(query)
        self._note(found)

        async def fetch(token: bytes) -> Page[InstanceRow]:
            return await self._page(query, found, token)

        def arrived(is_last: bool) -> None:
            if found is Found.ACTIVE:
                self._observer.has_answered(self._world.now - self.latency)
            elif is_last and found in (Found.BASELINE, Found.RECENT):
                self._observer.has_covered(self.traffic.active_began or 0.0)

        return _Watched(fetch, self._observer, found, query.id_prefix, arrived)

    def list_briefly(self, query: InstanceQuery, prefixes: Sequence[str] = ()) -> BriefListing:
        """Start to list instances, with all of their rows."""
        return cast("BriefListing", self.list_instances(query, prefixes))

    def list_entities(self, entity: str = "") -> Listing[EntityRow]:
        """Start to list entities, of which there are none."""

        async def fetch(_token: bytes) -> Page[EntityRow]:
            await self._answered(LIST_ENTITIES, None)
            return Page([], b"", self._date(), self.latency, 2)

        return Listing(
            *paged(fetch),
            lambda _: [],
            max_pages=1,
            truncated=Failures("", LIST_ENTITIES).truncated,
        )

    async def read_instance(
        self,
        instance_id: str,
        *,
        history: bool = False,
        inputs: bool = False,
    ) -> InstanceStatus | None:
        """Read one instance."""
        self.traffic.reads += 1
        fault = self._troubles.of_read(self._world.now)
        await self._answered(GET_INSTANCE, fault)
        stored = self._world.rows.get(instance_id)
        began = self.traffic.active_began or 0.0
        if stored is not None and stored.since < began and not stored.is_finished:
            self.traffic.needless_reads += 1
        row = None if stored is None or fault is Fault.FALSE_404 else stored.row
        if row is not None and fault is Fault.UNKNOWN:
            row = msgspec.structs.replace(row, runtime_status="Unknown", finish=0)
        await anyio.lowlevel.checkpoint()
        self._pass_half()
        if row is not None:
            self._observer.receive([row], Found.READ)
        return row

    # -- pages ---------------------------------------------------------------------------------

    async def _page(self, query: InstanceQuery, found: Found, token: bytes) -> Page[InstanceRow]:
        fault = self._troubles.of_list(
            self._world.now, is_recent=found in (Found.BASELINE, Found.RECENT)
        )
        await self._answered(LIST_INSTANCES, fault)
        rows, following = self._slice(query, token, fault)
        if found is not Found.READ and fault in (Fault.CUT, Fault.CUT_EMPTY) and following:
            self.traffic.cuts[found] += 1
            following = b""
            if fault is Fault.CUT_EMPTY and token:
                self.traffic.doubtful_ends += found is Found.ACTIVE
                rows = []
        date = self._date()
        self._pass_half()
        self.traffic.rows[found] += len(rows)
        return Page(rows, following, date, self.latency, 1000)

    def _slice(
        self, query: InstanceQuery, token: bytes, fault: Fault | None
    ) -> tuple[list[Row], bytes]:
        matching = [row for row in self._world.listed() if _matches(row, query)]
        if not self._by_id:
            return self._offset_page(matching, token)
        # A token holds the id from which to go on, and differs from all others.
        begin = token.decode().partition("|")[2]
        left = [row for row in matching if row.instance_id >= begin]
        size = 0 if fault is Fault.EMPTY else self.page_size
        if len(left) <= size:
            return [row.row for row in left], b""
        following = f"{self._troubles.requests}|{left[size].instance_id}"
        return [row.row for row in left[:size]], following.encode()

    def _offset_page(self, matching: list[Instance], token: bytes) -> tuple[list[Row], bytes]:
        number = int(token or b"0")
        rows = matching[number * self.page_size : (number + 1) * self.page_size]
        is_full = len(rows) == self.page_size
        return [row.row for row in rows], str(number + 1).encode() if is_full else b""

    async def _answered(self, operation: str, fault: Fault | None) -> None:
        if self.is_dead:
            raise Killed
        self._pass_half()
        if fault is Fault.KILL:
            self.is_dead = True
            raise Killed
        if fault in FAILURES:
            self._pass_half()
            raise error_of(fault, operation)

    def _pass_half(self) -> None:
        if self.latency:
            self._world.advance(self.latency / 2)

    def _date(self) -> float:
        return float(int(self._world.now))

    # -- what the exporter is after ------------------------------------------------------------

    def _found_by(self, query: InstanceQuery) -> Found:
        if query.id_prefix:
            return Found.READ
        if query.statuses == ACTIVE:
            return Found.ACTIVE
        if query.statuses == ("Failed",):
            return Found.FAILED
        if query.created_from <= EVER:
            return Found.CENSUS
        return Found.BASELINE if self._observer.now.mark is None else Found.RECENT

    def _note(self, found: Found) -> None:
        if found is Found.ACTIVE:
            self.traffic.active_began = self._world.now
            self.traffic.active_lists += 1
        elif found in (Found.BASELINE, Found.RECENT):
            self.traffic.recent_began = self._world.now


class _Watched(Listing[InstanceRow]):
    """A listing whose rows the observer sees as the exporter does: each id once."""

    def __init__(
        self,
        fetch: Callable[[bytes], Awaitable[Page[InstanceRow]]],
        observer: Observer,
        found: Found,
        sought: str,
        arrived: Callable[[bool], None],
    ) -> None:
        truncated = Failures("simulated", LIST_INSTANCES).truncated
        super().__init__(*paged(fetch), _ids_of, max_pages=_MAX_PAGES, truncated=truncated)
        self._observer = observer
        self._found = found
        self._sought = sought
        self._arrived = arrived
        self._has_match = False

    async def next_page(self) -> Page[InstanceRow] | None:
        """Read the next page."""
        page = await super().next_page()
        if page is not None:
            self._watch(page)
        return page

    async def read_on(self) -> AsyncGenerator[Page[InstanceRow], None]:
        """Read on to the end."""
        async with aclosing(super().read_on()) as pages:
            async for page in pages:
                self._watch(page)
                yield page

    def _watch(self, page: Page[InstanceRow]) -> None:
        if self._sought:
            self._look_for(page.rows)
        else:
            if self._found is Found.ACTIVE and self.pages == 1:
                self._arrived(self.finished)
            self._observer.receive(page.rows, self._found)
            if self._found is not Found.ACTIVE:
                self._arrived(self.finished)

    def _look_for(self, rows: Sequence[InstanceRow]) -> None:
        """A list by prefix tells only of the id that it begins with."""
        matches = [row for row in rows if row.instance_id == self._sought]
        self._observer.receive(matches, self._found)
        self._has_match = self._has_match or bool(matches)
        if self.finished and not self._has_match:
            self._observer.is_gone(self._sought)


def _matches(row: Instance, query: InstanceQuery) -> bool:
    return (
        (not query.statuses or row.status in query.statuses)
        and row.created >= query.created_from
        and row.instance_id.startswith(query.id_prefix)
    )


def _ids_of(rows: Sequence[InstanceRow]) -> list[str]:
    return [row.instance_id for row in rows]
