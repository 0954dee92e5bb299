"""The server's clock, as its answers tell it."""

from __future__ import annotations

from exporter.api.listing import Page
from exporter.api.wire import InstanceRow
from exporter.collector.sweeps import ServerClock


def page(date: float | None) -> Page[InstanceRow]:
    return Page([], b"", date, 0.1, 2)


def test_before_the_first_answer_it_is_the_exporter_s() -> None:
    clock = ServerClock(lambda: 1000.0)
    assert clock.skew is None
    assert clock.note(page(None)) == 1000.0


def test_it_runs_ahead_or_behind_as_the_answers_say() -> None:
    clock = ServerClock(lambda: 1000.0)
    assert clock.note(page(1200.0)) == 1200.0
    assert clock.skew == 200.0


def test_one_wrong_answer_does_not_move_it() -> None:
    clock = ServerClock(lambda: 1000.0)
    for _ in range(3):
        clock.note(page(999.0))
    assert clock.note(page(9e9)) == 999.0
    assert clock.note(page(0.0)) == 999.0


def test_a_lasting_change_does() -> None:
    clock = ServerClock(lambda: 1000.0)
    for date in (999.0, 999.0, 999.0, 4600.0, 4600.0, 4600.0):
        clock.note(page(date))
    assert clock.skew == 3600.0
