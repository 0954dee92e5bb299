"""Several lists read as one."""

from __future__ import annotations

import pytest

from exporter.api.chain import ListingChain
from exporter.api.classify import Failures
from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.listing import Listing, Page
from tests.api.paged import paged

pytestmark = pytest.mark.anyio

FAILURES = Failures("orders", "listInstances")


def truncated(message: str) -> ListingTruncated:
    return FAILURES.truncated(message)


def listing(*pages: list[str] | ApiError) -> Listing[str]:
    """Return a list of pages; an error comes once, then the page after it."""
    script = list(pages)

    async def fetch(_token: bytes) -> Page[str]:
        found = script.pop(0)
        if isinstance(found, ApiError):
            raise found
        return Page(found, b"more%d" % len(script) if script else b"", None, 0.0, 0)

    return Listing(
        *paged(fetch), lambda rows: list(map(str, rows)), max_pages=100, truncated=truncated
    )


async def test_it_reads_one_list_after_the_other() -> None:
    chain = ListingChain([listing(["a"], ["b"]), listing(["c"])])
    pages = []
    while (page := await chain.next_page()) is not None:
        pages.append(page.rows)
    assert pages == [["a"], ["b"], ["c"]]
    assert chain.finished
    assert await chain.next_page() is None


async def test_it_has_ended_with_the_last_page_and_not_before() -> None:
    chain = ListingChain([listing(["a"]), listing(["b"])])
    ended = []
    for _ in range(2):
        await chain.next_page()
        ended.append(chain.finished)
    assert ended == [False, True]


async def test_after_an_error_it_goes_on_where_it_was() -> None:
    chain = ListingChain([listing(["a"], FAILURES.too_large(9), ["b"]), listing(["c"])])
    assert (await chain.next_page() or Page([], b"", None, 0, 0)).rows == ["a"]
    with pytest.raises(ApiError):
        await chain.next_page()
    assert (await chain.next_page() or Page([], b"", None, 0, 0)).rows == ["b"]


async def test_its_end_is_doubtful_if_that_of_any_part_is() -> None:
    chain = ListingChain([listing(["a"], []), listing(["b"])])
    while await chain.next_page() is not None:
        pass
    assert chain.is_doubtful
