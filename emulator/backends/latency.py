"""How long a storage provider takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds that a request takes, and more for every thousand rows that are looked at."""

    request: float = 0.0
    thousand_rows: float = 0.0

    def seconds(self, rows: int) -> float:
        """Return how long a request takes that looks at some rows."""
        return self.request + self.thousand_rows * rows / 1000
