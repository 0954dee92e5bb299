"""The newest of many entries."""

from __future__ import annotations

from heapq import heappush, heappushpop

# More than are shown, so that some may be resolved before all must be looked through again.
_KEPT = 20


class Newest:
    """Keeps the newest entries, each a moment and an id; `left_out` tells that there were more."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, str]] = []
        self.left_out = False

    def add(self, entry: tuple[float, str]) -> None:
        """Add an entry."""
        if len(self._entries) < _KEPT:
            heappush(self._entries, entry)
        else:
            heappushpop(self._entries, entry)
            self.left_out = True

    def entries(self) -> list[tuple[float, str]]:
        """Return them, the newest first, each once."""
        return sorted(set(self._entries), reverse=True)
