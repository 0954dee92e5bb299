"""Where tables and messages for people go, and JSON for scripts."""

from __future__ import annotations

import re
import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.web.formatting import span

_WIDTH_OF_FILES = 200
_UNPRINTABLE = re.compile(r"[^ -~]")
_FIRST_OF_TWO = 0x10000


def console() -> Console:
    """Return standard output; wide, where it is not a terminal, so that no line is cut."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(width=width, highlight=False, soft_wrap=not sys.stdout.isatty())


def table(*headings: str) -> Table:
    """Return a table of texts, which are folded where they are too long."""
    lines = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        lines.add_column(heading, overflow="fold")
    return lines


def write_json(value: object) -> None:
    """Write a value to standard output as JSON, to be read by people too."""
    sys.stdout.buffer.write(json_lines(value))


def json_lines(value: object) -> bytes:
    """Return a value as JSON in lines; what would steer a terminal is escaped."""
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    return _UNPRINTABLE.sub(_json_escape, text).encode() + b"\n"


def span_since(moment: float | None, at: float) -> str:
    """Write how long ago a moment was, empty where it is not known."""
    return "" if moment is None else span(at - moment)


def say(text: object) -> None:
    """Write a line to standard error, whatever *text* holds."""
    print(printable(str(text)), file=sys.stderr)


def printable(text: str) -> str:
    """
    Return a text from outside as one line that steers no terminal.

    What cannot be printed is replaced: escapes, controls of either set, signs that turn the
    direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else " " if sign.isspace() else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def printable_lines(text: str) -> str:
    """Return a text from outside as such lines."""
    return "\n".join(
        printable(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")
    )


def markup(text: str) -> str:
    """Return a text from outside to be part of a table or of what `console` prints."""
    return escape(printable(text))


def _json_escape(sign: re.Match[str]) -> str:
    if sign[0].isprintable() or sign[0] == "\n":
        return sign[0]
    code = ord(sign[0])
    if code < _FIRST_OF_TWO:
        return f"\\u{code:04x}"
    high, low = divmod(code - _FIRST_OF_TWO, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
