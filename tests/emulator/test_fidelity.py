"""
The emulator, brought through the recorded scenario, answers every recorded request as recorded.

What differs, and why, stands in docs/emulator.md; `replay` leaves out just that.
"""

import pytest

from emulator import ExtensionVersion
from tests.emulator.performance import performance
from tests.emulator.recordings import FILES, Exchange, recorded

EXCHANGES = [e for v in ExtensionVersion for file in FILES for e in recorded(v, file)]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
def test_an_answer_is_as_recorded(exchange: Exchange) -> None:
    assert performance(exchange.version)[exchange] == {}


def test_no_exchange_is_left_out() -> None:
    assert {e for v in ExtensionVersion for e in performance(v)} == set(EXCHANGES)
    assert {(e.version, e.file) for e in EXCHANGES} == {
        (v, file) for v in ExtensionVersion for file in FILES
    } - {(ExtensionVersion.V2, "times")}
