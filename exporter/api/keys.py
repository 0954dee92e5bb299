"""What authenticates requests to a hub: the key of the app, or something in its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporter.api.answers import Answer
from exporter.api.classify import Failures
from exporter.api.errors import ApiError
from exporter.settings import read_key

Field = tuple[bytes, bytes]


class KeySource:
    """
    Source of the key of a hub; by itself, a given *key*, or none.

    `server` names the server that is asked, if it is not the app.
    """

    server = ""

    def __init__(self, key: str | None = None) -> None:
        self.key = key

    def reread(self) -> bool:
        """Read the key again, without a request; True if it changed."""
        return False

    async def admit(self, failures: Failures) -> Sequence[Field]:
        """
        Return the header fields that authenticate one request, once it may be sent.

        Raises:
            ApiError: there are none, as *failures* tells.
        """
        del failures
        return () if self.key is None else ((b"x-functions-key", self.key.encode()),)

    def check(self, failures: Failures, answer: Answer) -> None:
        """Raise `ApiError` if the answer is not from the app."""
        del failures, answer

    async def renew(self, failures: Failures, refusal: ApiError) -> bool:
        """Get another key after a *refusal*; True if it changed. Raises as `admit` does."""
        del failures, refusal
        return self.reread()


class KeyFile(KeySource):
    """A key in a file, such as a mounted secret."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.reread()

    def reread(self) -> bool:
        """Read the file again; keeps the previous key if that fails or the file has none."""
        try:
            key = read_key(self._path)
        except (OSError, ValueError):
            return False
        if key == self.key:
            return False
        self.key = key
        return True
