"""A request of a scenario, and the pace of the hub that it is made to."""

from dataclasses import dataclass

from emulator import Pace

# Everything takes the same, so that what was asked for first happens first.
_AT_ONCE = (0.005, 0.005)
STEADY = Pace(start=_AT_ONCE, message=_AT_ONCE, sub_start=_AT_ONCE, turn=_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Step:
    """
    A request, and when to make it; `None` is as soon as the last one has had its effect.

    `later` is in how many seconds a start is to begin, which only clients of gRPC can ask for.
    """

    at: float | None
    method: str
    target: str
    body: str | None = None
    later: float | None = None
