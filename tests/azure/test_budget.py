"""One budget for a subscription: bounded, shared by shards, and spent on what is urgent first."""

from __future__ import annotations

import anyio
import pytest

from exporter.api.azure.budget import Budgets, RequestBudget
from exporter.api.pacing import Priority

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
