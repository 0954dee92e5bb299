"""Kinds that are not of Kubernetes itself: what of them this project uses, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Schema = {"type": "string", "pattern": "^(0|(([0-9]+)(ms|s|m|h|d))+)$"}
DNS_NAME: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    "maxLength": 253,
}
LABEL_NAME: Schema = {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}
ENTRY: Schema = {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"}


def closed(properties: Schema, *required: str) -> Schema:
    """Return an object that has these properties and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def listed(items: Schema, **bounds: int) -> Schema:
    """Return a list of such items."""
    return {"type": "array", "items": items, **bounds}


def kind(name: str, spec: Schema) -> Schema:
    """Return a whole manifest of a kind with this specification."""
    metadata = {"name": DNS_NAME, "namespace": DNS_NAME, "labels": TEXTS, "annotations": TEXTS}
    return closed(
        {
            "apiVersion": TEXT,
            "kind": {"const": name},
            "metadata": closed(metadata, "name"),
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )


_SELECTED = closed({"name": DNS_NAME, "key": ENTRY, "optional": {"type": "boolean"}}, "name", "key")
_FROM_SECRET_OR_MAP = closed({"secret": _SELECTED, "configMap": _SELECTED})
_SELECTOR = closed({"matchLabels": TEXTS}, "matchLabels")
_RELABELING = closed(
    {
        "sourceLabels": listed(LABEL_NAME),
        "separator": {"type": "string"},
        "targetLabel": TEXT,
        "regex": TEXT,
        "modulus": {"type": "integer"},
        "replacement": {"type": "string"},
        "action": {
            "enum": ["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep", "hashmod"]
        },
    }
)
_TLS = {
    "ca": _FROM_SECRET_OR_MAP,
    "cert": _FROM_SECRET_OR_MAP,
    "keySecret": _SELECTED,
    "serverName": TEXT,
    "insecureSkipVerify": {"type": "boolean"},
}
_AUTHORIZATION = closed({"type": TEXT, "credentials": _SELECTED})
_ENDPOINT = closed(
    {
        "port": TEXT,
        "path": {"type": "string", "pattern": "^/"},
        "scheme": {"enum": ["http", "https"]},
        "interval": DURATION,
        "scrapeTimeout": DURATION,
        "tlsConfig": closed(_TLS),
        "basicAuth": closed({"username": _SELECTED, "password": _SELECTED}),
        "relabelings": listed(_RELABELING),
        "metricRelabelings": listed(_RELABELING),
        "honorLabels": {"type": "boolean"},
        "authorization": _AUTHORIZATION,
    },
    "port",
)


def _monitor(name: str, endpoints: str) -> Schema:
    of_kind = {"targetLabels": listed(TEXT)} if name == "ServiceMonitor" else {}
    limits = ("sampleLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit")
    spec = {
        "jobLabel": TEXT,
        **of_kind,
        "podTargetLabels": listed(TEXT),
        "attachMetadata": closed({"node": {"type": "boolean"}}),
        "scrapeClass": TEXT,
        **{key: {"type": "integer", "minimum": 1} for key in limits},
        "selector": _SELECTOR,
        "namespaceSelector": closed({"matchNames": listed(DNS_NAME, minItems=1)}),
        endpoints: listed(_ENDPOINT, minItems=1),
    }
    return kind(name, closed(spec, "selector", endpoints))


_RULE = {
    **closed(
        {
            "record": {"type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
            "alert": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"},
            "expr": TEXT,
            "for": DURATION,
            "keep_firing_for": DURATION,
            "labels": TEXTS,
            "annotations": TEXTS,
        },
        "expr",
    ),
    "oneOf": [{"required": ["record"]}, {"required": ["alert"]}],
}
_RULES = closed(
    {
        "groups": listed(
            closed(
                {"name": TEXT, "interval": DURATION, "rules": listed(_RULE, minItems=1)},
                "name",
                "rules",
            ),
            minItems=1,
        )
    },
    "groups",
)
_EXTERNAL_SECRET = closed(
    {
        "refreshInterval": DURATION,
        "secretStoreRef": closed(
            {"name": DNS_NAME, "kind": {"enum": ["SecretStore", "ClusterSecretStore"]}},
            "name",
            "kind",
        ),
        "target": closed(
            {
                "name": DNS_NAME,
                "creationPolicy": {"enum": ["Owner", "Orphan", "Merge", "None"]},
                "deletionPolicy": {"enum": ["Delete", "Merge", "Retain"]},
            },
            "name",
        ),
        "data": listed(
            closed(
                {
                    "secretKey": ENTRY,
                    "remoteRef": closed(
                        {
                            "key": TEXT,
                            "property": TEXT,
                            "version": TEXT,
                            "conversionStrategy": {"enum": ["Default", "Unicode"]},
                            "decodingStrategy": {"enum": ["Auto", "Base64", "Base64URL", "None"]},
                            "metadataPolicy": {"enum": ["Fetch", "None"]},
                        },
                        "key",
                    ),
                },
                "secretKey",
                "remoteRef",
            ),
            minItems=1,
        ),
    },
    "secretStoreRef",
    "target",
    "data",
)
_CONDITIONS = listed(closed({"name": TEXT, "value": TEXT, "type": TEXT}, "name", "value"))
_MATCH = closed(
    {
        "path": closed(
            {
                "type": {"enum": ["Exact", "PathPrefix", "RegularExpression"]},
                "value": {"type": "string", "pattern": "^/"},
            }
        ),
        "headers": _CONDITIONS,
        "queryParams": _CONDITIONS,
    }
)
_HTTP_ROUTE = closed(
    {
        "parentRefs": listed(
            closed(
                {
                    "group": {"type": "string"},
                    "kind": TEXT,
                    "name": DNS_NAME,
                    "namespace": DNS_NAME,
                    "sectionName": DNS_NAME,
                },
                "name",
            ),
            minItems=1,
        ),
        "hostnames": listed(DNS_NAME, minItems=1),
        "rules": listed(
            closed(
                {
                    "matches": listed(_MATCH, minItems=1, maxItems=64),
                    "filters": listed({"type": "object", "required": ["type"]}, maxItems=16),
                    "backendRefs": listed(
                        closed(
                            {
                                "group": {"type": "string"},
                                "kind": TEXT,
                                "name": DNS_NAME,
                                "port": {"type": "integer"},
                                "weight": {"type": "integer", "minimum": 0},
                            },
                            "name",
                            "port",
                        )
                    ),
                }
            ),
            minItems=1,
            maxItems=16,
        ),
    },
    "parentRefs",
    "rules",
)
_PROMETHEUS_TRIGGER = closed(
    {
        "type": {"const": "prometheus"},
        "name": TEXT,
        "metricType": {"enum": ["AverageValue", "Value"]},
        "metadata": closed(
            {
                "serverAddress": {"type": "string", "pattern": "^https?://"},
                "query": TEXT,
                # KEDA takes numbers as text only.
                "threshold": {"type": "string", "pattern": "^[0-9.]+$"},
                "activationThreshold": {"type": "string", "pattern": "^[0-9.]+$"},
                "ignoreNullValues": {"enum": ["true", "false"]},
            },
            "serverAddress",
            "query",
            "threshold",
        ),
    },
    "type",
    "metadata",
)
_SCALED_OBJECT = closed(
    {
        "scaleTargetRef": closed({"apiVersion": TEXT, "kind": TEXT, "name": DNS_NAME}, "name"),
        "pollingInterval": {"type": "integer", "minimum": 1},
        "cooldownPeriod": {"type": "integer", "minimum": 0},
        "minReplicaCount": {"type": "integer", "minimum": 0},
        "maxReplicaCount": {"type": "integer", "minimum": 1},
        "fallback": closed(
            {
                "failureThreshold": {"type": "integer", "minimum": 0},
                "replicas": {"type": "integer", "minimum": 0},
            },
            "failureThreshold",
            "replicas",
        ),
        "triggers": listed(_PROMETHEUS_TRIGGER, minItems=1),
    },
    "scaleTargetRef",
    "triggers",
)

SCHEMAS: Mapping[tuple[str, str], Schema] = {
    (f"{group}.coreos.com/v1", name): _monitor(name, endpoints)
    for group in ("monitoring", "azmonitoring")
    for name, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints"))
} | {
    ("monitoring.coreos.com/v1", "PrometheusRule"): kind("PrometheusRule", _RULES),
    ("external-secrets.io/v1", "ExternalSecret"): kind("ExternalSecret", _EXTERNAL_SECRET),
    ("external-secrets.io/v1beta1", "ExternalSecret"): kind("ExternalSecret", _EXTERNAL_SECRET),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): kind("HTTPRoute", _HTTP_ROUTE),
    ("keda.sh/v1alpha1", "ScaledObject"): kind("ScaledObject", _SCALED_OBJECT),
}
