"""Kinds that operators bring, checked by what was generated from their published definitions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tests.tools import node_package, tool

_OPERATOR = "prometheus-operator/_schemas/MonitoringCoreosComV1"
_SECRETS = "external-secrets/_schemas/ComGithubExternalSecretsExternalSecretsApisExternalsecrets"
# Azure's managed Prometheus has the operator's kinds under a group of its own.
_COPIED_GROUPS = {"azmonitoring.coreos.com": "monitoring.coreos.com"}
_SCHEMAS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): f"{_OPERATOR}ServiceMonitor.js",
    ("monitoring.coreos.com/v1", "PodMonitor"): f"{_OPERATOR}PodMonitor.js",
    ("monitoring.coreos.com/v1", "PrometheusRule"): f"{_OPERATOR}PrometheusRule.js",
    ("external-secrets.io/v1", "ExternalSecret"): f"{_SECRETS}V1ExternalSecret.js",
    ("external-secrets.io/v1beta1", "ExternalSecret"): f"{_SECRETS}V1beta1ExternalSecret.js",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): (
        "gateway-api/_schemas/IoK8sSigsGatewayApiApisV1HTTPRoute.js"
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): (
        "keda/_schemas/ComGithubKedacoreKedaV2ApisKedaV1alpha1ScaledObject.js"
    ),
}
_GROUPS = {version.split("/")[0] for version, _kind in _SCHEMAS} | set(_COPIED_GROUPS)


def is_custom(manifest: Mapping[str, Any]) -> bool:
    """Return whether only an operator's cluster knows this kind."""
    return str(manifest["apiVersion"]).split("/")[0] in _GROUPS


def problems(manifest: Mapping[str, Any]) -> list[str]:
    """Return what the operator would refuse in a manifest, unknown fields included."""
    group, _, version = str(manifest["apiVersion"]).partition("/")
    published = f"{_COPIED_GROUPS.get(group, group)}/{version}"
    schema = _SCHEMAS.get((published, manifest["kind"]))
    if schema is None:
        return [f"/kind: {manifest['apiVersion']} has no {manifest['kind']}"]
    models = node_package("@kubernetes-models/base").parent
    script = Path(__file__).with_name("javascript") / "custom_kinds.mjs"
    found = subprocess.run(
        [tool("node"), script, models, schema],
        input=json.dumps({**manifest, "apiVersion": published}),
        capture_output=True,
        text=True,
        check=True,
    )
    return cast("list[str]", json.loads(found.stdout))
