"""Label values of a hub: bounded and permanent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from exporter.api.wire import LONGEST_NAME, bounded_name
from exporter.ledger.records import ChangedKeys, Records

OTHER = "_other"
UNNAMED = "_unnamed"
_MOST_FOLDED_NAMES_KEPT = 10_000


class SavedPlace(msgspec.Struct, frozen=True, array_like=True):
    """The place of a name among those with a label value of their own, or among the folded."""

    number: int
    is_folded: bool


class LabelValues:
    """
    Assigns label values to names: their own while there is room, then `_other`.

    Configured names come first, then the first seen. No name ever moves between its own label and
    `_other`: that would make counters fall. Names that differ only in case are one, spelled as when
    it got its label. An empty name is `_unnamed`; one called `_other` or longer than 256 characters
    is folded.
    """

    def __init__(
        self,
        limit: int,
        configured: Iterable[str] = (),
        saved: Mapping[str, SavedPlace] | None = None,
        *,
        kind: str = "orchestrators",
    ) -> None:
        """Restore the places that were *saved*, as records of *kind*."""
        self._limit = limit
        self._own: dict[str, int] = {}
        self._folded: dict[str, int] = {}
        for name, place in sorted((saved or {}).items(), key=lambda item: item[1].number):
            if place.is_folded:
                self._folded.pop(name.lower(), None)
                self._folded[name.lower()] = place.number
            else:
                self._own[name] = place.number
        self._spellings = {name.lower(): name for name in self._own}
        self._kind = kind
        self._changed: ChangedKeys[str] = ChangedKeys()
        for name in configured:
            self.label(name)
        self._decided = frozenset(self._own)

    def label(self, name: str | None) -> str:
        """Return the label value of *name*, which never changes."""
        name = name or UNNAMED
        if name in self._own:
            return name
        lowered = name.lower()
        if (spelling := self._spellings.get(lowered)) is not None:
            return spelling
        # What was folded once stays so, even where there is room now.
        if self._may_have_own(lowered) and len(self._own) < self._limit:
            self._own[name] = _next_number(self._own)
            self._spellings[lowered] = name
            self._changed.add(name)
            return name
        folded = bounded_name(lowered)
        if folded not in self._folded and len(self._folded) < _MOST_FOLDED_NAMES_KEPT:
            self._folded[folded] = _next_number(self._folded)
            self._changed.add(folded)
        return OTHER

    def _may_have_own(self, lowered: str) -> bool:
        return lowered not in self._folded and lowered != OTHER and len(lowered) <= LONGEST_NAME

    def spelled(self, name: str) -> str:
        """Return *name* in the spelling of its label value, if it has its own."""
        return self._spellings.get(name.lower(), name)

    def spell_as_most(self, instances: Mapping[str, int]) -> bool:
        """
        Spell each name as most of its *instances* do; of equal numbers, the smaller spelling wins.

        Configured and saved spellings stay. Returns whether any changed: what is labelled then
        needs new labels.
        """
        renamed = {}
        for lowered, spellings in by_name(instances).items():
            before = self._spellings.get(lowered)
            if before is not None and before not in self._decided:
                renamed[before] = min(spellings, key=lambda each: (-instances[each], each))
        renamed = {before: now for before, now in renamed.items() if before != now}
        self._own = {renamed.get(name, name): number for name, number in self._own.items()}
        self._spellings = {name.lower(): name for name in self._own}
        for names in renamed.items():
            for name in names:
                self._changed.add(name)
        return bool(renamed)

    def peek(self, name: str | None) -> str:
        """Return the label value that *name* has or would get; nothing is kept."""
        name = name or UNNAMED
        lowered = name.lower()
        return self._spellings.get(lowered) or (name if self._may_have_own(lowered) else OTHER)

    @property
    def records(self) -> Records[str, SavedPlace]:
        """The places of all names."""
        return Records(self._kind, self._changed, lambda: (*self._own, *self._folded), self._saved)

    def _saved(self, name: str) -> SavedPlace | None:
        if (number := self._own.get(name)) is not None:
            return SavedPlace(number, is_folded=False)
        number = self._folded.get(name)
        return None if number is None else SavedPlace(number, is_folded=True)

    def names(self) -> set[str]:
        """Return the names seen, in lower case, as the runtime compares them."""
        return {name.lower() for names in (self._own, self._folded) for name in names}

    @property
    def labels(self) -> tuple[str, ...]:
        """All label values in use, in the order of assignment, `_other` last."""
        return (*self._own, OTHER) if self._folded else tuple(self._own)

    @property
    def own(self) -> tuple[str, ...]:
        """The names with a label value of their own."""
        return tuple(self._own)

    @property
    def distinct(self) -> int:
        """How many names were seen; beyond 10,000 folded ones, new ones are not distinguished."""
        return len(self._own) + len(self._folded)

    @property
    def folded(self) -> int:
        """How many names ever shared `_other`, counting those that have since become one."""
        return _next_number(self._folded)


def by_name(spellings: Iterable[str]) -> dict[str, list[str]]:
    """Group *spellings* by the name that they spell."""
    names: dict[str, list[str]] = {}
    for spelling in spellings:
        names.setdefault(spelling.lower(), []).append(spelling)
    return names


def _next_number(places: dict[str, int]) -> int:
    """Return a number above all of *places*: it never falls."""
    return next(reversed(places.values()), -1) + 1
