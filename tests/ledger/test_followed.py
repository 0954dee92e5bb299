"""The ids that are followed and in a page, against a look at each of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.ledger import followed
from exporter.ledger.followed import FollowedIds
from exporter.ledger.ledger import Ledger
from exporter.ledger.rules import LedgerRules
from tests.ledger.world import NOW, row

IDS = st.text("abc", min_size=1, max_size=3)
PAGES = st.lists(IDS, unique=True, max_size=40)
# With these most of a page is of other ids, as it is of a real one.
OTHERS = [f"b{number}" for number in range(200)]


class Following(RuleBasedStateMachine):
    """Ids come and go; whatever page is looked at, those that are there are found in it."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, None] = {}
        self.ids = FollowedIds(self.known.keys())

    @rule(instance_id=IDS)
    def add(self, instance_id: str) -> None:
        self.known[instance_id] = None
        self.ids.added(instance_id)

    @rule(instance_id=IDS)
    def leave(self, instance_id: str) -> None:
        self.known.pop(instance_id, None)

    @rule(page=PAGES)
    def look_at_ordered(self, page: list[str]) -> None:
        page = sorted([*page, *OTHERS])
        assert self.ids.among(page, ascending=True) == self.known.keys() & page

    @rule(page=PAGES)
    def look_at_any(self, page: list[str]) -> None:
        assert self.ids.among(page, ascending=page == sorted(page)) == self.known.keys() & page

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        kept = len(self.ids._in_order or ()) + len(self.ids._added)
        assert kept <= 2 * max(len(self.known), 40) + 120


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=50)


def test_ids_that_left_are_not_kept_for_ever() -> None:
    known: dict[str, None] = {}
    ids = FollowedIds(known.keys())
    for number in range(1000):
        known.clear()
        known[f"c{number}"] = None
        ids.added(f"c{number}")
        assert ids.among(sorted([*OTHERS, f"c{number}"]), ascending=True) == known.keys()
        assert len(ids._in_order or ()) <= 2


@given(st.sets(IDS), PAGES)
def test_more_than_can_be_sorted_are_looked_up(known: set[str], page: list[str]) -> None:
    ids = FollowedIds(dict.fromkeys(known).keys())
    most, followed._MOST_SORTED = followed._MOST_SORTED, 2
    try:
        assert ids.among(sorted(page), ascending=True) == known & set(page)
    finally:
        followed._MOST_SORTED = most


CHANGES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["Running", "Failed", "Completed", "gone"])),
    max_size=30,
)


@given(CHANGES)
def test_a_ledger_tells_of_every_id_that_it_follows(changes: list[tuple[str, str]]) -> None:
    ledger = Ledger(LedgerRules())
    ledger.begin_active(NOW)
    for number, (instance_id, status) in enumerate(changes):
        if status == "gone":
            ledger.mark_vanished(instance_id)
        elif status == "Running":
            ledger.apply_active_page([row(instance_id, status, created=float(number))], NOW)
        else:
            found = row(instance_id, status, created=float(number))
            ledger.begin_census()
            ledger.see_census([found], NOW)
        page = sorted([*"abcd", *OTHERS])
        expected = {each for each in page if each in ledger._open}
        assert ledger._open.ids.among(page, ascending=True) == expected
        failures = {each for each in page if each in ledger.unresolved._failures}
        assert ledger.unresolved.ids.among(page, ascending=True) == failures
