"""Reading on to the end of a list, one page ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.api.client import LIST_INSTANCES, HubClient, InstanceListing
from exporter.api.errors import ApiError, HubFailed, ListingTruncated
from exporter.api.listing import Page
from exporter.api.query import InstanceQuery
from exporter.api.wire import InstanceRow
from tests.api.scripted import answer, client_of, scripted
from tests.api.test_client import json_rows

pytestmark = pytest.mark.anyio

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def hub(
    handler: Handler, *, retries: int = 0, max_pages: int = 50
) -> AsyncGenerator[HubClient, None]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    async with client_of(
        "http://app.example", http=http, retries=retries, max_pages=max_pages
    ) as client:
        yield client


def tokens_of(requests: list[httpx.Request]) -> list[str]:
    return [request.headers.get("x-ms-continuation-token", "") for request in requests]


class Served:
    """Pages by their number, some of which fail the first times that they are asked for."""

    def __init__(self, pages: list[list[str]], failures: dict[int, list[int]]) -> None:
        self.pages = pages
        self.failures = {number: list(statuses) for number, statuses in failures.items()}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        number = int(request.headers.get("x-ms-continuation-token", "0"))
        if self.failures.get(number):
            return httpx.Response(self.failures[number].pop(0))
        more = number + 1 < len(self.pages)
        headers = {"x-ms-continuation-token": str(number + 1)} if more else {}
        return httpx.Response(200, text=json_rows(*self.pages[number]), headers=headers)


async def page_by_page(client: HubClient) -> list[list[str] | str]:
    listing = client.list_instances(InstanceQuery())
    found: list[list[str] | str] = []
    try:
        while (page := await listing.next_page()) is not None:
            found.append([row.instance_id for row in page.rows])
    except ApiError as error:
        found.append(error.reason)
    return found


async def ahead(client: HubClient) -> list[list[str] | str]:
    found: list[list[str] | str] = []
    try:
        await rest_of(client.list_instances(InstanceQuery()), found)
    except ApiError as error:
        found.append(error.reason)
    return found


async def rest_of(listing: InstanceListing, found: list[list[str] | str]) -> None:
    """Read on to the end; what was found before an error stays."""
    async with aclosing(listing.read_on()) as pages:
        async for page in pages:
            found.append([row.instance_id for row in page.rows])  # noqa: PERF401 - may be cut off


IDS = st.lists(st.sampled_from("abcdef"), max_size=3)


@settings(deadline=None)
@given(
    st.lists(IDS, min_size=1, max_size=6),
    st.dictionaries(
        st.integers(0, 5), st.lists(st.sampled_from([500, 503, 429, 404, 302]), max_size=3)
    ),
    st.integers(1, 7),
)
def test_rows_errors_and_requests_are_the_same_as_without(
    pages: list[list[str]], failures: dict[int, list[int]], max_pages: int
) -> None:
    async def both() -> None:
        one, other = Served(pages, failures), Served(pages, failures)
        async with (
            hub(one, retries=1, max_pages=max_pages) as first,
            hub(other, retries=1, max_pages=max_pages) as second,
        ):
            assert await ahead(first) == await page_by_page(second)
            assert tokens_of(one.requests) == tokens_of(other.requests)
            assert first.telemetry.errors == second.telemetry.errors
            assert first.telemetry.retries == second.telemetry.retries
            assert first.telemetry.requests == second.telemetry.requests

    anyio.run(both)


def reading(client: HubClient) -> aclosing[AsyncGenerator[Page[InstanceRow], None]]:
    return aclosing(client.list_instances(InstanceQuery()).read_on())


class TestOneAhead:
    async def test_the_next_page_is_asked_for_before_this_one_is_used_and_no_other(self) -> None:
        served = Served([["a"], ["b"], ["c"], ["d"]], {})
        async with hub(served) as client, reading(client) as pages:
            await anext(pages)
            await _until(lambda: len(served.requests) == 2)
            await _settle()
            assert tokens_of(served.requests) == ["", "1"]
            await anext(pages)
            await _until(lambda: len(served.requests) == 3)
            await _settle()
            assert tokens_of(served.requests) == ["", "1", "2"]

    async def test_it_is_asked_for_while_the_body_of_this_one_is_on_its_way(self) -> None:
        begun = asyncio.Event()

        class Slow(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncGenerator[bytes, None]:
                await begun.wait()
                yield json_rows("a").encode()

        def handle(request: httpx.Request) -> httpx.Response:
            if "x-ms-continuation-token" in request.headers:
                begun.set()
                return httpx.Response(200, text=json_rows("b"))
            return httpx.Response(200, stream=Slow(), headers={"x-ms-continuation-token": "1"})

        async with hub(handle) as client:
            with anyio.fail_after(10):
                assert await ahead(client) == [["a"], ["b"]]

    async def test_one_page_at_a_time_is_never_asked_for_ahead(self) -> None:
        served = Served([["a"], ["b"]], {})
        async with hub(served) as client:
            await client.list_instances(InstanceQuery()).next_page()
            await _settle()
        assert len(served.requests) == 1

    async def test_an_error_ahead_shows_only_when_its_page_is_asked_for(self) -> None:
        served = Served([["a"], ["b"]], {1: [500]})
        async with hub(served) as client, reading(client) as pages:
            assert [row.instance_id for row in (await anext(pages)).rows] == ["a"]
            await _until(lambda: len(served.requests) == 2)
            await _settle()
            assert not client.telemetry.errors
            with pytest.raises(HubFailed):
                await anext(pages)

    async def test_after_an_error_the_list_goes_on_where_it_was(self) -> None:
        served = Served([["a"], ["b"], ["c"]], {1: [500]})
        async with hub(served) as client:
            listing = client.list_instances(InstanceQuery())
            found: list[list[str] | str] = []
            with pytest.raises(HubFailed):
                await rest_of(listing, found)
            await rest_of(listing, found)
        assert found == [["a"], ["b"], ["c"]]

    async def test_a_list_that_is_truncated_is_not_asked_for_beyond_its_bound(self) -> None:
        served = Served([["a"], ["b"], ["c"]], {})
        async with hub(served, max_pages=2) as client:
            with pytest.raises(ListingTruncated):
                await rest_of(client.list_instances(InstanceQuery()), [])
        assert len(served.requests) == 2


class TestGivingUp:
    async def test_who_stops_leaves_nothing_behind(self) -> None:
        hanging = Hanging()
        async with hub(hanging) as client:
            async with reading(client) as pages:
                await anext(pages)
                await hanging.begun.wait()
            assert hanging.ended
            assert client.telemetry.requests[LIST_INSTANCES, "200"] == 2

    async def test_cancellation_ends_what_is_under_way(self) -> None:
        hanging = Hanging()
        async with hub(hanging) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(ahead, client)
            await hanging.begun.wait()
            tasks.cancel_scope.cancel()
        assert hanging.ended

    async def test_what_is_dropped_without_being_closed_ends_too(self) -> None:
        hanging = Hanging()
        async with hub(hanging) as client:
            pages = client.list_instances(InstanceQuery()).read_on()
            await anext(pages)
            await hanging.begun.wait()
            del pages
            with anyio.fail_after(10):
                await _until(lambda: hanging.ended)

    async def test_over_sockets_the_connection_is_closed_and_the_slot_free(self) -> None:
        first = answer(json_rows("a"), x_ms_continuation_token="1")
        async with scripted(first, b"", first) as server, client_of(server) as client:
            async with reading(client) as pages:
                await anext(pages)
                await _until(lambda: len(server.requests) == 2)
            with anyio.fail_after(10):
                for _ in range(4):
                    await client._host.take()


class Hanging:
    """Answers the first request, and the second one never."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if "x-ms-continuation-token" not in request.headers:
            headers = {"x-ms-continuation-token": "1"}
            return httpx.Response(200, text=json_rows("a"), headers=headers)
        return httpx.Response(200, stream=self._Never(self))

    class _Never(httpx.AsyncByteStream):
        def __init__(self, hanging: Hanging) -> None:
            self._hanging = hanging

        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            self._hanging.begun.set()
            await anyio.sleep_forever()
            yield b""

        async def aclose(self) -> None:
            self._hanging.ended = True


async def _settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await anyio.lowlevel.checkpoint()
