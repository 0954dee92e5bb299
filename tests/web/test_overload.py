"""More requests than can be answered: who waits, who shares, and who is told to come back."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.web.overload import Busy, ConcurrencyLimit, WorkQueue

pytestmark = pytest.mark.anyio


def constant(value: int) -> Callable[[], Callable[[], int]]:
    return lambda: lambda: value


class TestWorkQueue:
    async def test_so_much_waits_and_no_more(self) -> None:
        queue: WorkQueue[int] = WorkQueue(2)
        async with anyio.create_task_group() as tasks, queue.turn:
            tasks.start_soon(queue.run, "a", constant(1))
            tasks.start_soon(queue.run, "b", constant(2))
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Busy):
                await queue.run("c", constant(3))
            tasks.start_soon(queue.run, "b", constant(4))
            await anyio.wait_all_tasks_blocked()
        assert await queue.run("c", constant(3)) == 3

    async def test_what_goes_wrong_is_each_ones_own(self) -> None:
        queue: WorkQueue[float] = WorkQueue(2)
        failures: list[str] = []

        async def divide() -> None:
            try:
                await queue.run("a", lambda: lambda: 1 / 0)
            except ZeroDivisionError as error:
                failures.append(str(error))

        async with anyio.create_task_group() as tasks, queue.turn:
            for _ in range(3):
                tasks.start_soon(divide)
            await anyio.wait_all_tasks_blocked()
        assert len(failures) == 3


class TestConcurrencyLimit:
    @pytest.fixture
    def released(self) -> anyio.Event:
        return anyio.Event()

    async def test_beyond_it_a_client_is_told_to_come_back(self, released: anyio.Event) -> None:
        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await released.wait()
            await Response("answer")(scope, receive, send)

        limit = ConcurrencyLimit(slow, lambda: 1, "pages")
        async with client_of(limit) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, "/")
            await anyio.wait_all_tasks_blocked()
            assert not limit.is_idle
            refused = await client.get("/")
            released.set()
        assert (refused.status_code, refused.text) == (503, "too many pages at once\n")
        assert int(refused.headers["retry-after"]) > 0
        assert limit.is_idle


def client_of(app: ConcurrencyLimit) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter")
