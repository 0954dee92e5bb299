"""How many rows a list asks for: fewer where they are large."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.client import HubClient
from exporter.api.errors import ApiError
from exporter.api.page_size import PageSize
from exporter.api.query import InstanceQuery
from exporter.ledger.status import ACTIVE, TERMINAL
from tests.api.scripted import ScriptedServer, answer, client_of, scripted

pytestmark = pytest.mark.anyio

SMALL_PAGE = answer("[]")


def page_of(*outputs: int) -> bytes:
    """Return a page of finished rows with outputs of these sizes."""
    return answer(
        json.dumps(
            [
                {
                    "instanceId": str(number),
                    "runtimeStatus": "Completed",
                    "createdTime": "2026-11-23T10:00:00Z",
                    "output": "x" * size,
                }
                for number, size in enumerate(outputs)
            ]
        )
    )


def asked_for(server: ScriptedServer) -> list[int]:
    """Return the sizes of pages that requests asked for."""
    return [int(each.partition("top=")[2].partition("&")[0]) for each in server.requests]


async def read(client: HubClient, *statuses: str, prefixes: tuple[str, ...] = ()) -> None:
    listing = client.list_instances(InstanceQuery(statuses=statuses), prefixes)
    while await listing.next_page() is not None:
        pass


async def test_the_list_after_one_with_large_rows_comes_in_smaller_pages() -> None:
    async with (
        scripted(page_of(200_000, 100), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *TERMINAL)
    assert asked_for(server) == [100, 19]


async def test_lists_of_other_rows_keep_their_size() -> None:
    async with (
        scripted(page_of(200_000), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *ACTIVE)
    assert asked_for(server) == [100, 100]


async def test_all_prefixes_of_a_list_have_the_same_size() -> None:
    async with (
        scripted(page_of(200_000), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *TERMINAL, prefixes=("a", "b", "c"))
    assert asked_for(server) == [100, 10, 10, 10]


async def test_an_answer_that_is_refused_is_asked_for_in_smaller_pages_next_time() -> None:
    async with (
        scripted(page_of(900_000), SMALL_PAGE) as server,
        client_of(server, max_bytes=800_000, page_bytes=400_000) as client,
    ):
        with pytest.raises(ApiError, match="larger than"):
            await read(client, *TERMINAL)
        await read(client, *TERMINAL)
    assert asked_for(server) == [100, 50]


def test_it_grows_back_step_by_step_when_rows_are_small_again() -> None:
    size = PageSize(1000, 1_000_000)
    size.came(10, 1_000_000)
    sizes = []
    for _ in range(60):
        size.begin()
        sizes.append(size.rows)
        size.came(size.rows, size.rows * 200)
    assert sizes[0] == 10
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1000
    assert all(after <= 1.12 * before + 1 for before, after in pairwise(sizes))


@given(
    st.integers(1, 1000),
    st.integers(16_384, 1 << 24),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1 << 26)), max_size=20),
)
def test_it_stays_within_its_bounds(most: int, page: int, pages: list[tuple[int, int]]) -> None:
    size = PageSize(most, page)
    for rows, length in pages:
        size.came(rows, length)
        size.begin()
        assert min(10, most) <= size.rows <= most
        if rows and size.rows > 10:
            assert size.rows * length / rows <= page
