"""What values may be that become parts of Kubernetes objects as they are."""

from __future__ import annotations

from helm.documented import Schema

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
    """Return what labels may be; names may have a prefix."""
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^({_DNS_LABEL}(\\.{_DNS_LABEL})*/)?{_LABEL_NAME}$"},
        "additionalProperties": {"type": "string", "pattern": f"^{_LABEL_NAME}?$"},
    }


def of_host_names() -> Schema:
    """Return what a list of host names may be; the first part may be `*`."""
    return {"type": "array", "items": _HOST_NAME}


def of_ingress_hosts() -> Schema:
    """Return what the hosts of an Ingress may be: names, or names with paths."""
    path = _closed({"path": _PATH, "pathType": _PATH_TYPE})
    host = _closed({"host": _HOST_NAME, "paths": {"type": "array", "items": path}}, "host")
    return {"type": "array", "items": {"anyOf": [_HOST_NAME, host]}}


def of_readiness_probe() -> Schema:
    """Return what the probe may be by which a pod is ready."""
    counts = ("periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
    numbers = {name: {"type": "integer", "minimum": 1} for name in counts}
    delay = {"initialDelaySeconds": {"type": "integer", "minimum": 0}}
    return _closed({"enabled": {"type": "boolean"}, **delay, **numbers, **_HANDLERS})


def of_restarting_probe() -> Schema:
    """Return what a probe may be by which a container is restarted: one success must suffice."""
    probe = of_readiness_probe()
    probe["properties"] |= {
        "successThreshold": {"const": 1},
        "terminationGracePeriodSeconds": {"type": "integer", "minimum": 1},
    }
    return probe


def of_deployment_strategy() -> Schema:
    """Return what the strategy of a Deployment may be."""
    rolling = {"maxSurge": _COUNT_OR_SHARE, "maxUnavailable": _COUNT_OR_SHARE}
    return _strategy("Recreate", rolling)


def of_stateful_set_strategy() -> Schema:
    """Return what the update strategy of a StatefulSet may be."""
    rolling = {"partition": {"type": "integer", "minimum": 0}, "maxUnavailable": _COUNT_OR_SHARE}
    return _strategy("OnDelete", rolling)


def _strategy(other: str, rolling: Schema) -> Schema:
    kinds = {"enum": ["RollingUpdate", other]}
    return _closed({"type": kinds, "rollingUpdate": _closed(rolling)})


def _closed(properties: Schema, *required: str) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **needed,
    }
