"""What is known of found apps over a restart: a file, so that an outage of Azure hides none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from exporter.discovery.selection import KnownApp

FILE = "discovery.json"
_LARGEST = 64 << 20


class _Content(msgspec.Struct):
    version: int
    apps: list[KnownApp]


def load(folder: Path) -> dict[str, KnownApp]:
    """
    Return what is kept in *folder*, nothing where nothing is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what was written.
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return {}
    try:
        kept = msgspec.json.decode(content, type=_Content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return {one.app.key: one for one in kept.apps} if kept.version == 1 else {}


def save(folder: Path, known: Mapping[str, KnownApp]) -> None:
    """Write what is known, all of it or nothing; raises `OSError`."""
    temporary = folder / f"{FILE}.tmp"
    temporary.write_bytes(msgspec.json.encode(_Content(1, list(known.values()))))
    temporary.replace(folder / FILE)
