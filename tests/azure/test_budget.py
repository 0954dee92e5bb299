"""Budgets of subscriptions: bounded, shared by shards, spent on the most urgent request first."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from emulator import running
from exporter.api.classify import Failures
from exporter.api.keys import Field, KeySource
from exporter.api.pacing import Budgets, Priority, RequestBudget, priority
from exporter.collector.snapshot import Sweep
from tests.cli.process import KEY as EMULATORS_KEY
from tests.cli.process import frozen_emulator
from tests.collector.polled import collector_of

pytestmark = pytest.mark.anyio

FAST = 36_000.0


async def test_what_is_urgent_gets_the_next_request_whoever_waits_longer() -> None:
    budget = RequestBudget(FAST, 1)
    budget.note_remaining(0)
    came: list[Priority] = []

    async def ask(urgency: Priority) -> None:
        await budget.take(urgency)
        came.append(urgency)

    order = [Priority.OTHER, Priority.FINISHED, Priority.OTHER, Priority.ACTIVE, Priority.FINISHED]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for urgency in order:
                tasks.start_soon(ask, urgency)
                await anyio.wait_all_tasks_blocked()
    assert came == sorted(order)


async def test_no_more_is_sent_than_an_hour_allows_after_what_was_at_hand() -> None:
    budget = RequestBudget(FAST, 1)
    for _ in range(250):
        await budget.take(Priority.OTHER)
    started = anyio.current_time()
    with anyio.fail_after(10):
        for _ in range(5):
            await budget.take(Priority.OTHER)
    assert anyio.current_time() - started >= 0.4
    assert budget.remaining == 0


async def test_shards_divide_it_and_the_answers_correct_it() -> None:
    budget = RequestBudget(12_000, 5)
    assert budget.remaining == 50
    budget.note_remaining(100)
    assert budget.remaining == 20
    budget.note_remaining(12_000)
    assert budget.remaining == 20


async def test_a_pause_holds_back_all_and_who_gives_up_leaves_the_queue() -> None:
    budget = RequestBudget(FAST, 1)
    budget.pause(0.2)
    assert budget.remaining == 0
    with anyio.move_on_after(0.05) as given_up:
        await budget.take(Priority.ACTIVE)
    assert given_up.cancelled_caught
    with anyio.fail_after(10):
        await budget.take(Priority.OTHER)
    assert budget.remaining > 200


def test_each_subscription_has_its_own_and_other_limits_begin_anew() -> None:
    budgets = Budgets()
    budgets.limit(12_000, 2)
    assert budgets.of("a") is budgets.of("a")
    budgets.of("a").note_remaining(0)
    assert budgets.remaining() == {"a": 0}
    budgets.of("b")
    assert budgets.remaining() == {"a": 0, "b": 125}
    budgets.limit(12_000, 2)
    assert budgets.remaining()["a"] == 0
    budgets.limit(12_000, 1)
    assert budgets.remaining() == {}


async def test_active_sweeps_come_first_then_finishes_then_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Priority] = []

    async def admit(self: KeySource, failures: Failures) -> Sequence[Field]:
        del self, failures
        asked.append(priority.get())
        return [(b"x-functions-key", EMULATORS_KEY.encode())]

    monkeypatch.setattr(KeySource, "admit", admit)
    emulator = frozen_emulator()
    async with (
        running(emulator) as url,
        collector_of(url, wall=emulator.clock.now, page_size=20) as (collector, _),
    ):
        made: dict[Sweep, set[Priority]] = {}
        for sweep in (Sweep.ACTIVE, Sweep.FAILED, Sweep.ENTITIES, Sweep.CENSUS):
            asked.clear()
            assert await collector.make(sweep) is None
            made[sweep] = set(asked)
            if sweep is Sweep.ACTIVE:
                assert asked == sorted(asked)
                assert asked.count(Priority.ACTIVE) > 1
    assert made.pop(Sweep.ACTIVE) >= {Priority.ACTIVE, Priority.FINISHED}
    assert set().union(*made.values()) <= {Priority.OTHER, Priority.FINISHED}
    assert made[Sweep.CENSUS] == {Priority.OTHER}
