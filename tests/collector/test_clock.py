"""The server's clock, as its answers tell it."""

from __future__ import annotations

import pytest

from exporter.api.listing import Page
from exporter.api.wire import InstanceRow
from exporter.collector.clock import ServerClock


class Times:
    """The exporter's two clocks: one that can be set, and one that never jumps."""

    def __init__(self) -> None:
        self.wall = 1000.0
        self.monotonic = 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def clock(times: Times) -> ServerClock:
    return ServerClock(lambda: times.wall, lambda: times.monotonic)


def page(date: float | None) -> Page[InstanceRow]:
    return Page([], [], date, 0.1)


def test_before_the_first_answer_it_is_the_exporter_s(clock: ServerClock) -> None:
    assert clock.skew is None
    assert clock.note(page(None)) == 1000.0


def test_it_runs_ahead_or_behind_as_the_answers_say(clock: ServerClock, times: Times) -> None:
    assert clock.note(page(1200.0)) == 1200.0
    assert clock.skew == 200.0
    times.pass_by(30.0)
    assert clock.now() == 1230.0


def test_one_wrong_answer_does_not_move_it(clock: ServerClock) -> None:
    for _ in range(3):
        clock.note(page(999.0))
    assert clock.note(page(9e9)) == 999.0
    assert clock.note(page(0.0)) == 999.0


@pytest.mark.parametrize("wrong", [0.0, 9e9])
def test_a_wrong_first_answer_holds_only_until_the_second(clock: ServerClock, wrong: float) -> None:
    clock.note(page(wrong))
    assert clock.note(page(999.0)) == 999.0
    assert clock.note(page(999.0)) == 999.0


def test_a_lasting_change_does(clock: ServerClock) -> None:
    for date in (999.0, 999.0, 999.0, 4600.0, 4600.0, 4600.0):
        clock.note(page(date))
    assert clock.skew == 3600.0


def test_setting_the_exporter_s_clock_does_not_move_it(clock: ServerClock, times: Times) -> None:
    for _ in range(3):
        clock.note(page(1000.0))
    times.wall += 172_800.0
    assert clock.now() == 1000.0
    assert clock.skew == -172_800.0


def test_a_machine_that_slept_goes_by_the_first_answer_after(
    clock: ServerClock, times: Times
) -> None:
    for _ in range(5):
        clock.note(page(1020.0))
    times.pass_by(30.0)
    times.wall += 3600.0
    assert clock.note(page(4650.0)) == 4650.0
    times.pass_by(30.0)
    assert clock.note(page(4680.0)) == 4680.0


def test_one_wrong_answer_does_not_move_it_either_where_the_exporter_s_clock_was_set(
    clock: ServerClock, times: Times
) -> None:
    for _ in range(5):
        clock.note(page(1000.0))
    times.wall += 3600.0
    assert clock.note(page(9e9)) == 1000.0
    assert clock.note(page(1000.0)) == 1000.0


def test_what_was_then_is_known_better_later(clock: ServerClock, times: Times) -> None:
    clock.note(page(9e9))
    began = clock.began(page(9e9))
    times.pass_by(1.0)
    clock.note(page(1001.0))
    assert clock.at(began) == pytest.approx(999.9)


def test_a_clock_over_a_day_off_is_not_followed_and_its_skew_is_shown(
    clock: ServerClock, times: Times
) -> None:
    times.wall = 1e9
    for _ in range(7):
        assert clock.note(page(1e9 + 3 * 365 * 86_400.0)) == 1e9
        assert clock.is_ignored
    assert clock.skew == 3 * 365 * 86_400.0


def test_a_clock_that_jumps_is_followed_once_it_is_steady_again(clock: ServerClock) -> None:
    for _ in range(5):
        clock.note(page(4600.0))
    assert clock.now() == 4600.0
    read = [clock.note(page(1010.0)) for _ in range(5)]
    assert read == [4600.0, 4600.0, 1000.0, 1000.0, 1010.0]
    assert not clock.is_ignored


def test_setting_the_exporter_s_clock_by_days_does_not_end_belief_in_a_steady_server(
    clock: ServerClock, times: Times
) -> None:
    for _ in range(3):
        clock.note(page(1000.0))
    times.wall += 172_800.0
    assert clock.note(page(1000.0)) == 1000.0
    assert not clock.is_ignored
