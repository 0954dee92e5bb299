"""The one rule: every finish that is observable is counted once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from exporter.api.wire import InstanceRow
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.rules import SERIES_PER_ORCHESTRATOR
from exporter.ledger.status import RuntimeStatus
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import (
    NOW,
    census,
    counted,
    finishes,
    in_contact,
    read,
    recent,
    row,
    sweep,
)

RUNNING = RuntimeStatus.RUNNING
PENDING = RuntimeStatus.PENDING
COMPLETED = RuntimeStatus.COMPLETED


class TestFinishes:
    def test_times_that_lie_years_ahead_stop_no_counter(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, most_finishes=1000))
        sweep(ledger, 30.0)
        ahead = (row(f"f{n}", "Completed", created=9e7 + n, updated=9e7 + n) for n in range(2000))
        recent(ledger, 30.0, *ahead)
        counted_before = finishes(ledger)
        sweep(ledger, 60.0)
        recent(ledger, 60.0, row("b", "Failed", created=35.0, updated=40.0))
        assert finishes(ledger) == counted_before | {("Order", "Failed"): 1}
        assert ledger.known().latest.progress["Order"] < NOW + 86_400

    def test_what_a_full_book_drops_of_the_present_minute_is_not_counted_again(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, most_finishes=6))
        sweep(ledger, 30.0)
        rows = [row(f"f{n}", "Completed", created=30.0, updated=30.0 + n) for n in range(7)]
        recent(ledger, 30.0, *rows)
        recent(ledger, 31.0, *rows)
        assert finishes(ledger) == {("Order", "Completed"): 7}

    def test_one_that_left_the_active_set_is_counted_when_read_however_old_it_is(self) -> None:
        ledger = in_contact(None, row("a", created=-9e6))
        sweep(ledger, 30.0)
        assert list(ledger.absent()) == ["a"]

        read(ledger, 31.0, row("a", "Completed", created=-9e6, updated=20.0))

        assert finishes(ledger) == {("Order", "Completed"): 1}
        assert ledger.absent() == {}

    def test_one_that_lived_between_two_sweeps_is_counted_when_listed(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, row("b", "Failed", created=5.0, updated=9.0))
        assert finishes(ledger) == {("Order", "Failed"): 1}

    def test_the_overlap_lists_it_again_and_does_not_count_it_again(self) -> None:
        ledger = in_contact()
        short = row("b", "Failed", created=5.0, updated=9.0)
        for at in (30.0, 60.0, 90.0):
            sweep(ledger, at)
            recent(ledger, at, short)
        census(ledger, 95.0, short)
        read(ledger, 96.0, short)
        assert finishes(ledger) == {("Order", "Failed"): 1}

    def test_what_finished_before_first_contact_is_history(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, row("old", "Completed", created=-300.0, updated=-70.0))
        census(ledger, 31.0, row("older", "Completed", created=-9e5, updated=-9e5))
        assert finishes(ledger) == {}

    def test_one_active_at_first_contact_is_counted_even_if_the_baseline_lists_its_end(
        self,
    ) -> None:
        ledger = in_contact()
        fresh = type(ledger)(ledger.rules)
        fresh.begin_active(NOW)
        fresh.apply_active_page([row("a", created=-50.0)], NOW)
        fresh.complete_active(NOW)
        recent(fresh, 1.0, row("a", "Completed", created=-50.0, updated=1.0))
        assert finishes(fresh) == {("Order", "Completed"): 1}

    def test_what_finished_since_counts_though_no_listing_of_finishes_came_to_its_end(
        self,
    ) -> None:
        fresh = Ledger(DEFAULT_RULES)
        sweep(fresh, 0.0)
        during = row("during", "Completed", created=-5.0, updated=1.0)
        search = fresh.begin_finished(NOW + 1.0)
        fresh.apply_rows([during], search.source, NOW + 1.0)
        assert finishes(fresh) == {}
        sweep(fresh, 600.0)
        old = row("old", "Completed", created=-50.0, updated=0.0)
        recent(fresh, 600.0, during, old, row("since", "Failed", created=100.0, updated=200.0))
        assert finishes(fresh) == {("Order", "Failed"): 1}

    def test_first_contact_is_settled_while_nothing_depends_on_it(self) -> None:
        fresh = Ledger(DEFAULT_RULES)
        sweep(fresh, 172_800.0)
        fresh.set_first_contact(NOW)
        recent(fresh, 1.0)
        fresh.set_first_contact(NOW + 9.0)
        assert fresh.known().baseline == NOW
        sweep(fresh, 30.0)
        recent(fresh, 30.0, row("a", "Completed", created=5.0, updated=9.0))
        assert finishes(fresh) == {("Order", "Completed"): 1}

    def test_a_late_row_is_found_by_the_census_and_said_to_be_late(self) -> None:
        ledger = in_contact()
        sweep(ledger, 3600.0)
        recent(ledger, 3600.0)
        census(ledger, 3601.0, row("child", "Completed", created=100.0, updated=300.0))
        assert finishes(ledger) == {("Order", "Completed"): 1}
        assert counted(ledger, "late_finishes") == {(): 1}

    def test_a_row_late_by_more_than_the_overlap_is_found_by_the_ruler_and_said_to_be_late(
        self,
    ) -> None:
        ledger = in_contact()
        for at in (300.0, 600.0):
            sweep(ledger, at)
            recent(ledger, at)
        sweep(ledger, 630.0)
        recent(ledger, 630.0, row("child", "Completed", created=100.0, updated=625.0))
        assert finishes(ledger) == {("Order", "Completed"): 1}
        assert counted(ledger, "late_finishes") == {(): 1}

    def test_failed_rewound_and_completed_within_one_second_are_two_finishes(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, row("a", "Failed", created=20.0, updated=25.0))
        recent(ledger, 31.0, row("a", "Completed", created=20.0, updated=25.0))
        assert finishes(ledger) == {("Order", "Failed"): 1, ("Order", "Completed"): 1}

    def test_a_second_failure_within_the_second_of_a_reopening_counts(self) -> None:
        ledger = in_contact()
        failed = row("a", "Failed", created=20.0, updated=25.0)
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed)
        sweep(ledger, 31.0, row("a", "Pending", created=20.0, updated=25.0))
        read(ledger, 32.0, failed)
        assert finishes(ledger) == {("Order", "Failed"): 2}

    def test_rows_count_in_the_order_read_though_the_census_goes_on(self) -> None:
        ledger = in_contact()
        first = row("a", "Completed", created=10.0, updated=12.0)
        sweep(ledger, 30.0)
        ledger.begin_census()
        ledger.apply_census_page([first], NOW + 31.0)
        recent(ledger, 32.0, first)
        sweep(ledger, 60.0, row("a", "Running", created=50.0))
        ledger.complete_census(NOW)
        recent(ledger, 61.0, row("a", "Completed", created=50.0, updated=60.0))
        assert finishes(ledger) == {("Order", "Completed"): 2}

    def test_a_failing_recent_listing_loses_nothing_since_the_mark_waits_for_it(self) -> None:
        ledger = in_contact()
        for at in (300.0, 600.0, 900.0):
            sweep(ledger, at)
            assert ledger.begin_finished(NOW + at).begin <= NOW
        recent(ledger, 901.0, row("y", "Completed", created=200.0, updated=210.0))
        assert finishes(ledger) == {("Order", "Completed"): 1}

    def test_an_unknown_status_keeps_an_instance_open(self) -> None:
        ledger = in_contact(None, row("a"))
        sweep(ledger, 30.0)
        read(ledger, 31.0, row("a", 8))
        assert ledger.absent() == {}
        sweep(ledger, 60.0)
        read(ledger, 61.0, row("a", "Completed", updated=50.0))
        assert finishes(ledger) == {("Order", "Completed"): 1}

    def test_unknown_times_are_counted_and_leave_the_durations_alone(self) -> None:
        ledger = in_contact(None, row("a", created=-5.0, updated=None))
        sweep(ledger, 30.0)
        read(ledger, 31.0, row("a", "Terminated", created=None, updated=None))
        assert finishes(ledger) == {("Order", "Terminated"): 1}
        assert ledger.counters(0.0, 0.0).durations == {}


class TestOtherTransitions:
    def test_a_newer_created_time_is_a_continuation_and_no_start(self) -> None:
        ledger = in_contact(None, row("eternal", created=-100.0))
        sweep(ledger, 60.0, row("eternal", created=40.0))
        assert counted(ledger, "continued") == {("Order",): 1}
        assert counted(ledger, "created") == {}

    def test_the_id_taken_by_another_orchestrator_is_a_start(self) -> None:
        ledger = in_contact(None, row("a", created=-100.0))
        sweep(ledger, 60.0, row("a", created=40.0, name="Refund"))
        assert counted(ledger, "created") == {("Refund",): 1}

    def test_starts_are_counted_from_first_contact_on(self) -> None:
        ledger = in_contact(None, row("before", created=-1.0))
        sweep(ledger, 30.0, row("before", created=-1.0), row("after", created=5.0))
        recent(ledger, 30.0, row("short", "Completed", created=6.0, updated=7.0))
        assert counted(ledger, "created") == {("Order",): 2}

    def test_one_that_is_gone_for_certain_has_vanished(self) -> None:
        ledger = in_contact(None, row("a"))
        sweep(ledger, 30.0)
        ledger.mark_vanished("a")
        assert counted(ledger, "vanished") == {(): 1}
        assert ledger.absent() == {}
        assert finishes(ledger) == {}

    def test_ids_that_cannot_be_read_stay_unconfirmed(self) -> None:
        ledger = in_contact(None, row("a"), row("b"))
        sweep(ledger, 30.0)
        ledger.end_reads()
        assert ledger.known().unconfirmed == 2

    def test_a_mass_absence_is_not_believed_at_once(self) -> None:
        ledger = in_contact(None, *(row(f"i{number:04}") for number in range(150)))
        sweep(ledger, 30.0)
        assert ledger.too_many_absent(doubtful=False)
        sweep(ledger, 31.0, *(row(f"i{number:04}") for number in range(60, 150)))
        assert not ledger.too_many_absent(doubtful=False)
        assert ledger.too_many_absent(doubtful=True)


class TestActive:
    def test_entities_are_no_instances(self) -> None:
        ledger = in_contact()
        ledger.begin_active(NOW)
        ledger.apply_active_page(
            [
                row("@counter@a", name="@counter@a"),
                row("@counter@b", name="Counter"),
                row("@counter@x", name="RealOrchestrator"),
            ],
            NOW,
        )
        view = ledger.complete_active(NOW)
        assert view.instances == {("RealOrchestrator", RUNNING): 1}

    def test_counts_oldest_times_and_distributions(self) -> None:
        ledger = in_contact()
        ledger.begin_active(NOW + 100.0)
        ledger.apply_active_page(
            [row("a", created=-4000.0, updated=-30.0), row("b", created=0.0, updated=90.0)],
            NOW + 100.0,
        )
        view = ledger.complete_active(NOW + 100.0)
        pair = ("Order", RUNNING)
        assert view.instances[pair] == 2
        assert view.oldest_created[pair] == NOW - 4000.0
        assert view.oldest_updated[pair] == NOW - 30.0
        assert view.ages[pair].cumulative == (1, 1, 2, 2, 2, 2)
        assert view.ages[pair].total == 4100.0 + 100.0

    def test_a_pair_has_a_distribution_only_while_it_has_an_instance(self) -> None:
        ledger = in_contact(None, row("a"))
        ledger.begin_active(NOW + 30.0)
        view = ledger.complete_active(NOW + 30.0)
        assert view.ages == {}
        assert ("Order", RUNNING) not in view.instances

    def test_a_rewound_row_waits_since_its_rewind_not_since_its_creation(self) -> None:
        limit = {"pending": 600.0}
        ledger = in_contact(replace(DEFAULT_RULES, limits=limit))
        ledger.begin_active(NOW + 1000.0)
        ledger.apply_active_page(
            [
                row("rewound", "Pending", created=-9000.0, updated=990.0),
                row("stuck", "Pending", created=300.0),
            ],
            NOW + 1000.0,
        )
        assert ledger.complete_active(NOW + 1000.0).over_limit == {("Order", "pending"): 1}

    def test_suspended_counts_only_for_its_age(self) -> None:
        limits = dict.fromkeys(("pending", "idle", "age"), 60.0)
        ledger = in_contact(replace(DEFAULT_RULES, limits=limits))
        ledger.begin_active(NOW + 1000.0)
        ledger.apply_active_page([row("held", "Suspended")], NOW + 1000.0)
        assert ledger.complete_active(NOW + 1000.0).over_limit == {("Order", "age"): 1}

    def test_an_unknown_created_time_enters_no_timestamp_and_no_bucket(self) -> None:
        ledger = in_contact()
        ledger.begin_active(NOW)
        ledger.apply_active_page([row("a", created=None)], NOW)
        view = ledger.complete_active(NOW)
        assert view.instances == {("Order", RUNNING): 1}
        assert view.oldest_created == {}
        assert view.ages["Order", RUNNING].count == 0

    def test_what_was_not_listed_is_not_shown_as_active(self) -> None:
        ledger = in_contact(None, row("a"), row("b"))
        ledger.begin_active(NOW + 30.0)
        ledger.apply_active_page([row("a")], NOW + 30.0)
        view = ledger.complete_active(NOW + 30.0)
        assert view.instances == {("Order", RUNNING): 1}
        assert view.tracked == 1

    def test_names_beyond_the_limit_share_other_and_are_measured_by_their_own_limits(self) -> None:
        def own_limits_of(name: str) -> dict[str, float]:
            return {"age": 10.0 if name == "Strict" else 1e9}

        ledger = in_contact(
            replace(DEFAULT_RULES, own_limits_of=own_limits_of, label_limit=1), row("a")
        )
        ledger.begin_active(NOW + 100.0)
        ledger.apply_active_page([row("b", name="Strict"), row("c", name="Loose")], NOW + 100.0)
        view = ledger.complete_active(NOW + 100.0)
        assert view.instances == {("_other", RUNNING): 2}
        assert view.over_limit["_other", "age"] == 1
        assert ledger.known().label_values["orchestrator"] == 3
        assert ledger.counters(0.0, 0.0)["label_values_folded"]["orchestrator",] == 2


class TestEntityLocks:
    def test_locks_and_queues_ride_along_also_as_text_within_json(self) -> None:
        ledger = in_contact()
        ledger.begin_active(NOW)
        ledger.apply_active_page(
            [
                entity("@counter@a", b'{"entityExists":true,"queueSize":2,"lockedBy":"holder"}'),
                entity("@counter@b", b'"{\\"queueSize\\":5}"'),
                entity("@counter@c", b"{}"),
                entity("@counter@d", b'{"queueSize":"odd"}'),
                entity("@counter@e", b'"queueSize \xff"'),
                entity("@counter@f", b'{"queueSize":' + b"[" * 5000 + b"]" * 5000 + b"}"),
                row("holder"),
            ],
            NOW,
        )
        locks = (ledger.complete_active(NOW).locks or {})["counter"]
        assert (locks.locked, locks.backlog, locks.backlog_max) == (1, 7, 5)
        assert locks.orphaned == 0

    def test_a_lock_is_orphaned_when_its_holder_was_away_in_two_sweeps(self) -> None:
        ledger = in_contact()
        held = entity("@counter@a", b'{"lockedBy":"gone"}')
        orphaned = []
        for at in (0.0, 30.0):
            ledger.begin_active(NOW + at)
            ledger.apply_active_page([held], NOW + at)
            orphaned.append((ledger.complete_active(NOW + at).locks or {})["counter"].orphaned)
        assert orphaned == [0, 1]


def entity(entity_id: str, custom_status: bytes) -> InstanceRow:
    return row(entity_id, name=entity_id, custom_status=custom_status)


class TestSearch:
    def test_it_is_widened_where_very_many_left_at_once(self) -> None:
        ledger = in_contact(None, *(row(f"i{n:03}", created=-9000.0 + n) for n in range(150)))
        sweep(ledger, 30.0)
        search = ledger.begin_finished(NOW + 30.0)
        assert search.begin == NOW - 9000.0
        assert not search.is_usual

    def test_one_after_an_outage_tells_nothing_of_what_looking_back_costs(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        assert ledger.begin_finished(NOW + 30.0).is_usual
        ledger.complete_finished(NOW + 31.0)
        sweep(ledger, 9000.0)
        assert not ledger.begin_finished(NOW + 9000.0).is_usual


class TestRetained:
    def test_nothing_is_shown_before_the_first_census(self) -> None:
        assert in_contact().retained.view() is None

    def test_a_census_and_the_finishes_since(self) -> None:
        ledger = in_contact()
        census(ledger, 1.0, row("x", "Completed", created=-9e5, updated=-9e5))
        sweep(ledger, 30.0)
        recent(ledger, 30.0, row("y", "Completed", created=5.0, updated=6.0))
        view = ledger.retained.view()
        assert view is not None
        assert view.instances == {("Order", COMPLETED): 2}
        assert view.oldest_created == {"Completed": NOW - 9e5}

    def test_a_finish_during_the_census_is_counted_once_whether_the_census_saw_it_or_not(
        self,
    ) -> None:
        ledger = in_contact()
        seen = row("seen", "Completed", created=5.0, updated=6.0)
        ledger.begin_census()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, seen, row("missed", "Completed", created=5.0, updated=7.0))
        ledger.apply_census_page([seen], NOW + 31.0)
        ledger.complete_census(NOW)
        view = ledger.retained.view()
        assert view is not None
        assert view.instances == {("Order", COMPLETED): 2}

    def test_a_purge_shows_after_the_next_census(self) -> None:
        ledger = in_contact()
        census(ledger, 1.0, row("x", "Failed", created=-9e5))
        census(ledger, 2.0)
        view = ledger.retained.view()
        assert view is not None
        assert dict(view.instances) == {}

    def test_an_abandoned_census_changes_nothing(self) -> None:
        ledger = in_contact()
        census(ledger, 1.0, row("x", "Failed", created=-9e5))
        ledger.begin_census()
        ledger.apply_census_page(
            [row("x", "Failed", created=-9e5), row("z", "Failed", created=-8e5)], NOW
        )
        ledger.retained.abandon()
        view = ledger.retained.view()
        assert view is not None
        assert dict(view.instances) == {("Order", RuntimeStatus.FAILED): 1}

    def test_a_census_before_the_first_complete_baseline_counts_no_history(self) -> None:
        ledger = in_contact()
        ledger.apply_row(row("x", "Failed", created=-10.0), Source.CENSUS, NOW)
        assert finishes(ledger) == {}


class TestRecent:
    def test_the_day_that_is_listed_first_enters_no_window_that_it_has_left(self) -> None:
        ledger = Ledger(DEFAULT_RULES)
        sweep(ledger, 0.0)
        source = ledger.begin_finished(NOW).source
        rows = [row(f"i{ago}", "Completed", created=-float(ago)) for ago in (10, 7200, 30_000)]
        ledger.apply_rows(rows, source, NOW)
        held = Counter(window for window, _ in ledger.saved().recent)
        assert held == {"1h": 1, "24h": 3, "6h": 2}

    def test_windows_are_right_from_first_contact_on(self) -> None:
        ledger = in_contact()
        fresh = type(ledger)(ledger.rules)
        sweep(fresh, 0.0)
        source = fresh.begin_finished(NOW).source
        assert source is Source.BASELINE
        fresh.apply_rows(
            [
                row("a", "Completed", created=-4000.0, updated=-3700.0),
                row("b", "Completed", created=-400.0, updated=-200.0),
                row("c", "Failed", created=-400.0, updated=-100.0),
            ],
            source,
            NOW,
        )
        view = fresh.complete_finished(NOW)
        assert view.recent["Order", "Completed", "1h"] == 1
        assert view.recent["Order", "Completed", "24h"] == 2
        assert view.failure_ratio == {
            ("Order", "1h"): 0.5,
            ("Order", "24h"): 1 / 3,
        }
        assert finishes(fresh) == {}

    def test_an_old_creation_that_finished_within_the_day_enters_the_window_by_the_census_once(
        self,
    ) -> None:
        ledger = in_contact()
        old = row("old", "Failed", created=-9e5, updated=-3000.0)
        census(ledger, 1.0, old)
        census(ledger, 2.0, old)
        sweep(ledger, 30.0)
        source = ledger.begin_finished(NOW + 30.0).source
        ledger.apply_rows([], source, NOW + 30.0)
        view = ledger.complete_finished(NOW + 30.0)
        assert view.recent["Order", "Failed", "1h"] == 1
        assert finishes(ledger) == {}

    def test_the_horizon_rises_only_to_keep_the_book_small(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, most_finishes=10))
        sweep(ledger, 1000.0)
        recent(
            ledger,
            1000.0,
            *(row(f"i{n}", "Completed", created=float(n), updated=float(n)) for n in range(900)),
        )
        horizon = ledger.known().horizon
        assert horizon is not None
        assert horizon > NOW
        assert finishes(ledger) == {("Order", "Completed"): 900}


class TestSeriesBudget:
    def test_distributions_fold_first_and_for_good(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, max_series=2300))
        many = [row(f"i{n:03}", name=f"Name{n:03}") for n in range(30)]
        ledger.begin_active(NOW)
        ledger.apply_active_page(many, NOW)
        view = ledger.complete_active(NOW)
        assert set(view.ages) == {("_other", RUNNING)}
        assert view.ages["_other", RUNNING].count == 30
        ledger.begin_active(NOW + 30.0)
        ledger.apply_active_page(many[:2], NOW + 30.0)
        assert set(ledger.complete_active(NOW + 30.0).ages) == {("_other", RUNNING)}

    def test_then_new_names_fold(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, max_series=9 * SERIES_PER_ORCHESTRATOR))
        ledger.begin_active(NOW)
        ledger.apply_active_page([row(f"i{n:03}", name=f"Name{n:03}") for n in range(30)], NOW)
        view = ledger.complete_active(NOW)
        assert len({label for label, _ in view.instances}) == 9 + 1
        assert view.instances["_other", RUNNING] == 21
