"""Which ids a listing did not show, however often and whenever that is asked."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.ledger.ledger import Ledger, Source
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, row

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
