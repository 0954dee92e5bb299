"""The runtime statuses of an instance, as the API spells them."""

from __future__ import annotations

from enum import StrEnum


class RuntimeStatus(StrEnum):
    """A status on the wire (reference 2.3); `Unknown` stands for every other spelling."""

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
Label and status, this as it is spelled: pairs of plain texts, and dictionaries by them, are no work
for the garbage collector, those of members of enums are.
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
# Those that people look for; the others come only on some backends, or for a moment.
USUAL = (
    RuntimeStatus.PENDING,
    RuntimeStatus.RUNNING,
    RuntimeStatus.SUSPENDED,
    RuntimeStatus.COMPLETED,
    RuntimeStatus.FAILED,
    RuntimeStatus.TERMINATED,
)

# By the spelling: to look up a member of an enum takes a call.
ACTIVE_SPELLINGS: dict[object, RuntimeStatus] = {status.value: status for status in ACTIVE}
TERMINAL_SPELLINGS: dict[object, RuntimeStatus] = {status.value: status for status in TERMINAL}
_BY_SPELLING: dict[object, RuntimeStatus] = {status.value: status for status in RuntimeStatus}


def known_status(spelling: str | int | None) -> RuntimeStatus:
    """Return the status that *spelling* means; a newer one, or a number, is `Unknown`."""
    return _BY_SPELLING.get(spelling, RuntimeStatus.UNKNOWN)
