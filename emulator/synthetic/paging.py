"""Pages of a synthetic hub, as of each storage provider, by arithmetic."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.azure_storage import MAXIMUM_TOP, AzureStorage, decode_token, encode_token
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.json_text import compact
from emulator.storage.table import BEYOND_THE_END, EntityQuery, InstanceQuery
from emulator.synthetic.layout import View
from emulator.synthetic.population import Choice, Population

# A prefix is a pattern of `LIKE` to MSSQL.
LONGEST_PREFIX = 100
_WILDCARDS = frozenset("%_[")
_BOUNDS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """The query of a listing: a choice of rows, by id prefix and creation."""

    choice: Choice
    prefix: str
    created_from: float | None
    created_to: float | None
    top: int
    scanning: bool
    existing: bool = False
    """Whether deleted entities take up room on a page without being shown."""

    @classmethod
    def of_instances(cls, query: InstanceQuery) -> "Selection":
        """Return the selection of `GET instances`."""
        return cls(
            Choice(query.statuses),
            query.id_prefix or "",
            query.created_from,
            query.created_to,
            query.top,
            query.scanning,
        )

    @classmethod
    def of_entities(cls, query: EntityQuery) -> "Selection":
        """Return the selection of `GET entities`."""
        return cls(
            Choice(),
            query.id_prefix,
            query.operated_from,
            query.operated_to,
            query.top,
            query.scanning,
            existing=True,
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of ranks `first` to `last`, exclusive, of a view."""

    view: View
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class SyntheticPage:
    """
    A page: rows of each partition, which come in turn.

    `existing` leaves out deleted entities.
    """

    parts: Sequence[Rows]
    token: str
    scanned: int
    existing: bool


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Positions between which ids have the prefix, and between which times match."""

    low: int
    high: int
    earliest: int
    latest: int

    def rows(self, view: View, begin: int, end: int) -> Rows:
        """Return the rows of a view between two positions whose creation matches."""
        first = view.rank(max(begin, self.earliest))
        return Rows(view, first, max(first, view.rank(min(end, self.latest))))


class Pager:
    """
    Pages like storage providers.

    For Netherite, offsets stand for hashes of ids, and there is always paging.
    """

    def __init__(self, population: Population, version: ExtensionVersion) -> None:
        self._population = population
        self._version = version
        # The same for every page of a listing.
        self._bounds = lru_cache(_BOUNDS_KEPT)(self._find_bounds)

    def page(self, backend: Backend, selection: Selection, token: str) -> SyntheticPage:
        """
        Return a page, whose size and token the backend has validated.

        Raises `ArgumentInvalid` for wildcards in a prefix, which would take a scan.
        """
        match backend:
            case AzureStorage():
                return self._azure_storage(backend, selection, token)
            case MSSQL():
                return self._mssql(selection, token)
            case Netherite():
                return self._netherite(backend, selection, token)
        raise ValueError(f"A synthetic hub has no pages like those of {backend.name}")

    def _azure_storage(self, backend: AzureStorage, asked: Selection, token: str) -> SyntheticPage:
        bounds = self._bounds(asked.prefix, asked.created_from, asked.created_to)
        begin = decode_token(token, self._version)
        low = max(bounds.low, 0 if begin is None else self._population.find(begin))
        high = max(low, bounds.high)
        scan_rows = backend.scan_rows if asked.scanning else None
        seen = high if scan_rows is None else min(high, low + scan_rows)
        view = self._population.view(asked.choice)
        found = bounds.rows(view, low, seen)
        top = min(asked.top, MAXIMUM_TOP)
        if len(found) > top:  # the next page begins at the next row that matches
            seen = view.position(found.first + top)
            found = Rows(view, found.first, found.first + top)
        next_token = "" if seen == high else self._token(seen)
        return SyntheticPage([found], next_token, seen - low, asked.existing)

    def _token(self, position: int) -> str:
        return encode_token(self._population.id_at(position), self._version)

    def _mssql(self, asked: Selection, token: str) -> SyntheticPage:
        prefix = asked.prefix[:LONGEST_PREFIX]
        if not _WILDCARDS.isdisjoint(prefix):
            raise ArgumentInvalid("A synthetic hub does not look for wildcards in a prefix.")
        bounds = self._bounds(prefix, asked.created_from, asked.created_to)
        view = self._population.view(asked.choice)
        found = bounds.rows(view, bounds.low, bounds.high)
        number = int(token.strip() or 0)
        first = min(found.last, found.first + number * asked.top)
        page = Rows(view, first, min(found.last, first + asked.top))
        next_token = str(number + 1) if len(page) == asked.top else ""
        return SyntheticPage([page], next_token, len(page), asked.existing)

    def _netherite(self, backend: Netherite, asked: Selection, token: str) -> SyntheticPage:
        bounds = self._bounds(asked.prefix, asked.created_from, asked.created_to)
        places = json.loads(token) if token.strip() else [""] * backend.partitions
        answers = [
            self._partition(backend, asked, bounds, place, (number, backend.partitions))
            for number, place in enumerate(places)
            if isinstance(place, str)
        ]
        going_on = iter([place for _, place, _ in answers])
        next_places = [next(going_on) if isinstance(place, str) else None for place in places]
        return SyntheticPage(
            [found for found, _, _ in answers],
            compact(next_places) if any(place is not None for place in next_places) else "",
            sum(scanned for _, _, scanned in answers),
            asked.existing,
        )

    def _partition(
        self,
        backend: Netherite,
        asked: Selection,
        bounds: _Bounds,
        place: str,
        part: tuple[int, int],
    ) -> tuple[Rows, str | None, int]:
        """Return the found rows, the id to continue at, and the number of scanned rows."""
        rows = self._population.view(Choice(part=part))
        view = self._population.view(replace(asked.choice, part=part))
        begin = max(bounds.low, self._population.find(place))
        low = rows.rank(begin)
        high = max(low, rows.rank(bounds.high))
        seen = high if backend.scan_rows is None else min(high, low + backend.scan_rows)
        end = bounds.high if seen == high else rows.position(seen)
        found = bounds.rows(view, begin, end)
        if len(found) >= asked.top:  # it stops behind the last row that it takes
            found = Rows(view, found.first, found.first + asked.top)
            seen = rows.rank(view.position(found.last - 1)) + 1
        next_place = None if seen == high else self._population.id_at(rows.position(seen))
        return found, next_place, seen - low

    def _find_bounds(
        self, prefix: str, created_from: float | None, created_to: float | None
    ) -> _Bounds:
        population = self._population
        return _Bounds(
            population.find(prefix),
            population.find(prefix + BEYOND_THE_END),
            0 if created_from is None else population.first_created(created_from),
            population.size if created_to is None else population.first_created_after(created_to),
        )
