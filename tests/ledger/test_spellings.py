"""Orchestrators whose names differ in case alone are one, as for the runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.wire import InstanceRow
from exporter.ledger.census import SavedCensus
from exporter.ledger.counters import SavedCounter
from exporter.ledger.label_values import OTHER, LabelValues, SavedPlace
from exporter.ledger.ledger import Ledger
from exporter.ledger.state import Header, LedgerState
from exporter.ledger.tracked import SavedInstance
from exporter.ledger.unresolved import SavedFailure
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, counted, finishes, in_contact, recent, row, sweep

SPELLINGS = ("Order", "order", "ORDER")


def instances(spellings: tuple[str, ...], created: float = -60.0) -> list[InstanceRow]:
    return [row(f"i{n}", created=created, name=name) for n, name in enumerate(spellings)]


class TestFirstContact:
    def test_it_is_spelled_as_most_of_its_active_instances_are(self) -> None:
        ledger = in_contact(None, *instances(("order", "Order", "Order")))
        assert ledger.known().orchestrators == ("Order",)

    def test_of_as_many_the_smaller_spelling_counts(self) -> None:
        ledger = in_contact(None, *instances(("order", "Order")))
        assert ledger.known().orchestrators == ("Order",)

    def test_a_configured_spelling_comes_first(self) -> None:
        rules = replace(DEFAULT_RULES, orchestrators=("ORDER", "order"))
        ledger = in_contact(rules, *instances(("order", "Order", "Order")))
        assert ledger.known().orchestrators == ("ORDER",)

    def test_later_the_first_one_that_is_seen_counts_and_stays(self) -> None:
        ledger = in_contact()
        sweep(ledger, 30.0, row("a", created=10.0, name="order"))
        sweep(ledger, 60.0, *instances(("Order", "Order", "Order"), created=40.0))
        assert ledger.known().orchestrators == ("order",)
        assert Ledger(DEFAULT_RULES, ledger.saved()).known().orchestrators == ("order",)

    def test_what_was_counted_until_then_is_counted_once(self) -> None:
        ledger = Ledger(DEFAULT_RULES)
        rows = [row("old", created=-60.0, name="order"), row("n0", created=5.0, name="order")]
        rows += [row(f"n{n}", created=5.0 + n, name="Order") for n in (1, 2)]
        sweep(ledger, 0.0, *rows)
        recent(ledger, 0.0)
        assert counted(ledger, "created") == {("Order",): 3}
        assert ledger.known().latest.created == {"Order": NOW + 7.0}
        recent(ledger, 30.0, row("n0", "Completed", created=5.0, updated=20.0, name="order"))
        assert finishes(ledger) == {("Order", "Completed"): 1}

    @given(st.permutations(("Order",) * 3 + ("order",) * 2 + ("ORDER",)))
    def test_replicas_agree_in_whatever_order_they_see_the_instances(
        self, spellings: list[str]
    ) -> None:
        ledger = in_contact(None, *instances(tuple(spellings)))
        assert ledger.known().orchestrators == ("Order",)
        ledger.begin_active(NOW + 30.0)
        ledger.apply_active_page(instances(tuple(spellings)), NOW + 30.0)
        assert ledger.complete_active(NOW + 30.0).instances == {("Order", "Running"): 6}


class TestOneName:
    def test_limits_hold_for_all_spellings(self) -> None:
        own = {"Order": {"idle": 10.0}}
        rules = replace(DEFAULT_RULES, own_limits_of=lambda name: own.get(name, {}))
        ledger = in_contact(rules, *instances(("Order", "Order", "order")))
        sweep(ledger, 30.0, *instances(("Order", "Order", "order")))
        ledger.begin_active(NOW + 60.0)
        ledger.apply_active_page(instances(("Order", "Order", "order")), NOW + 60.0)
        assert ledger.complete_active(NOW + 60.0).over_limit == {("Order", "idle"): 3}

    def test_continued_as_new_under_another_spelling_is_continued(self) -> None:
        ledger = in_contact(None, row("a", created=-60.0, name="Order"))
        sweep(ledger, 30.0, row("a", created=20.0, name="order"))
        assert counted(ledger, "continued") == {("Order",): 1}
        assert counted(ledger, "created") == {}

    def test_among_the_others_spellings_are_one_too(self) -> None:
        values = LabelValues(1, ("First",))
        assert [values.label(name) for name in SPELLINGS] == [OTHER] * 3
        assert (values.folded, values.distinct) == (1, 2)
        assert values.label("FIRST") == values.peek("fIrSt") == "First"
        assert values.peek("order") == OTHER


def state_of_two_spellings() -> LedgerState:
    """Return a state in which `order` and `Order` are two orchestrators, as once they were."""
    return LedgerState(
        header=Header(contact=NOW - 9000.0, mark=NOW - 30.0, horizon=int(NOW) - 9000),
        orchestrators={
            name: SavedPlace(number, is_folded=False)
            for number, name in enumerate(("order", "Other", "Order"))
        },
        open={"a": SavedInstance("order", NOW - 60.0), "b": SavedInstance("Order", NOW - 60.0)},
        counters={
            ("finished", "order", "Completed"): SavedCounter(100, 100),
            ("finished", "Order", "Completed"): SavedCounter(7, 7),
            ("finished", "Other", "Completed"): SavedCounter(3, 3),
            ("reopened",): SavedCounter(2, 2),
        },
        latest={("created", "order"): NOW - 5.0, ("created", "Order"): NOW - 50.0},
        recent={("1h", int(NOW) - 9): [("order", "Completed", 2), ("Order", "Completed", 1)]},
        failures={"f": SavedFailure("order", NOW - 90.0, NOW - 80.0)},
        census=SavedCensus(
            [("order", "Completed", 20), ("Order", "Completed", 4)], {}, NOW - 1000.0
        ),
        finished_since={("order", "Completed"): 1, ("Order", "Completed"): 2},
    )


class TestStateWithTwoSpellings:
    def test_the_kept_one_counts_on_from_its_own_value_and_the_other_ends(self) -> None:
        ledger = Ledger(DEFAULT_RULES, state_of_two_spellings())
        shown = ledger.counters(0.0, 0.0)
        assert shown["finished"]["Order", "Completed"] == 7
        assert shown["finished"]["Other", "Completed"] == 3
        assert shown["reopened"] == {(): 2}
        assert not [labels for labels in shown["finished"] if "order" in labels]
        recent(ledger, 0.0, row("x", "Completed", created=-20.0, updated=-5.0, name="order"))
        assert ledger.counters(0.0, 0.0)["finished"]["Order", "Completed"] == 8

    def test_what_there_is_now_is_that_of_both(self) -> None:
        ledger = Ledger(DEFAULT_RULES, state_of_two_spellings())
        assert ledger.known().orchestrators == ("Other", "Order")
        assert ledger.known().latest.created == {"Order": NOW - 5.0}
        retained = ledger.retained.view()
        assert retained is not None
        assert retained.instances == {("Order", "Completed"): 27}
        ledger.begin_active(NOW)
        view = ledger.complete_active(NOW)
        assert {label for label, _ in view.instances} <= {"Order"}
        ledger.begin_finished(NOW)
        assert ledger.complete_finished(NOW).recent["Order", "Completed", "1h"] == 3

    @pytest.mark.parametrize("configured", [("order",), ("ORDER", "order"), ("Order",)])
    def test_the_configured_one_is_kept(self, configured: tuple[str, ...]) -> None:
        rules = replace(DEFAULT_RULES, orchestrators=configured)
        ledger = Ledger(rules, state_of_two_spellings())
        assert configured[-1] in ledger.known().orchestrators
        assert len(ledger.known().orchestrators) == 2

    def test_it_is_written_and_read_again_as_one(self) -> None:
        saved = Ledger(DEFAULT_RULES, state_of_two_spellings()).saved()
        assert set(saved.orchestrators) == {"Order", "Other"}
        again = Ledger(DEFAULT_RULES, saved).counters(0.0, 0.0)
        assert again["finished"]["Order", "Completed"] == 7
