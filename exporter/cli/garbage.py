"""
When Python's garbage collector looks through everything, which holds the event loop meanwhile.

By itself it would do so whenever enough is new, in the middle of a scrape as well as at any other
time. Here it does so twice a minute, in a moment in which nobody is answered, and leaves aside what
has been there from the start, which is all code. Garbage that needs it is little, such as closed
connections; all else goes at once, or by the short rounds in between.

A round takes about half a microsecond for each object that can be part of a circle: of 190 hubs,
which show 100,000 series, some 30 milliseconds. So the values that a hub keeps are none.

Nothing is frozen later: a connection that is open then refers to itself, and would stay for good.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

# The last is after how many middle rounds a full one comes by itself: not before a flood of
# garbage. The others are those of Python 3.11 for later versions too, whose rounds are longer.
_THRESHOLDS = (700, 10, 100)

_EVERY_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_MOST_LOOKS = 300


@contextmanager
def tuned_garbage_collection() -> Generator[None, None, None]:
    """Let full rounds be few while the block runs, and go only through what is new in it."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


async def make_full_rounds(is_idle: Callable[[], bool], *, every: float = _EVERY_SECONDS) -> None:
    """Make a full round *every* so many seconds, as soon as it disturbs nobody if that is soon."""
    while True:
        await anyio.sleep(every)
        for _ in range(_MOST_LOOKS):
            if is_idle():
                break
            await anyio.sleep(_LOOK_SECONDS)
        gc.collect()
