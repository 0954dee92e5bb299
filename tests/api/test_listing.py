"""Listings: pages of a suitable size, and no row twice."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.client import HubClient
from exporter.api.listing import PageSize, UnseenRows
from exporter.api.query import InstanceQuery
from exporter.ledger.status import ACTIVE, TERMINAL
from tests.api.paged import all_rows
from tests.api.scripted import ScriptedServer, answer, client_of, scripted

pytestmark = pytest.mark.anyio

SMALL_PAGE = answer("[]")


def page_of(*outputs: int, token: str = "") -> bytes:
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
        ),
        x_ms_continuation_token=token,
    )


def asked_for(server: ScriptedServer) -> list[int]:
    """Return the sizes of pages that requests asked for."""
    return [int(each.partition("top=")[2].partition("&")[0]) for each in server.requests]


async def read(client: HubClient, *statuses: str, prefixes: tuple[str, ...] = ()) -> None:
    await all_rows(client, client.list_instances(InstanceQuery(statuses=statuses), prefixes))


async def test_a_list_of_small_rows_begins_again_with_large_pages() -> None:
    first = page_of(*[70] * 50, token="t")
    async with scripted(first, SMALL_PAGE) as server, client_of(server, page_size=1000) as client:
        found = await all_rows(client, client.list_instances(InstanceQuery(statuses=TERMINAL)))
    assert asked_for(server) == [50, 1000]
    assert "continuation" not in server.requests[1]
    assert found == []


async def test_a_list_whose_first_pages_are_empty_begins_again_with_large_pages() -> None:
    empty, first = page_of(token="t"), page_of(*[70] * 50, token="u")
    whole = page_of(*[70] * 60)
    async with (
        scripted(empty, first, empty, whole) as server,
        client_of(server, page_size=1000) as client,
    ):
        found = await all_rows(client, client.list_instances(InstanceQuery(statuses=TERMINAL)))
    assert asked_for(server) == [50, 50, 1000, 1000]
    assert [each.instance_id for each in found] == [str(number) for number in range(60)]


async def test_a_list_is_not_read_again_after_many_empty_pages() -> None:
    empty = [page_of(token=f"t{number}") for number in range(11)]
    answers = (*empty, page_of(*[70] * 50, token="u"), page_of(70))
    async with scripted(*answers) as server, client_of(server, page_size=1000) as client:
        await read(client, *TERMINAL)
    assert asked_for(server) == [50] * 13


async def test_a_list_that_fits_a_first_page_is_read_once() -> None:
    async with scripted(page_of(*[70] * 49)) as server, client_of(server) as client:
        await read(client, *TERMINAL)
    assert asked_for(server) == [50]


async def test_the_list_after_one_with_large_rows_comes_in_smaller_pages() -> None:
    async with (
        scripted(page_of(200_000, 100), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *TERMINAL)
    assert asked_for(server) == [50, 19]


async def test_lists_of_other_rows_keep_their_size() -> None:
    async with (
        scripted(page_of(200_000), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *ACTIVE)
    assert asked_for(server) == [50, 50]


async def test_all_prefixes_of_a_list_have_the_same_size() -> None:
    async with (
        scripted(page_of(200_000), SMALL_PAGE) as server,
        client_of(server, page_bytes=2_000_000) as client,
    ):
        await read(client, *TERMINAL)
        await read(client, *TERMINAL, prefixes=("a", "b", "c"))
    assert asked_for(server) == [50, 9, 9, 9]


async def test_a_page_that_is_too_large_comes_again_in_smaller_ones_with_no_row_lost() -> None:
    async with (
        scripted(page_of(900_000), page_of(10, token="1"), SMALL_PAGE) as server,
        client_of(server, max_bytes=800_000, page_bytes=400_000) as client,
    ):
        found = await all_rows(client, client.list_instances(InstanceQuery(statuses=TERMINAL)))
    assert asked_for(server) == [50, 25, 25]
    assert len(found) == 1


def test_it_grows_back_step_by_step_when_rows_are_small_again() -> None:
    size = PageSize(1000, 1_000_000)
    size.note_page(10, 1_000_000)
    sizes = []
    for _ in range(60):
        size.begin()
        sizes.append(size.rows)
        size.note_page(size.rows, size.rows * 200)
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
        size.note_page(rows, length)
        size.begin()
        assert 1 <= size.rows <= most
        if rows and size.rows > 1:
            assert size.rows * length / rows <= page


class TestUnseenRows:
    @given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=6))
    def test_no_id_comes_twice_within_the_first_pages(self, pages: list[list[str]]) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        first = [page for page in pages if page][:2]
        shown = [row for page in first for row in unseen.of(page, page)[0]]
        assert shown == list(dict.fromkeys(row for page in first for row in page))

    @given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=5), max_size=6))
    def test_where_the_backend_keeps_no_order_every_id_is_remembered(
        self, pages: list[list[str]]
    ) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        unseen.of(["z", "y"], ["z", "y"])
        shown = [row for page in pages for row in unseen.of(page, page)[0]]
        assert shown == list(dict.fromkeys(row for page in pages for row in page))

    def test_in_an_ordered_list_only_the_last_id_is_kept(self) -> None:
        unseen: UnseenRows[str] = UnseenRows()
        for number in range(50):
            page = [f"{number:03}-a", f"{number:03}-b"]
            assert unseen.of(page, page) == (page, page)
        assert len(unseen._seen) <= 4
