"""How many rows to ask for at once, so that answers stay small where rows are large."""

from __future__ import annotations

# A list whose rows have become smaller is read in larger pages again step by step: its largest
# rows may be those that it did not come to this time.
_REMEMBERED_SHARE = 0.9
_FEWEST = 10


class PageSize:
    """
    The rows to ask for in one kind of list: *most*, or fewer if those would take *most_bytes*.

    They are chosen for a whole list, by the largest rows of the one before: a backend that numbers
    its pages would lose rows, if their size changed on the way (reference 2.5).
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.rows = most
        self._most = most
        self._most_bytes = most_bytes
        self._row_bytes = 0.0
        self._listed = 0.0

    def begin(self) -> None:
        """Set `rows`, which are to be asked for in every page of the list that begins now."""
        self._row_bytes = max(self._listed, self._row_bytes * _REMEMBERED_SHARE)
        self._listed = 0.0
        fitting = self._most_bytes / max(self._row_bytes, 1.0)
        self.rows = min(self._most, max(_FEWEST, int(fitting)))

    def came(self, rows: int, size: int) -> None:
        """Note a page of *rows* that took *size* bytes."""
        if rows:
            self._listed = max(self._listed, size / rows)

    def was_refused(self, rows: int, limit: int) -> None:
        """Note that an answer of at most *rows* was larger than *limit* bytes."""
        self._listed = max(self._listed, limit / rows)
