"""A long listing, read in steps between which the active instances are listed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Generic, TypeVar

from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ListingTruncated, ProtocolError
from exporter.api.listing import Cursor, Page

Row = TypeVar("Row")

# A token that the server never understands again must not block a listing permanently.
_LONGEST_STANDSTILL = 3600.0
_FAILURES_OF_A_PAGE = 3

Arrived = Callable[[Page[Row]], float]
"""Counts a page that came, and returns the server's time then."""


def always() -> bool:
    """Read on to the end."""
    return True


class SteppedListing(Generic[Row]):
    """
    A listing whose `cursor` is kept until its end.

    After an error it continues with the missing page, unless that page is the trouble, as with a
    token that the server does not understand any more (reference 2.5): then `cursor` is None, and
    the listing must restart. `seconds` is how long its pages took; `is_second`: it is repeated
    because it looked suspicious. *now* is a monotonic clock.
    """

    def __init__(self, client: HubClient, arrived: Arrived[Row], now: Callable[[], float]) -> None:
        self._client = client
        self._arrived = arrived
        self._now = now
        self._moved = 0.0
        self._failures = 0
        self.cursor: Cursor[Row] | None = None
        self.seconds = 0.0
        self.is_second = False

    @property
    def is_doubtful(self) -> bool:
        """Whether the listing may have ended early."""
        return self.cursor is not None and self.cursor.is_doubtful

    def begin(self, cursor: Cursor[Row]) -> None:
        """Read another listing from the beginning."""
        self.cursor = cursor
        self.seconds = 0.0
        self.is_second = False
        self._moved = self._now()
        self._failures = 0

    def begin_again(self) -> None:
        """Repeat the same listing."""
        if self.cursor is not None:
            self.begin(Cursor(self.cursor.queries))
            self.is_second = True

    def drop(self) -> None:
        """Stop reading this listing."""
        self.cursor = None

    async def read_on(
        self, goes_on: Callable[[], bool], apply: Callable[[Page[Row], float], None]
    ) -> bool:
        """
        Read at least one page, and more while *goes_on* returns True; return whether it ended.

        *apply* receives each page with the server's time when it came. Raises `ApiError`.
        """
        if self.cursor is None:
            raise RuntimeError("no list was begun")
        try:
            async with aclosing(self._client.pages(self.cursor, goes_on)) as pages:
                async for page in pages:
                    self._moved = self._now()
                    self._failures = 0
                    self.seconds += page.seconds
                    apply(page, self._arrived(page))
        except ApiError as error:
            self._failures += 1
            if self._is_lost(error):
                self.drop()
            raise
        return self.cursor.finished

    def _is_lost(self, error: ApiError) -> bool:
        if isinstance(error, ListingTruncated):
            return True
        of_page = (
            isinstance(error, ProtocolError) or error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        )
        return (of_page and self._failures >= _FAILURES_OF_A_PAGE) or (
            self._now() - self._moved > _LONGEST_STANDSTILL
        )
