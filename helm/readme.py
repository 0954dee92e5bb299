"""The README of the chart, from its values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from helm.documented import Value
from helm.schema import type_of

_INTRODUCTION = Path(__file__).with_name("introduction.md")


def readme_of(values: Sequence[Value]) -> str:
    """Return `README.md` for *values*."""
    return "\n".join([_INTRODUCTION.read_text(encoding="utf-8"), *_sections(values)])


def _sections(values: Sequence[Value]) -> Iterator[str]:
    yield _table([value for value in values if not value.members])
    for value in values:
        if value.members:
            yield f"### `{value.path[0]}`\n"
            yield _table(list(value.leaves()))


def _table(leaves: Sequence[Value]) -> str:
    rows = [
        f"| `{'.'.join(value.path)}` | {type_of(value)} | {_default(value.default)} "
        f"| {value.description} |"
        for value in leaves
    ]
    return "\n".join(
        ["| value | type | default | what it is for |", "|---|---|---|---|", *rows, ""]
    )


def _default(default: object) -> str:
    if default in (None, "", {}, []):
        return "empty"
    if isinstance(default, str):
        return f"`{default}`"
    return f"`{json.dumps(default, ensure_ascii=False)}`"
