"""The values of the chart and their comments in `values.yaml`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).with_name("durable-functions-exporter")

Schema = dict[str, Any]

_SCHEMA = "@schema "


@dataclass(frozen=True, slots=True)
class Value:
    """
    One value: its path, its comment, its default, and its `@schema`.

    `members` are the values below it, if it is a group.
    """

    path: tuple[str, ...]
    description: str
    default: object
    schema: Schema
    members: tuple[Value, ...] = ()

    def leaves(self) -> Iterator[Value]:
        """Yield this value, or all single values below it."""
        if not self.members:
            yield self
        for member in self.members:
            yield from member.leaves()


def closed(properties: Schema, *required: str) -> Schema:
    """Return the schema of an object with these *properties* and no others."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def documented_values(text: str) -> tuple[Value, ...]:
    """
    Return the values of a documented `values.yaml`, in order.

    Raises:
        ValueError: a value, other than a group, has no comment.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("the values are no mapping")  # noqa: TRY004 - the file's, not a caller's
    return tuple(_members((), root, text.splitlines()))


def chart_values() -> tuple[Value, ...]:
    """Return the values of the chart."""
    return documented_values((CHART / "values.yaml").read_text(encoding="utf-8"))


def _members(
    path: tuple[str, ...], node: yaml.MappingNode, lines: Sequence[str]
) -> Iterator[Value]:
    for key, below in node.value:
        here = (*path, key.value)
        description, schema = _comment(lines, key.start_mark.line)
        is_group = isinstance(below, yaml.MappingNode) and below.value and not schema
        members = tuple(_members(here, below, lines)) if is_group else ()
        if not members and not description:
            raise ValueError(f"{'.'.join(here)} has no comment: describe it")
        default = yaml.safe_load(yaml.serialize(below))
        yield Value(here, description, default, schema, members)


def _comment(lines: Sequence[str], line: int) -> tuple[str, Schema]:
    """Return the description and schema in the comment above *line*."""
    words: list[str] = []
    schema: Schema = {}
    for text in reversed(lines[:line]):
        stripped = text.strip()
        if not stripped.startswith("#"):
            break
        content = stripped.removeprefix("#").strip()
        if content.startswith(_SCHEMA):
            schema = json.loads(content.removeprefix(_SCHEMA))
        else:
            words.insert(0, content)
    return " ".join(words), schema
