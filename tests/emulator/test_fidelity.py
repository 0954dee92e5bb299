"""
The emulator, brought through the recorded scenario, answers every recorded request as recorded.

What differs, and why, stands in docs/emulator.md; `replay` leaves out just that.
"""

import pytest

from tests.emulator.performance import performance
from tests.emulator.recordings import FILES, Recording, recorded

PLAYED = [(r, file) for r in Recording for file in FILES if recorded(r, file)]


@pytest.mark.parametrize(("recording", "file"), PLAYED)
def test_every_answer_is_as_recorded(recording: Recording, file: str) -> None:
    found = performance(recording)
    differences = {str(e): found[e] for e in recorded(recording, file) if found[e] != {}}
    assert differences == {}


@pytest.mark.parametrize("recording", Recording)
def test_no_exchange_is_left_out(recording: Recording) -> None:
    played = {e for file in FILES for e in recorded(recording, file)}
    assert set(performance(recording)) == played
    assert len(played) > 150
