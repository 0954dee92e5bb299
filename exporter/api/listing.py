"""Progress of a listing: its cursor, its page size, and which rows are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import lt
from typing import Generic, TypeVar

from exporter.api.query import Query

# What is asked for where nothing is known of the rows.
_FIRST = 50
# A list whose rows have become smaller is read in larger pages again step by step: its largest
# rows may be those that it did not come to this time.
_REMEMBERED_SHARE = 0.9
# To begin again costs the page that was read.
_WORTH_A_PAGE = 2


class PageSize:
    """
    The rows to ask for in one kind of list: *most*, or fewer if those would take *most_bytes*.

    They follow from the largest rows of the list before: *known* are their bytes, where they are.
    """

    def __init__(self, most: int, most_bytes: int, known: float = 0.0) -> None:
        self.rows = min(most, _FIRST)
        self._most = most
        self._most_bytes = most_bytes
        self._row_bytes = 0.0
        self._listed = known

    @property
    def known(self) -> float:
        """The bytes of the largest rows, 0 before the first page."""
        return max(self._row_bytes, self._listed)

    def begin(self) -> None:
        """Set `rows` for a list that begins now."""
        self._row_bytes = max(self._listed, self._row_bytes * _REMEMBERED_SHARE)
        self._listed = 0.0
        self._fit()

    def came(self, rows: int, size: int) -> None:
        """Note a page of *rows* that took *size* bytes."""
        if rows:
            self._listed = max(self._listed, size / rows)

    def was_refused(self, rows: int, limit: int) -> None:
        """Note that an answer of at most *rows* was larger than *limit* bytes; sets `rows`."""
        self._listed = max(self._listed, limit / rows)
        self._row_bytes = max(self._row_bytes, self._listed)
        self._fit()
        self.rows = min(self.rows, max(1, rows // 2))

    def may_grow(self, rows: int) -> bool:
        """Tell whether a list read by *rows* should rather begin again, with larger pages."""
        return self._listed > 0 and self._most_for(self._listed) >= _WORTH_A_PAGE * rows

    def _fit(self) -> None:
        if self._row_bytes:
            self.rows = self._most_for(self._row_bytes)

    def _most_for(self, row_bytes: float) -> int:
        return max(1, min(self._most, int(self._most_bytes / row_bytes)))


Row = TypeVar("Row")

# What extensions around 2.1 send for ever: the base64 text of `null` (reference 2.5).
NULL_TOKEN = b"bnVsbA=="
_PAGES_BEFORE_ORDER_IS_BELIEVED = 2
_MOST_SEEN = 50_000
# A list whose first pages are empty does not show at its begin how large its rows are.
_EMPTY_PAGES_READ_AGAIN = 10


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """
    One page of a list, without the rows that came before in the same list.

    `ids` are those of the rows. `date` is the server's clock as its `Date` header shows it, in
    whole seconds, None where it sent none; `seconds` is the time from the request to the end of
    the answer. `refused` rows more have ids that are too long to be kept.
    """

    rows: Sequence[Row]
    ids: Sequence[str]
    date: float | None
    seconds: float
    refused: int = 0


class UnseenRows(Generic[Row]):
    """
    Leaves out rows whose id came before in the same listing.

    Where the backend lists in id order (Azure Storage), the previous id is all that is kept;
    elsewhere (MSSQL, Netherite) some 100,000 ids are: what moves from one page to another while a
    list is read moves to one nearby. The first pages tell which it is.
    """

    def __init__(self) -> None:
        self._previous = ""
        self._seen: set[int] = set()
        self._earlier: set[int] = set()
        self._ordered = True
        self._pages = 0

    def of(self, rows: Sequence[Row], ids: Sequence[str]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return the *rows* of a page, known by *ids*, that were not seen before, and their ids."""
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
    How far a list was read: from here it can be read on, also after an error.

    The list is that of several *queries*, one after the other, of which no two share a row. Each
    ends where the token is absent, empty, the one just sent, or that of `null`; an empty page with
    a token is nothing special (reference 2.5). `page_size` stays the same to the end of the list,
    unless a page is too large; `query` is what is asked for next. `is_doubtful` tells that a query
    ended with an empty page in answer to a token: that is also how a server ends a list whose token
    it does not understand (recorded).
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

    @property
    def may_restart(self) -> bool:
        """Tell whether hardly anything was read, and no row."""
        return self._is_without_rows and self.pages <= _EMPTY_PAGES_READ_AGAIN

    def restart(self) -> None:
        """Go back to the begin of the present query, with pages of another size."""
        self.page_size = 0
        self.token = b""
        self._tokens.clear()

    def came_before(self, following: bytes) -> bool:
        """Tell whether the token *following* leads back to an earlier page of the same list."""
        return not self.ends_with(following) and hash(following) in self._tokens

    def advance(self, following: bytes, *, is_empty: bool) -> None:
        """Go on to the page of the token *following*, which came with the present page."""
        self.pages += 1
        self._is_without_rows = self._is_without_rows and is_empty
        if not self.ends_with(following):
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

    def ends_with(self, following: bytes) -> bool:
        """Tell whether the present page is the last of its query, as its token *following* says."""
        return following in (b"", NULL_TOKEN, self.token)
