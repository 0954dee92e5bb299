"""The instance behind each counter of finishes."""

from __future__ import annotations

from exporter.ledger.accounts import Accounts
from exporter.ledger.snapshot import FinishedInstance
from exporter.ledger.state import state_of
from exporter.ledger.status import RuntimeStatus
from tests.ledger.world import row

HOLD = 120.0
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
