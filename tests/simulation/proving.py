"""Runs many histories, and tells what was run."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import Histories
from tests.simulation.simulation import Simulation


def prove(
    loop: asyncio.AbstractEventLoop,
    histories: int,
    *,
    begin: int = 0,
    steps: int = 20,
    shrinks: bool = True,
) -> Counter[str]:
    """
    Run so many histories of so many *steps*; returns how much happened in them.

    The same *begin* gives the same histories. Raises what the first one that fails raises, in its
    shortest form if it *shrinks*.
    """

    @seed(begin)
    class Begun(Histories):
        """The histories that begin there."""

    Simulation.tally.clear()
    Begun.loop = loop
    run_state_machine_as_test(
        Begun,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Simulation.tally.copy()


def told(tally: Counter[str]) -> str:
    """Return in words how much happened."""
    steps = sum(tally[sweep] for sweep in ("active", "failed", "census"))
    return (
        f"{tally['histories']} histories, {steps} sweeps, {tally['kills']} kills,"
        f" {tally['finishes']} finishes, {tally['counted']} of them observable and counted"
    )
