"""What others do instead, and what breaks when the exporter does it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from exporter.api.errors import ApiError
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow
from exporter.collector.hub import HubCollector
from exporter.collector.state import StateNotWritten
from exporter.collector.sweeps import HubSweeps
from exporter.ledger import ledger as ledger_module
from exporter.ledger.book import Book, digest_of
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.search import Ruler
from exporter.ledger.snapshot import FinishedView
from exporter.ledger.status import RuntimeStatus

Mutant = Callable[[pytest.MonkeyPatch], None]


def without_overlap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ruler, "next", lambda _: 0.0)


def without_ruler(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ruler, "next", lambda self: self.overlap)


def that_drops_what_it_cannot_read(patch: pytest.MonkeyPatch) -> None:
    original = HubSweeps._read_one

    async def read(self: HubSweeps, instance_id: str) -> None:
        try:
            await original(self, instance_id)
        except ApiError:
            self.ledger.tracked.untrack(instance_id)

    patch.setattr(HubSweeps, "_read_one", read)


def without_book(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Book, "has", lambda *_: False)


def that_takes_a_finish_for_its_id_and_times(patch: pytest.MonkeyPatch) -> None:
    def digest(row: InstanceRow) -> int:
        return digest_of(_with_status(row, "Completed"))

    patch.setattr(ledger_module, "digest_of", digest)


def that_trusts_the_book_more_than_what_was_active(patch: pytest.MonkeyPatch) -> None:
    original = Ledger._apply_terminal

    def see(
        self: Ledger, row: InstanceRow, status: RuntimeStatus, source: Source, at: float
    ) -> None:
        seconds = (
            parse_time(row.created_time),
            parse_time(row.last_updated_time),
        )
        if self._book.has(int(max(second or 0.0 for second in seconds)), digest_of(row)):
            self.tracked.untrack(row.instance_id)
        original(self, row, status, source, at)

    patch.setattr(Ledger, "_apply_terminal", see)


def that_applies_a_census_at_its_end(patch: pytest.MonkeyPatch) -> None:
    see, complete = Ledger.apply_census_page, Ledger.complete_census
    pages: list[tuple[Ledger, Callable[[], None]]] = []

    def keep(
        self: Ledger,
        rows: Sequence[InstanceRow],
        at: float,
        ids: Sequence[str],
    ) -> None:
        pages.append((self, partial(see, self, rows, at, ids)))

    def apply(self: Ledger, *rest: float) -> None:
        for ledger, apply_page in pages:
            if ledger is self:
                apply_page()
        pages.clear()
        complete(self, *rest)

    patch.setattr(Ledger, "apply_census_page", keep)
    patch.setattr(Ledger, "complete_census", apply)


def that_believes_the_first_404(patch: pytest.MonkeyPatch) -> None:
    async def nothing(_self: HubSweeps, _instance_id: str) -> None:
        pass

    patch.setattr(HubSweeps, "_second_opinion", nothing)


def that_publishes_before_it_keeps(patch: pytest.MonkeyPatch) -> None:
    async def publish(self: HubCollector) -> None:
        self._publication.show_restored(self._ledger, self._state, self._clock.now())
        with suppress(StateNotWritten):
            await self._state.commit(self._ledger)

    patch.setattr(HubCollector, "publish", publish)


def that_forgets_at_a_restart_where_history_ends(patch: pytest.MonkeyPatch) -> None:
    original = Ledger.begin_active

    def begin(self: Ledger, server_time: float, *, is_agreed: bool = True) -> None:
        is_first = not hasattr(self, "_has_begun")
        original(self, server_time, is_agreed=is_agreed)
        if is_first:
            self._has_begun = True  # type: ignore[attr-defined]
            self._horizon.second = int(server_time)

    patch.setattr(Ledger, "begin_active", begin)


def whose_mark_moves_though_nothing_was_listed(patch: pytest.MonkeyPatch) -> None:
    original = HubSweeps.finished

    async def finished(
        self: HubSweeps, affordable: float, goes_on: Callable[[], bool]
    ) -> FinishedView | None:
        try:
            return await original(self, affordable, goes_on)
        finally:
            if self.ledger.mark is not None:
                self.ledger.mark = self.ledger._sweep_began

    patch.setattr(HubSweeps, "finished", finished)


def that_believes_a_mass_absence_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "too_many_absent", lambda _, doubtful: False)  # noqa: ARG005


MUTANTS: tuple[Mutant, ...] = (
    without_overlap,
    without_ruler,
    that_drops_what_it_cannot_read,
    without_book,
    that_takes_a_finish_for_its_id_and_times,
    that_trusts_the_book_more_than_what_was_active,
    that_applies_a_census_at_its_end,
    that_believes_the_first_404,
    that_publishes_before_it_keeps,
    that_forgets_at_a_restart_where_history_ends,
    whose_mark_moves_though_nothing_was_listed,
    that_believes_a_mass_absence_at_once,
)


def _with_status(row: InstanceRow, status: str) -> InstanceRow:
    return InstanceRow(
        instance_id=row.instance_id,
        name=row.name,
        runtime_status=status,
        created_time=row.created_time,
        last_updated_time=row.last_updated_time,
    )
