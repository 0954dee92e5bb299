"""Rows that a listing did not show: absent ids, and a hub replaced under the same name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.api.wire import InstanceRow
from exporter.ledger.ledger import Ledger, Source
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, in_contact, recent, row, sweep

ACTIVE = tuple(row(f"a{n}", "Running", created=-60.0 - n, updated=-50.0) for n in range(5))
FAILED = tuple(row(f"f{n}", "Failed", created=-600.0, updated=-500.0) for n in range(3))


def hub(active: int, failed: int = 0) -> Ledger:
    """Return a ledger that knows of so many active and failed instances."""
    ledger = in_contact(DEFAULT_RULES, *ACTIVE[:active])
    list_failed(ledger, *FAILED[:failed])
    sweep(ledger, 30.0, *ACTIVE[:active])
    recent(ledger, 30.0)
    return ledger


def list_failed(ledger: Ledger, *rows: InstanceRow) -> None:
    ledger.unresolved.begin_listing(NOW - 86_400.0)
    ledger.apply_rows(rows, Source.FAILED, NOW)
    ledger.unresolved.complete_listing(NOW)


def lose(
    ledger: Ledger, at: float, *instance_ids: str, still: tuple[InstanceRow, ...] = ()
) -> None:
    """Make a cycle that finds *still*, and no longer instances by id."""
    sweep(ledger, at, *still)
    for instance_id in instance_ids:
        ledger.mark_vanished(instance_id)
    ledger.end_reads()
    recent(ledger, at)


def ids(rows: tuple[InstanceRow, ...]) -> list[str]:
    return [each.instance_id for each in rows]


def test_it_is_told_when_all_that_was_active_vanished_at_once() -> None:
    ledger = hub(5)
    lose(ledger, 60.0, *ids(ACTIVE), still=(row("new", "Running", created=50.0),))
    assert ledger.known().replaced == NOW + 60.0
    assert Ledger(DEFAULT_RULES, ledger.saved()).known().replaced == NOW + 60.0


def test_it_is_told_also_where_some_could_only_be_read_a_cycle_later() -> None:
    ledger = hub(5)
    lose(ledger, 60.0, *ids(ACTIVE)[:3])
    assert ledger.known().replaced is None
    lose(ledger, 90.0, *ids(ACTIVE)[3:], still=(row("new", "Running", created=50.0),))
    assert ledger.known().replaced == NOW + 90.0


def test_it_is_told_also_after_a_restart() -> None:
    ledger = Ledger(DEFAULT_RULES, hub(5).saved())
    lose(ledger, 60.0, *ids(ACTIVE))
    assert ledger.known().replaced == NOW + 60.0


def test_failed_instances_count_once_they_are_found_to_be_gone_too() -> None:
    ledger = hub(2, failed=3)
    lose(ledger, 60.0, *ids(ACTIVE[:2]))
    assert ledger.known().replaced is None
    for instance_id in ids(FAILED):
        ledger.mark_vanished(instance_id)
    assert ledger.known().replaced == NOW + 60.0


def test_a_failed_instance_that_is_still_there_says_that_the_hub_is() -> None:
    ledger = hub(5, failed=2)
    lose(ledger, 60.0, *ids(ACTIVE))
    list_failed(ledger, FAILED[0])
    ledger.mark_vanished(FAILED[1].instance_id)
    ledger.mark_vanished(FAILED[0].instance_id)
    assert ledger.known().replaced is None


def test_it_is_not_told_of_fewer_than_five() -> None:
    ledger = hub(4)
    lose(ledger, 60.0, *ids(ACTIVE[:4]))
    assert ledger.known().replaced is None


def test_it_is_not_told_where_one_is_still_active() -> None:
    ledger = hub(5)
    lose(ledger, 60.0, *ids(ACTIVE[:4]), still=ACTIVE[4:])
    lose(ledger, 90.0, *ids(ACTIVE[4:]))
    assert ledger.known().replaced is None


def test_it_is_not_told_where_one_has_finished() -> None:
    ledger = hub(5)
    sweep(ledger, 60.0)
    ledger.apply_row(row("a4", "Completed", created=-64.0, updated=50.0), Source.READ, NOW + 60.0)
    for instance_id in ids(ACTIVE[:4]):
        ledger.mark_vanished(instance_id)
    ledger.end_reads()
    recent(ledger, 60.0)
    assert ledger.known().replaced is None


def test_it_is_not_told_where_failed_instances_alone_are_purged() -> None:
    failed = tuple(row(f"f{n}", "Failed", created=-600.0, updated=-500.0) for n in range(9))
    ledger = in_contact(DEFAULT_RULES)
    list_failed(ledger, *failed)
    for instance_id in ids(failed):
        ledger.mark_vanished(instance_id)
    recent(ledger, 60.0)
    assert ledger.known().replaced is None


def test_failures_that_vanish_with_it_are_not_called_resolved() -> None:
    ledger = hub(2, failed=3)
    ledger.take_changes()
    lose(ledger, 60.0, *ids(ACTIVE[:2]))
    first, second, third = ids(FAILED)
    ledger.mark_vanished(first)
    suspected = ledger.take_changes()
    assert not suspected.replaced
    ledger.mark_vanished(second)
    ledger.mark_vanished(third)
    known = ledger.take_changes()
    assert known.replaced
    assert not suspected.resolved.named + known.resolved.named
    assert not ledger.take_changes().replaced


def test_those_that_people_purge_are() -> None:
    ledger = hub(5, failed=3)
    ledger.take_changes()
    ledger.mark_vanished(ids(FAILED)[0])
    assert [each.instance_id for each in ledger.take_changes().resolved.named] == ids(FAILED)[:1]


IDS = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.sets(IDS)),
        st.tuples(st.just("read"), IDS, st.sampled_from(("Running", "Completed", "Odd"))),
        st.tuples(st.just("restart"), IDS),
        st.tuples(st.just("gone"), IDS),
        st.tuples(st.just("ask")),
    ),
    max_size=20,
)


@given(steps=STEPS)
def test_asking_in_between_changes_no_answer(steps: list[tuple[str, ...]]) -> None:
    asked, unasked = Ledger(DEFAULT_RULES), Ledger(DEFAULT_RULES)
    for step in steps:
        for ledger in (asked, unasked):
            apply(ledger, step)
        if step[0] == "ask":
            asked.absent()
    assert asked.absent() == unasked.absent()


def apply(ledger: Ledger, step: tuple[str, ...]) -> None:
    match step:
        case ("list", ids):
            ledger.begin_active(NOW)
            ledger.apply_active_page(
                [row(instance_id, created=-9e5) for instance_id in sorted(ids)], NOW
            )
        case ("read", instance_id, status):
            ledger.apply_row(row(instance_id, status, created=-9e5), Source.READ, NOW)
        case ("restart", instance_id):
            ledger.apply_row(row(instance_id, created=-5.0), Source.READ, NOW)
        case ("gone", instance_id):
            ledger.mark_vanished(instance_id)
