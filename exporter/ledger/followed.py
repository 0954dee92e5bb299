"""The ids that a ledger follows, found in a page without a look at each of the page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import KeysView, Sequence

# Beyond that, sorting them would hold up everything else for too long.
_MOST_SORTED = 20_000
# A page with more of them is looked through id by id.
_LARGEST_SHARE = 8


class FollowedIds:
    """
    The keys of a dict, also in order.

    To look up an id of a page takes as long as to compute its hash, which nothing else needs. Where
    both are in order, those few are found that lie between the first and the last id of a page.
    """

    def __init__(self, ids: KeysView[str]) -> None:
        """*ids* changes as the dict does; of a new key `added` has to be told."""
        self._ids = ids
        self._in_order: list[str] | None = None
        self._added: list[str] = []

    def added(self, instance_id: str) -> None:
        """Note that there is a new id; one that left need not be told."""
        if self._in_order is None:
            return
        self._added.append(instance_id)
        if len(self._added) > len(self._ids):
            self._forget_order()

    def among(self, page: Sequence[str], *, ascending: bool) -> set[str]:
        """Return those of the ids in a *page* that are followed; *ascending* tells its order."""
        if not page or not self._ids:
            return set()
        if not ascending or len(self._ids) > _MOST_SORTED:
            return self._ids & page
        in_order = self._put_in_order()
        begin = bisect_left(in_order, page[0])
        near = in_order[begin : bisect_right(in_order, page[-1], begin)]
        if len(near) * _LARGEST_SHARE > len(page):
            return self._ids & page
        return {each for each in near if page[bisect_left(page, each)] == each} & self._ids

    def _put_in_order(self) -> list[str]:
        in_order = self._in_order
        if in_order is None or len(in_order) + len(self._added) > 2 * len(self._ids):
            in_order = self._in_order = sorted(self._ids)
        elif self._added:
            in_order += self._added
            in_order.sort()
        self._added.clear()
        return in_order

    def _forget_order(self) -> None:
        self._in_order = None
        self._added.clear()
