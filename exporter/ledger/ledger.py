"""The ledger of one hub: every row is a fact, applied in the order in which it was read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from exporter.api.times import TIMES, parse_time
from exporter.api.wire import InstanceRow, entity_class, parent_of
from exporter.ledger.accounts import Accounts
from exporter.ledger.active import SpreadPairs, measure
from exporter.ledger.app_traits import AppTraits
from exporter.ledger.book import Book, digest_of, second_of
from exporter.ledger.census import CensusFold, Retained
from exporter.ledger.entities import EntityAccounts
from exporter.ledger.finish_windows import FinishWindows
from exporter.ledger.label_values import LabelValues
from exporter.ledger.missing_rows import Replacement, are_many, is_suspicious
from exporter.ledger.over_limit import OverLimits
from exporter.ledger.records import Records
from exporter.ledger.rules import SERIES_PER_ORCHESTRATOR, LedgerRules
from exporter.ledger.search import DAY, Horizon, Ruler, Search, Source
from exporter.ledger.snapshot import (
    ActiveView,
    ChangeBatch,
    CountersView,
    FinishedView,
    KnownView,
    LedgerChanges,
)
from exporter.ledger.state import SINGLE, Header, LedgerState, state_of, with_one_spelling
from exporter.ledger.status import ACTIVE_SPELLINGS, TERMINAL_SPELLINGS, RuntimeStatus
from exporter.ledger.tracked import OpenInstances, TrackedInstance
from exporter.ledger.unresolved import Unresolved

__all__ = ["Ledger", "Search", "Source"]


class Ledger:
    """
    Accounts for the instances of one hub (design 4.2).

    `open` holds the instances last seen active, `book` the known finishes; `horizon` is the second
    before which an unknown finish is history, `sweep` the number of the last active sweep. `mark`
    is when, by the server's clock, the last active sweep began whose recent finishes were listed to
    the end.
    """

    def __init__(
        self,
        rules: LedgerRules,
        saved: LedgerState | None = None,
        *,
        book: Book | None = None,
        horizon: Horizon | None = None,
    ) -> None:
        """Restore what was *saved*; a *book* or *horizon* replaces the saved one."""
        saved = with_one_spelling(saved or LedgerState(), rules.orchestrators)
        header = saved.header
        self.rules = rules
        self.mark = header.mark
        self.ruler = Ruler(rules.overlap, rules.lookback, header.cycle)
        self._horizon = horizon or Horizon(
            header.contact, header.contact_sweep, header.horizon, header.floor
        )
        self.tracked = OpenInstances(saved.open, header.sweep)
        self.untracked = 0
        self._book = Book(saved.book) if book is None else book
        self.sweep = header.sweep
        self._sweep_began = header.sweep_began
        self._searched_after = header.sweep_began
        room = max(1, rules.max_series // SERIES_PER_ORCHESTRATOR)
        self._orchestrators = LabelValues(
            min(rules.label_limit, room), rules.orchestrators, saved.orchestrators
        )
        self.label_of = self._orchestrators.label
        entities = (name.lower() for name in rules.entities)
        self.entities = EntityAccounts(
            LabelValues(rules.label_limit, entities, saved.entities, kind="entities"),
            rules.age_bounds,
        )
        entity_labels = self.entities.label_values
        self._label_values = {"orchestrator": self._orchestrators, "entity": entity_labels}
        self._locks = self.entities.fold_locks()
        self._spreads = SpreadPairs()
        self._unconfirmed = 0
        self.retained = Retained(saved.census, saved.finished_since)
        self.unresolved = Unresolved(rules.failed_lookback, saved.failures)
        self._recent = FinishWindows(saved.recent)
        self.over_limits = OverLimits(rules.limits_of, self._orchestrators.label)
        self._accounts = Accounts(rules.duration_bounds, rules.reason_limit, saved)
        self._replacement = Replacement(header.sweep, len(self.tracked), header.replaced)
        self._row_delay = 0.0
        self.traits = AppTraits(rules.worker, saved.gets_events, saved.called)
        if self._horizon.contact is not None:
            self._accounts.introduce(*self._orchestrators.labels)

    @property
    def records(self) -> tuple[Records[Any, Any], ...]:
        """Everything to save, kind by kind."""
        return (
            Records("header", None, lambda: (SINGLE,), self._saved_header),
            self.tracked.records, self._book.records, self.unresolved.records,
            self._orchestrators.records, self.entities.label_values.records,
            *self._recent.records, *self._accounts.records, *self.retained.records,
            *self.traits.records,
        )  # fmt: skip

    def saved(self) -> LedgerState:
        """Return everything to save."""
        return state_of(self.records)

    def _saved_header(self, _key: str) -> Header:
        horizon = self._horizon
        return Header(
            horizon.contact, horizon.contact_sweep, self.mark, horizon.second, horizon.floor,
            self.sweep, self._sweep_began, self.ruler.cycle, self._replacement.at,
            tuple(self.rules.duration_bounds),
        )  # fmt: skip

    # -- the one rule --------------------------------------------------------------------------

    def apply_row(self, row: InstanceRow, source: Source, at: float) -> None:
        """Apply one row, read at *at*; entities are ignored."""
        if row.instance_id[:1] == "@" and entity_class(row) is not None:
            return
        if (status := TERMINAL_SPELLINGS.get(row.runtime_status)) is not None:
            self._apply_terminal(row, status, source, at)
        elif (status := ACTIVE_SPELLINGS.get(row.runtime_status)) is not None:
            self._apply_active(row, status, at)
        else:
            instance = self.tracked.get(row.instance_id)
            if instance is not None:
                instance.sweep = self.sweep

    def _apply_active(self, row: InstanceRow, status: RuntimeStatus, at: float) -> None:
        created = parse_time(row.created_time)
        updated = parse_time(row.last_updated_time)
        instance = self.tracked.get(row.instance_id)
        if instance is not None and instance.created == created:
            instance.status, instance.updated, instance.sweep = status, updated, self.sweep
            return
        if instance is None and not self.tracked.has_room:
            self.untracked += 1
            return
        name = row.name or ""
        label = self._introduce(name)
        # At first contact the spelling is not decided yet.
        name = name if self.mark is None else self._orchestrators.spelled(name)
        had_failed = self.unresolved.is_same_run(row.instance_id, created)
        self._replacement.found(self.unresolved.resolved(row.instance_id))
        if had_failed:
            self._accounts.count("reopened")
        elif instance is not None and instance.name == name:
            self._accounts.count("continued", label)
        else:
            self._count_start(label, created, at)
        self._accounts.note_times(label, created, updated, at=at)
        parent = parent_of(row)
        if parent is not None:
            self.traits.note_called(label)
        self.tracked.track(
            row.instance_id, TrackedInstance(name, status, created, updated, self.sweep, parent)
        )

    def _apply_terminal(
        self, row: InstanceRow, status: RuntimeStatus, source: Source, at: float
    ) -> None:
        instance = self.tracked.untrack(row.instance_id)
        self.traits.note_finish(row, status)
        created, updated = TIMES[row.created_time], TIMES[row.last_updated_time]
        second = second_of(created, updated)
        failed = (updated or created) if status is RuntimeStatus.FAILED else None
        had_failed = self.unresolved.is_same_run(row.instance_id, created)
        self._replacement.found(had_failed)
        if failed is None:
            self.unresolved.resolved(row.instance_id)
        else:
            self._follow_failure(row, created, failed, source, at)
        if instance is None and second < self._horizon.floor:
            return
        digest = digest_of(row)
        known = self._book.has(second, digest)
        if not known and second >= self._horizon.floor:
            self._book.add(second, digest)
        if source is Source.CENSUS:
            self.retained.covered(digest)
        if known and instance is None:
            return
        is_news = not known and self._horizon.is_after(second, source, self.sweep)
        pair = (self._introduce(row.name or ""), status.value)
        self._recent.add(pair, second)
        self._accounts.note_times(pair[0], created, updated, at=at, finished=pair)
        if instance is None and not is_news:
            return
        self._accounts.finish(pair, row, created, updated)
        self.retained.finished(pair, digest, by_census=source is Source.CENSUS)
        if instance is None:
            self._note_delay(created, second, source, at)
            if had_failed:
                self._accounts.count("reopened")
            else:
                self._count_start(pair[0], created, at)

    def _note_delay(self, created: float | None, second: int, source: Source, at: float) -> None:
        """Note how late the finish of an instance appeared that was never seen active."""
        self._row_delay = max(self._row_delay, at - second)
        late = self.mark is not None and (created or 0.0) < self.mark - self.rules.overlap
        if source is Source.CENSUS or late:
            self._accounts.count("late_finishes")

    def _follow_failure(
        self, row: InstanceRow, created: float | None, failed: float, source: Source, at: float
    ) -> None:
        """Follow an instance Failed since *failed*; a census is too large to read each reason."""
        self.unresolved.failed(
            row.instance_id,
            self._introduce(row.name or ""),
            created,
            failed,
            now=at,
            listed=source is Source.FAILED,
            row=None if source is Source.CENSUS else row,
            parent=parent_of(row),
        )

    def settle_failures(self) -> None:
        """Decide, at the end of a listing, the reasons of failures whose rows do not suffice."""
        self._accounts.settle_failures(self.unresolved, self._orchestrators.names())

    def _count_start(self, label: str, created: float | None, at: float) -> None:
        forgotten = at - self.rules.failed_lookback
        self._accounts.start(label, created, contact=self._horizon.contact, forgotten=forgotten)

    def _introduce(self, name: str) -> str:
        """Return the label of an orchestrator, whose series exist from now on."""
        label = self._orchestrators.label(name)
        self._accounts.introduce(label)
        return label

    def _settle_spellings(self, at: float) -> None:
        """Spell names as most active instances of first contact do, before anything is shown."""
        spellings = Counter(each.name for each in self.tracked.values())
        is_first = self.sweep == self._horizon.contact_sweep
        if is_first and self._orchestrators.spell_as_most(spellings):
            self._accounts = Accounts(self.rules.duration_bounds, self.rules.reason_limit)
            self._accounts.introduce(*self._orchestrators.labels)
            for each in self.tracked.values():
                label = self._introduce(each.name)
                self._count_start(label, each.created, at)
                self._accounts.note_times(label, each.created, each.updated, at=at)
        for each in self.tracked.values():
            each.name = self._orchestrators.spelled(each.name)

    @property
    def booked(self) -> int:
        """How many finishes are in the book."""
        return len(self._book)

    # -- sweep `active` ------------------------------------------------------------------------

    def begin_active(self, server_time: float, *, is_agreed: bool = True) -> None:
        """
        Start a listing of the active instances, whose first page was requested at *server_time*.

        At first contact history ends there. *is_agreed*: two clocks agree on it.
        """
        self.sweep += 1
        self.untracked = 0
        if self._horizon.contact is None:
            self._horizon.contact_sweep = self.sweep
            self.set_first_contact(server_time)
            self._accounts.introduce(*self._orchestrators.labels)
        if self._horizon.pull_back(server_time, self.mark, is_agreed=is_agreed):
            self._recent.go_back(server_time)
            # Finishes may have been missed for any time: look back as far as any search does.
            self.mark = self.mark and min(self.mark, server_time - self.rules.lookback)
        self._recent.advance(server_time)
        self._book.advance(server_time)
        self._sweep_began = server_time
        self._locks = self.entities.fold_locks()

    @property
    def has_contact(self) -> bool:
        """Whether a page of the hub was ever read."""
        return self._horizon.contact is not None

    def set_first_contact(self, server_time: float) -> None:
        """
        Correct the time of first contact, where history ends.

        Only within the cycle of first contact, in which nothing is counted yet.
        """
        if self.mark is None and self.sweep == self._horizon.contact_sweep:
            self._horizon.settle(server_time)
            self._sweep_began = server_time

    def apply_active_page(self, rows: Sequence[InstanceRow], at: float) -> None:
        """Apply a page of the listing."""
        tracked, sweep, times = self.tracked, self.sweep, TIMES
        for row in rows:
            # Most rows show a tracked instance again, without news.
            instance = tracked.get(row.instance_id)
            if (
                instance is not None
                and instance.created == times[row.created_time]
                and (status := ACTIVE_SPELLINGS.get(row.runtime_status)) is not None
            ):
                instance.status, instance.sweep = status, sweep
                instance.updated = times[row.last_updated_time]
                if instance.parent is None and row.parent_instance_id is not None:
                    instance.parent = parent_of(row)
            elif row.instance_id[:1] == "@" and (entity := entity_class(row)) is not None:
                self._locks.add(entity, row)
            else:
                self.apply_row(row, Source.ACTIVE, at)

    def absent(self) -> dict[str, float | None]:
        """Return the ids in `open` that the listing did not show, with their createdTime."""
        return self.tracked.absent(self.sweep)

    def too_many_absent(self, *, doubtful: bool) -> bool:
        """Return whether a second listing must agree; *doubtful*: this one may have ended early."""
        return is_suspicious(len(self.absent()), len(self.tracked), doubtful=doubtful)

    def complete_active(self, at: float) -> ActiveView:
        """End a listing read to its end; *at* is the server's clock then."""
        self.end_reads()
        if self.mark is None:
            self._settle_spellings(at)
        view, groups = measure(
            (instance for instance in self.tracked.values() if instance.sweep == self.sweep),
            at=at,
            rules=self.rules,
            label_values=self._orchestrators,
            spreads=self._spreads,
            locks=None
            if self.rules.id_prefixes
            else self.entities.complete_locks(self._locks, self.tracked),
        )
        counts, samples, over = self.over_limits.find(self.tracked, self.sweep, at, groups)
        return replace(view, over_limit=counts, over_limit_samples=samples, over_any_limit=over)

    # -- sweep `finished` ----------------------------------------------------------------------

    def mark_vanished(self, instance_id: str) -> None:
        """Remove an instance that is certainly not stored; it vanished if it was active."""
        if self.unresolved.resolved(instance_id):
            self._replacement.failure_vanished()
        instance = self.tracked.untrack(instance_id)
        if instance is not None:
            self._replacement.vanished(instance.sweep)
            self._accounts.count("vanished")

    def end_reads(self) -> None:
        """Note which absent ids could not be read: they stay for the next cycle."""
        self._unconfirmed = len(self.absent())

    def begin_finished(self, at: float, *, may_widen: bool = True) -> Search:
        """
        Start a `finished` sweep at *at*; return what to list.

        If very many left the active set at once and it *may_widen*, the search finds them in pages
        rather than one by one.
        """
        self._row_delay = 0.0
        # Other active sweeps may begin before its listing ends.
        self._searched_after = self._sweep_began
        self._recent.advance(at)
        if self.mark is None:
            return Search(self._horizon.floor, Source.BASELINE, is_usual=False)
        look_back = self.ruler.next()
        absent = self.absent()
        departed = [created for created in absent.values() if created is not None]
        is_widened = may_widen and are_many(absent)
        begin = min([self.mark - look_back, *(departed if is_widened else ())])
        # After an outage most of what is listed is what happened meanwhile.
        is_usual = not is_widened and at - self.mark <= look_back
        return Search(begin, Source.RECENT, is_usual)

    def apply_rows(self, rows: Iterable[InstanceRow], source: Source, at: float) -> None:
        """Apply rows of finished instances."""
        for row in rows:
            self.apply_row(row, source, at)

    def complete_finished(self, at: float, most: float = math.inf) -> FinishedView:
        """
        End a `finished` sweep whose listing was read to its end.

        The book keeps at most *most* finishes, or its own limit if that is lower.
        """
        self.mark = self._searched_after
        self.settle_failures()
        self.unresolved.expire(at)
        if not self._unconfirmed:
            self._replacement.swept(self.sweep, len(self.tracked), len(self.unresolved), at)
        self._book.freeze(at)
        most = min(most, self.rules.most_finishes)
        self._horizon.raise_to(self._book.forget_before(at - DAY, most=most, now=at))
        return self._recent.view(at, self._row_delay)

    # -- sweep `census` ------------------------------------------------------------------------

    def begin_census(self) -> None:
        """Start to count all finished instances."""
        failed_floor = self._sweep_began - self.rules.failed_lookback
        latest = partial(self._accounts.latest_of, self._orchestrators)
        self.retained.begin(CensusFold(self._horizon.floor, failed_floor, latest))

    def apply_census_page(
        self, rows: Sequence[InstanceRow], at: float, ids: Sequence[str] = ()
    ) -> None:
        """Apply a page of the census, with its *ids*."""
        ids = ids or [row.instance_id for row in rows]
        followed = self.unresolved.among(ids)
        if self.tracked:
            followed |= self.tracked.keys() & ids
        self.apply_rows(self.retained.running.add(rows, ids, followed), Source.CENSUS, at)

    def complete_census(self, at: float) -> None:
        """Publish the counts of a census, read to its end at *at*, from now on."""
        for name, status, tally in self.retained.running.tallies():
            label = self._introduce(name)
            created, updated = parse_time(tally.newest_created), parse_time(tally.newest_updated)
            self._accounts.note_times(label, created, updated, at=at, finished=(label, status))
        self.retained.complete(self._orchestrators, at)

    # -- what is published ---------------------------------------------------------------------

    def known(self) -> KnownView:
        """Return what is known whatever fails."""
        own, horizon = self._orchestrators.own, self._horizon
        return KnownView(
            orchestrators=self._orchestrators.labels, entities=self.entities.label_values.labels,
            limits=self.rules.limits,
            own_limits={each: self.rules.own_limits_of(each) for each in own},
            latest=self._accounts.latest(), unconfirmed=self._unconfirmed,
            baseline=horizon.contact, replaced=self._replacement.at,
            horizon=None if horizon.contact is None else float(horizon.second),
            label_values={label: each.distinct for label, each in self._label_values.items()},
        )  # fmt: skip

    def counters(self, now: float, hold: float) -> CountersView:
        """
        Return the counters as shown at *now*, by a monotonic clock.

        A new series shows its base for *hold* seconds.
        """
        folded = {label: each.folded for label, each in self._label_values.items()}
        return self._accounts.counters(now, hold, folded)

    def take_changes(self) -> LedgerChanges:
        """Return the changes of single instances since the last call."""
        replaced, resolved = self._replacement.take_new(), self.unresolved.resolutions.take()
        return LedgerChanges(
            self.over_limits.began.take(), self.over_limits.ended.take(),
            self._accounts.failed.take(),
            ChangeBatch() if replaced or self._replacement.is_suspected else resolved,
            self._horizon.take_pulled_back(), replaced,
        )  # fmt: skip

    def withdraw(self, published: CountersView) -> None:
        """Note that the last counters could not be shown: *published* still are."""
        self._accounts.withdraw(published)

    @property
    def next_release_time(self) -> float:
        """When, by the monotonic clock, the next increment on hold may be shown."""
        return self._accounts.next_release_time
