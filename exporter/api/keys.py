"""The key that opens the API of a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from exporter.settings import read_key


class KeySource(Protocol):
    """Where the key of a hub comes from."""

    def current(self) -> str | None:
        """Return the key to send, or None where none is needed."""

    def reread(self) -> bool:
        """Read the key anew; True if it changed."""


class FixedKey:
    """A key that was given as text, or no key at all."""

    __slots__ = ("_key",)

    def __init__(self, key: str | None) -> None:
        self._key = key

    def current(self) -> str | None:
        """Return the key."""
        return self._key

    def reread(self) -> bool:
        """Return False: there is nowhere to read it from."""
        return False


class KeyFile:
    """A key in a file, as a mounted secret."""

    __slots__ = ("_key", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: str | None = None
        self.reread()

    def current(self) -> str | None:
        """Return the key as last read."""
        return self._key

    def reread(self) -> bool:
        """Read the file anew; one that holds no key, or cannot be read, leaves it as it was."""
        try:
            key = read_key(self._path)
        except (OSError, ValueError):
            return False
        if key == self._key:
            return False
        self._key = key
        return True
