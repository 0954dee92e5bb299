"""The schema of the chart's values: closed, so that a typo is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

from helm import kubernetes_schema
from helm.documented import Schema, Value
from helm.rules import of_disabled, of_opt_in, of_parameters
from helm.settings_schema import of_hubs, of_settings

_SOURCES = {
    "settings": of_settings,
    "hubs": of_hubs,
    "parameters": of_parameters,
    "alerts": of_disabled,
    "optIn": of_opt_in,
    "labels": kubernetes_schema.of_labels,
    "hostNames": kubernetes_schema.of_host_names,
    "ingressHosts": kubernetes_schema.of_ingress_hosts,
    "livenessProbe": kubernetes_schema.of_restarting_probe,
    "readinessProbe": kubernetes_schema.of_readiness_probe,
    "startupProbe": kubernetes_schema.of_restarting_probe,
    "deploymentStrategy": kubernetes_schema.of_deployment_strategy,
    "statefulSetStrategy": kubernetes_schema.of_stateful_set_strategy,
}
# Names that other charts have for values: refused by a message that names the value here.
CALLED_ELSEWHERE = {
    ("replicaCount",): "set shards instead",
    ("env",): "set extraEnv instead",
    ("customLabels",): "set commonLabels instead",
    ("extraObjects",): "set extraManifests instead",
    ("serviceMonitor", "additionalLabels"): "set serviceMonitor.labels instead",
    ("podMonitor", "additionalLabels"): "set podMonitor.labels instead",
    ("prometheusRule", "additionalLabels"): "set prometheusRule.labels instead",
    ("prometheusRule", "additionalGroups"): "set prometheusRule.extraGroups instead",
    ("prometheusRule", "rules"): "set prometheusRule.extraGroups instead",
}
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
_PLAIN = {"array": "list", "object": "map"}
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
        **_group(values, ()),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def type_of(value: Value) -> str:
    """Return the type of a value as people call it, or the words that it may be."""
    schema = _of_leaf(value)
    if "enum" in schema:
        return ", ".join(f"`{word}`" if word else "empty" for word in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(_PLAIN.get(kind, str(kind)) for kind in kinds if kind != "null")


def _group(values: Sequence[Value], path: tuple[str, ...]) -> Schema:
    properties = {value.path[-1]: _of(value) for value in values}
    for place, hint in CALLED_ELSEWHERE.items():
        if place[:-1] == path:
            properties[place[-1]] = {"enum": [hint]}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _of(value: Value) -> Schema:
    schema = _group(value.members, value.path) if value.members else _of_leaf(value)
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
