"""When a failed request is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Exponential back-off with full jitter.

    *attempts* counts the retries after the first try; *backoff* and *backoff_max* are seconds.
    """

    attempts: int
    backoff: float
    backoff_max: float

    def delay(
        self, error: ApiError, retries_so_far: int, jitter: Callable[[], float]
    ) -> float | None:
        """
        Return how long to wait before the next try, in seconds; None to give up.

        What the server asked for in `Retry-After` is waited at least. *jitter* draws from [0, 1).
        """
        if not error.retryable or retries_so_far >= self.attempts:
            return None
        ceiling = min(self.backoff_max, self.backoff * 2.0**retries_so_far)
        return max(error.retry_after or 0.0, ceiling * (0.5 + jitter() / 2))
