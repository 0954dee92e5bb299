"""The parts that the ledger is made of, against simpler models of them."""

from __future__ import annotations

import sys
from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger.accounts import Accounts
from exporter.ledger.active import ages_at, merge
from exporter.ledger.book import Book, digest_of
from exporter.ledger.counters import (
    Counters,
    Histogram,
    HistogramFamily,
    SavedCounter,
    SavedHistogram,
)
from exporter.ledger.finish_windows import RecentFinishes, Window, failure_ratios
from exporter.ledger.label_values import OTHER, UNNAMED, LabelValues
from exporter.ledger.records import Unsaved
from exporter.ledger.search import Ruler, look_backs
from exporter.ledger.snapshot import FinishedInstance
from exporter.ledger.state import Header, LedgerState, decoded, state_of
from exporter.ledger.status import Pair, RuntimeStatus, known_status
from tests.ledger.world import row

COMPLETED = RuntimeStatus.COMPLETED
FAILED = RuntimeStatus.FAILED
SECONDS = st.integers(min_value=0, max_value=2000)
HOLD = 120.0


class TestBook:
    @given(st.lists(st.tuples(st.sampled_from(["add", "freeze"]), SECONDS, st.integers(0, 50))))
    def test_it_knows_what_a_set_knows(self, steps: list[tuple[str, int, int]]) -> None:
        book, model = Book(), set()
        for step, second, digest in steps:
            if step == "freeze":
                book.freeze(float(second))
            else:
                book.add(second, digest)
                model.add((second >> 6, digest))
        assert len(book) == len(model)
        assert all(
            book.has(second, digest) == ((second >> 6, digest) in model)
            for _, second, digest in steps
        )

    @given(st.lists(st.tuples(st.sampled_from(["add", "freeze"]), SECONDS, st.integers(0, 50))))
    def test_what_is_saved_is_all_of_it(self, steps: list[tuple[str, int, int]]) -> None:
        book = Book()
        for step, second, digest in steps:
            if step == "freeze":
                book.freeze(float(second))
            else:
                book.add(second, digest)
        restored = Book(book.records.all())
        assert len(restored) == len(book)
        assert restored.records.all() == book.records.all()
        assert all(
            restored.has(second, digest) == book.has(second, digest) for _, second, digest in steps
        )

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "freeze", "forget", "write", "fail"]),
                SECONDS,
                st.integers(0, 50),
            )
        )
    )
    def test_what_is_written_by_and_by_adds_up_to_it(
        self, steps: list[tuple[str, int, int]]
    ) -> None:
        book = Book()
        kept: dict[bytes, bytes] = {}

        def write() -> None:
            unsaved = Unsaved.take([book.records])
            for _, key, content in unsaved.encoded():
                kept[key] = content or b""
            unsaved.written()

        write()
        for step, second, digest in steps:
            if step == "add":
                book.add(second, digest)
            elif step == "freeze":
                book.freeze(float(second))
            elif step == "forget":
                book.forget_before(second, most=inf, now=2000.0)
            elif step == "fail":
                Unsaved.take([book.records]).put_back()
            else:
                write()
        write()
        saved = decoded(("book", key, content) for key, content in kept.items() if content).book
        assert Book(saved).records.all() == book.records.all()

    def test_finishes_that_are_never_two_minutes_old_are_packed_too(self) -> None:
        """As those of an app whose times lie years ahead."""
        book = Book()
        book.advance(1000.0)
        for digest in range(150_000):
            book.add(9_000_000_000 + 100 * digest, digest << 40)
        held = sum(map(sys.getsizeof, book._open.values()))
        assert held < 4_300_000
        assert len(book) == 150_000
        assert len(book._packed) == 1
        assert all(
            book.has(9_000_000_000 + 100 * digest, digest << 40)
            for digest in range(0, 150_000, 1000)
        )
        book.advance(9_100_000_000.0)
        assert book.has(9_000_000_000, 0)

    @given(st.sets(st.tuples(SECONDS, st.integers(0, 9))), SECONDS, st.integers(0, 30), SECONDS)
    def test_what_it_forgets_lies_before_the_second_that_it_names_or_far_ahead(
        self, entries: set[tuple[int, int]], before: int, most: int, now: int
    ) -> None:
        book = Book()
        for second, digest in entries:
            book.add(second, digest)
        floor = book.forget_before(before, most=most, now=now)
        assert len(book) <= max(most, 0)
        assert floor <= max(before, now + 300 + 64)
        assert all(
            book.has(second, digest) for second, digest in entries if floor <= second < now + 300
        )

    def test_the_digest_is_the_same_in_every_process(self) -> None:
        assert digest_of(row("a", "Failed")) == 7037976728901845314

    def test_status_and_each_time_make_another_finish(self) -> None:
        digests = {
            digest_of(row("a", "Failed", created=1.0, updated=2.0)),
            digest_of(row("a", "Completed", created=1.0, updated=2.0)),
            digest_of(row("a", "Failed", created=0.0, updated=2.0)),
            digest_of(row("a", "Failed", created=1.0, updated=3.0)),
            digest_of(row("b", "Failed", created=1.0, updated=2.0)),
            digest_of(row("a", "Failed", created=1.0, updated=2.0, name="Other")),
        }
        assert len(digests) == 6


class TestRecentFinishes:
    @given(st.lists(st.tuples(SECONDS, st.sampled_from([COMPLETED, FAILED])), max_size=60))
    def test_it_counts_what_lies_within_the_window(
        self, finishes: list[tuple[int, RuntimeStatus]]
    ) -> None:
        recent = RecentFinishes(Window("5m", 300, 1))
        for second, status in finishes:
            recent.add(("Order", status), second)
        for now in (250.0, 500.5, 1900.0):
            recent.advance(now)
            expected = Counter(
                ("Order", status) for second, status in finishes if second >= int(now) - 300
            )
            assert +Counter(recent.totals) == expected

    def test_what_is_saved_counts_as_before(self) -> None:
        window = Window("1h", 3600, 60)
        recent = RecentFinishes(window)
        for second in range(0, 7200, 7):
            recent.add(("Order", COMPLETED), second)
            recent.add(("Pay", FAILED), second // 2)
        recent.advance(6000.0)
        restored = RecentFinishes(window, recent.records.all())
        for now in (6000.0, 7000.0, 9000.0):
            recent.advance(now)
            restored.advance(now)
            assert +Counter(restored.totals) == +Counter(recent.totals)
            assert restored.over_time(now) == recent.over_time(now)

    def test_after_an_outage_no_step_is_looked_for_in_which_nothing_finished(self) -> None:
        popped: list[int] = []

        class Counts(dict[int, int]):
            def pop(self, step: int, *default: int) -> int:  # type: ignore[override] # as it is used
                popped.append(step)
                return super().pop(step, *default)

        recent = RecentFinishes(Window("1h", 3600, 1))
        for second in range(3600):
            recent.add(("Busy", COMPLETED), second)
        for number in range(50):
            recent.add((f"Rare{number}", COMPLETED), 60 * number)
        recent._counts = {pair: Counts(counts) for pair, counts in recent._counts.items()}
        recent.advance(9000.0)
        assert len(popped) == 3650
        assert not any(recent.totals.values())

    def test_a_late_finish_that_already_left_the_window_is_not_counted(self) -> None:
        recent = RecentFinishes(Window("5m", 300, 1))
        recent.advance(1000.0)
        recent.add(("Order", COMPLETED), 699)
        recent.add(("Order", COMPLETED), 700)
        assert recent.totals["Order", COMPLETED] == 1

    @given(st.lists(st.tuples(SECONDS, st.sampled_from([COMPLETED, FAILED])), max_size=60))
    def test_over_time_each_finish_stands_in_its_step(
        self, finishes: list[tuple[int, RuntimeStatus]]
    ) -> None:
        recent = RecentFinishes(Window("x", 1200, 300))
        for second, status in finishes:
            recent.add(("Order", status), second)
        recent.advance(2000.0)
        begin, counts = recent.over_time(2000.0)
        assert begin == 900.0
        for status in (COMPLETED, FAILED):
            expected = tuple(
                sum(
                    each == status and begin + 300 * i <= second < begin + 300 * (i + 1)
                    for second, each in finishes
                )
                for i in range(4)
            )
            assert counts.get(("Order", status), (0, 0, 0, 0)) == expected

    def test_the_failure_ratio_leaves_terminated_aside_and_is_absent_when_nothing_finished(
        self,
    ) -> None:
        totals: Counter[Pair] = Counter(
            {
                ("A", FAILED): 1,
                ("A", COMPLETED): 3,
                ("A", RuntimeStatus.TERMINATED): 9,
                ("B", RuntimeStatus.TERMINATED): 2,
                ("C", FAILED): 0,
            }
        )
        assert failure_ratios(totals) == {"A": 0.25}


class TestPlaces:
    def test_configured_names_come_first_and_nothing_ever_moves(self) -> None:
        label_values = LabelValues(3, ["Configured"])
        assert [label_values.label(name) for name in ("A", "B", "C", "A", "Configured", "C")] == [
            "A", "B", OTHER, "A", "Configured", OTHER,
        ]  # fmt: skip
        assert label_values.labels == ("Configured", "A", "B", OTHER)
        assert (label_values.distinct, label_values.folded) == (4, 1)

    def test_nobody_moves_over_a_restart_either_way(self) -> None:
        label_values = LabelValues(1, ["A"])
        label_values.label("B")
        raised = LabelValues(5, ["A", "B", "C"], label_values.records.all())
        assert [raised.label(name) for name in "ABC"] == ["A", OTHER, "C"]
        lowered = LabelValues(1, [], raised.records.all())
        assert [lowered.label(name) for name in "ABCD"] == ["A", OTHER, "C", OTHER]

    def test_a_name_that_is_other_is_among_the_others(self) -> None:
        label_values = LabelValues(5)
        assert label_values.label(OTHER) == OTHER
        assert label_values.labels == (OTHER,)

    @pytest.mark.parametrize("name", [None, ""])
    def test_what_has_no_name_is_unnamed(self, name: str | None) -> None:
        assert LabelValues(5).label(name) == UNNAMED

    def test_the_names_that_are_folded_do_not_fill_the_memory(self) -> None:
        label_values = LabelValues(1, ["A"])
        for number in range(10_100):
            label_values.label(f"n{number}")
        assert label_values.folded == 10_000


class TestCounters:
    def test_a_new_series_shows_its_base_until_the_hold_is_over(self) -> None:
        family = Counters({})["finished"]
        for _ in range(50):
            family.add(("a",))
        assert family.show(100.0, 120.0) == {("a",): 0}
        assert family.next_release_time == 220.0
        assert family.show(219.9, 120.0) == {("a",): 0}
        assert family.show(220.0, 120.0) == {("a",): 50}
        assert family.next_release_time == inf

    def test_a_series_is_born_once(self) -> None:
        family = Counters({})["finished"]
        family.ensure(("a",))
        family.show(100.0, 120.0)
        family.add(("a",))
        assert family.show(300.0, 120.0) == {("a",): 1}

    def test_what_was_shown_is_the_base_after_a_restart(self) -> None:
        before = Counters({})
        before["finished"].add(("old",))
        before.show(0.0, 0.0)
        before["finished"].add(("old",))
        before["finished"].add(("held",))
        after = Counters(before.records.all())
        assert after.show(1000.0, 120.0) == {"finished": {("old",): 1, ("held",): 0}}
        assert after.show(1120.0, 120.0) == {"finished": {("old",): 2, ("held",): 1}}

    def test_a_family_that_is_new_marks_no_others_as_changed(self) -> None:
        counters = Counters({("finished", "a"): SavedCounter(5, 5)})
        Unsaved.take([counters.records]).written()
        counters["vanished"].add(())
        unsaved = Unsaved.take([counters.records])
        assert not unsaved.is_whole
        assert len(unsaved.encoded()) == 1

    def test_a_histogram_is_held_as_a_whole_also_over_a_restart(self) -> None:
        family = HistogramFamily((1.0, 2.0))
        family.observe(("a",), 1.5)
        assert family.show(1.0, 5.0)["a",].cumulative == (0, 0, 0)
        after = HistogramFamily((1.0, 2.0), family.records.all())
        assert after.show(9.0, 5.0)["a",].cumulative == (0, 0, 0)
        assert after.show(14.0, 5.0)["a",].cumulative == (0, 1, 1)

    def test_a_histogram_over_other_bounds_begins_anew(self) -> None:
        saved = LedgerState(
            header=Header(duration_bounds=(1.0, 2.0)),
            durations={("a",): SavedHistogram([0, 1, 0], 1.5, (0, 1, 1), 1.5)},
        )
        assert Accounts((1.0, 2.0), 10, saved).counters(0.0, 0.0, {}).durations
        assert Accounts((1.0, 3.0), 10, saved).counters(0.0, 0.0, {}).durations == {}


class TestDistributions:
    @given(st.lists(st.floats(min_value=0, max_value=100), max_size=40))
    def test_all_ways_to_count_agree_with_the_definition(self, values: list[float]) -> None:
        bounds = (1.0, 5.0, 50.0)
        expected = tuple(sum(1 for value in values if value <= bound) for bound in bounds)
        histogram = Histogram(bounds)
        for value in values:
            histogram.observe(value)
        whole = ages_at(sorted(-value for value in values), 0.0, bounds)
        parts = merge((ages_at([-value], 0.0, bounds) for value in values), bounds)
        for distribution in (whole, parts, histogram.frozen()):
            assert distribution.cumulative == (*expected, len(values))
            assert distribution.total == pytest.approx(sum(values))

    def test_what_lies_ahead_has_the_age_zero(self) -> None:
        distribution = ages_at([90.0, 130.0], 100.0, (5.0, 20.0))
        assert distribution.cumulative == (1, 2, 2)
        assert distribution.total == 10.0


class TestRuler:
    def test_look_backs_are_told_with_the_share_of_cycles_that_has_each(self) -> None:
        ruler = Ruler(120.0, 7200.0)
        counted = Counter(ruler.next() for _ in range(64))
        told = dict(look_backs(120.0, 7200.0))
        assert told == {seconds: count / 64 for seconds, count in counted.items()}
        assert dict(look_backs(120.0, 120.0)) == {120.0: 1.0}

    def test_it_looks_back_as_the_marks_of_a_ruler(self) -> None:
        ruler = Ruler(120.0, 7200.0)
        assert [ruler.next() for _ in range(8)] == [
            120.0, 240.0, 120.0, 480.0, 120.0, 240.0, 120.0, 960.0,
        ]  # fmt: skip

    def test_it_never_looks_back_beyond_its_cap(self) -> None:
        assert Ruler(120.0, 7200.0, cycle=(1 << 20) - 1).next() == 7200.0

    def test_every_32nd_cycle_covers_about_an_hour(self) -> None:
        ruler = Ruler(120.0, 7200.0)
        marks = [ruler.next() for _ in range(256)]
        assert all(max(marks[start : start + 32]) >= 3600.0 for start in range(224))

    def test_a_level_beyond_its_share_is_left_out_and_tried_again(self) -> None:
        ruler = Ruler(1.0, 64.0)
        marks = []
        for _ in range(128):
            marks.append(ruler.next())
            ruler.took(9.0 if marks[-1] >= 4.0 else 0.1, affordable=5.0)
        assert marks[3:12] == [4.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]
        assert [cycle for cycle, mark in enumerate(marks, 1) if mark > 2.0] == [4, 68]

    def test_none_is_left_out_before_the_shortest_was_measured(self) -> None:
        ruler = Ruler(1.0, 64.0, cycle=3)
        ruler.next()
        ruler.took(9.0, affordable=5.0)
        marks = [ruler.next() for _ in range(8)]
        assert max(marks) == 8.0

    def test_no_level_is_left_out_where_the_shortest_costs_as_much(self) -> None:
        ruler = Ruler(1.0, 64.0)
        marks = []
        for _ in range(16):
            marks.append(ruler.next())
            ruler.took(9.0, affordable=5.0)
        assert max(marks) == 16.0


@pytest.mark.parametrize(
    ("spelling", "status"),
    [("Failed", RuntimeStatus.FAILED), ("failed", RuntimeStatus.UNKNOWN)]
    + [(odd, RuntimeStatus.UNKNOWN) for odd in (8, None, "", "Paused")],
)
def test_unknown_spellings_fold_into_unknown(
    spelling: str | int | None, status: RuntimeStatus
) -> None:
    assert known_status(spelling) is status


PAIR = ("Order", RuntimeStatus.COMPLETED)


def finish(accounts: Accounts, instance_id: str, at: float | None) -> None:
    accounts.finish(PAIR, row(instance_id, "Completed"), 0.0, at)


def latest(accounts: Accounts, now: float) -> dict[tuple[str, ...], FinishedInstance]:
    return dict(accounts.counters(now, HOLD, {}).latest_finished)


def test_it_is_the_one_that_finished_last_in_whatever_order_they_are_found() -> None:
    accounts = Accounts((1.0,), 10)
    accounts.introduce("Order")
    accounts.counters(0.0, HOLD, {})
    for instance_id, at in (("a", 10.0), ("c", 30.0), ("b", 20.0), ("unknown", None)):
        finish(accounts, instance_id, at)
    assert latest(accounts, HOLD) == {PAIR: FinishedInstance("c", 30.0)}


def test_it_waits_until_its_counter_shows_it() -> None:
    accounts = Accounts((1.0,), 10)
    finish(accounts, "a", 10.0)
    assert latest(accounts, 0.0) == {}
    assert latest(accounts, HOLD - 0.1) == {}
    assert latest(accounts, HOLD) == {PAIR: FinishedInstance("a", 10.0)}


def test_a_restart_forgets_it() -> None:
    accounts = Accounts((1.0,), 10)
    finish(accounts, "a", 10.0)
    restored = Accounts((1.0,), 10, state_of(accounts.records))
    assert restored.counters(HOLD, HOLD, {})["finished"] == {PAIR: 0}
    assert latest(restored, 2 * HOLD) == {}
