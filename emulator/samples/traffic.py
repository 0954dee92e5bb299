"""The shop's clients: what they start and do as time goes by."""

from itertools import count

from emulator.samples.schedule import DAY, FOREVER, HOUR, MINUTE, Client, Schedule, by_chance, every
from emulator.samples.shop import clients
from emulator.samples.shop.residents import move_in
from emulator.task_hub import TaskHub

# How much of the present rate the past had, so that a fresh population is not a big one.
PAST_SHARE = 0.1

# Each orchestration's part of the rate.
_SHARES: tuple[tuple[Client, float], ...] = (
    (clients.order, 0.7),
    (clients.pay, 0.2),
    (clients.ask_for_approval, 0.05),
    (clients.deliver_batch, 0.05),
)


def start_traffic(
    hub: TaskHub,
    *,
    seed: int,
    rate: float,
    history: float = DAY,
    retention: float = DAY,
    past: float = PAST_SHARE,
    begin: float = 0.0,
    end: float = FOREVER,
) -> None:
    """
    Let the clients of the sample app use a hub, from now on and as if they long had.

    `rate` is how many top-level orchestrations start per second from now on. Before that lie
    `history` seconds at the share `past` of it. What finished is purged after `retention` seconds.
    `begin` and `end` are seconds from now between which something is started.
    """
    now = hub.clock.now() + begin
    schedule = Schedule(hub, seed)
    for client, share in _SHARES:
        numbers = count(1)
        often = rate * share
        schedule.add(client, now - history, by_chance(often * past), numbers, end=now)
        schedule.add(client, now, by_chance(often), numbers, end=now - begin + end)
    _add_routine(hub, schedule, now - history, now, now - begin + end)
    if not begin:
        move_in(hub, now)
    schedule.purge(now, retention=retention)
    hub.advance()


def _add_routine(hub: TaskHub, schedule: Schedule, past: float, now: float, end: float) -> None:
    reports = count(1)
    schedule.add(clients.order_report, past, every(HOUR), reports, end=now)
    schedule.add(clients.order_report, now, every(10 * MINUTE), reports, end=end)
    # What only replaces its own rows needs no long past.
    clients.start_monitors(hub, now - 2 * MINUTE)
    schedule.add(clients.count_something, now - 10 * MINUTE, by_chance(0.5), end=end)
    schedule.add(clients.fill_cart, now - HOUR, by_chance(0.2), end=end)
    schedule.add(clients.sell, now - 20 * MINUTE, every(3.0), end=end)
