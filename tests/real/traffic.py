"""Traffic that costs next to nothing: instances of every kind, put straight into a hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from emulator import Instance, RuntimeStatus, TaskHub
from tests.real.counted import Labels

ACTIVITIES = ("ChargeCard", "ShipOrder", "ReserveStock")
MONITORS = 3
MONITOR_SECONDS = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of instance: how likely one is, and how it lives; times are seconds from its creation.

    Its row appears `delay` after its creation, whatever has happened until then.
    """

    name: str
    share: float
    status: RuntimeStatus
    seconds: tuple[float, float]
    delay: tuple[float, float] = (0.0, 0.05)


KINDS = (
    Kind(name="Quick", share=0.4, status=RuntimeStatus.COMPLETED, seconds=(0.0, 0.4)),
    Kind(
        name="Flash",
        share=0.2,
        status=RuntimeStatus.COMPLETED,
        seconds=(0.0, 0.1),
        delay=(0.1, 0.2),
    ),
    Kind(name="Steady", share=0.1, status=RuntimeStatus.COMPLETED, seconds=(1.0, 4.0)),
    Kind(name="Flaky", share=0.15, status=RuntimeStatus.FAILED, seconds=(0.0, 2.0)),
    Kind(name="Doomed", share=0.02, status=RuntimeStatus.TERMINATED, seconds=(0.5, 3.0)),
    Kind(
        name="Child",
        share=0.13,
        status=RuntimeStatus.COMPLETED,
        seconds=(0.1, 5.0),
        delay=(0.5, 6.0),
    ),
)

BRIEF = tuple(replace(kind, seconds=(0.0, 0.6), delay=(0.0, 0.3)) for kind in KINDS)
"""The same in a hurry: all is over in a moment."""


class Traffic:
    """
    Starts about *rate* instances per second of the hub's time, until told to `end`.

    No id comes twice and no row is ever removed: all finishes can be observed, also late. A few
    monitors never finish, and continue as new again and again. `last` is when the last of what has
    started will have happened.
    """

    def __init__(
        self, hub: TaskHub, *, seed: int, rate: float, kinds: Sequence[Kind] = KINDS
    ) -> None:
        self._hub = hub
        self._chance = Random(f"traffic/{seed}")
        self._rate = rate
        self._kinds = kinds
        self._shares = [kind.share for kind in kinds]
        self._ended = True
        self.last = hub.clock.now()

    def begin(self) -> None:
        """Start from now on."""
        now = self._hub.clock.now()
        self._ended = False
        self._hub.engine.at(now, self._start_next)
        for number in range(MONITORS):
            self._hub.engine.at(now, partial(self._monitor, f"monitor-{number}"))

    def end(self) -> None:
        """Start nothing more; what has started goes on to its end."""
        self._ended = True

    @property
    def is_over(self) -> bool:
        """Tell whether all that has started has come to its end, and shows it."""
        self._hub.advance()
        return self._ended and self._hub.clock.now() > self.last

    def _start_next(self, at: float) -> None:
        if self._ended:
            return
        (kind,) = self._chance.choices(self._kinds, self._shares)
        self._live(kind, at)
        self._hub.engine.at(at + self._chance.expovariate(self._rate), self._start_next)

    def _live(self, kind: Kind, created: float) -> None:
        pending = Instance(
            instance_id=f"{self._chance.getrandbits(64):016x}",
            name=kind.name,
            status=RuntimeStatus.PENDING,
            created=created,
            updated=created,
        )
        visible = created + self._chance.uniform(*kind.delay)
        finished = created + self._chance.uniform(*kind.seconds)
        running = created + (finished - created) * self._chance.random()
        self._show(pending, created, visible)
        self._show(
            replace(pending, status=RuntimeStatus.RUNNING, updated=running), running, visible
        )
        self._show(self._end_of(kind, pending, finished), finished, visible)
        self.last = max(self.last, visible, finished)

    def _show(self, row: Instance, happens: float, visible: float) -> None:
        """Let a row show what happens, or what has happened once it is there."""

        def put(at: float) -> None:
            self._hub.put(row, at=at)

        self._hub.engine.at(max(happens, visible), put)

    def _end_of(self, kind: Kind, begun: Instance, finished: float) -> Instance:
        output = None
        if kind.status is RuntimeStatus.FAILED:
            output = failure_of(kind.name, self._chance.choice(ACTIVITIES))
        return replace(begun, status=kind.status, updated=finished, output=output)

    def _monitor(self, instance_id: str, at: float) -> None:
        row = Instance(
            instance_id=instance_id,
            name="Monitor",
            status=RuntimeStatus.RUNNING,
            created=at,
            updated=at,
        )
        self._hub.put(row, at=at)
        if not self._ended:
            self._hub.engine.at(at + MONITOR_SECONDS, partial(self._monitor, instance_id))


def failure_of(orchestrator: str, activity: str) -> str:
    """Return the output of an orchestrator of which an activity failed."""
    return (
        f"Orchestrator function '{orchestrator}' failed: The activity function '{activity}' failed:"
        f' "Declined.". See the function execution logs for additional details.'
    )


def finishes_of(hub: TaskHub, begin: int = 0) -> Counter[Labels]:
    """Count the finishes that a hub has shown by name and status, but for the first few."""
    hub.advance()
    return Counter((finish.name, finish.status.value) for finish in hub.finishes[begin:])


def failures_of(hub: TaskHub) -> Counter[Labels]:
    """Count what has Failed by name and by the activity that its output tells of."""
    return Counter(
        (row.name, activity)
        for row in hub.instances()
        if row.status is RuntimeStatus.FAILED
        for activity in ACTIVITIES
        if activity in str(row.output)
    )
