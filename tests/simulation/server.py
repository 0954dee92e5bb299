"""The API of a task hub as its client sees it, without a network: pages, faults, a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio.lowlevel
import msgspec

from emulator.api import ExtensionVersion
from emulator.storage.table import InstanceQuery as StoredQuery
from exporter.api.listing import Cursor, Page
from exporter.api.query import EVER, InstanceQuery, Query
from exporter.api.telemetry import GET_INSTANCE, LIST_ENTITIES, LIST_INSTANCES
from exporter.api.wire import InstanceRow, InstanceStatus
from exporter.ledger.status import ACTIVE
from tests.api.paged import ClientOfPages, MadePage
from tests.simulation.fault_plan import FAILURES, Fault, FaultPlan, Killed, error_of
from tests.simulation.observer import Found, Observer
from tests.simulation.world import AZURE_STORAGE, Instance, Row, World

Listed = TypeVar("Listed")
_COVERING = (Found.BASELINE, Found.RECENT)
_AT_ONCE = (Found.ACTIVE, Found.READ)


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


class SimulatedClient(ClientOfPages):
    """
    Answers what a hub with the rows of *world* would.

    Half of *latency* passes before an answer is made up, half before it arrives. Whatever is
    received is told to *observer*, page by page, before the exporter sees it.
    """

    def __init__(
        self,
        world: World,
        faults: FaultPlan,
        observer: Observer,
        *,
        page_size: int,
        latency: float,
        pauses: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__("simulated")
        self.traffic = Traffic()
        self.is_dead = False
        self._world = world
        self._faults = faults
        self._observer = observer
        self.page_size = page_size
        self.latency = latency
        self._pauses = pauses

    def list_instances(
        self, query: InstanceQuery, prefixes: Sequence[str] = ()
    ) -> Cursor[InstanceRow]:
        """Start to list instances."""
        found = self._found_by(query)
        self._note(found)
        return _Sought([query], found=found, began=self.traffic.active_began or 0.0)

    async def pages(
        self, cursor: Cursor[Listed], goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[Page[Listed], None]:
        """Read on; the observer sees the rows as the exporter does: each id once."""
        in_steps = not isinstance(cursor, _Sought) or cursor.found not in _AT_ONCE
        until = (lambda: goes_on() and not self._pauses()) if in_steps else goes_on
        async with aclosing(super().pages(cursor, until)) as pages:
            async for page in pages:
                self._watch(cursor, page)
                yield page

    def _watch(self, cursor: Cursor[Any], page: Page[Any]) -> None:
        sought = cursor.queries[0]
        if not isinstance(sought, InstanceQuery):
            return
        found = cursor.found if isinstance(cursor, _Sought) else self._found_by(sought)
        if sought.id_prefix:
            self._look_for(sought.id_prefix, cursor, page.rows)
            return
        if found is Found.ACTIVE and cursor.pages == 1:
            self._observer.has_answered(self._world.now - self.latency)
        self._observer.receive(page.rows, found)
        if cursor.finished and isinstance(cursor, _Sought) and found in _COVERING:
            self._observer.has_covered(cursor.began)

    def _look_for(self, instance_id: str, cursor: Cursor[Any], rows: Sequence[InstanceRow]) -> None:
        """A list by prefix tells only of the id that it begins with."""
        matches = [row for row in rows if row.instance_id == instance_id]
        self._observer.receive(matches, Found.READ)
        if isinstance(cursor, _Sought):
            cursor.has_match = cursor.has_match or bool(matches)
            if cursor.finished and not cursor.has_match:
                self._observer.is_gone(instance_id)

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        """Return the page of a token; there are no entities."""
        if isinstance(query, InstanceQuery):
            return await self._page_of(query, self._found_by(query), token)
        await self._answered(LIST_ENTITIES, None)
        return MadePage([], b"", self._date(), self.latency)

    async def read_instance(
        self,
        instance_id: str,
        *,
        history: bool = False,
        inputs: bool = False,
    ) -> InstanceStatus | None:
        """Read one instance."""
        self.traffic.reads += 1
        fault = self._faults.of_read(self._world.now)
        await self._answered(GET_INSTANCE, fault)
        stored = self._world.get(instance_id)
        began = self.traffic.active_began or 0.0
        if stored is not None and stored.since < began and not stored.finish:
            self.traffic.needless_reads += 1
        row = None if stored is None or fault is Fault.FALSE_404 else stored.shown
        if row is not None and fault is Fault.UNKNOWN:
            row = msgspec.structs.replace(row, runtime_status="Unknown", finish=0)
        await anyio.lowlevel.checkpoint()
        self._pass_half()
        if row is not None:
            self._observer.receive([row], Found.READ)
        return row

    # -- pages ---------------------------------------------------------------------------------

    async def _page_of(self, query: InstanceQuery, found: Found, token: bytes) -> MadePage:
        fault = self._faults.of_list(
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
        return MadePage(rows, following, date, self.latency)

    def _slice(
        self, query: InstanceQuery, token: bytes, fault: Fault | None
    ) -> tuple[list[Row], bytes]:
        backend = self._world.backend
        is_empty = fault is Fault.EMPTY and backend is AZURE_STORAGE
        asked = StoredQuery(
            created_from=query.created_from,
            statuses=frozenset(query.statuses) or None,
            id_prefix=query.id_prefix,
            top=0 if is_empty else self.page_size,
        )
        given = token.decode().rpartition("|")[2]
        page = backend.page(self._world.table, asked, given, ExtensionVersion.V3)
        rows = [row.shown for row in page.rows if isinstance(row, Instance)]
        following = page.token.strip()
        if is_empty and following:  # differs from that which led here
            following = f"{self._faults.requests}|{following}"
        return rows, following.encode()

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


@dataclass(slots=True)
class _Sought(Cursor[InstanceRow]):
    """A list, what it is for, and when the active sweep before it began."""

    found: Found = Found.ACTIVE
    began: float = 0.0
    has_match: bool = False
