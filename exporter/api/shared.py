"""Rows decoded so that their names and statuses are shared texts, where there are only a few."""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, Literal, TypeVar

import msgspec

from exporter.api.wire import LONGEST_NAME, BriefRow

Row = TypeVar("Row", bound=BriefRow)

_MOST_NAMES = 256
# To make a type takes as long as a hundred rows are faster with it, of every page that has them.
_FEWEST_ROWS = 100


class InstanceDecoder(Generic[Row]):
    """
    Decodes the pages of lists with certain *statuses* into rows of a *kind*.

    A decoder that knows all texts that may come looks them up instead of making a new one for
    every row: a fifth of the time of decoding, and whoever counts by them need not compute their
    hashes. It knows the names that came before; a page with another one is decoded once more
    without it, and teaches it. Where names are many, as those of entities are, it is given up.
    """

    def __init__(self, kind: type[Row], statuses: tuple[str, ...]) -> None:
        self._kind = kind
        self._any: msgspec.json.Decoder[list[Row]] = _decoder_of_any(kind)
        self._statuses = tuple(map(str, statuses))
        self._names: dict[str | None, None] = {}
        self._shared: msgspec.json.Decoder[list[Row]] | None = None

    def decode(self, body: bytes) -> tuple[list[Row], bool]:
        """
        Return the rows of a page, and whether it is known that all have one of the statuses.

        Raises `msgspec.DecodeError` or `UnicodeDecodeError`.
        """
        if self._shared is not None:
            try:
                return self._shared.decode(body), True
            except msgspec.ValidationError:
                # A new name, an odd status, or not what was asked for at all: the other one tells.
                pass
        rows = self._any.decode(body)
        if self._statuses and len(rows) >= _FEWEST_ROWS:
            self._learn(rows)
        return rows, False

    def _learn(self, rows: list[Row]) -> None:
        known = len(self._names)
        if known > _MOST_NAMES:
            return
        names = {row.name for row in rows}
        self._names.update((name, None) for name in names if len(name or "") <= LONGEST_NAME)
        if len(self._names) > _MOST_NAMES:
            self._shared = None
        elif len(self._names) > known:
            self._shared = _decoder_of(self._kind, tuple(self._names), self._statuses)


@lru_cache
def _decoder_of_any(kind: type[Row]) -> msgspec.json.Decoder[list[Row]]:
    """Return what decodes rows with any texts: one for all hubs."""
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # a type


def _decoder_of(
    kind: type[Row], names: tuple[str | None, ...], statuses: tuple[str, ...]
) -> msgspec.json.Decoder[list[Row]]:
    row = msgspec.defstruct(
        "SharedRow",
        [
            ("name", Literal[names]),
            ("runtime_status", Literal[statuses]),
        ],
        bases=(kind,),
        rename="camel",
        frozen=True,
        gc=False,
    )
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # a subclass of that kind
