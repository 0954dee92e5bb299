"""Failures: counted by reason, followed until somebody resolves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.wire import InstanceRow
from exporter.ledger import unresolved
from exporter.ledger.label_values import OTHER
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.reasons import Category, FailureReason
from exporter.ledger.snapshot import MOST_NAMED, Failed, Resolved, UnresolvedView
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, census, counted, finishes, in_contact, read, recent, row, sweep

DECLINED = (
    b"\"Orchestrator function 'Order' failed: The activity function 'Charge' failed: "
    b'\\"Card declined\\". See the function execution logs for additional details."'
)
DAY = 86_400.0


def failed(name: str, *, created: float, updated: float, output: bytes = DECLINED) -> InstanceRow:
    return row(name, "Failed", created=created, updated=updated, output=output)


def listed(ledger: Ledger, at: float, *rows: InstanceRow) -> UnresolvedView:
    """Make a complete listing of what is Failed, and return what is unresolved then."""
    ledger.unresolved.begin_listing(NOW + at - ledger.rules.failed_lookback)
    ledger.apply_rows(rows, Source.FAILED, NOW + at)
    ledger.unresolved.complete_listing(NOW + at)
    view = ledger.unresolved.view()
    assert view is not None
    return view


def numbers(view: UnresolvedView | None) -> tuple[object, object]:
    """Return how many there are of each orchestrator, and when its oldest failed."""
    assert view is not None
    assert Counter(view.failures) == sum_by_label(view.reasons)
    return view.failures, view.oldest


def sum_by_label(reasons: Mapping[tuple[str, FailureReason | None], int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (label, _), count in reasons.items():
        counts[label] += count
    return counts


class TestReasons:
    def test_a_failure_is_counted_by_what_went_wrong(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed("a", created=5.0, updated=9.0))
        assert counted(ledger, "failures") == {("Order", "activity"): 1}
        [(labels, count)] = counted(ledger, "failure_reasons").items()
        assert labels[:3] == ("Order", "activity", "Charge")
        assert count == 1

    def test_the_categories_of_a_broken_deployment_exist_at_zero_from_the_start(self) -> None:
        ledger = in_contact(None, row("a"))
        assert ledger.counters(0.0, 0.0)["failures"] == {
            ("Order", "non_determinism"): 0,
            ("Order", "version_mismatch"): 0,
            ("Order", "function_missing"): 0,
        }

    def test_a_failure_found_twice_is_counted_once_and_history_not_at_all(self) -> None:
        ledger = in_contact()
        again = failed("a", created=5.0, updated=9.0)
        sweep(ledger, 30.0)
        recent(ledger, 30.0, again, failed("old", created=-9.0, updated=-5.0))
        listed(ledger, 31.0, again)
        census(ledger, 32.0, again)
        assert counted(ledger, "failures") == {("Order", "activity"): 1}

    @pytest.mark.parametrize(("was_active", "begin"), [(False, 5.0), (True, 5.0), (True, -9e5)])
    def test_one_that_only_the_census_finds_has_its_reason(
        self, was_active: bool, begin: float
    ) -> None:
        ledger = in_contact(None, *([row("a", created=begin)] if was_active else ()))
        page = [
            failed("a", created=begin, updated=begin + 4.0),
            failed("old", created=-9e5, updated=-8e5),
            row("b", "Completed", created=5.0, updated=9.0),
        ]
        ledger.begin_census()
        ledger.apply_census_page(page, NOW + 31.0, ["a", "old", "b"])
        [(labels, count)] = counted(ledger, "failure_reasons").items()
        assert labels[:3] == ("Order", "activity", "Charge")
        assert count == 1

    def test_a_census_counts_no_reason_again_and_none_of_history(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        page = [
            failed("a", created=5.0, updated=9.0),
            failed("old", created=-9e5, updated=-8e5),
            failed("older", created=-2e5, updated=-1e5),
        ]
        recent(ledger, 30.0, page[0])
        ledger.begin_census()
        ledger.apply_census_page(page, NOW + 31.0, ["a", "old", "older"])
        assert len(counted(ledger, "failure_reasons")) == 1
        assert ledger.unresolved.among(["a", "old", "older"]) == {"a", "older"}

    def test_reasons_beyond_the_limit_share_other_within_their_category(self) -> None:
        ledger = in_contact(replace(DEFAULT_RULES, reason_limit=1))
        sweep(ledger, 30.0)
        outputs = [DECLINED.replace(b"Charge", b"Step%c" % letter) for letter in b"abc"]
        recent(
            ledger,
            30.0,
            *(
                failed(f"i{number}", created=5.0, updated=9.0, output=output)
                for number, output in enumerate(outputs)
            ),
        )
        reasons = counted(ledger, "failure_reasons")
        assert sorted((labels[2], count) for labels, count in reasons.items()) == [
            ("Stepa", 1),
            ("_other", 2),
        ]


class TestReopening:
    def test_a_rewound_failure_is_reopened_and_not_started(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed("a", created=5.0, updated=9.0))
        assert counted(ledger, "created") == {("Order",): 1}
        sweep(ledger, 60.0, row("a", "Pending", created=5.0, updated=50.0))
        assert counted(ledger, "reopened") == {(): 1}
        assert counted(ledger, "created") == {("Order",): 1}
        read(ledger, 70.0, row("a", "Completed", created=5.0, updated=65.0))
        assert finishes(ledger) == {("Order", "Failed"): 1, ("Order", "Completed"): 1}

    def test_a_restart_of_the_id_is_a_new_life(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed("a", created=5.0, updated=9.0))
        sweep(ledger, 60.0, row("a", created=40.0))
        assert counted(ledger, "reopened") == {}
        assert counted(ledger, "created") == {("Order",): 2}

    def test_a_failure_of_before_first_contact_can_be_reopened_too(self) -> None:
        ledger = in_contact()
        listed(ledger, 1.0, failed("old", created=-3 * DAY, updated=-2 * DAY))
        sweep(ledger, 30.0, row("old", "Pending", created=-3 * DAY, updated=20.0))
        assert counted(ledger, "reopened") == {(): 1}


class TestUnresolved:
    def test_nothing_is_shown_before_the_first_complete_listing(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed("a", created=5.0, updated=9.0))
        assert ledger.unresolved.view() is None

    def test_it_counts_what_is_failed_now_and_says_since_when(self) -> None:
        view = listed(
            in_contact(),
            30.0,
            failed("a", created=-DAY, updated=-DAY + 60),
            failed("b", created=-50.0, updated=-9.0),
        )
        assert view.failures == {"Order": 2}
        assert view.oldest == {"Order": NOW - DAY + 60}

    def test_a_failure_seen_since_counts_at_once_and_one_reopened_no_longer(self) -> None:
        ledger = in_contact()
        listed(ledger, 1.0, failed("a", created=-50.0, updated=-9.0))
        sweep(ledger, 30.0, row("a", "Pending", created=-50.0, updated=20.0))
        recent(ledger, 30.0, failed("b", created=5.0, updated=9.0))
        view = ledger.unresolved.view()
        assert numbers(view) == ({"Order": 1}, {"Order": NOW + 9.0})

    def test_what_a_listing_misses_is_read_and_stays_until_a_second_one_misses_it_too(
        self,
    ) -> None:
        ledger = in_contact()
        rows = [failed(name, created=-50.0, updated=-9.0) for name in ("purged", "moved", "unread")]
        listed(ledger, 1.0, *rows)
        assert listed(ledger, 300.0).failures == {"Order": 3}
        assert sorted(ledger.unresolved.to_read(9)) == ["moved", "purged", "unread"]
        ledger.mark_vanished("purged")
        read(ledger, 301.0, rows[1])
        assert numbers(ledger.unresolved.view()) == ({"Order": 2}, {"Order": NOW - 9.0})
        assert listed(ledger, 600.0, rows[1]).failures == {"Order": 1}
        assert listed(ledger, 900.0, rows[1], rows[2]).failures == {"Order": 2}
        assert counted(ledger, "vanished") == {}

    def test_the_oldest_is_that_of_those_which_are_shown(self) -> None:
        ledger = in_contact()
        old, young = (
            failed(name, created=-50.0, updated=at) for name, at in (("o", -9.0), ("y", -3.0))
        )
        assert listed(ledger, 1.0, old, young).oldest == {"Order": NOW - 9.0}
        listed(ledger, 300.0, young)
        assert listed(ledger, 600.0, young).oldest == {"Order": NOW - 3.0}
        ledger.mark_vanished("y")
        assert numbers(ledger.unresolved.view()) == ({}, {})

    def test_ids_that_cannot_be_read_give_way_to_others(self) -> None:
        ledger = in_contact()
        rows = [failed(name, created=-50.0, updated=-9.0) for name in "abcd"]
        listed(ledger, 1.0, *rows)
        listed(ledger, 300.0)
        assert ledger.unresolved.to_read(2) == ["a", "b"]
        listed(ledger, 600.0)
        assert ledger.unresolved.to_read(2) == ["c", "d"]

    def test_one_created_before_the_lookback_is_found_when_it_finishes_and_read_later(self) -> None:
        ledger = in_contact(None, row("old", created=-30 * DAY))
        sweep(ledger, 30.0)
        read(ledger, 31.0, failed("old", created=-30 * DAY, updated=20.0))
        assert listed(ledger, 60.0).failures == {"Order": 1}
        assert ledger.unresolved.to_read(9) == ["old"]
        read(ledger, 61.0, failed("old", created=-30 * DAY, updated=20.0))
        assert ledger.unresolved.to_read(9) == []

    def test_the_reads_go_round_the_longest_unseen_first(self) -> None:
        ledger = in_contact(None, *(row(name, created=-30 * DAY) for name in "abcd"))
        sweep(ledger, 30.0)
        for name in "abcd":
            read(ledger, 31.0, failed(name, created=-30 * DAY, updated=20.0))
        order = []
        for at in (60.0, 90.0, 120.0):
            listed(ledger, at)
            chosen = ledger.unresolved.to_read(2)
            order += chosen
            for name in chosen:
                read(ledger, at, failed(name, created=-30 * DAY, updated=20.0))
        assert order == ["a", "b", "c", "d", "a", "b"]

    def test_the_census_finds_one_that_was_created_before_the_lookback(self) -> None:
        ledger = in_contact()
        listed(ledger, 1.0)
        census(ledger, 2.0, failed("old", created=-30 * DAY, updated=-2 * DAY))
        view = ledger.unresolved.view()
        assert view is not None
        assert view.failures == {"Order": 1}
        assert finishes(ledger) == {}

    def test_one_past_the_lookback_is_forgotten_though_no_listing_comes(self) -> None:
        ledger = in_contact()
        old = failed("a", created=-6.9 * DAY, updated=-6.9 * DAY)
        assert listed(ledger, 1.0, old).failures == {"Order": 1}
        sweep(ledger, 0.2 * DAY)
        recent(ledger, 0.2 * DAY)
        assert numbers(ledger.unresolved.view()) == ({}, {})
        assert len(ledger.unresolved) == 0

    def test_a_life_that_was_counted_long_ago_is_reopened_not_started(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        recent(ledger, 30.0, failed("a", created=5.0, updated=9.0))
        sweep(ledger, 8 * DAY)
        recent(ledger, 8 * DAY)
        sweep(ledger, 8 * DAY + 30.0, row("a", "Pending", created=5.0, updated=8 * DAY + 20.0))
        assert counted(ledger, "created") == {("Order",): 1}
        assert counted(ledger, "reopened") == {(): 1}

    def test_one_that_completed_meanwhile_is_resolved(self) -> None:
        ledger = in_contact()
        listed(ledger, 1.0, failed("a", created=-50.0, updated=-9.0))
        census(ledger, 2.0, row("a", "Completed", created=-50.0, updated=-1.0))
        assert numbers(ledger.unresolved.view()) == ({}, {})

    def test_a_failure_whose_times_are_unknown_is_not_followed(self) -> None:
        ledger = in_contact()
        assert listed(ledger, 1.0, row("a", "Failed", created=None)).failures == {}

    def test_it_survives_a_restart(self) -> None:
        before = in_contact()
        listed(before, 1.0, failed("a", created=-50.0, updated=-9.0))
        after = Ledger(before.rules, before.saved())
        assert after.unresolved.view() is None
        sweep(after, 30.0, row("a", "Pending", created=-50.0, updated=20.0))
        assert counted(after, "reopened") == {(): 1}

    def test_more_than_are_followed_are_counted_by_each_listing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unresolved, "_MOST_KEPT", 2)
        ledger = in_contact()
        rows = [failed(name, created=-50.0, updated=-9.0) for name in "abcde"]
        assert listed(ledger, 1.0, *rows).failures == {"Order": 5}
        assert listed(ledger, 2.0, *rows[:4]).failures == {"Order": 4}
        assert listed(ledger, 3.0, *rows[:2]).failures == {"Order": 2}


CHARGE = FailureReason(Category.ACTIVITY, "Charge", "")


class TestSamples:
    """The failures that are shown by their ids."""

    def test_they_are_the_oldest_and_the_newest_of_each_orchestrator_with_the_reason(self) -> None:
        ledger = in_contact()
        rows = [failed(f"f{i:02}", created=-90.0, updated=-80.0 + i) for i in range(30)]
        other = row("x", "Failed", created=-50.0, updated=-40.0, name="Ship")
        view = listed(ledger, 1.0, *rows, other)
        assert [sample.instance_id for sample in view.samples] == [
            "f00", "x", "f29", "f28", "f27", "f26",
        ]  # fmt: skip
        assert {sample.reason for sample in view.samples if sample.orchestrator == "Order"} == {
            CHARGE
        }
        assert view.reasons["Order", CHARGE] == 30

    def test_those_that_are_resolved_give_way_to_older_ones(self) -> None:
        ledger = in_contact()
        rows = [failed(f"f{i:02}", created=-90.0, updated=-80.0 + i) for i in range(40)]
        listed(ledger, 1.0, *rows)
        for each in rows[2:39]:
            ledger.mark_vanished(each.instance_id)
        view = ledger.unresolved.view()
        assert view is not None
        assert [sample.instance_id for sample in view.samples] == ["f00", "f39", "f01"]
        assert view.reasons == {("Order", CHARGE): 3}

    def test_a_hub_shows_no_more_than_a_hundred(self) -> None:
        ledger = in_contact()
        rows = [
            row(f"{name}-{i}", "Failed", created=-9.0, updated=-5.0 + i, name=f"Order{name}")
            for name in range(150)
            for i in range(2)
        ]
        samples = listed(ledger, 1.0, *rows).samples
        assert len({sample.orchestrator for sample in samples}) == len(samples) == 100

    def test_a_reason_is_unknown_after_a_restart_until_a_row_tells_it(self) -> None:
        ledger = in_contact()
        lost = failed("a", created=-90.0, updated=-80.0)
        listed(ledger, 1.0, lost)
        after = Ledger(DEFAULT_RULES, ledger.saved())
        assert listed(after, 2.0).samples[0].reason is None
        view = listed(after, 3.0, lost)
        assert view.samples[0].reason == CHARGE
        assert view.reasons == {("Order", CHARGE): 1}

    def test_reasons_without_end_share_other(self) -> None:
        ledger = in_contact()
        outputs = [f'"TypeNo{i}Exception: no"'.encode() for i in range(300)]
        rows = [
            failed(str(i), created=-9.0, updated=-5.0, output=output)
            for i, output in enumerate(outputs)
        ]
        reasons = listed(ledger, 1.0, *rows).reasons
        assert len(reasons) <= 201
        assert sum(reasons.values()) == 300
        assert sum(count for (_, why), count in reasons.items() if why and why.error_type == OTHER)


class TestChanges:
    """What is told of single instances."""

    def test_each_failure_that_is_counted_is_told_once_with_its_reason(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0)
        new = [failed(f"f{i:02}", created=5.0, updated=9.0) for i in range(MOST_NAMED + 3)]
        recent(ledger, 30.0, *new, failed("history", created=-9.0, updated=-5.0))
        listed(ledger, 31.0, *new)
        told = ledger.take_changes().failed
        assert told.named[0] == Failed("f00", "Order", CHARGE, NOW + 9.0)
        assert (len(told.named), told.left_out) == (MOST_NAMED, 3)
        assert counted(ledger, "failures") == {("Order", "activity"): MOST_NAMED + 3}
        assert ledger.take_changes().failed.named == ()

    def test_a_failure_is_resolved_by_rewinding_restarting_or_purging_it_but_not_by_its_age(
        self,
    ) -> None:
        ledger = in_contact()
        rows = [
            failed(name, created=-50.0, updated=-9.0)
            for name in ("rewound", "restarted", "purged", "again", "old")
        ]
        listed(ledger, 1.0, *rows)
        ledger.take_changes()
        sweep(ledger, 30.0, row("rewound", created=-50.0, updated=20.0))
        read(ledger, 30.0, row("restarted", "Completed", created=10.0, updated=20.0))
        ledger.mark_vanished("purged")
        read(ledger, 31.0, failed("again", created=-50.0, updated=25.0))
        ledger.unresolved.expire(NOW + ledger.rules.failed_lookback)
        assert ledger.take_changes().resolved.named == tuple(
            Resolved(name, "Order") for name in ("rewound", "restarted", "purged")
        )


def test_many_that_are_gone_and_not_read_yet_are_looked_through_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    following = unresolved.Unresolved(1e6)
    for number in range(1000):
        following.failed(f"f{number:03}", "Order", NOW, NOW + number, now=NOW)
    for _ in range(2):
        following.begin_listing(NOW - 10.0)
        for number in range(990, 1000):
            following.failed(f"f{number:03}", "Order", NOW, NOW + number, now=NOW, listed=True)
        following.complete_listing(NOW)
    looks: list[str] = []
    is_current = unresolved.Unresolved._is_current

    def counted_look(
        self: unresolved.Unresolved, label: str, failed: float, instance_id: str
    ) -> bool:
        looks.append(instance_id)
        return is_current(self, label, failed, instance_id)

    assert numbers(following.view()) == ({"Order": 10}, {"Order": NOW + 990.0})
    monkeypatch.setattr(unresolved.Unresolved, "_is_current", counted_look)
    assert numbers(following.view()) == ({"Order": 10}, {"Order": NOW + 990.0})
    assert len(looks) < 50
    # They are as little forgotten as they are shown.
    assert len(following) == 1000
    following.expire(NOW + 1e6 + 500.0)
    assert len(following) == 500


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fail", "again", "resolve", "list", "expire", "look"]),
            st.integers(0, 30),
            st.sampled_from([DECLINED, b'"boom"']),
        ),
        max_size=80,
    )
)
def test_what_is_kept_up_is_what_a_look_through_all_of_them_finds(
    steps: list[tuple[str, int, bytes]],
) -> None:
    following = unresolved.Unresolved(1000.0)
    for at, (step, number, output) in enumerate(steps):
        if step == "fail":
            shown = failed(f"f{number}", created=0.0, updated=1.0 * at, output=output)
            label = f"Order{number % 3}"
            following.failed(f"f{number}", label, NOW, NOW + at, now=NOW + at, row=shown)
        elif step == "again":
            known = following._failures.get(f"f{number}")
            if known is not None:
                following.failed(f"f{number}", known.label, NOW, known.failed, now=NOW + at)
        elif step == "look":
            following.view()
        elif step == "resolve":
            following.resolved(f"f{number}")
        elif step == "list":
            following.begin_listing(NOW - 10.0)
            following.complete_listing(NOW + at)
        else:
            following.expire(NOW + 1000.0 + number)
            assert all(each.failed >= NOW + number for each in following._failures.values())
    following.begin_listing(NOW + 10.0)
    following.complete_listing(NOW)
    view = following.view()
    assert view is not None
    all_shown = [
        (failure.failed, name, failure.label, failure.reason)
        for name, failure in following._failures.items()
        if failure.is_shown
    ]
    assert Counter(view.reasons) == Counter((label, why) for _, _, label, why in all_shown)
    for label in view.failures:
        mine = sorted((each[0], each[1]) for each in all_shown if each[2] == label)
        expected = set(mine[:1]) | set(mine[-4:])
        assert {
            (each.failed, each.instance_id) for each in view.samples if each.orchestrator == label
        } == expected
