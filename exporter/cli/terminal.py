"""Output: tables and messages for people, JSON for scripts, and texts made safe for terminals."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from exporter.web.formatting import span

_WIDTH_OF_FILES = 200
_UNPRINTABLE = re.compile(r"[^ -~]")
_FIRST_SURROGATE_PAIR = 0x10000
_GAP = 2
_NARROWEST_TEXT = 24


class _Console(Console):
    """Raises on a broken pipe, so that `main` decides how the command ends."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError

    def print(self, *objects: object, **options: Any) -> None:  # noqa: ANN401 - as rich has it
        """Print without cropping words that are longer than a line."""
        super().print(*objects, **{"crop": False, **options})


def console() -> Console:
    """Return a console of standard output; wide if it is no terminal, so that no line is cut."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return _Console(width=width, highlight=False, soft_wrap=not sys.stdout.isatty())


class FittingTable(Table):
    """
    A table that fits the terminal.

    Only the columns *folds* wrap, so that ids and times can be copied. Columns that do not fit are
    left out in the order of *dropped*. In a file nothing is wrapped or left out.
    """

    def __init__(
        self, headings: Sequence[str], folds: Sequence[str], dropped: Sequence[str]
    ) -> None:
        super().__init__(*headings, box=None, pad_edge=False, header_style="bold")
        self._folds = folds
        self._dropped = dropped

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_narrow = console.is_terminal
        widths = [self._width_of(column, is_narrow=is_narrow) for column in self.columns]
        kept = list(range(len(widths)))
        order = [at for name in self._dropped for at in kept if self.columns[at].header == name]
        while is_narrow and order and _total(widths, kept) > options.max_width:
            kept.remove(order.pop(0))
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for at in kept:
            column = self.columns[at]
            is_text = column.header in self._folds
            shown.add_column(
                column.header,
                justify=column.justify,
                min_width=widths[at],
                no_wrap=not is_text,
                overflow="fold" if is_text else "ignore",
            )
        for row in zip(*(list(self.columns[at].cells) for at in kept), strict=True):
            shown.add_row(*row)
        # An id that is longer than a line is printed nevertheless, as one word.
        room = max(_total(widths, kept), options.max_width if is_narrow else 0)
        yield from console.render(shown, options.update(width=room))

    def _width_of(self, column: Column, *, is_narrow: bool) -> int:
        """Return the width that a column needs; where it wraps, to break no word."""
        texts = [str(cell) for cell in (column.header, *column.cells)]
        plain = [Text.from_markup(text).plain for text in texts]
        whole = max(map(cell_len, plain), default=0)
        if column.header not in self._folds or not is_narrow:
            return whole
        words = max((cell_len(word) for text in plain for word in text.split()), default=0)
        return min(whole, max(words, _NARROWEST_TEXT))


def table(*headings: str, folds: Sequence[str] = (), dropped: Sequence[str] = ()) -> FittingTable:
    """Return a `FittingTable`."""
    return FittingTable(headings, folds, dropped)


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[at] + _GAP for at in kept) - _GAP


def write_json(value: object) -> None:
    """Write a value to standard output as indented JSON."""
    sys.stdout.buffer.write(json_lines(value))


def json_lines(value: object) -> bytes:
    """Return a value as indented JSON; escapes what would control a terminal."""
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    return _UNPRINTABLE.sub(_json_escape, text).encode() + b"\n"


def span_since(moment: float | None, at: float) -> str:
    """Return the time since *moment*, empty if unknown."""
    return "" if moment is None else span(at - moment)


def say(text: object) -> None:
    """Print a line to standard error, made `printable`."""
    print(printable(str(text)), file=sys.stderr)


def printable(text: str) -> str:
    """
    Return an untrusted text as one line that cannot control a terminal.

    Unprintable characters are replaced: escapes, C0 and C1 controls, direction marks.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else " " if sign.isspace() else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def printable_lines(text: str) -> str:
    """Return an untrusted text as such lines."""
    return "\n".join(
        printable(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")
    )


def markup(text: str) -> str:
    """Return an untrusted text for a table or `console`, with its markup escaped."""
    return escape(printable(text))


def _json_escape(sign: re.Match[str]) -> str:
    if sign[0].isprintable() or sign[0] == "\n":
        return sign[0]
    code = ord(sign[0])
    if code < _FIRST_SURROGATE_PAIR:
        return f"\\u{code:04x}"
    high, low = divmod(code - _FIRST_SURROGATE_PAIR, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
