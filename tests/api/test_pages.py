"""Lists read to their end, with the next page asked for while one is used."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.api.client import HubClient
from exporter.api.errors import ApiError, HubFailed, ListingTruncated
from exporter.api.keys import KeyFile
from exporter.api.listing import Cursor, Page
from exporter.api.query import InstanceQuery
from exporter.api.telemetry import LIST_INSTANCES
from exporter.api.transport import HubConnections
from exporter.api.wire import InstanceRow
from tests.api.paged import next_page
from tests.api.scripted import SILENCE, answer, client_of
from tests.api.test_client import json_rows

pytestmark = pytest.mark.anyio

BUSY = answer("", "503 Service Unavailable")
REFUSED = answer("", "401 Unauthorized")
MINUTE = 60.0


class PagedHub(socketserver.ThreadingTCPServer):
    """
    A list of some pages, a row each, served by threads: also while the event loop is held.

    *instead* are the answers that pages give the first times that they are asked for.
    """

    daemon_threads = True

    def __init__(self, pages: int, instead: Mapping[int, Sequence[bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/runtime/webhooks/durabletask"
        self.tokens: list[str] = []
        self.keys: list[str] = []
        self.hung_up = threading.Event()
        self._pages = pages
        self._instead = {number: list(answers) for number, answers in instead.items()}
        self._arrived = threading.Condition()

    def answer_to(self, head: Mapping[str, str]) -> bytes:
        """Note a request that arrived, and return what it is answered."""
        token = head.get("x-ms-continuation-token", "")
        with self._arrived:
            self.tokens.append(token)
            self.keys.append(head["x-functions-key"])
            self._arrived.notify_all()
        number = int(token or "0")
        if self._instead.get(number):
            return self._instead[number].pop(0)
        if number + 1 < self._pages:
            return answer(json_rows(f"row-{number}"), x_ms_continuation_token=f"{number + 1}")
        return answer(json_rows(f"row-{number}"))

    def hold_until(self, requests: int) -> None:
        """Hold the calling thread until so many requests have arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.tokens) >= requests, MINUTE)


class _Connection(socketserver.StreamRequestHandler):
    server: PagedHub

    def handle(self) -> None:
        while self.rfile.readline():
            lines = iter(lambda: self.rfile.readline().decode("latin-1").strip(), "")
            head = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            reply = self.server.answer_to(head)
            if reply == SILENCE:
                self.rfile.read()
                self.server.hung_up.set()
                return
            self.wfile.write(reply)


@contextmanager
def paged_hub(
    pages: int, instead: Mapping[int, Sequence[bytes]] | None = None
) -> Generator[PagedHub, None, None]:
    with PagedHub(pages, instead or {}) as hub:
        serving = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            serving.join()


def reading(
    client: HubClient,
    cursor: Cursor[InstanceRow] | None = None,
    goes_on: Callable[[], bool] = lambda: True,
) -> aclosing[AsyncGenerator[Page[InstanceRow], None]]:
    begin = cursor or client.list_instances(InstanceQuery())
    return aclosing(client.pages(begin, goes_on))


def ids(page: Page[InstanceRow]) -> list[str]:
    return list(page.ids)


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(MINUTE):
        while not is_so():
            await anyio.lowlevel.checkpoint()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


class TestOnePageAhead:
    async def test_the_next_page_is_asked_for_before_this_one_is_used(self) -> None:
        used = 0
        with paged_hub(4) as hub:
            async with client_of(hub.url) as client, reading(client) as pages:
                async for page in pages:
                    assert ids(page) == [f"row-{used}"]
                    used += 1
                    # The event loop does nothing meanwhile, as while a page is applied.
                    hub.hold_until(min(used + 1, 4))
        assert hub.tokens == ["", "1", "2", "3"]

    async def test_only_one_page_is(self) -> None:
        with paged_hub(4) as hub:
            async with client_of(hub.url) as client, reading(client) as pages:
                await anext(pages)
                await until(lambda: client.telemetry.requests[LIST_INSTANCES, "200"] == 2)
                await settle()
        assert hub.tokens == ["", "1"]

    async def test_who_wants_no_more_after_a_page_asks_for_no_more(self) -> None:
        wants = iter([True, False])
        with paged_hub(4) as hub:
            async with (
                client_of(hub.url) as client,
                reading(client, goes_on=lambda: next(wants)) as pages,
            ):
                assert [ids(page) async for page in pages] == [["row-0"], ["row-1"]]
                await settle()
        assert hub.tokens == ["", "1"]

    async def test_a_list_is_not_asked_for_beyond_its_most_pages(self) -> None:
        with paged_hub(4) as hub:
            async with client_of(hub.url, max_pages=2) as client, reading(client) as pages:
                assert ids(await anext(pages)) == ["row-0"]
                assert ids(await anext(pages)) == ["row-1"]
                await settle()
                with pytest.raises(ListingTruncated):
                    await anext(pages)
        assert hub.tokens == ["", "1"]


class TestErrorsAhead:
    async def test_one_is_tried_again_when_its_page_is_wanted(self) -> None:
        with paged_hub(3, {1: [BUSY]}) as hub:
            async with client_of(hub.url, retries=1) as client, reading(client) as pages:
                await anext(pages)
                await until(lambda: client.telemetry.requests[LIST_INSTANCES, "503"] == 1)
                await settle()
                assert hub.tokens == ["", "1"]
                assert not client.telemetry.errors
                assert [ids(page) async for page in pages] == [["row-1"], ["row-2"]]
            assert client.telemetry.retries[LIST_INSTANCES] == 1
        assert hub.tokens == ["", "1", "1", "2"]

    async def test_retries_of_it_are_as_many_as_of_any_page(self) -> None:
        with paged_hub(3, {1: [BUSY] * 3}) as hub:
            async with client_of(hub.url, retries=1) as client:
                cursor = client.list_instances(InstanceQuery())
                async with reading(client, cursor) as pages:
                    await anext(pages)
                    with pytest.raises(HubFailed):
                        await anext(pages)
                assert hub.tokens == ["", "1", "1"]
                async with reading(client, cursor) as pages:
                    assert [ids(page) async for page in pages] == [["row-1"], ["row-2"]]
        assert hub.tokens == ["", "1", "1", "1", "1", "2"]

    async def test_a_key_that_changed_meanwhile_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("old-key")
        key = KeyFile(path)
        with paged_hub(2, {1: [REFUSED]}) as hub:
            async with client_of(hub.url, key=key) as client, reading(client) as pages:
                await anext(pages)
                await until(lambda: client.telemetry.requests[LIST_INSTANCES, "401"] == 1)
                path.write_text("new-key")
                assert [ids(page) async for page in pages] == [["row-1"]]
        assert hub.keys == ["old-key", "old-key", "new-key"]


class TestGivingUp:
    async def test_who_stops_early_closes_the_connection_and_can_read_on(self) -> None:
        with paged_hub(3, {1: [SILENCE]}) as hub:
            async with client_of(hub.url) as client:
                cursor = client.list_instances(InstanceQuery())
                async with reading(client, cursor) as pages:
                    await anext(pages)
                    hub.hold_until(2)
                assert await anyio.to_thread.run_sync(hub.hung_up.wait, MINUTE)
                await settle()
                assert hub.tokens == ["", "1"]
                async with reading(client, cursor) as pages:
                    assert [ids(page) async for page in pages] == [["row-1"], ["row-2"]]

    @pytest.mark.parametrize("uses", [True, False], ids=["in use", "on its way"])
    async def test_cancellation_closes_the_connection(self, *, uses: bool) -> None:
        async def read() -> None:
            async with reading(client) as pages:
                async for _ in pages:
                    if uses:
                        await anyio.sleep_forever()

        with paged_hub(3, {1: [SILENCE]}) as hub:
            async with client_of(hub.url) as client:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read)
                    await until(lambda: len(hub.tokens) == 2)
                    tasks.cancel_scope.cancel()
                assert await anyio.to_thread.run_sync(hub.hung_up.wait, MINUTE)
        assert hub.tokens == ["", "1"]

    async def test_slots_of_the_host_are_free_again(self) -> None:
        with paged_hub(3, {1: [SILENCE] * 9}) as hub:
            async with client_of(hub.url) as client:  # with four slots
                for _ in range(5):
                    async with reading(client) as pages:
                        with anyio.fail_after(MINUTE):
                            await anext(pages)

    async def test_what_is_dropped_without_being_closed_ends_too(self) -> None:
        with paged_hub(3, {1: [SILENCE]}) as hub:
            async with client_of(hub.url) as client:
                pages = client.pages(client.list_instances(InstanceQuery()))
                await anext(pages)
                hub.hold_until(2)
                del pages
                assert await anyio.to_thread.run_sync(hub.hung_up.wait, MINUTE)


class Answers:
    """Pages by their number, some of which fail the first times that they are asked for."""

    def __init__(self, pages: list[list[str]], failures: dict[int, list[int]]) -> None:
        self.tokens: list[str] = []
        self._pages = pages
        self._failures = {number: list(statuses) for number, statuses in failures.items()}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("x-ms-continuation-token", "")
        self.tokens.append(token)
        number = int(token or "0")
        if self._failures.get(number):
            return httpx.Response(self._failures[number].pop(0))
        more = number + 1 < len(self._pages)
        headers = {"x-ms-continuation-token": str(number + 1)} if more else {}
        return httpx.Response(200, text=json_rows(*self._pages[number]), headers=headers)


async def page_by_page(client: HubClient) -> list[list[str] | str]:
    cursor = client.list_instances(InstanceQuery())
    found: list[list[str] | str] = []
    try:
        while (page := await next_page(client, cursor)) is not None:
            found.append(ids(page))
    except ApiError as error:
        found.append(error.reason)
    return found


async def ahead(client: HubClient) -> list[list[str] | str]:
    found: list[list[str] | str] = []
    async with reading(client) as pages:
        try:
            async for page in pages:
                found.append(ids(page))  # noqa: PERF401 - what came before an error stays
        except ApiError as error:
            found.append(error.reason)
    return found


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=6),
    st.dictionaries(
        st.integers(0, 5), st.lists(st.sampled_from([500, 503, 429, 404, 302]), max_size=3)
    ),
    st.integers(1, 7),
)
def test_rows_errors_and_requests_are_those_of_one_page_after_the_other(
    pages: list[list[str]], failures: dict[int, list[int]], max_pages: int
) -> None:
    async def both() -> None:
        seen = []
        for read in (ahead, page_by_page):
            answers = Answers(pages, failures)
            http = HubConnections(httpx.MockTransport(answers), connect_seconds=MINUTE)
            async with client_of(
                "http://app.example", http=aclosing(http), retries=1, max_pages=max_pages
            ) as client:
                found = await read(client)
                told = client.telemetry
                seen.append((found, answers.tokens, told.errors, told.retries, told.requests))
        assert seen[0] == seen[1]

    anyio.run(both)
