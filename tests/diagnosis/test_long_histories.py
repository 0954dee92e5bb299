"""What an app writes without end: histories are read in linear time, and hold nobody up."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import cast

import anyio
import pytest

from exporter.api.client import HubClient
from exporter.api.telemetry import GET_INSTANCE, ApiTelemetry
from exporter.api.wire import HistoryEvent, InstanceStatus
from exporter.collector.hub_diagnosis import HistoryReader
from exporter.diagnosis.blame import End, trace
from exporter.diagnosis.classify import classify
from exporter.diagnosis.nodes import Node
from exporter.diagnosis.past import longest_waits
from exporter.diagnosis.waits import WaitingOn
from tests.diagnosis.waiting import World, entity, instance, on_child, on_entity
from tests.ledger.world import shown

pytestmark = pytest.mark.anyio

HTTP = "BuiltIn::HttpActivity"


def scheduled(place: int) -> list[HistoryEvent]:
    return [HistoryEvent("TaskScheduled", timestamp=shown(place), name=HTTP)]


def polled(place: int) -> list[HistoryEvent]:
    return [
        HistoryEvent(
            "TaskCompleted",
            timestamp=shown(place),
            function_name=HTTP,
            scheduled_time=shown(place),
        ),
        HistoryEvent("TimerCreated", timestamp=shown(place), fire_at=shown(place + 1)),
        HistoryEvent("TimerFired", timestamp=shown(place), fire_at=shown(place + 1)),
    ]


def failed(place: int) -> list[HistoryEvent]:
    failure = HistoryEvent(
        "TaskFailed", timestamp=shown(5), function_name="Ship", scheduled_time=shown(1)
    )
    return [failure, HistoryEvent("TimerCreated", timestamp=shown(6), fire_at=shown(100 + place))]


def lost(place: int) -> list[HistoryEvent]:
    timer = HistoryEvent("TimerCreated", timestamp=shown(place), fire_at=shown(place + 9))
    return [timer, HistoryEvent("EventRaised", timestamp=shown(place), name="Go")]


@pytest.mark.parametrize("turn", [scheduled, polled, failed, lost])
def test_a_history_of_60_000_turns_takes_no_longer_than_its_length(
    turn: Callable[[int], list[HistoryEvent]],
) -> None:
    events = [event for place in range(60_000) for event in turn(place)]
    row = instance("a", *events, at=0.0)
    began = thread_time()
    classify(row)
    classify(row, inputs=True)
    longest_waits(events)
    # About a second of a core that is free; the quadratic form took half a minute.
    assert thread_time() - began < 10.0


def test_of_a_history_beyond_100_000_events_the_last_ones_tell() -> None:
    events = [event for place in range(60_000) for event in polled(place)]
    events.append(HistoryEvent("TaskScheduled", timestamp=shown(60_000), name="Ship"))
    (wait,) = classify(instance("a", *events, at=0.0)).waits
    assert (wait.waiting_on, wait.target) == (WaitingOn.ACTIVITY, "Ship")


def test_what_such_a_history_may_wait_on_since_longer_ago_is_unknown() -> None:
    events = [HistoryEvent("TaskScheduled", timestamp=shown(0), name="Ship")]
    events += [event for place in range(60_000) for event in polled(place)]
    (wait,) = classify(instance("a", *events, at=0.0)).waits
    assert wait.waiting_on is WaitingOn.UNKNOWN


def test_names_and_ids_of_a_history_are_cut() -> None:
    activity = HistoryEvent("TaskScheduled", timestamp=shown(0), name="N" * 1_000_000)
    child = HistoryEvent(
        "SubOrchestrationInstanceCreated", timestamp=shown(1), name="C", instance_id="i" * 1_000_000
    )
    first, second = classify(instance("a", activity, child, at=0.0)).waits
    assert len(first.target) < 300
    assert second.child_id is None


class Counting(dict[str, Node]):
    """Counts how often it was asked."""

    asked = 0

    def get(self, instance_id: str, default: Node | None = None, /) -> Node | None:  # type: ignore[override] # as it is used
        self.asked += 1
        return super().get(instance_id, default)


@pytest.mark.parametrize("length", [2, 10, 5000])
def test_blame_over_10_000_nodes_in_circles_asks_each_a_bounded_number_of_times(
    length: int,
) -> None:
    """Every two nodes are an instance, and the entity that it waits for, held by the next one."""
    world, known = World(), Counting()
    for number in range(5000):
        circle = number - number % length
        following = circle + (number + 1 - circle) % length
        lock = f"@lock@{number}"
        world.put(on_entity(f"i{number}", lock, at=-9), entity(lock, locked_by=f"i{following}"))
    for number in range(5000):
        found = world.run(trace(f"i{number}", known))
        assert found is not None
        assert found[0].end in (End.CYCLE, End.TOO_DEEP)
    assert known.asked <= 10_000 * 40


async def test_others_get_their_turn_while_a_long_history_is_read() -> None:
    turns = 0

    class Client:
        telemetry = ApiTelemetry()

        async def read_instance(self, *_: object, **__: object) -> InstanceStatus:
            events = [event for place in range(30_000) for event in polled(place)]
            self.telemetry.response_bytes[GET_INSTANCE] += 10_000_000
            nonlocal turns
            turns = 0
            return instance("a", *events, at=0.0)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        found = await HistoryReader(cast("HubClient", Client())).why("a")
        tasks.cancel_scope.cancel()
    assert found.is_complete
    assert turns > 1


def test_a_chain_of_children_in_a_circle_ends() -> None:
    world = World()
    world.put(*(on_child(f"c{n}", f"c{(n + 1) % 3}", at=-9) for n in range(3)))
    found = world.run(trace("c0", {}))
    assert found is not None
    assert found[0].end is End.CYCLE
