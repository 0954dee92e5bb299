"""Microsoft SQL Server: rows by creation, pages by number, JSON as text."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from emulator.api import ArgumentInvalid, ExtensionVersion
from emulator.backends.backend import SQL_TEXT, Listing, Payload, Traits, existing
from emulator.json_text import JsonValue, compact
from emulator.storage.rows import Entity, Row
from emulator.storage.table import EntityQuery, InstanceQuery, Table

MAXIMUM = 2**15 - 1
"""Of rows on a page, and of pages: both are 16-bit numbers."""

_LONGEST_PREFIX = 100
_TEXTS = ("input", "customStatus", "output")


class MSSQL:
    """
    The provider that keeps its hubs in a SQL database.

    Times and statuses are indexed, so nothing is scanned that is not found. Which hub is read
    follows from the login; `taskHub` is not looked at.
    """

    name = "mssql"
    traits = Traits(
        continued_keeps_created=True,
        children_shown_at_once=True,
        never_updated=True,
        reasons_in_output=False,
    )
    hub_names = SQL_TEXT
    one_hub = True
    waits_without_interval = False

    def list_instances(
        self, table: Table, query: InstanceQuery, token: str, _version: ExtensionVersion
    ) -> Listing[Row]:
        """Return a page in the order of creation."""
        like = _like(query.id_prefix or "")
        rows = (row for row in table if query.matches(row) and like(row.instance_id))
        return _page(rows, query.top, token)

    def list_entities(
        self, table: Table, query: EntityQuery, token: str, _version: ExtensionVersion
    ) -> Listing[Entity]:
        """Return a page of entities in the order of creation."""
        rows = (
            row
            for row in table
            if row.instance_id.startswith(query.id_prefix) and query.matches(row)
        )
        page = _page(rows, query.top, token)
        return Listing(existing(page.rows), page.token, page.scanned)

    def shows_inputs(self, query: InstanceQuery) -> bool:
        """Tell whether inputs come: as asked for."""
        return query.show_input

    def listed(self, row: Row, payload: Payload) -> Payload:
        """Return the payload with JSON left as text, and the class as an entity's name."""
        texts = {name: _text(payload[name]) for name in _TEXTS}
        name = row.class_name if isinstance(row, Entity) else row.name
        return {**payload, **texts, "name": name}

    def endless_token(self, number: int, _version: ExtensionVersion) -> str:
        """Return the number of a page behind the last one."""
        return str(MAXIMUM - 1 - number % 2)


def _page(rows: Iterable[Row], top: int, token: str) -> Listing[Row]:
    if not 1 <= top <= MAXIMUM:
        raise ArgumentInvalid(f"The page size must be between 1 and {MAXIMUM}, not {top}.")
    number = _page_number(token)
    ordered = sorted(rows, key=lambda row: (row.created, row.instance_id))
    found: Sequence[Row] = ordered[number * top : (number + 1) * top]
    # A full page may have been the last one: then one without rows follows.
    return Listing(found, str(number + 1) if len(found) == top else "", len(found))


def _page_number(token: str) -> int:
    text = token.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text[:6]) > MAXIMUM:
        raise ArgumentInvalid("The continuation token is not the number of a page.")
    return int(text)


@cache
def _like(prefix: str) -> Callable[[str], bool]:
    """Return what a prefix means to `LIKE`: `%`, `_` and `[` stand for more than themselves."""
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
