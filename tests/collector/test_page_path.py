"""How much of the exporter a page of a listing passes from the socket to the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import pytest

from emulator import ManualClock, running
from exporter.collector.hub import HubCollector
from exporter.collector.sweeps import HubSweeps
from exporter.ledger.ledger import Ledger
from tests.collector.polled import collector_of
from tests.collector.test_hub import START, sample

pytestmark = pytest.mark.anyio

EXPORTER = str(Path(__file__).parents[2] / "exporter")
# Rows of a page. The sixth has instances that are tracked already, and no entities.
ROWS, PAGE = 16, 6
MOST_FUNCTIONS, MOST_DEPTH = 40, 10
SWEEP, COLLECTION = HubSweeps.active.__code__, HubCollector.collect_once.__code__


@dataclass(slots=True)
class Passage:
    """Functions entered from one page applied to the ledger to the next, and the deepest call."""

    functions: set[CodeType] = field(default_factory=set)
    depth: int = 0
    pages: int = 0

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "return" and code is Ledger.apply_active_page.__code__:
            self.pages += 1
        if event != "call" or self.pages != PAGE - 1 or not code.co_filename.startswith(EXPORTER):
            return
        stack = [code]
        while frame.f_back is not None and stack[-1] is not SWEEP:
            frame = frame.f_back
            if frame.f_code.co_filename.startswith(EXPORTER):
                stack.append(frame.f_code)
        # What makes the sweep is entered again, too, whenever something was awaited.
        if stack[-1] is not COLLECTION and not code.co_name.startswith("<"):
            self.functions.add(code)
            self.depth = max(self.depth, len(stack))


@contextmanager
def recorded() -> Iterator[Passage]:
    path = Passage()
    sys.setprofile(path.profile)
    try:
        yield path
    finally:
        sys.setprofile(None)


async def test_a_page_passes_few_functions_and_is_few_calls_deep() -> None:
    clock = ManualClock(START)
    emulator, _ = sample(clock)
    async with (
        running(emulator) as url,
        collector_of(url, wall=clock.now, monotonic=clock.now, page_size=ROWS) as (collector, _),
    ):
        await collector.collect_once()
        with recorded() as path:
            await collector.collect_once()
    assert path.pages > PAGE
    names = sorted(code.co_qualname for code in path.functions)
    assert len(names) <= MOST_FUNCTIONS, names
    assert path.depth <= MOST_DEPTH
