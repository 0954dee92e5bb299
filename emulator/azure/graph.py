"""The part of Resource Graph's query language that finding apps needs, and its pages."""

import re
from collections.abc import Mapping, Sequence

from emulator.json_text import JsonValue

PAGE_SIZE = 1000

_TYPES = re.compile(r"type (?:=~ ('[^']+')|in~ \(([^)]+)\))")
_KIND = re.compile(r"kind contains '([^']+)'")
_PROJECT = re.compile(r"\| *project ([^|]+)")
_COLUMN = re.compile(r"(\w+)(?: *= *tostring\(properties\.(\w+)\))?")
_ORDERED = re.compile(r"\| *order by id asc *$")

Row = Mapping[str, JsonValue]


class QueryInvalid(ValueError):
    """A query uses what is not emulated, or is none."""


def find(query: str, rows: Sequence[Row]) -> list[JsonValue]:
    """
    Return the *rows* that a query finds, with its columns.

    Without an order by id they come in another order each time, as those of the real one may.
    """
    lines = query.strip()
    types, kind, projects = _TYPES.search(lines), _KIND.search(lines), _PROJECT.findall(lines)
    if not lines.startswith("resources") or types is None or len(projects) != 1:
        raise QueryInvalid("the query is not of the form that is emulated")
    wanted = {name.strip(" '").lower() for name in (types[1] or types[2]).split(",")}
    found = [
        row
        for row in rows
        if row["type"] in wanted and (kind is None or kind[1] in str(row["kind"]).lower())
    ]
    if _ORDERED.search(lines):
        found.sort(key=lambda row: str(row["id"]).lower())
    return [_projected(row, projects[0]) for row in found]


def _projected(row: Row, columns: str) -> JsonValue:
    projected: dict[str, JsonValue] = {}
    properties = row["properties"]
    for column in columns.split(","):
        parts = _COLUMN.fullmatch(column.strip())
        if parts is None:
            raise QueryInvalid(f"the column {column.strip()!r} is not emulated")
        name, of_properties = parts.groups()
        if of_properties is None:
            projected[name] = row[name]
        elif isinstance(properties, dict):
            projected[name] = str(properties.get(of_properties, ""))
    return projected


def page(rows: Sequence[JsonValue], token: str, size: int) -> dict[str, JsonValue]:
    """Return the page of *rows* that begins at a *token* of an earlier page."""
    begin = int(token or "0")
    some = list(rows[begin : begin + size])
    answer: dict[str, JsonValue] = {
        "totalRecords": len(rows),
        "count": len(some),
        "data": some,
        "facets": [],
        "resultTruncated": "false",
    }
    if begin + size < len(rows):
        answer["$skipToken"] = str(begin + size)
    return answer
