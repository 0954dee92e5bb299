"""When a failed request is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.api.errors import ApiError

# What gateways with a limit per minute ask for: a long list has to get through those.
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    Exponential back-off with full jitter.

    *attempts* counts the retries after the first try; *backoff* and *max_backoff* are seconds.
    Whoever asks to be left alone for much longer is: the caller learns of it, and does something
    else meanwhile.
    """

    attempts: int
    backoff: float
    max_backoff: float

    def delay(
        self, error: ApiError, retries_so_far: int, jitter: Callable[[], float]
    ) -> float | None:
        """
        Return how long to wait before the next try, in seconds; None to give up.

        What the server asked for in `Retry-After` is waited at least. *jitter* draws from [0, 1).
        """
        asked_for = error.retry_after or 0.0
        if not error.retryable or retries_so_far >= self.attempts:
            return None
        if asked_for > max(_LONGEST_PAUSE, self.max_backoff):
            return None
        ceiling = min(self.max_backoff, self.backoff * 2.0**retries_so_far)
        return max(asked_for, ceiling * (0.5 + jitter() / 2))
