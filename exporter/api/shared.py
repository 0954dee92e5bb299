"""Rows decoded so that their names and statuses are shared texts, where there are only a few."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from exporter.api.wire import LONGEST_NAME, LONGEST_TEXT, CheckedRow, InstanceRow

_MOST_NAMES = 256
# To make a type takes as long as a hundred rows are faster with it, of every page that has them.
_FEWEST_ROWS = 100

_ANY = msgspec.json.Decoder(list[InstanceRow])


class InstanceDecoder:
    """
    Decodes the pages of lists of instances with certain *statuses*.

    A decoder that knows all texts that may come looks them up instead of making a new one for
    every row, and whoever counts by them need not compute their hashes: an eighth of a sweep. What
    it decodes is checked with that. It knows the names that came before; a page with another one,
    or with an id that is too long, is decoded once more without it, and teaches it. Where names are
    many, as those of entities are, it is given up.
    """

    def __init__(self, statuses: tuple[str, ...]) -> None:
        self._statuses = tuple(map(str, statuses))
        self._names: dict[str | None, None] = {}
        self._shared: msgspec.json.Decoder[list[InstanceRow]] | None = None

    def decode(self, body: bytes) -> list[InstanceRow]:
        """Return the rows of a page; raises what msgspec raises."""
        if self._shared is not None:
            try:
                return self._shared.decode(body)
            except msgspec.ValidationError:
                # A new name, an odd status, or not what was asked for at all: the other one tells.
                pass
        rows = _ANY.decode(body)
        if self._statuses and len(rows) >= _FEWEST_ROWS and len(self._names) <= _MOST_NAMES:
            self._learn(rows)
        return rows

    def _learn(self, rows: list[InstanceRow]) -> None:
        known = len(self._names)
        self._names.update(
            dict.fromkeys(row.name for row in rows if len(row.name or "") <= LONGEST_NAME)
        )
        if len(self._names) > _MOST_NAMES:
            self._shared = None
        elif len(self._names) > known:
            row = msgspec.defstruct(
                "SharedRow",
                [
                    ("instance_id", Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]),
                    ("name", Literal[tuple(self._names)]),
                    ("runtime_status", Literal[self._statuses]),
                ],
                bases=(CheckedRow,),
                rename="camel",
                frozen=True,
                gc=False,
            )
            self._shared = msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # a subclass
