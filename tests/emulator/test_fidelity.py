"""
The emulator, brought through the recorded scenarios, answers every recorded request as recorded.

What differs everywhere, and why, stands in docs/emulator.md; `replay` leaves out just that.
"""

import pytest

from tests.emulator.performance import performance
from tests.emulator.recordings import FILES, Recording, recorded

PLAYED = [(r, file) for r in Recording for file in FILES if recorded(r, file)]
# Exchanges that differ, and why; docs/emulator.md says so too.
DIFFERENT = {
    "v3-javascript instance-status 135: activity-chargesecret: history": "the host hides secrets in"
    " what it can see of a failure, the emulator hides nothing",
    "v3-javascript instance-status 207: http-polling-default: history": "the recorded address says"
    " 202 without saying when to ask again, the emulated one says 3 s",
}


@pytest.mark.parametrize(("recording", "file"), PLAYED)
def test_every_answer_is_as_recorded(recording: Recording, file: str) -> None:
    found = performance(recording)
    differences = {str(e): found[e] for e in recorded(recording, file) if found[e] != {}}
    expected = {name for name in DIFFERENT if name.startswith(f"{recording} {file} ")}
    assert {name: it for name, it in differences.items() if name not in expected} == {}
    assert set(differences) == expected


@pytest.mark.parametrize("recording", Recording)
def test_no_exchange_is_left_out(recording: Recording) -> None:
    played = {e for file in FILES for e in recorded(recording, file)}
    assert set(performance(recording)) == played
    assert len(played) > 150
