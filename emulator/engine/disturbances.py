"""What goes wrong with activities for a while, whatever their functions do."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A share of the calls, above 0 and at most 1, fails with `error`, or never returns."""

    share: float
    error: str | None


class Disturbances:
    """The disturbances of a hub, by the name of the activity, in any letter case."""

    def __init__(self) -> None:
        self._by_name: dict[str, Disturbance] = {}

    def begin(self, activity: str, disturbance: Disturbance) -> None:
        """Disturb an activity from now on."""
        self._by_name[activity.casefold()] = disturbance

    def end(self, activity: str) -> None:
        """Let an activity be as its function has it."""
        self._by_name.pop(activity.casefold(), None)

    def strike(self, activity: str, random: Random) -> Disturbance | None:
        """Return what befalls a call, `None` if nothing does."""
        disturbance = self._by_name.get(activity.casefold())
        if disturbance is None or random.random() >= disturbance.share:
            return None
        return disturbance
