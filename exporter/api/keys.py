"""What lets requests to a hub in: the key of the app, or something else in its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from exporter.api.answers import Answer
from exporter.api.classify import Failures
from exporter.api.errors import ApiError
from exporter.settings import read_key

Field = tuple[bytes, bytes]


class KeySource(Protocol):
    """
    Where the key of a hub comes from; by itself, one that is at hand.

    `place` is what is asked, where that is not the app itself.
    """

    place: str = ""

    def current(self) -> str | None:
        """Return the key to send, or None where none is needed."""

    def reread(self) -> bool:
        """Read the key anew, without asking anybody; True if it changed."""

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """
        Return the header fields that let one request in, as soon as it may be sent.

        Raises:
            ApiError: there are none to be had, as *failures* tells.
        """
        del failures
        key = self.current()
        return () if key is None else ((b"x-functions-key", key.encode()),)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise `ApiError` where something else than the app has answered."""
        del failures, answer

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Get the key anew after a *refusal*; True if it changed. Raises as `admit` does."""
        del failures, refusal
        return self.reread()


class FixedKey(KeySource):
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


class KeyFile(KeySource):
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
