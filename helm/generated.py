"""The generated files of the chart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from exporter.settings.schema import FORMER_NAMES
from helm.documented import Value, chart_values
from helm.rules import FILE, rules_file
from helm.schema import schema_of, type_of

_INTRODUCTION = Path(__file__).with_name("introduction.md")
# Copied, not linked: some checkouts and controllers do not support symbolic links.
_DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"
_HEADING = "# Former names of settings and the current ones, written by `make docs`.\n"


def generated() -> Mapping[str, str]:
    """Return the content of all generated files, by path in the chart."""
    values = chart_values()
    return {
        "README.md": "\n".join([_INTRODUCTION.read_text(encoding="utf-8"), *_sections(values)]),
        "values.schema.json": schema_of(values),
        FILE: rules_file(),
        "files/former-names.yaml": _HEADING + yaml.safe_dump(dict(FORMER_NAMES)),
        **{
            f"dashboards/{path.name}": path.read_text(encoding="utf-8")
            for path in sorted(_DASHBOARDS.glob("*.json"))
        },
    }


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
