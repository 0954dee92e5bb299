"""Where tables and messages for people go, and JSON for scripts."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from exporter.web.words import span

_WIDTH_OF_FILES = 200


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
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def span_since(moment: float | None, at: float) -> str:
    """Write how long ago a moment was, empty where it is not known."""
    return "" if moment is None else span(at - moment)


def printable(text: str) -> str:
    """Return a text of an app without what would steer the terminal."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for sign in text.replace("\r\n", "\n")
    )
