"""Hubs whose clock a test moves."""

from emulator import ManualClock, RuntimeStatus, TaskHub
from emulator.storage.rows import Instance, Row


def set_clock(hub: TaskHub, now: float) -> None:
    assert isinstance(hub.clock, ManualClock)
    hub.clock.set(now)
    hub.advance()


def move(hub: TaskHub, seconds: float) -> None:
    set_clock(hub, hub.clock.now() + seconds)


def rows(hub: TaskHub) -> list[Row]:
    return [*hub.instances(), *hub.entities()]


def instance_of(hub: TaskHub, instance_id: str) -> Instance:
    row = hub.get(instance_id)
    assert isinstance(row, Instance)
    return row


def status_of(hub: TaskHub, instance_id: str) -> RuntimeStatus:
    return instance_of(hub, instance_id).status
