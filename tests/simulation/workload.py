"""Random workloads: instances that are short, long, eternal, rewound, restarted or late."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.simulation.world import World

NAMES = ("Order", "Ship")
ENDS = ("Completed", "Completed", "Completed", "Failed", "Failed", "Terminated", "Canceled")
_DELAYS = (0.0, 0.1, 0.4, 2.0, 15.0, 40.0, 100.0, 400.0)
_FEW_SECONDS = (0.0, 0.1, 0.2, 0.7, 3.0)

Event = Callable[[], None]


class Workload:
    """
    Plans random lives of instances, reproducible by *seed*.

    Rows of sub-orchestrations appear up to *lateness* seconds late.
    """

    def __init__(self, world: World, seed: int, lateness: float) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self._lateness = lateness

    def plan(self, lives: int, spread: float) -> None:
        """Plan new lives, and events of stored instances, within *spread* seconds."""
        for _ in range(lives):
            plan = self._chance.choice(_PLANS)
            plan(self, self._chance.uniform(0.0, spread))

    # -- plans ---------------------------------------------------------------------------------

    def _short(self, at: float) -> None:
        instance_id, at = self._born(at)
        self._end(instance_id, at + self._chance.choice(_FEW_SECONDS))

    def _long(self, at: float) -> None:
        instance_id, at = self._born(at)
        if self._chance.random() < 0.3:
            at = self._then(at, partial(self._world.move, instance_id, "Suspended"))
            at = self._then(at, partial(self._world.move, instance_id, "Running"))
        self._end(instance_id, at + self._chance.choice(_DELAYS))

    def _eternal(self, at: float) -> None:
        instance_id, at = self._born(at)
        for _ in range(self._chance.randrange(1, 6)):
            at = self._then(at, partial(self._world.continue_as_new, instance_id))
        self._end(instance_id, at + self._chance.choice(_DELAYS))

    def _rewound(self, at: float) -> None:
        instance_id, at = self._born(at)
        self._world.after(at, partial(self._world.finish, instance_id, "Failed"))
        for _ in range(self._chance.randrange(1, 3)):
            at = self._soon(at, partial(self._world.rewind, instance_id))
            at = self._soon(at, partial(self._world.move, instance_id, "Running"))
            end = self._chance.choice(("Failed", "Failed", "Completed", "Terminated"))
            at = self._soon(at, partial(self._world.finish, instance_id, end))

    def _restarted(self, at: float) -> None:
        instance_id, at = self._born(at)
        for _ in range(self._chance.randrange(1, 4)):
            at = self._then(at, partial(self._world.finish, instance_id, self._ending()))
            at = self._then(at, partial(self._world.restart, instance_id))
        self._end(instance_id, at + self._chance.choice(_DELAYS))

    def _late(self, at: float) -> None:
        parent = self._chance.choice(self._world.ids_stored() or ["p"]).lstrip("@")
        for number in range(self._chance.randrange(1, 4)):
            late = self._chance.uniform(0.0, 1.0) ** 2 * self._lateness
            stale = late * self._chance.choice((0.0, 0.0, 0.5, 0.95))
            child = f"{parent}:{self._world.lives}{number}"
            self._world.after(at, partial(self._schedule, child, late, stale))

    def _schedule(self, child: str, late: float, stale: float) -> None:
        created = self._world.now
        event = partial(
            self._world.appear,
            child,
            NAMES[1],
            created=created,
            updated=created + late - stale,
            status=self._ending(),
        )
        self._world.after(late, event)

    def _entity(self, at: float) -> None:
        key = self._chance.randrange(5)
        self._world.after(at, partial(self._world.start, f"@counter@{key}", f"@counter@{key}"))

    def _known(self, at: float) -> None:
        """Plan events of stored instances."""
        ids = self._world.ids_stored()
        for instance_id in self._chance.sample(ids, min(len(ids), 3)):
            if instance_id[:1] != "@":
                event = self._chance.choice(EVENTS)
                self._world.after(at, partial(event, self._world, instance_id))

    # -- parts ---------------------------------------------------------------------------------

    def _born(self, at: float) -> tuple[str, float]:
        """Plan a start; returns the id, and when it runs."""
        instance_id = new_id(self._world, self._chance.randrange(6))
        name = self._chance.choice(NAMES)
        self._world.after(at, partial(self._world.start, instance_id, name, status="Pending"))
        return instance_id, self._soon(at, partial(self._world.move, instance_id, "Running"))

    def _end(self, instance_id: str, at: float) -> None:
        self._world.after(at, partial(self._world.finish, instance_id, self._ending()))
        if self._chance.random() < 0.3:
            self._then(at, partial(self._world.purge, instance_id))

    def _ending(self) -> str:
        return self._chance.choice(ENDS)

    def _then(self, at: float, event: Event) -> float:
        at += self._chance.choice(_DELAYS)
        self._world.after(at, event)
        return at

    def _soon(self, at: float, event: Event) -> float:
        at += self._chance.choice(_FEW_SECONDS)
        self._world.after(at, event)
        return at


_PLANS: tuple[Callable[[Workload, float], None], ...] = (
    Workload._short,
    Workload._short,
    Workload._long,
    Workload._eternal,
    Workload._rewound,
    Workload._restarted,
    Workload._late,
    Workload._late,
    Workload._entity,
    Workload._known,
)

EVENTS: tuple[Callable[[World, str], None], ...] = (
    World.finish,
    lambda world, instance_id: world.finish(instance_id, "Failed"),
    lambda world, instance_id: world.finish(instance_id, "Terminated"),
    World.rewind,
    World.restart,
    World.purge,
    World.continue_as_new,
    lambda world, instance_id: world.move(instance_id, "Suspended"),
    lambda world, instance_id: world.move(instance_id, "Running"),
)


def new_id(world: World, group: int) -> str:
    """Return a new id; ids do not ascend with creation."""
    world.ids += 1
    return f"{'4Bxa9m'[group]}{world.ids:03d}"
