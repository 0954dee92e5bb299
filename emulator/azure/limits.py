"""How many requests Azure takes: of reads for each subscription, of queries for each identity."""

from collections.abc import Callable

READS = 250.0
READS_PER_SECOND = 25.0
QUERIES = 15
QUERY_SECONDS = 5.0


class Bucket:
    """Holds *most* requests, and gets *per_second* more; *now* tells the time in seconds."""

    def __init__(self, most: float, per_second: float, now: Callable[[], float]) -> None:
        self._most = most
        self._per_second = per_second
        self._now = now
        self._level = most
        self._at = now()
        self.taken = 0
        self.refused = 0

    @property
    def remaining(self) -> int:
        """How many requests are left."""
        return int(self._level)

    def take(self) -> float:
        """Take one request; returns how many seconds to wait where none is left, else 0."""
        now = self._now()
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        if self._level < 1:
            self.refused += 1
            return max(1.0, (1 - self._level) / self._per_second)
        self._level -= 1
        self.taken += 1
        return 0.0


class Window:
    """Takes *most* requests in each window of so many *seconds*."""

    def __init__(self, most: int, seconds: float, now: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._begin = now()
        self.remaining = most

    def take(self) -> bool:
        """Take one request; False where none is left."""
        if self._now() >= self._begin + self._seconds:
            self._begin, self.remaining = self._now(), self._most
        if not self.remaining:
            return False
        self.remaining -= 1
        return True

    @property
    def resets_after(self) -> float:
        """Seconds until there are as many again."""
        return max(0.0, self._begin + self._seconds - self._now())
