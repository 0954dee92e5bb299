"""
The layout of kinds of rows: arithmetic on positions, for any number of rows.

Rows are on a line, in blocks of a fixed size. Adjacent blocks that are alike form a run; there are
few of them, so that counting the rows of some kinds, or finding the n-th, takes a search among the
runs and a division.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, chain, pairwise, repeat
from random import Random

BLOCK_ROWS = 960
"""Rows per block; the last block of a segment may have fewer."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Blocks that are alike: the number of the kind of the row at each offset."""

    blocks: int
    kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch on the line, with the position of its first row and number of its first block."""

    segment: int
    start: int
    first_block: int
    blocks: int
    kinds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows `first` to `last`, exclusive, of a view within a run."""

    run: int
    first: int
    last: int


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """
    Split a number by weights into integers, each less than 1 off.

    Raises `ValueError` for a negative weight, or without one above 0.
    """
    exact = [Fraction(weight) for weight in weights]
    whole = sum(exact)
    if whole <= 0 or min(exact) < 0:
        raise ValueError(f"Shares must be 0 or above, and one of them above 0, not {weights}")
    quotas = [total * weight / whole for weight in exact]
    parts = [int(quota) for quota in quotas]
    largest = sorted(range(len(parts)), key=lambda index: parts[index] - quotas[index])
    for index in largest[: total - sum(parts)]:
        parts[index] += 1
    return parts


def spread(totals: Sequence[int], seed: int | str) -> Iterator[Stretch]:
    """
    Spread rows of every kind evenly over blocks, in exactly the given numbers.

    Each block has the integer part of a kind's rows per block. The remaining places are filled
    along all blocks, kind by kind: so at most as many blocks as there are kinds differ from the one
    before, and few rows of a last kind are in the last blocks.
    """
    blocks, remainder = divmod(sum(totals), BLOCK_ROWS)
    ending = apportion(remainder, totals) if remainder else [0] * len(totals)
    if blocks:
        full = [total - part for total, part in zip(totals, ending, strict=True)]
        yield from _full_blocks(full, blocks, seed)
    if remainder:
        yield Stretch(1, _shuffled(_repeated(ending), seed))


def _full_blocks(totals: Sequence[int], blocks: int, seed: int | str) -> Iterator[Stretch]:
    common = _repeated([total // blocks for total in totals])
    ends = list(accumulate(total % blocks for total in totals))
    places = BLOCK_ROWS - len(common)
    for begin, end in pairwise(sorted({0, blocks, *(place % blocks for place in ends)})):
        filling = [bisect_right(ends, place * blocks + begin) for place in range(places)]
        yield Stretch(end - begin, _shuffled([*common, *filling], seed))


def one_block(rows: int, weights: Sequence[float], seed: int | str) -> tuple[int, ...]:
    """Return the kind of the row at each offset of a block, split by weights."""
    return _shuffled(_repeated(apportion(rows, weights)), seed)


def _repeated(counts: Sequence[int]) -> list[int]:
    return list(chain.from_iterable(map(repeat, range(len(counts)), counts)))


def _shuffled(kinds: list[int], seed: int | str) -> tuple[int, ...]:
    # One order per length, so that stretches differ in few offsets.
    Random(f"layout/{seed}").shuffle(kinds)
    return tuple(kinds)


class View:
    """The rows of the line at the `chosen` offsets of each run's blocks."""

    def __init__(self, runs: Sequence[Run], chosen: Sequence[tuple[int, ...]]) -> None:
        self.chosen = chosen
        self._runs = runs
        self._starts = [run.start for run in runs]
        counts = (run.blocks * len(offsets) for run, offsets in zip(runs, chosen, strict=True))
        self._ranks = [0, *accumulate(counts)]

    @property
    def size(self) -> int:
        """The number of rows."""
        return self._ranks[-1]

    def run_at(self, position: int) -> int:
        """Return the number of the run at a position."""
        return bisect_right(self._starts, position) - 1

    def rank(self, position: int) -> int:
        """Return the number of the view's rows before a position."""
        index = self.run_at(position)
        if index < 0:
            return 0
        run, offsets = self._runs[index], self.chosen[index]
        block, offset = divmod(position - run.start, len(run.kinds))
        if block >= run.blocks:  # behind the end of the line
            return self._ranks[index + 1]
        return self._ranks[index] + block * len(offsets) + bisect_left(offsets, offset)

    def position(self, rank: int) -> int:
        """Return the position of the row of a rank, from 0."""
        index = bisect_right(self._ranks, rank) - 1
        run, offsets = self._runs[index], self.chosen[index]
        block, nth = divmod(rank - self._ranks[index], len(offsets))
        return run.start + block * len(run.kinds) + offsets[nth]

    def spans(self, first: int, last: int) -> Iterator[Span]:
        """Split ranks `first` to `last`, exclusive, by runs."""
        index = bisect_right(self._ranks, first) - 1
        while first < last:
            begin, end = self._ranks[index], min(last, self._ranks[index + 1])
            if first < end:
                yield Span(index, first - begin, end - begin)
            first = max(first, end)
            index += 1
