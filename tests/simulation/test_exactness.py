"""Every finish that is observable through the API is counted exactly once, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation.machine import prove, summary


def test_every_observable_finish_is_counted_exactly_once(
    loop: asyncio.AbstractEventLoop, record_property: Callable[[str, object], None]
) -> None:
    tally = prove(loop, 200)
    record_property("simulated", summary(tally))
    assert tally["histories"] >= 200
    assert tally["counted"] > 1500


@pytest.mark.nightly
def test_every_observable_finish_of_ten_thousand_histories_is_counted_exactly_once(
    loop: asyncio.AbstractEventLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    tally: Counter[str] = Counter()
    # In parts, since hypothesis remembers all histories of one run.
    for part in range(20):
        tally += prove(loop, 500, begin=part, steps=30)
    with capsys.disabled():
        print(f"\n{summary(tally)}")  # noqa: T201 - the figures are the result
    assert tally["histories"] >= 10_000
