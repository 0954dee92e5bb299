"""The closed schema of the chart's values, with parts of Kubernetes' own objects."""

from __future__ import annotations

import json
from collections.abc import Sequence

from helm.documented import Schema, Value, closed
from helm.rules import of_disabled, of_opt_in, of_parameters
from helm.settings_schema import of_hubs, of_settings

_LABEL_NAME = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST_NAME: Schema = {
    "type": "string",
    "maxLength": 253,
    "pattern": rf"^(\*\.)?{_DNS_LABEL}(\.{_DNS_LABEL})*$",
}
_PATH = {"type": "string", "pattern": "^/"}
_PATH_TYPE = {"enum": ["Prefix", "Exact", "ImplementationSpecific"]}
_COUNT_OR_SHARE: Schema = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"}
_WITH_A_PORT: Schema = {"type": "object", "required": ["port"]}
_HANDLERS: Schema = {
    "exec": {"type": "object", "required": ["command"]},
    "grpc": _WITH_A_PORT,
    "httpGet": _WITH_A_PORT,
    "tcpSocket": _WITH_A_PORT,
}


def of_labels() -> Schema:
    """Return the schema of labels, whose names may have a prefix."""
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^({_DNS_LABEL}(\\.{_DNS_LABEL})*/)?{_LABEL_NAME}$"},
        "additionalProperties": {"type": "string", "pattern": f"^{_LABEL_NAME}?$"},
    }


def of_host_names() -> Schema:
    """Return the schema of a list of host names; the first part may be `*`."""
    return {"type": "array", "items": _HOST_NAME}


def of_ingress_hosts() -> Schema:
    """Return the schema of an Ingress's hosts: names, or names with paths."""
    path = closed({"path": _PATH, "pathType": _PATH_TYPE})
    host = closed({"host": _HOST_NAME, "paths": {"type": "array", "items": path}}, "host")
    return {"type": "array", "items": {"anyOf": [_HOST_NAME, host]}}


def of_readiness_probe() -> Schema:
    """Return the schema of a readiness probe."""
    counts = ("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
    numbers = {name: {"type": "integer", "minimum": 1} for name in counts}
    delay = {"initialDelaySeconds": {"type": "integer", "minimum": 0}}
    return closed({"enabled": {"type": "boolean"}, **delay, **numbers, **_HANDLERS})


def of_restarting_probe() -> Schema:
    """Return the schema of liveness and startup probes, whose successThreshold is 1."""
    probe = of_readiness_probe()
    probe["properties"] |= {
        "successThreshold": {"const": 1},
        "terminationGracePeriodSeconds": {"type": "integer", "minimum": 1},
    }
    return probe


def of_deployment_strategy() -> Schema:
    """Return the schema of a Deployment's strategy."""
    rolling = {"maxSurge": _COUNT_OR_SHARE, "maxUnavailable": _COUNT_OR_SHARE}
    return _strategy("Recreate", rolling)


def of_stateful_set_strategy() -> Schema:
    """Return the schema of a StatefulSet's update strategy."""
    rolling = {"partition": {"type": "integer", "minimum": 0}, "maxUnavailable": _COUNT_OR_SHARE}
    return _strategy("OnDelete", rolling)


def _strategy(other: str, rolling: Schema) -> Schema:
    kinds = {"enum": ["RollingUpdate", other]}
    return closed({"type": kinds, "rollingUpdate": closed(rolling)})


_SOURCES = {
    "settings": of_settings,
    "hubs": of_hubs,
    "parameters": of_parameters,
    "alerts": of_disabled,
    "optIn": of_opt_in,
    "labels": of_labels,
    "hostNames": of_host_names,
    "ingressHosts": of_ingress_hosts,
    "livenessProbe": of_restarting_probe,
    "readinessProbe": of_readiness_probe,
    "startupProbe": of_restarting_probe,
    "deploymentStrategy": of_deployment_strategy,
    "statefulSetStrategy": of_stateful_set_strategy,
}
# Names of values in other charts: the schema's message names the value of this one.
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
        ValueError: a value's type follows neither from its default nor from its comment.
    """
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart durable-functions-exporter",
        **_group(values, ()),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def type_of(value: Value) -> str:
    """Return the type of a value for the README, or its possible words."""
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
    return closed(properties)


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
        raise ValueError(f"{'.'.join(value.path)} has no type: add @schema")
    return {"type": kind, **said}
