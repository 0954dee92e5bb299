"""The emulator that the demo runs: hubs with a sample workload each."""

from collections.abc import Sequence

from exporter.emulator.clock import Clock
from exporter.emulator.emulator import Emulator
from exporter.emulator.http.keys import Keys
from exporter.emulator.task_hub import TaskHub
from exporter.emulator.workload import DAY, Workload

DEFAULT_RATE = 0.5


def sample_emulator(
    *,
    clock: Clock,
    seed: int,
    hub_names: Sequence[str] = ("OrdersHub",),
    system_key: str | None = None,
    rate: float = DEFAULT_RATE,
    history: float = DAY,
) -> Emulator:
    """
    Return an emulator whose hubs are alive, each with a seed of its own and less to do.

    `rate` is how many orchestrations per second the first hub starts, the second one half as many,
    and so on. Without a system key the web hook asks for none.
    """
    start = clock.now()
    hubs = [
        TaskHub(
            name,
            clock,
            driver=Workload(seed + index, rate / (index + 1), start=start, history=history),
        )
        for index, name in enumerate(hub_names)
    ]
    return Emulator(*hubs, clock=clock, keys=Keys(system=system_key))
