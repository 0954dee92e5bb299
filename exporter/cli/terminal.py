"""Where tables and messages for people go."""

from __future__ import annotations

import sys

from rich.console import Console

_WIDTH_OF_FILES = 200


def console() -> Console:
    """Return standard output; wide, where it is not a terminal, so that no line is cut."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(width=width, highlight=False, soft_wrap=not sys.stdout.isatty())
