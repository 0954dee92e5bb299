"""The reference of the JSON API, and its schema, written from the models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from exporter.web.report import (
    AccountsReport,
    CauseReport,
    CostReport,
    EntityReport,
    FailedSample,
    FailureReasonReport,
    Finding,
    FinishesReport,
    HubReport,
    HubsReport,
    HubStatus,
    HubSummary,
    OrchestratorReport,
    OverLimitSample,
    Problem,
    Severity,
    SweepReport,
    TroubleReport,
)

_REF = "#/$defs/"
_STRUCTS: Sequence[type[msgspec.Struct]] = (
    HubsReport, HubSummary, HubReport, Finding, SweepReport, TroubleReport, OrchestratorReport,
    OverLimitSample, CauseReport, FailedSample, FailureReasonReport, FinishesReport, EntityReport,
    CostReport, AccountsReport, Problem,
)  # fmt: skip
_ENUMS = (HubStatus, Severity)

_INTRODUCTION = """\
# JSON API

What the page shows, for scripts. This page and [its schema](api-v1.schema.json) are generated from
`exporter/web/report.py`: `make docs` regenerates them.

| request | answer |
|---|---|
| `GET /api/v1/hubs` | `HubsReport`: all hubs at a glance, the worst first |
| `GET /api/v1/hubs/{name}` | `HubReport`: everything that is shown of one, its name URL-encoded |
| any name that is not configured | 404 with a `Problem` |

It answers from what is published, and asks no task hub. Nothing of an input, an output or a message
is in it; ids of instances are, so treat it as you treat the page.

**Not known is null, never 0.** What a sweep feeds is null before its first complete run, and once
the last one is older than `withdrawn_after_seconds`.

**Times** are RFC 3339 in UTC, to the second. Those of instances and entities are by the app's
clock; `time`, and those of sweeps and the state, by the exporter's. They differ by
`clock_skew_seconds`.

**Version 1** may gain fields, findings may gain kinds. No field is renamed, removed or given
another meaning. The texts of `summary`, `remedy` and `trust` are for people and may change.
"""


def page() -> str:
    """Return the page as Markdown."""
    definitions = _definitions()
    sections = [_INTRODUCTION]
    for struct in _STRUCTS:
        sections += _section(struct.__name__, struct.__doc__ or "", definitions[struct.__name__])
    for enum in _ENUMS:
        values = ", ".join(f"`{value}`" for value in enum)
        sections.append(f"## `{enum.__name__}`\n\n{enum.__doc__}\n\n{values}\n")
    return "\n".join(sections)


def schema() -> str:
    """Return the JSON schema of all answers; `$defs` has each by its name."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Durable Functions exporter, API version 1",
        "$defs": dict(sorted(_definitions().items())),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _definitions() -> Mapping[str, dict[str, object]]:
    _, definitions = msgspec.json.schema_components(_STRUCTS, ref_template=_REF + "{name}")
    return definitions


def _section(name: str, summary: str, definition: Mapping[str, object]) -> Iterable[str]:
    yield f"## `{name}`\n\n{summary.strip()}\n"
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    properties = definition["properties"]
    if not isinstance(properties, dict):
        raise TypeError(f"{name} has no properties")
    inherited = HubSummary.__struct_fields__ if name == HubReport.__name__ else ()
    if inherited:
        yield "| all of `HubSummary` | | |"
    for field, value in properties.items():
        if field in inherited:
            continue
        yield f"| `{field}` | {_type(value)} | {value.get('description', '')} |"
    yield ""


def _type(value: Mapping[str, object]) -> str:
    """Return a type of the schema in words."""
    if "$ref" in value:
        return f"`{str(value['$ref']).removeprefix(_REF)}`"
    choices = value.get("anyOf")
    if isinstance(choices, list):
        return " or ".join(_type(choice) for choice in choices)
    items, below = value.get("items"), value.get("additionalProperties")
    if isinstance(items, dict):
        return f"list of {_type(items)}"
    if isinstance(below, dict):
        return f"object of {_type(below)}"
    return str(value.get("type", "any"))
