"""Slots of a host, one to each hub in turn, and pauses before retries."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.errors import ErrorKind, HubThrottled
from exporter.api.pacing import HostSlots, HubSlots, RetryPolicy

pytestmark = pytest.mark.anyio

URL = "https://orders.example/runtime/webhooks/durabletask"


class Requests:
    """Requests that hold their slots until they are told to end."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self.running: list[str] = []
        self.begun: list[str] = []
        self._end: dict[str, list[anyio.Event]] = {}

    async def start(self, slots: HubSlots, name: str) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self._tasks.start_soon(self._hold, slots, name, scope)
        await settle()
        return scope

    async def end(self, name: str) -> None:
        self._end[name].pop(0).set()
        await settle()

    async def _hold(self, slots: HubSlots, name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await slots.take()
            self.begun.append(name)
            self.running.append(name)
            end = anyio.Event()
            self._end.setdefault(name, []).append(end)
            try:
                await end.wait()
            finally:
                self.running.remove(name)
                slots.give_back()


async def settle() -> None:
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def test_hubs_of_a_host_share_its_slots_and_other_hosts_have_their_own() -> None:
    hosts = HostSlots()
    here, too, elsewhere = hosts.of(URL, 1), hosts.of(URL, 1), hosts.of("https://other.example", 1)
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        for slots, name in ((here, "here"), (too, "too"), (elsewhere, "elsewhere")):
            await requests.start(slots, name)
        assert requests.running == ["here", "elsewhere"]
        await requests.end("here")
        assert requests.running == ["elsewhere", "too"]
        tasks.cancel_scope.cancel()


async def test_a_hub_with_many_requests_lets_the_others_in_between() -> None:
    hosts = HostSlots()
    busy, calm, other = (hosts.of(URL, 1) for _ in range(3))
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        for slots, name in [(busy, "busy")] * 4 + [
            (calm, "calm"),
            (other, "other"),
            (calm, "calm"),
        ]:
            await requests.start(slots, name)
        while requests.running:
            await requests.end(requests.running[0])
    assert requests.begun == ["busy", "busy", "calm", "other", "busy", "calm", "busy"]


async def test_who_waits_no_longer_takes_no_slot() -> None:
    hosts = HostSlots()
    first, second = hosts.of(URL, 1), hosts.of(URL, 1)
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        await requests.start(first, "holds")
        impatient = await requests.start(second, "impatient")
        await requests.start(first, "patient")
        impatient.cancel()
        await settle()
        await requests.end("holds")
        assert requests.running == ["patient"]
        tasks.cancel_scope.cancel()


async def test_a_slot_that_comes_with_the_cancellation_goes_to_the_next() -> None:
    hosts = HostSlots()
    first, second = hosts.of(URL, 1), hosts.of(URL, 1)
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        await first.take()
        unlucky = await requests.start(second, "unlucky")
        await requests.start(first, "next")
        first.give_back()
        unlucky.cancel()
        await settle()
        assert requests.running == ["next"]
        tasks.cancel_scope.cancel()


async def test_other_numbers_hold_from_then_on_and_hosts_without_hubs_are_forgotten() -> None:
    hosts = HostSlots()
    here, elsewhere = hosts.of(URL, 1), hosts.of("https://other.example", 1)
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        for name in ("first", "second", "third"):
            await requests.start(here, name)
        hosts.arrange([(URL, 2), (URL, 5)])
        await settle()
        assert requests.running == ["first", "second"]
        hosts.arrange([(URL, 1)])
        await requests.end("first")
        assert requests.running == ["second"]
        await elsewhere.take()
        await requests.start(hosts.of("https://other.example", 1), "elsewhere")
        assert requests.running == ["second", "elsewhere"]
        tasks.cancel_scope.cancel()


@given(
    slots=st.integers(1, 3),
    moves=st.lists(st.tuples(st.sampled_from(["start", "end", "cancel"]), st.integers(0, 3))),
)
async def test_no_slot_is_lost_and_none_is_given_twice(
    slots: int, moves: list[tuple[str, int]]
) -> None:
    hosts = HostSlots()
    hubs = [hosts.of(URL, slots) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        requests = Requests(tasks)
        scopes: list[anyio.CancelScope] = []
        for move, number in moves:
            if move == "start":
                scopes.append(await requests.start(hubs[number], f"hub{number}"))
            elif move == "end" and requests.running:
                await requests.end(requests.running[number % len(requests.running)])
            elif move == "cancel" and scopes:
                scopes.pop(number % len(scopes)).cancel()
                await settle()
            assert len(requests.running) <= slots
        tasks.cancel_scope.cancel()
    with anyio.fail_after(10):
        for _ in range(slots):
            await hubs[0].take()
    assert Counter(requests.running) == Counter()


class TestRetryPolicy:
    def error(self, retry_after: float | None = None, *, retryable: bool = True) -> HubThrottled:
        return HubThrottled(
            "429",
            hub="orders",
            operation="listInstances",
            kind=ErrorKind.THROTTLED,
            hint="",
            retryable=retryable,
            retry_after=retry_after,
        )

    @given(st.integers(0, 60), st.floats(min_value=0, max_value=1, exclude_max=True))
    def test_delays_grow_within_their_bounds(self, retries: int, jitter: float) -> None:
        policy = RetryPolicy(100, 0.5, 30.0)
        delay = policy.delay(self.error(), retries, lambda: jitter)
        assert delay is not None
        ceiling = min(30.0, 0.5 * 2.0**retries)
        assert ceiling / 2 <= delay <= ceiling

    def test_what_the_server_asks_for_is_waited_at_least(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(7.0), 0, lambda: 0.5) == 7.0
        assert policy.delay(self.error(60.0), 0, lambda: 0.5) == 60.0

    def test_who_asks_for_more_than_a_minute_is_not_waited_for(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(61.0), 0, lambda: 0.5) is None
        assert RetryPolicy(3, 0.5, 90.0).delay(self.error(61.0), 0, lambda: 0.5) == 61.0

    def test_there_is_an_end(self) -> None:
        policy = RetryPolicy(3, 0.5, 30.0)
        assert policy.delay(self.error(), 3, lambda: 0.5) is None
        assert policy.delay(self.error(retryable=False), 0, lambda: 0.5) is None
