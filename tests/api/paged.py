"""Lists as a test makes them up, page by page, where no request is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.listing import Cursor, Page
from exporter.api.query import Query
from exporter.api.telemetry import ApiTelemetry

Row = TypeVar("Row")


class MadePage(NamedTuple):
    """What a hub would answer: rows, the token of the next page, its clock, how long it took."""

    rows: Sequence[Any]
    token: bytes = b""
    date: float | None = None
    seconds: float = 0.0


class ClientOfPages(HubClient):
    """The client of a hub whose lists a test makes up."""

    max_pages = 100_000

    def __init__(self, hub: str = "orders") -> None:
        self.hub = hub
        self.telemetry = ApiTelemetry()
        self._kinds = {}
        self._row_bytes = {}

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        """Return the page of a token."""
        raise NotImplementedError

    async def pages(
        self, cursor: Cursor[Row], goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[Page[Row], None]:
        while not cursor.finished:
            if cursor.pages >= self.max_pages:
                raise Failures(self.hub, cursor.query.operation).truncated(
                    "the list has more pages"
                )
            made = await self.page_of(cursor.query, cursor.token)
            kept, ids = cursor.query.bounded(made.rows)
            rows, ids = cursor.unseen.of(kept, ids)
            cursor.advance(made.token, is_empty=not made.rows)
            yield Page(rows, ids, made.date, made.seconds, len(made.rows) - len(kept))
            if not goes_on():
                return


async def next_page(client: HubClient, cursor: Cursor[Row]) -> Page[Row] | None:
    """Read one page of a list; None after the last."""
    async with aclosing(client.pages(cursor, lambda: False)) as pages:
        return await anext(pages, None)


async def all_rows(client: HubClient, cursor: Cursor[Row]) -> list[Row]:
    """Read a list to its end."""
    async with aclosing(client.pages(cursor)) as pages:
        return [row async for page in pages for row in page.rows]
