"""Several lists read as one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Generic, TypeVar

from exporter.api.listing import Listing, Page

Row = TypeVar("Row")


class ListingChain(Generic[Row]):
    """
    Lists that follow each other, one in flight at a time; no row is in two of them.

    It has the members of a `Listing`, and its end is doubtful if that of any part was.
    """

    def __init__(self, parts: Iterable[Listing[Row]]) -> None:
        self._parts = list(parts)
        self._ended = 0

    @property
    def finished(self) -> bool:
        """Tell whether every part was read to its end."""
        return self._ended == len(self._parts)

    @property
    def is_doubtful(self) -> bool:
        """Tell whether a part may have ended too early."""
        return any(part.is_doubtful for part in self._parts)

    async def next_page(self) -> Page[Row] | None:
        """
        Read the next page of the part that is under way; None after the last.

        Raises:
            ApiError: as `Listing.next_page`; another call asks for the same page again.
        """
        while not self.finished:
            part = self._parts[self._ended]
            page = await part.next_page()
            if part.finished:
                self._ended += 1
            if page is not None:
                return page
        return None

    async def read_on(self) -> AsyncGenerator[Page[Row], None]:
        """Read part by part to the end, as `Listing.read_on` does; to be closed by who stops."""
        while not self.finished:
            part = self._parts[self._ended]
            async with aclosing(part.read_on()) as pages:
                async for page in pages:
                    self._ended += part.finished
                    yield page
            self._ended += not part.finished
