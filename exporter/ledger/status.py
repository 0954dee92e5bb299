"""The runtime statuses of an instance, as the API spells them."""

from __future__ import annotations

from enum import StrEnum


class RuntimeStatus(StrEnum):
    """A status on the wire (reference 2.3); `Unknown` replaces every other spelling."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    CONTINUED_AS_NEW = "ContinuedAsNew"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TERMINATED = "Terminated"
    CANCELED = "Canceled"
    UNKNOWN = "Unknown"


Pair = tuple[str, str]
"""
Label and status as spelled: unlike enum members, pairs of plain texts, and dictionaries of them,
are not traversed by the garbage collector.
"""

ACTIVE = (
    RuntimeStatus.PENDING,
    RuntimeStatus.RUNNING,
    RuntimeStatus.SUSPENDED,
    RuntimeStatus.CONTINUED_AS_NEW,
)
TERMINAL = (
    RuntimeStatus.COMPLETED,
    RuntimeStatus.FAILED,
    RuntimeStatus.TERMINATED,
    RuntimeStatus.CANCELED,
)
# Those that people look for; the others occur only on some backends, or briefly.
USUAL = (
    RuntimeStatus.PENDING,
    RuntimeStatus.RUNNING,
    RuntimeStatus.SUSPENDED,
    RuntimeStatus.COMPLETED,
    RuntimeStatus.FAILED,
    RuntimeStatus.TERMINATED,
)

# By spelling: looking up an enum member takes a call.
ACTIVE_SPELLINGS: dict[object, RuntimeStatus] = {status.value: status for status in ACTIVE}
TERMINAL_SPELLINGS: dict[object, RuntimeStatus] = {status.value: status for status in TERMINAL}
_BY_SPELLING: dict[object, RuntimeStatus] = {status.value: status for status in RuntimeStatus}


def known_status(spelling: str | int | None) -> RuntimeStatus:
    """Return the status that *spelling* means; unknown ones, and numbers, are `Unknown`."""
    return _BY_SPELLING.get(spelling, RuntimeStatus.UNKNOWN)
