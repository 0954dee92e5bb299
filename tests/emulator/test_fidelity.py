"""
The emulator, brought through the recorded scenarios, answers every recorded request as recorded.

What differs everywhere, and why, stands in docs/emulator.md; `replay` leaves out just that.
"""

import pytest

from tests.emulator.performance import performance
from tests.emulator.recordings import FILES, Exchange, Recording, recorded
from tests.emulator.worker_scenario import SCENARIOS

PLAYED = [(r, file) for r in Recording for file in FILES if recorded(r, file)]


def about(exchange: Exchange) -> str:
    """Return the instance that an exchange is about, empty if it is about several."""
    return exchange.label.rpartition(": ")[0]


@pytest.mark.parametrize(("recording", "file"), PLAYED)
def test_every_answer_is_as_recorded(recording: Recording, file: str) -> None:
    found = performance(recording)
    left_out = SCENARIOS[recording].different if recording in SCENARIOS else {}
    differences = {
        str(e): found[e]
        for e in recorded(recording, file)
        if found[e] != {} and about(e) not in left_out
    }
    assert differences == {}


@pytest.mark.parametrize("recording", SCENARIOS)
def test_no_more_is_left_out_than_what_differs(recording: Recording) -> None:
    found = performance(recording)
    assert {about(e) for e in found if found[e]} == set(SCENARIOS[recording].different)


@pytest.mark.parametrize("recording", Recording)
def test_no_exchange_is_left_out(recording: Recording) -> None:
    played = {e for file in FILES for e in recorded(recording, file)}
    assert set(performance(recording)) == played
    assert len(played) > 150
