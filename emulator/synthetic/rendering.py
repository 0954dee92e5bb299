"""
Pages of a synthetic hub as JSON.

The text of a row is split where it differs between blocks at the same offset: at the number of the
block, and at minutes. A page joins them with the constant rest.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, cycle, islice, repeat, zip_longest
from math import inf
from operator import add
from typing import TypeAlias, TypeVar, cast

from emulator.json_text import JsonValue, compact
from emulator.storage.rows import Row
from emulator.synthetic.layout import Run, View
from emulator.synthetic.paging import Rows, SyntheticPage
from emulator.synthetic.population import (
    ROWS_PER_SECOND,
    Population,
    Segment,
    offset_text,
)
from emulator.times import whole_seconds

T = TypeVar("T")
Style: TypeAlias = Callable[[Row], JsonValue]
"""Returns the item for a row; equal styles return the same."""

# Placeholders, which no payload has, for the number of the block and the time of creation.
_BLOCK = "\ue000"
_FAR_AWAY = 221_845_392_000.0
_CUTS = re.compile(f"({_BLOCK}|9000-01-01T[0-9][0-9]:[0-9][0-9]:|0001-01-01T00:00:)")
_NEVER = b"0001-01-01T00:00:"

_MINUTES_OF_DAY = [b"T%02d:%02d:" % divmod(minute, 60) for minute in range(1440)]
_MINUTES_KEPT = 4096
_SECTIONS_KEPT = 64


class _MinuteTexts(dict[float, bytes]):
    """A cache of times without seconds, by minutes since the epoch, minus infinity for never."""

    def __missing__(self, minute: float) -> bytes:
        if len(self) >= _MINUTES_KEPT:
            self.clear()
        text = _NEVER if minute == -inf else _minute_text(int(minute))
        self[minute] = text
        return text


@dataclass(frozen=True, slots=True)
class _Template:
    """
    The constant texts of a row, and what is between them.

    That is the number of the block where `minutes` has `None`, else a time in minutes after that of
    the block.
    """

    texts: tuple[bytes, ...]
    minutes: tuple[float | None, ...]


class _Section:
    """The rows of a view in a run, as columns of their templates."""

    def __init__(
        self,
        run: Run,
        segment: Segment,
        templates: Sequence[_Template],
        exist: Sequence[bool],
    ) -> None:
        self._run = run
        self._segment = segment
        self._number = f"%0{segment.width}d".encode()
        self._rows = len(templates)
        self._texts = _columns([row.texts for row in templates])
        self._minutes = _columns([row.minutes for row in templates])
        self._exist = exist
        self._pieces_per_row = len(self._texts) + len(self._minutes)

    def pieces(self, first: int, last: int, times: _MinuteTexts) -> list[bytes]:
        """Return the pieces of some rows, each row after a comma."""
        begin, skipped = divmod(first, self._rows)
        end = -(-last // self._rows)
        blocks = range(self._run.first_block + begin, self._run.first_block + end)
        cut = slice(skipped, skipped + last - first)
        pieces = [b""] * (self._pieces_per_row * (last - first))
        for index, texts in enumerate(self._texts):
            pieces[2 * index :: self._pieces_per_row] = (texts * len(blocks))[cut]
        for index, minutes in enumerate(self._minutes):
            pieces[2 * index + 1 :: self._pieces_per_row] = self._column(minutes, blocks, times)[
                cut
            ]
        return pieces

    def row_texts(self, first: int, last: int, times: _MinuteTexts) -> list[bytes]:
        """Return the text of some rows, each after a comma."""
        pieces = self.pieces(first, last, times)
        stride = self._pieces_per_row
        return [b"".join(pieces[at : at + stride]) for at in range(0, len(pieces), stride)]

    def existing(self, first: int) -> Iterator[bool]:
        """Yield endlessly, from a row on, whether it exists."""
        return islice(cycle(self._exist), first % self._rows, None)

    def _column(
        self, minutes: list[float | None], blocks: range, times: _MinuteTexts
    ) -> list[bytes]:
        """Return a column of some blocks."""
        if minutes[0] is None:  # and so is every other one
            return self._each(list(map(self._number.__mod__, blocks)))
        at = self._each([self._segment.minute + block for block in blocks])
        later = cast("list[float]", minutes * len(blocks))
        return list(map(times.__getitem__, map(add, at, later)))

    def _each(self, values: list[T]) -> list[T]:
        """Repeat the value of each block for its rows."""
        if self._rows == 1:
            return values
        return list(chain.from_iterable(map(repeat, values, repeat(self._rows))))


def _columns(rows: Iterable[Iterable[T]]) -> list[list[T]]:
    return [list(column) for column in zip(*rows, strict=True)]


class Renderer:
    """Renders rows in a style, caching templates, which are few."""

    def __init__(self, population: Population, style: Style) -> None:
        self._population = population
        self._style = style
        self._times = _MinuteTexts()
        self._texts: dict[bytes, bytes] = {}
        self._templates: dict[tuple[int, int], _Template] = {}
        self._section = lru_cache(_SECTIONS_KEPT)(self._make_section)

    def body(self, page: SyntheticPage) -> bytes:
        """Return the rows of a page as a JSON array."""
        if len(page.parts) == 1 and not page.existing:
            pieces = chain.from_iterable(self._pieces(page.parts[0]))
        else:
            each = (self._rows(rows, existing=page.existing) for rows in page.parts)
            pieces = chain.from_iterable(zip_longest(*each, fillvalue=b""))
        return b"[%b]" % b"".join(pieces)[1:]

    def _pieces(self, rows: Rows) -> Iterator[list[bytes]]:
        for span in rows.view.spans(rows.first, rows.last):
            section = self._section(rows.view, span.run)
            yield section.pieces(span.first, span.last, self._times)

    def _rows(self, rows: Rows, *, existing: bool) -> Iterator[bytes]:
        for span in rows.view.spans(rows.first, rows.last):
            section = self._section(rows.view, span.run)
            texts = section.row_texts(span.first, span.last, self._times)
            if existing:
                shown = section.existing(span.first)
                texts = [
                    text if exists else b"" for text, exists in zip(texts, shown, strict=False)
                ]
            yield from texts

    def _make_section(self, view: View, number: int) -> _Section:
        run, offsets = self._population.runs[number], view.chosen[number]
        templates = [self._template(run, offset) for offset in offsets]
        exist = [self._population.kinds[run.kinds[offset]].exists for offset in offsets]
        return _Section(run, self._population.segments[run.segment], templates, exist)

    def _template(self, run: Run, offset: int) -> _Template:
        place = run.kinds[offset], offset
        if place not in self._templates:
            self._templates[place] = self._make_template(run, offset)
        return self._templates[place]

    def _make_template(self, run: Run, offset: int) -> _Template:
        kind = self._population.kinds[run.kinds[offset]]
        segment = self._population.segments[run.segment]
        row = kind.row(
            f"{segment.head}{_BLOCK}{offset_text(offset)}",
            _FAR_AWAY + offset * segment.ticks / ROWS_PER_SECOND,
            self._population.seconds_taken(kind, offset),
        )
        parts = _CUTS.split(f",{compact(self._style(row))}")
        texts = (part.encode() for part in parts[::2])
        return _Template(
            # Shared by many rows.
            tuple(self._texts.setdefault(text, text) for text in texts),
            tuple(None if cut == _BLOCK else _minutes(cut) for cut in parts[1::2]),
        )


def _minutes(cut: str) -> float:
    """Return the minutes from the block to a time of a template."""
    hour, minute = cut[11:13], cut[14:16]
    return int(hour) * 60 + int(minute) if cut.startswith("9") else -inf


def _minute_text(minute: int) -> bytes:
    day, minute_of_day = divmod(minute, 1440)
    return _day_text(day) + _MINUTES_OF_DAY[minute_of_day]


@lru_cache
def _day_text(day: int) -> bytes:
    return whole_seconds(day * 86_400).encode()[:10]
