"""Each request of a sweep is as urgent as what it feeds, the pages fetched ahead included."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator import running
from exporter.api.classify import Failures
from exporter.api.keys import Field, KeySource
from exporter.api.pacing import Priority, priority
from exporter.collector.snapshot import Sweep
from tests.cli.process import KEY as EMULATORS_KEY
from tests.cli.process import frozen_emulator
from tests.collector.polled import collector_of

pytestmark = pytest.mark.anyio


async def test_active_sweeps_come_first_then_finishes_then_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Priority] = []

    async def admit(self: KeySource, failures: Failures) -> Sequence[Field]:
        del self, failures
        asked.append(priority.get())
        return [(b"x-functions-key", EMULATORS_KEY.encode())]

    monkeypatch.setattr(KeySource, "admit", admit)
    emulator = frozen_emulator()
    async with (
        running(emulator) as url,
        collector_of(url, wall=emulator.clock.now, page_size=20) as (collector, _),
    ):
        made: dict[Sweep, set[Priority]] = {}
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            asked.clear()
            assert await collector.make(sweep) is None
            made[sweep] = set(asked)
            if sweep is Sweep.ACTIVE:
                assert asked == sorted(asked)
                assert asked.count(Priority.ACTIVE) > 1
    assert made.pop(Sweep.ACTIVE) >= {Priority.ACTIVE, Priority.FINISHED}
    assert set().union(*made.values()) <= {Priority.OTHER, Priority.FINISHED}
    assert made[Sweep.CENSUS] == {Priority.OTHER}
