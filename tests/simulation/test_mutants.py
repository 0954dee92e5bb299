"""The same histories find out whoever counts otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.simulation.checks import Miscounted
from tests.simulation.machine import prove
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.proof

MOST_HISTORIES = 300


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_histories_find_out_an_exporter(
    mutant: Mutant,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    mutant(monkeypatch)
    # What is counted late is not yet wrong: only what is counted twice, or never.
    monkeypatch.setattr(Simulation, "is_patient", True)
    with pytest.raises(Miscounted) as found:
        prove(loop, MOST_HISTORIES, shrinks=False)
    record_property("found out by history", Simulation.tally["histories"])
    print(f"history {Simulation.tally['histories']}: {found.value}")  # noqa: T201 - with -rP
