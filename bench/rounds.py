"""How long the rounds of Python's garbage collector hold the process."""

from __future__ import annotations

import gc
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

_FULL = 2


class Rounds:
    """Milliseconds of processor time of each round while it is watched, full ones apart."""

    def __init__(self) -> None:
        self.full: list[float] = []
        self.others: list[float] = []
        self._began = 0.0

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """Note the rounds while the block runs."""
        gc.callbacks.append(self._note)
        try:
            yield
        finally:
            gc.callbacks.remove(self._note)

    def _note(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        # Of the thread whose turn it is: the machine's other work is not the collector's.
        now = time.thread_time() * 1000
        if phase == "start":
            self._began = now
        else:
            rounds = self.full if info["generation"] == _FULL else self.others
            rounds.append(now - self._began)

    def line(self) -> str:
        """Return them as a line of the report."""
        return (
            f"    of that the garbage collector: {len(self.full)} full rounds, most"
            f" {max(self.full, default=0.0):.1f} ms; {len(self.others)} others, most"
            f" {max(self.others, default=0.0):.1f} ms"
        )
