"""Lists page by page: tokens sent back verbatim, rows checked and never twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from operator import lt
from typing import Generic, TypeVar

import msgspec

from exporter.api.ahead import Ahead, Attempt
from exporter.api.answers import Answer
from exporter.api.errors import ListingTruncated
from exporter.api.wire import InstanceRow

Row = TypeVar("Row")

_WHOLE = msgspec.json.Decoder(list[InstanceRow])

# What extensions around 2.1 send for ever: the base64 text of `null` (reference 2.5).
NULL_TOKEN = b"bnVsbA=="
_PAGES_BEFORE_ORDER_IS_BELIEVED = 2


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """
    One page of a list.

    `date` is the server's clock as its `Date` header shows it, in whole seconds, None where it
    sent none; `seconds` is the time from the request to the end of the answer, `size` the bytes
    of its body. `ids` are those of the rows, once the page is part of a list, `body` is what
    they were decoded from.
    """

    rows: Sequence[Row]
    token: bytes
    date: float | None
    seconds: float
    size: int
    ids: Sequence[str] = ()
    body: bytes = b"[]"

    def whole(self) -> list[InstanceRow]:
        """Decode all rows once more, with what is left out where they are listed briefly."""
        return _WHOLE.decode(self.body)


class Listing(Generic[Row]):
    """
    A list that is being read.

    It ends where the token is absent, empty, the one just sent, or that of `null`; an empty page
    with a token is nothing special (reference 2.5). `is_doubtful` tells that it ended with an empty
    page in answer to a token: that is also how a server ends a list whose token it does not
    understand (recorded).
    """

    def __init__(
        self,
        attempt: Attempt[Answer],
        fetch: Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Page[Row]]],
        ids_of: Callable[[Sequence[Row]], list[str]],
        *,
        max_pages: int,
        truncated: Callable[[str], ListingTruncated],
    ) -> None:
        """*attempt* asks once for a page, *fetch* until there is a good answer, and reads that."""
        self._attempt = attempt
        self._fetch = fetch
        self._unseen = UnseenRows(ids_of)
        self._max_pages = max_pages
        self._truncated = truncated
        self._token = b""
        self.pages = 0
        self.finished = False
        self.is_doubtful = False

    async def next_page(self) -> Page[Row] | None:
        """
        Read the next page; None after the last.

        Raises:
            ApiError: the page could not be read; the listing may be continued with another call.
            ListingTruncated: the list has more than `max_pages` pages.
        """
        return await self._next_page(self._ask)

    async def read_on(self) -> AsyncGenerator[Page[Row], None]:
        """
        Read on to the end, for whoever does nothing else meanwhile; to be closed by who stops.

        The request for the next page is under way while a page is read, decoded and used; so what
        is in a page may be as old as the last call for one. Raises as `next_page` does.
        """
        ahead = Ahead(self._attempt, self._goes_on)
        try:
            while (page := await self._next_page(ahead.ask)) is not None:
                yield page
        finally:
            await ahead.aclose()

    def _ask(self, token: bytes) -> Awaitable[Answer]:
        return self._attempt(token, lambda _: None)

    async def _next_page(self, ask: Callable[[bytes], Awaitable[Answer]]) -> Page[Row] | None:
        if self.finished:
            return None
        if self.pages >= self._max_pages:
            raise self._truncated(f"the list goes on after {self.pages} pages")
        page = await self._fetch(lambda: ask(self._token))
        self.pages += 1
        self.finished = _is_end(self._token, page.token)
        self.is_doubtful = self.finished and self._token != b"" and not page.rows
        self._token = page.token
        rows, ids = self._unseen.of(page.rows)
        return replace(page, rows=rows, ids=ids)

    def _goes_on(self, token: bytes, following: bytes) -> bool:
        """Tell whether the page after the one that is being asked for will be read."""
        return self.pages + 1 < self._max_pages and not _is_end(token, following)


def _is_end(token: bytes, following: bytes) -> bool:
    """Tell whether a list ends with the page of *token*, whose answer has the one *following*."""
    return following in (b"", NULL_TOKEN, token)


class UnseenRows(Generic[Row]):
    """
    Leaves out rows whose id came before in the same listing.

    Where the backend lists in id order (Azure Storage), the previous id is all that is kept;
    elsewhere (MSSQL, Netherite) every id is. The first pages tell which it is.
    """

    def __init__(self, ids_of: Callable[[Sequence[Row]], list[str]]) -> None:
        self._ids_of = ids_of
        self._previous = ""
        self._seen: set[str] = set()
        self._ordered = True
        self._pages = 0

    def of(self, rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return the rows of a page that were not seen before, and their ids."""
        ids = self._ids_of(rows)
        if not ids:
            return rows, ids
        self._pages += 1
        ascending = self._previous < ids[0] and all(map(lt, ids, ids[1:]))
        if self._ordered and ascending:
            self._previous = ids[-1]
            if self._pages <= _PAGES_BEFORE_ORDER_IS_BELIEVED:
                self._seen.update(ids)
            else:
                self._seen.clear()
            return rows, ids
        self._seen.add(self._previous)
        self._ordered = False
        return self._filtered(rows, ids)

    def _filtered(
        self, rows: Sequence[Row], ids: Sequence[str]
    ) -> tuple[Sequence[Row], Sequence[str]]:
        fresh: dict[str, Row] = {}
        for row, row_id in zip(rows, ids, strict=True):
            if row_id not in self._seen:
                self._seen.add(row_id)
                fresh[row_id] = row
        return list(fresh.values()), list(fresh)
