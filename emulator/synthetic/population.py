"""The rows of a synthetic hub, and how to find them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, compress
from math import ceil, floor
from random import Random

from emulator.storage.rows import Entity, Instance
from emulator.synthetic.layout import BLOCK_ROWS, Run, Stretch, View, spread
from emulator.synthetic.mix import Kind

ROWS_PER_SECOND = 16
"""Ticks per second, each of which has a row; a power of two keeps times exact."""

_MINUTE = BLOCK_ROWS // ROWS_PER_SECOND
_OFFSETS = tuple(range(BLOCK_ROWS))
OFFSET_DIGITS = 3
_VIEWS_KEPT = 128


@dataclass(frozen=True, slots=True)
class Part:
    """
    Rows whose ids begin with `head`, by blocks.

    Ids continue with the number of the block in `width` digits and the offset in it. A row is
    created every `ticks`; a block spans a minute. The first minute since the epoch is `minute`;
    `None` for parts that end where the next one begins.
    """

    head: str
    width: int
    kinds: tuple[Kind, ...]
    stretches: tuple[Stretch, ...]
    ticks: int = 1
    minute: int | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(stretch.blocks * len(stretch.kinds) for stretch in self.stretches)

    @property
    def minutes(self) -> int:
        """The number of blocks, each of a minute."""
        return sum(stretch.blocks for stretch in self.stretches)


def static_part(head: str, width: int, kinds: Sequence[tuple[Kind, int]], seed: int | str) -> Part:
    """Return a constant part with a number of rows of each kind, spread evenly."""
    stretches = spread([rows for _, rows in kinds], f"{seed}/{head}")
    return Part(head, width, tuple(kind for kind, _ in kinds), tuple(stretches))


@lru_cache
def duration_shares(seed: int | str) -> tuple[float, ...]:
    """Return the duration of the row at each offset, as a share of the longest."""
    random = Random(f"durations/{seed}")
    # Most are short.
    return tuple(random.random() ** 3 for _ in _OFFSETS)


def in_ticks(seconds: float) -> float:
    """Return seconds truncated to ticks."""
    return floor(seconds * ROWS_PER_SECOND) / ROWS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Segment:
    """A part on the line, from position `start` and `minute` since the epoch."""

    head: str
    width: int
    start: int
    rows: int
    minute: int
    ticks: int

    @property
    def block_rows(self) -> int:
        """Rows per block; the last one may have fewer."""
        return BLOCK_ROWS // self.ticks

    def id_at(self, index: int) -> str:
        """Return the id of a row."""
        block, offset = divmod(index, self.block_rows)
        return f"{self.head}{block:0{self.width}}{offset_text(offset)}"

    def rows_below(self, instance_id: str) -> int:
        """Return the number of lower ids."""
        if not instance_id.startswith(self.head):
            return 0 if instance_id < self.head else self.rows
        return bisect_left(range(self.rows), instance_id, key=self.id_at)

    def created(self, index: int) -> float:
        """Return the creation of a row, in seconds since the epoch."""
        return self.minute * _MINUTE + index * self.ticks / ROWS_PER_SECOND

    def rows_before(self, tick: int) -> int:
        """Return the number of rows created before a tick since the epoch."""
        return min(max(-(-(tick - self.minute * BLOCK_ROWS) // self.ticks), 0), self.rows)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The rows of a view; `None` stands for all.

    `part` is a partition, as number and total; offsets decide.
    """

    statuses: frozenset[str] | None = None
    part: tuple[int, int] | None = None

    def accepts(self, kind: Kind) -> bool:
        """Return whether rows of a kind are chosen."""
        return self.statuses is None or kind.status in self.statuses


class Population:
    """
    The parts of a hub on a line, along which ids and times ascend.

    No row is stored: the line follows from the seed. Parts without a minute end before *newest*, in
    seconds since the epoch. `kinds` are those of all parts, by their numbers in `runs`.
    """

    def __init__(self, parts: Iterable[Part], *, seed: int | str, newest: float) -> None:
        ordered = sorted((part for part in parts if part.rows), key=lambda part: part.head)
        self.kinds: tuple[Kind, ...] = tuple(kind for part in ordered for kind in part.kinds)
        self.segments = _segments(ordered, newest)
        self.runs = tuple(_runs(ordered, self.segments))
        self.size = sum(part.rows for part in ordered)
        self._spent = duration_shares(seed)
        self._everything = View(self.runs, [_OFFSETS[: len(run.kinds)] for run in self.runs])
        self._view = lru_cache(_VIEWS_KEPT)(self._make_view)

    @property
    def counted(self) -> list[tuple[Kind, int]]:
        """Every kind with its number of rows."""
        counts = Counter[int]()
        for run in self.runs:
            for number in run.kinds:
                counts[number] += run.blocks
        return [(kind, counts[number]) for number, kind in enumerate(self.kinds)]

    def row(self, position: int) -> Instance | Entity:
        """Return the row at a position."""
        run = self.runs[self._everything.run_at(position)]
        segment = self.segments[run.segment]
        index = position - segment.start
        offset = index % segment.block_rows
        kind = self.kinds[run.kinds[offset]]
        seconds = self.seconds_taken(kind, offset)
        return kind.row(segment.id_at(index), segment.created(index), seconds)

    def seconds_taken(self, kind: Kind, offset: int) -> float:
        """Return the seconds from creation to last update."""
        return in_ticks(kind.longest * self._spent[offset])

    def get(self, instance_id: str) -> Instance | Entity | None:
        """Return the row of an id."""
        position = self.find(instance_id)
        if position == self.size or self.id_at(position) != instance_id:
            return None
        return self.row(position)

    def id_at(self, position: int) -> str:
        """Return the id at a position."""
        segment = self.segments[self.runs[self._everything.run_at(position)].segment]
        return segment.id_at(position - segment.start)

    def find(self, instance_id: str) -> int:
        """Return the position of the first id from a text on."""
        return sum(segment.rows_below(instance_id) for segment in self.segments)

    def first_created(self, time: float) -> int:
        """Return the position of the first row created at a time or later."""
        return self._rows_before(ceil(time * ROWS_PER_SECOND))

    def first_created_after(self, time: float) -> int:
        """Return the position of the first row created after a time."""
        return self._rows_before(floor(time * ROWS_PER_SECOND) + 1)

    def view(self, choice: Choice) -> View:
        """Return the rows of a choice."""
        return self._everything if choice == Choice() else self._view(choice)

    def _rows_before(self, tick: int) -> int:
        return sum(segment.rows_before(tick) for segment in self.segments)

    def _make_view(self, choice: Choice) -> View:
        accepted = [choice.accepts(kind) for kind in self.kinds]
        number, parts = choice.part or (0, 1)
        return View(
            self.runs,
            [
                tuple(
                    offset
                    for offset in compress(_OFFSETS, map(accepted.__getitem__, run.kinds))
                    if offset % parts == number
                )
                for run in self.runs
            ],
        )


def offset_text(offset: int) -> str:
    """Return an offset as in ids."""
    return f"{offset:0{OFFSET_DIGITS}}"


def _segments(parts: Sequence[Part], newest: float) -> tuple[Segment, ...]:
    starts = accumulate((part.rows for part in parts), initial=0)
    minutes = accumulate((part.minutes for part in parts if part.minute is None), initial=0)
    still = list(minutes)
    before = iter(floor(newest / _MINUTE) - still[-1] + minute for minute in still)
    return tuple(
        Segment(
            part.head,
            part.width,
            start,
            part.rows,
            next(before) if part.minute is None else part.minute,
            part.ticks,
        )
        for part, start in zip(parts, starts, strict=False)
    )


def _runs(parts: Sequence[Part], segments: Sequence[Segment]) -> Iterator[Run]:
    kinds_before = 0
    for number, (part, segment) in enumerate(zip(parts, segments, strict=True)):
        block = 0
        for stretch in part.stretches:
            kinds = tuple(kinds_before + kind for kind in stretch.kinds)
            start = segment.start + block * segment.block_rows
            yield Run(number, start, block, stretch.blocks, kinds)
            block += stretch.blocks
        kinds_before += len(part.kinds)
