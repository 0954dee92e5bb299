"""What to make of rows that a listing should have shown, and did not."""

from __future__ import annotations

from collections.abc import Sized

_MANY = 100
_SHARE_THAT_MAY_LEAVE = 0.05


def are_many(absent: Sized) -> bool:
    """Tell whether so many left that it is better to look for them in a list."""
    return len(absent) > _MANY


def is_suspicious(absent: int, known: int, *, doubtful: bool) -> bool:
    """
    Tell whether more are absent than usually leave at once: a second listing has to agree.

    A bad continuation token ends a listing silently (recorded). Where its end is *doubtful*, a
    small hub is not spared the second look.
    """
    some = 0 if doubtful else _MANY
    return absent > max(some, _SHARE_THAT_MAY_LEAVE * known)


def fell_suspiciously(now: int, before: int) -> bool:
    """Tell whether so many fewer were counted than before that it deserves a second count."""
    return now < (1 - _SHARE_THAT_MAY_LEAVE) * before
