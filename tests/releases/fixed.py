"""What of the chart's objects an upgrade must leave: Kubernetes refuses to change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.chart.chart import Manifest, Rendered

# Fields of specifications; a claim's size may grow, and nothing else of it.
_FIXED: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeMode", "selector"),
    "Service": ("clusterIP",),
}
# Where the accounts and the pods' names are, and what others have written down.
_ALSO_KEPT = ("Secret", "ServiceAccount")


def fixed_of(rendered: Rendered) -> dict[str, Any]:
    """Return it by kind and name; an object whose name changes is another one."""
    return {
        f"{manifest['kind']}/{manifest['metadata']['name']}": _of(manifest)
        for manifest in rendered.ordered()
        if manifest["kind"] in (*_FIXED, *_ALSO_KEPT)
    }


def _of(manifest: Manifest) -> dict[str, Any]:
    specification = manifest.get("spec", {})
    fields = _FIXED.get(manifest["kind"], ())
    of_kind = {"type": manifest["type"]} if "type" in manifest else {}
    return of_kind | {each: specification[each] for each in fields if each in specification}
