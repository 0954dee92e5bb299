"""The page budget of a day."""

from __future__ import annotations

from exporter.collector.budgets import PageBudget
from exporter.collector.snapshot import Sweep

MIDNIGHT = 1_795_392_000.0


def test_without_a_limit_everything_is_allowed() -> None:
    budget = PageBudget(None)
    budget.spend(1_000_000, MIDNIGHT)
    assert budget.remaining(MIDNIGHT) is None
    assert all(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)


def test_the_last_tenth_is_for_what_alerts_live_by() -> None:
    budget = PageBudget(100)
    budget.spend(89, MIDNIGHT)
    assert all(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)
    budget.spend(1, MIDNIGHT)
    allowed = [sweep for sweep in Sweep if budget.allows(sweep, MIDNIGHT)]
    assert allowed == [Sweep.ACTIVE, Sweep.FINISHED]
    budget.spend(15, MIDNIGHT)
    assert budget.remaining(MIDNIGHT) == 0
    assert not any(budget.allows(sweep, MIDNIGHT) for sweep in Sweep)


def test_each_day_begins_anew_at_midnight_utc() -> None:
    budget = PageBudget(10)
    budget.spend(10, MIDNIGHT + 86_399.0)
    assert not budget.allows(Sweep.ACTIVE, MIDNIGHT + 86_399.9)
    assert budget.allows(Sweep.CENSUS, MIDNIGHT + 86_400.0)
    assert budget.remaining(MIDNIGHT + 86_400.0) == 10
