"""Label values of a hub: bounded, and permanent."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exporter.api.wire import LONGEST_NAME, bounded_name

OTHER = "_other"
UNNAMED = "_unnamed"
_MOST_FOLDED_NAMES_KEPT = 10_000


class SavedPlaces(msgspec.Struct, frozen=True):
    """Names by their place, in the order in which they took it."""

    own: list[str] = []
    folded: list[str] = []


class LabelValues:
    """
    Gives names their label value: their own while there is room, then `_other`.

    Configured names come first, then whoever was seen first. Nothing ever moves between its own
    label and `_other`: that would make counters fall. An empty name is `_unnamed`, and one that is
    called `_other` or is longer than 256 characters is among the others.
    """

    def __init__(
        self, limit: int, configured: Iterable[str] = (), saved: SavedPlaces | None = None
    ) -> None:
        self._limit = limit
        self._own: dict[str, None] = dict.fromkeys(saved.own) if saved else {}
        self._folded: dict[str, None] = dict.fromkeys(saved.folded) if saved else {}
        for name in configured:
            self.label(name)

    def label(self, name: str | None) -> str:
        """Return the label value of *name*, which never changes."""
        name = name or UNNAMED
        if name in self._own:
            return name
        # Whoever was folded once stays so, also where there is room now.
        if self._may_have_own(name) and len(self._own) < self._limit:
            self._own[name] = None
            return name
        if len(self._folded) < _MOST_FOLDED_NAMES_KEPT:
            self._folded[bounded_name(name)] = None
        return OTHER

    def _may_have_own(self, name: str) -> bool:
        return name not in self._folded and name != OTHER and len(name) <= LONGEST_NAME

    def peek(self, name: str | None) -> str:
        """Return the label value that *name* has, or would be in want of; nothing is kept."""
        name = name or UNNAMED
        return OTHER if name not in self._own and not self._may_have_own(name) else name

    def saved(self) -> SavedPlaces:
        """Return who has which place."""
        return SavedPlaces(list(self._own), list(self._folded))

    @property
    def labels(self) -> tuple[str, ...]:
        """All label values in use, in the order in which they were taken, `_other` last."""
        return (*self._own, OTHER) if self._folded else tuple(self._own)

    @property
    def own(self) -> tuple[str, ...]:
        """The names that have a label value of their own."""
        return tuple(self._own)

    @property
    def distinct(self) -> int:
        """How many names were seen; beyond 10,000 folded ones they are no longer told apart."""
        return len(self._own) + len(self._folded)

    @property
    def folded(self) -> int:
        """How many names share `_other`."""
        return len(self._folded)
