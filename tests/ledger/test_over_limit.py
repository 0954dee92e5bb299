"""Instances beyond a limit, by their ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from exporter.api.wire import InstanceRow
from exporter.ledger.ledger import Ledger
from exporter.ledger.over_limit import MAX_SAMPLES, MAX_SAMPLES_PER_ORCHESTRATOR
from exporter.ledger.snapshot import MOST_NAMED, ActiveView, OverLimit, Recovered
from exporter.ledger.status import RuntimeStatus
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, row, shown

LIMITS = {
    "pending": 60.0,
    "idle": 300.0,
    "age": 3600.0,
}
STATUSES = ("Pending", "Running", "Suspended", "ContinuedAsNew")


def limited(**limits: float) -> Ledger:
    """Return a ledger with the limits above, or with these alone."""
    return Ledger(replace(DEFAULT_RULES, limits=limits or LIMITS))


def swept(ledger: Ledger, at: float, *active: InstanceRow) -> ActiveView:
    ledger.begin_active(NOW + at)
    ledger.apply_active_page(active, NOW + at)
    return ledger.complete_active(NOW + at)


def ids(samples: tuple[OverLimit, ...]) -> list[str]:
    return [sample.instance_id for sample in samples]


def test_a_sample_tells_which_limit_and_since_when() -> None:
    view = swept(limited(), 0.0, row("a", created=-900.0, updated=-301.0), row("b", created=-300.0))
    assert view.over_limit_samples == (
        OverLimit(
            "a", "Order", RuntimeStatus.RUNNING, "idle", NOW - 301.0, NOW - 900.0, NOW - 301.0
        ),
    )


def test_a_rewound_instance_waits_since_it_was_rewound() -> None:
    rewound = row("a", "Pending", created=-9000.0, updated=-30.0)
    view = swept(limited(pending=60.0), 0.0, rewound)
    assert view.over_limit_samples == ()
    assert view.waiting_since == {("Order", RuntimeStatus.PENDING): NOW - 30.0}


def test_one_instance_can_be_beyond_two_limits() -> None:
    view = swept(limited(), 0.0, row("a", created=-4000.0, updated=-400.0))
    assert [(each.limit, each.since) for each in view.over_limit_samples] == [
        ("age", NOW - 4000.0),
        ("idle", NOW - 400.0),
    ]


def test_the_oldest_of_every_orchestrator_come_first_and_none_crowds_out_another() -> None:
    many = [row(f"m{i:03}", created=-2000.0 + i, name="Many") for i in range(500)]
    lone = row("lone", created=-301.0, name="Lone")
    view = swept(limited(idle=300.0), 0.0, *many, lone)
    assert ids(view.over_limit_samples) == ["m000", "lone", "m001", "m002", "m003", "m004"]
    assert len(view.over_limit_samples) == MAX_SAMPLES_PER_ORCHESTRATOR + 1


def test_a_hub_shows_no_more_than_a_hundred_of_them() -> None:
    rows = [row(f"i{i:03}", created=-900.0, name=f"Order{i % 150}") for i in range(300)]
    samples = swept(limited(idle=300.0), 0.0, *rows).over_limit_samples
    assert len({each.orchestrator for each in samples}) == len(samples) == MAX_SAMPLES


def test_going_over_a_limit_and_coming_back_is_told_once() -> None:
    ledger = limited(idle=300.0)
    swept(ledger, 0.0, row("a", created=-200.0), row("b", created=-200.0))
    assert ledger.take_changes().over_limit.named == ()
    both = row("a", created=-200.0), row("b", created=-200.0)
    swept(ledger, 101.0, *both)
    assert ids(ledger.take_changes().over_limit.named) == ["a", "b"]
    swept(ledger, 102.0, *both)
    assert ledger.take_changes().over_limit.named == ()
    moved = row("a", created=-200.0, updated=102.0)
    swept(ledger, 103.0, moved, both[1])
    assert ledger.take_changes().recovered.named == (Recovered("a", "Order", "idle"),)
    ledger.mark_vanished("b")
    swept(ledger, 104.0, moved)
    assert ledger.take_changes().recovered.named == (Recovered("b", "Order", "idle"),)


def test_one_that_a_sweep_does_not_show_and_nobody_could_read_stays_over_its_limit() -> None:
    ledger = limited(idle=300.0)
    stuck = row("a", created=-400.0)
    swept(ledger, 0.0, stuck)
    ledger.take_changes()
    swept(ledger, 30.0)
    swept(ledger, 60.0, stuck)
    changes = ledger.take_changes()
    assert (changes.over_limit.named, changes.recovered.named) == ((), ())


def test_most_are_only_counted() -> None:
    ledger = limited(idle=300.0)
    rows = [row(f"i{i}", created=-900.0) for i in range(MOST_NAMED + 7)]
    swept(ledger, 0.0, *rows)
    few = ledger.take_changes().over_limit
    assert (len(few.named), few.left_out) == (MOST_NAMED, 7)


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from("abcdefgh"),
        st.sampled_from(STATUSES),
        created=st.one_of(st.none(), st.sampled_from([-4000.0, -3600.0, -500.0, -300.0, -61.0])),
        updated=st.sampled_from([-4000.0, -3601.0, -301.0, -300.0, -60.0, -1.0]),
        name=st.sampled_from(["Order", "Ship", ""]),
    ),
    unique_by=lambda each: each.instance_id,
    max_size=8,
)


@given(st.lists(ROWS, max_size=5))
def test_who_is_followed_is_exactly_who_is_counted(sweeps: list[list[InstanceRow]]) -> None:
    ledger = limited()
    over: set[tuple[str, str]] = set()
    for at, rows in enumerate(sweeps):
        gone = {each for each, _ in over} - {each.instance_id for each in rows}
        for instance_id in gone:
            ledger.mark_vanished(instance_id)
        view = swept(ledger, 1.0 * at, *rows)
        counted = Counter((each.orchestrator, each.limit) for each in view.over_limit_samples)
        # Eight instances at most: no orchestrator has more than the cap in both limits here.
        for key, count in view.over_limit.items():
            assert counted[key] == min(count, MAX_SAMPLES_PER_ORCHESTRATOR)
        changes = ledger.take_changes()
        over |= {(each.instance_id, each.limit) for each in changes.over_limit.named}
        over -= {(each.instance_id, each.limit) for each in changes.recovered.named}
        assert len(over) == sum(view.over_limit.values())


TIMES = st.none() | st.floats(-5000.0, 0.0).map(round)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(STATUSES), TIMES, TIMES)))
def test_each_instance_is_judged_by_its_own_times_unknown_ones_too(
    instances: list[tuple[str, str, int | None, int | None]],
) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    ledger = limited()
    ledger.begin_active(NOW)
    for number, (name, status, created, updated) in enumerate(instances):
        shown_row = row(str(number), status, name=name, created=created, updated=updated)
        if updated is None:
            shown_row = structs.replace(shown_row, last_updated_time=shown(None))
        ledger.apply_active_page([shown_row], NOW)
        known = [moment for moment in (created, updated) if moment is not None]
        if created is not None and created < -3600:
            expected[name, "age"] += 1
        limit = {"Pending": ("pending", -60), "Running": ("idle", -300)}.get(status)
        if limit and known and max(known) < limit[1]:
            expected[name, limit[0]] += 1
    assert ledger.complete_active(NOW).over_limit == expected
