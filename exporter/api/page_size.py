"""How many rows to ask for at once, so that answers stay small where rows are large."""

from __future__ import annotations

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
