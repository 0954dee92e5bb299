"""Microsoft SQL Server: rows by creation, numbered pages, JSON as text."""

import re
from collections.abc import Callable, Sequence
from functools import cache

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.backend import Backend, Listing, Payload, Traits
from emulator.json_text import JsonValue, compact
from emulator.storage.rows import Entity, Row
from emulator.storage.table import InstanceQuery, Query, Table

MAXIMUM = 2**15 - 1
"""Rows per page, and pages: 16-bit numbers."""

_LONGEST_PREFIX = 100
_TEXTS = ("input", "customStatus", "output")


class MSSQL(Backend):
    """The provider with a SQL database; times and statuses are indexed, so only results count."""

    name = "mssql"
    traits = Traits(
        continued_keeps_created=True,
        children_shown_at_once=True,
        never_updated=True,
        reasons_in_output=False,
    )
    hub_name = re.compile(r"[^\x00-\x1f\x7f]{1,50}")
    hub_name_rule = "1 to 50 characters"
    one_hub = True

    def page(
        self, table: Table, query: Query, token: str, _version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page in the order of creation."""
        if not 1 <= query.top <= MAXIMUM:
            raise ArgumentInvalid(
                f"The page size must be between 1 and {MAXIMUM}, not {query.top}."
            )
        number, top, prefix = _page_number(token), query.top, query.id_prefix or ""
        begins = _like(prefix) if isinstance(query, InstanceQuery) else _prefix(prefix)
        rows = (row for row in table if query.matches(row) and begins(row.instance_id))
        # Ties are in no order that a client could rely on.
        ordered = sorted(rows, key=lambda row: (row.created, row.instance_id[::-1]))
        found: Sequence[Row] = ordered[number * top : (number + 1) * top]
        # A full page may be the last one: then an empty one follows.
        return Listing(found, str(number + 1) if len(found) == top else "", len(found))

    def listed(self, row: Row, payload: Payload) -> Payload:
        """Return the payload with JSON as text, and an entity's class as its name."""
        texts = {name: _text(payload[name]) for name in _TEXTS}
        name = row.class_name if isinstance(row, Entity) else row.name
        return {**payload, **texts, "name": name}

    def endless_token(self, number: int, _version: ExtensionVersion) -> str:
        """Return the number of a page behind the last."""
        return str(MAXIMUM - 1 - number % 2)


def _page_number(token: str) -> int:
    text = token.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text[:6]) > MAXIMUM:
        raise ArgumentInvalid("The continuation token is not the number of a page.")
    return int(text)


def _prefix(prefix: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(prefix)


@cache
def _like(prefix: str) -> Callable[[str], bool]:
    """Return the predicate of `LIKE`, to which `%`, `_` and `[` in a prefix are wildcards."""
    pattern = re.compile(_regular(prefix[:_LONGEST_PREFIX]), re.DOTALL)
    return lambda text: pattern.match(text) is not None


def _regular(prefix: str) -> str:
    parts = re.split(r"(\[\^?[^\]]*\]|%|_)", prefix)
    wildcards = {"%": ".*", "_": "."}
    return "".join(
        wildcards.get(part) or (part.replace("\\", "\\\\") if part[:1] == "[" else re.escape(part))
        for part in parts
    )


def _text(value: JsonValue) -> JsonValue:
    return None if value is None else compact(value)
