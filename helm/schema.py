"""The schema of the chart's values: closed, so that a typo is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

from helm.documented import Schema, Value
from helm.rules import of_disabled, of_parameters
from helm.settings_schema import of_hubs, of_settings

_SOURCES = {
    "settings": of_settings,
    "hubs": of_hubs,
    "parameters": of_parameters,
    "alerts": of_disabled,
}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
_QUANTITY = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?([KMGTPE]i?)?$"}


def schema_of(values: Sequence[Value]) -> str:
    """
    Return `values.schema.json` for *values*.

    Raises:
        ValueError: of a value neither default nor comment tells what it may be.
    """
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart durable-functions-exporter",
        **_group(values),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _group(values: Sequence[Value]) -> Schema:
    properties = {value.path[-1]: _of(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _of(value: Value) -> Schema:
    schema = _group(value.members) if value.members else _of_leaf(value)
    described = {"description": value.description} if value.description else {}
    default = {} if value.members else {"default": value.default}
    return {**schema, **described, **default}


def _of_leaf(value: Value) -> Schema:
    said = dict(value.schema)
    source = said.pop("from", None)
    if isinstance(source, str):
        return _SOURCES[source]()
    if said.pop("quantity", False):
        return dict(_QUANTITY)
    if said.pop("texts", False):
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if said.pop("open", False):
        return {"type": "object", **said}
    if "type" in said or "enum" in said:
        return said
    kind = _TYPES.get(type(value.default))
    if kind is None or (kind == "array" and "items" not in said):
        raise ValueError(f"{'.'.join(value.path)} does not say what it may be: add @schema")
    return {"type": kind, **said}
