"""Faults that a task hub can be given: what goes wrong, in which requests and how often."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from exporter.emulator.operations import Operation


class FaultKind(StrEnum):
    """The ways in which a request can go wrong."""

    UNAUTHORIZED = "unauthorized"
    """401: the key is not known."""
    STOPPED = "stopped"
    """403 with the front end's HTML page: the app is stopped."""
    FORBIDDEN = "forbidden"
    """403 without a body: the key is of the wrong kind."""
    THROTTLED = "throttled"
    """429, with `Retry-After` if the fault has `seconds`."""
    ERROR = "error"
    """500 with an error object."""
    UNAVAILABLE = "unavailable"
    """503 with plain text."""
    HTML = "html"
    """200 with an HTML page."""
    REDIRECT = "redirect"
    """302 to a login page."""
    HANG = "hang"
    """No answer until the client goes away."""
    CUT = "cut"
    """Half of the body, then the connection is cut."""
    HUGE = "huge"
    """A body that does not end."""
    SLOW = "slow"
    """The right answer, `seconds` late."""
    MALFORMED = "malformed"
    """JSON that breaks off."""
    WRONG_TYPE = "wrong_type"
    """A JSON object instead of an array, an array instead of an object."""
    ENDLESS_TOKEN = "endless_token"  # noqa: S105 - a kind of fault
    """Empty pages, each with a new token, for ever."""
    REPEATED_TOKEN = "repeated_token"  # noqa: S105 - a kind of fault
    """The right rows, but always the same token."""
    SILENT_END = "silent_end"
    """The right rows, but no token although more follow."""
    DROPPED_FILTER = "dropped_filter"
    """The filters by status and creation time are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    Something that goes wrong.

    `operations` are those that it strikes, `None` for all. It lets the first `skip` of their
    requests pass and then strikes `times` of them, `None` for every one until it is cleared.
    `seconds` is the delay of `SLOW` and the `Retry-After` of `THROTTLED`.
    """

    kind: FaultKind
    operations: Collection[Operation] | None = None
    times: int | None = None
    skip: int = 0
    seconds: float | None = None

    def concerns(self, operation: Operation) -> bool:
        """Whether the fault can strike an operation."""
        return self.operations is None or operation in self.operations


class Faults:
    """
    The faults of a hub, in the order in which they strike.

    `struck` is how many requests they have befallen so far.
    """

    def __init__(self) -> None:
        self.struck = 0
        self._pending: list[_Pending] = []

    def set(self, *faults: Fault) -> None:
        """Replace all faults; of several that concern a request, the first that is left strikes."""
        self._pending = [_Pending(fault, fault.skip, fault.times) for fault in faults]

    def clear(self) -> None:
        """End all faults."""
        self._pending = []

    def strike(self, operation: Operation) -> Fault | None:
        """Return the fault that befalls a request, and count it; `None` if all goes well."""
        for pending in self._pending:
            if not pending.fault.concerns(operation) or pending.left == 0:
                continue
            if pending.skip > 0:
                pending.skip -= 1
                continue
            if pending.left is not None:
                pending.left -= 1
            self.struck += 1
            return pending.fault
        return None


@dataclass(slots=True)
class _Pending:
    fault: Fault
    skip: int
    left: int | None
