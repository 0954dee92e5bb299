"""Schemas of what pages use of other programs' files that no installed tool validates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_LABELS = {"type": "object", "additionalProperties": _TEXT}
_PORT = {"type": ["integer", "string"]}
_DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h|d|w|y))+$"}


def _object(required: str = "", **properties: object) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


_METADATA = _object("name", name=_TEXT, namespace=_TEXT, labels=_LABELS, annotations=_LABELS)
_SELECTOR = _object("", matchLabels=_LABELS, matchExpressions={"type": "array"})
RESOURCES: Mapping[str, Mapping[str, Any]] = {
    "SecretProviderClass": _object(
        "apiVersion kind metadata spec",
        apiVersion={"enum": ["secrets-store.csi.x-k8s.io/v1"]},
        kind=_TEXT,
        metadata=_METADATA,
        spec=_object("provider parameters", provider={"enum": ["azure"]}, parameters=_LABELS),
    ),
    "Application": {"type": "object", "required": ["apiVersion", "kind", "metadata", "spec"]},
    "HelmRelease": {"type": "object", "required": ["apiVersion", "kind", "metadata", "spec"]},
}

KUSTOMIZATION = _object(
    "apiVersion kind",
    apiVersion=_TEXT,
    kind=_TEXT,
    namespace=_TEXT,
    resources=_TEXTS,
    patches={"type": "array"},
    configMapGenerator={"type": "array"},
    secretGenerator={"type": "array"},
    helmCharts={"type": "array"},
    images={"type": "array"},
)

DISCOVERY = _object(
    "role",
    role={"enum": ["node", "pod", "service", "endpoints", "endpointslice", "ingress"]},
    namespaces=_object("names", names=_TEXTS),
    selectors={"type": "array"},
)

# Grafana's provisioning files: data sources, dashboards, alerts.
PROVISIONING = {
    **_object(
        "apiVersion",
        apiVersion={"const": 1},
        datasources={
            "type": "array",
            "items": {"type": "object", "required": ["name", "type", "url"]},
        },
        providers={
            "type": "array",
            "items": {"type": "object", "required": ["name", "type", "options"]},
        },
        groups={"type": "array", "items": {"type": "object", "required": ["name", "rules"]}},
        contactPoints={"type": "array"},
        policies={"type": "array"},
    ),
    "minProperties": 2,
}

COLLECTOR = _object(
    "receivers exporters service",
    receivers={"type": "object", "minProperties": 1},
    processors={
        "type": "object",
        "propertyNames": {"pattern": r"^(batch|memory_limiter|resource|attributes|filter)(/.*)?$"},
    },
    exporters={
        "type": "object",
        "propertyNames": {"pattern": r"^(prometheusremotewrite|otlphttp|otlp|debug)(/.*)?$"},
    },
    extensions={"type": "object"},
    service=_object(
        "pipelines",
        extensions=_TEXTS,
        telemetry={"type": "object"},
        pipelines={
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": r"^metrics(/.*)?$"},
            "additionalProperties": _object(
                "receivers exporters", receivers=_TEXTS, processors=_TEXTS, exporters=_TEXTS
            ),
        },
    ),
)

_PROMETHEUS_SPEC = _object(
    "",
    serviceMonitorSelectorNilUsesHelmValues={"type": "boolean"},
    podMonitorSelectorNilUsesHelmValues={"type": "boolean"},
    ruleSelectorNilUsesHelmValues={"type": "boolean"},
    serviceMonitorSelector=_SELECTOR,
    podMonitorSelector=_SELECTOR,
    ruleSelector=_SELECTOR,
    serviceMonitorNamespaceSelector=_SELECTOR,
    additionalScrapeConfigs={"type": "array"},
    replicaExternalLabelName=_TEXT,
    replicas={"type": "integer"},
    enableFeatures=_TEXTS,
)
STACK_VALUES = _object(
    "",
    prometheus=_object("", prometheusSpec=_PROMETHEUS_SPEC),
    grafana=_object(
        "",
        sidecar=_object(
            "",
            dashboards=_object(
                "",
                enabled={"type": "boolean"},
                label=_TEXT,
                labelValue=_TEXT,
                searchNamespace=_TEXT,
                folderAnnotation=_TEXT,
            ),
        ),
    ),
)

_STEP = {
    "type": "object",
    "properties": {"script": _TEXT, "bash": _TEXT, "task": _TEXT, "displayName": _TEXT},
    "minProperties": 1,
}
PIPELINE = {
    "type": "object",
    "properties": {"steps": {"type": "array", "minItems": 1, "items": _STEP}},
    "required": ["steps"],
}
