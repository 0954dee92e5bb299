"""Progress of a listing: its cursor, its page size, and which rows are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Generic, TypeVar

from exporter.api.query import Query

Row = TypeVar("Row")

# Sent for ever by extensions around 2.1: the base64 text of `null` (reference 2.5).
NULL_TOKEN = b"bnVsbA=="
_NO_TOKENS = (b"", NULL_TOKEN)

# Requested while nothing is known of the rows.
_FIRST_ROWS = 50
# Pages grow again only step by step: the largest rows may not have been listed this time.
_REMEMBERED_SHARE = 0.9
# A restart costs the page that was read.
_WORTH_A_RESTART = 2
# Empty pages do not show how large rows are.
_EMPTY_PAGES_READ_AGAIN = 10
_PAGES_BEFORE_ORDER_IS_BELIEVED = 2
_MOST_SEEN = 50_000


class PageSize:
    """
    Rows to request per page of one kind of listing: *most*, or fewer if those exceed *most_bytes*.

    Derived from the largest rows of the previous listing, of *known* bytes if not 0.
    """

    def __init__(self, most: int, most_bytes: int, known: float = 0.0) -> None:
        self.rows = min(most, _FIRST_ROWS)
        self._most = most
        self._most_bytes = most_bytes
        self._row_bytes = 0.0
        self._listed = known

    @property
    def known(self) -> float:
        """Bytes of the largest rows, 0 before the first page."""
        return max(self._row_bytes, self._listed)

    def begin(self) -> int:
        """Set and return `rows` for a listing that begins now."""
        self._row_bytes = max(self._listed, self._row_bytes * _REMEMBERED_SHARE)
        self._listed = 0.0
        self._fit()
        return self.rows

    def note_page(self, rows: int, size: int) -> None:
        """Note a page of *rows* that took *size* bytes."""
        if rows:
            self._listed = max(self._listed, size / rows)

    def shrink(self, rows: int, limit: int) -> int:
        """Set and return `rows` after a page of at most *rows* exceeded *limit* bytes."""
        self._listed = max(self._listed, limit / rows)
        self._row_bytes = max(self._row_bytes, self._listed)
        self._fit()
        self.rows = min(self.rows, max(1, rows // 2))
        return self.rows

    def may_grow(self, rows: int) -> bool:
        """Return whether a listing by *rows* is worth a restart with larger pages."""
        return self._listed > 0 and self._most_for(self._listed) >= _WORTH_A_RESTART * rows

    def _fit(self) -> None:
        if self._row_bytes:
            self.rows = self._most_for(self._row_bytes)

    def _most_for(self, row_bytes: float) -> int:
        return max(1, min(self._most, int(self._most_bytes / row_bytes)))


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """
    One page of a listing, without rows that it has shown before.

    `ids` are those of the rows. `date` is the server's clock by its `Date` header, in whole
    seconds, None if not sent; `seconds` the time from the request to the end of the answer.
    `refused` counts rows whose ids are too long.
    """

    rows: Sequence[Row]
    ids: Sequence[str]
    date: float | None
    seconds: float
    refused: int = 0


class UnseenRows(Generic[Row]):
    """
    Drops rows whose id came before in the same listing.

    If the backend lists in id order (Azure Storage), only the previous id is kept. Otherwise
    (MSSQL, Netherite) some 100,000 ids are, since rows move only to pages nearby meanwhile. The
    first pages tell which.
    """

    def __init__(self) -> None:
        self._previous = ""
        self._seen: set[int] = set()
        self._earlier: set[int] = set()
        self._ordered = True
        self._pages = 0

    def of(self, rows: Sequence[Row], ids: Sequence[str]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return the unseen *rows* of a page, known by *ids*, and their ids."""
        if not ids:
            return rows, ids
        self._pages += 1
        ascending = self._previous < ids[0] and all(map(lt, ids, ids[1:]))
        if self._ordered and ascending:
            self._previous = ids[-1]
            if self._pages <= _PAGES_BEFORE_ORDER_IS_BELIEVED:
                self._seen.update(map(hash, ids))
            else:
                self._seen.clear()
            return rows, ids
        self._seen.add(hash(self._previous))
        self._ordered = False
        return self._filtered(rows, ids)

    def _filtered(
        self, rows: Sequence[Row], ids: Sequence[str]
    ) -> tuple[Sequence[Row], Sequence[str]]:
        fresh: dict[str, Row] = {}
        for row, row_id in zip(rows, ids, strict=True):
            digest = hash(row_id)
            if digest not in self._seen and digest not in self._earlier:
                self._seen.add(digest)
                fresh[row_id] = row
        if len(self._seen) > _MOST_SEEN:
            self._earlier, self._seen = self._seen, set()
        return list(fresh.values()), list(fresh)


@dataclass(slots=True)
class Cursor(Generic[Row]):
    """
    Position in a listing, from which it continues, even after an error.

    A listing is several *queries* in turn, of which no two share a row. Each ends at a token that
    is absent, empty, the one just sent, or that of `null`; an empty page with a token is normal
    (reference 2.5). `page_size` is constant, unless a page is too large.
    `is_doubtful` says that a query ended with an empty page in answer to a token, which is also how
    a server ends a listing whose token it does not understand (recorded).
    """

    queries: Sequence[Query[Row]]
    page_size: int = 0
    token: bytes = b""
    pages: int = 0
    finished: bool = False
    is_doubtful: bool = False
    _is_without_rows: bool = True
    _at: int = 0
    _tokens: set[int] = field(default_factory=set)
    unseen: UnseenRows[Row] = field(default_factory=UnseenRows)
    query: Query[Row] = field(init=False)

    def __post_init__(self) -> None:
        self.query = self.queries[0]

    def may_restart(self, following: bytes) -> bool:
        """Return whether few pages and no row were read, and *following* leads to more."""
        has_read_little = self._is_without_rows and self.pages <= _EMPTY_PAGES_READ_AGAIN
        return has_read_little and following not in (*_NO_TOKENS, self.token)

    def restart(self, page_size: int) -> None:
        """Go back to the beginning of the present query, with pages of another size."""
        self.page_size = page_size
        self.token = b""
        self._tokens.clear()

    def came_before(self, following: bytes) -> bool:
        """Return whether the token *following* leads back to an earlier page."""
        return following != self.token and hash(following) in self._tokens

    def advance(self, following: bytes, *, is_empty: bool) -> None:
        """Move to the page of the token *following*, which came with the present page."""
        self.pages += 1
        self._is_without_rows = self._is_without_rows and is_empty
        if following not in (*_NO_TOKENS, self.token):
            self._tokens.add(hash(following))
            self.token = following
            return
        self.is_doubtful = self.is_doubtful or (self.token != b"" and is_empty)
        self.token = b""
        self._tokens.clear()
        self.unseen = UnseenRows()
        self._at += 1
        self.finished = self._at == len(self.queries)
        if not self.finished:
            self.query = self.queries[self._at]
