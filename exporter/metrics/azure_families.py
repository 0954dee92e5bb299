"""Families of discovery and of Azure's Resource Manager, a part of the catalogue."""

from __future__ import annotations

from exporter.metrics import readings as r
from exporter.metrics.family import Family, Kind, Stability

_SELF = "durable_functions_exporter_"

DISCOVERY_APPS = Family(
    f"{_SELF}discovery_apps",
    Kind.GAUGE,
    "Known function apps by result: polled (by any shard), left_out (by settings, or without"
    " Durable Functions), or unknown (functions cannot be read).",
    ("result",),
    of_process=r.of_discovery(lambda found: r.by_name(found.apps)),
    stability=Stability.EXPERIMENTAL,
)
DISCOVERY_LAST_SUCCESS = Family(
    f"{_SELF}discovery_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When discovery last listed all apps, by the exporter's clock; absent until then.",
    of_process=r.of_discovery(lambda found: r.single(found.last_success)),
    stability=Stability.EXPERIMENTAL,
)
DISCOVERY_ERRORS = Family(
    f"{_SELF}discovery_errors_total",
    Kind.COUNTER,
    "Failed discovery searches by error kind; known apps are kept. Absent without discovery.",
    ("kind",),
    of_process=r.of_discovery(lambda found: r.by_name(found.errors)),
    stability=Stability.EXPERIMENTAL,
)
RESOURCE_MANAGER_REMAINING = Family(
    f"{_SELF}resource_manager_requests_remaining",
    Kind.GAUGE,
    "Requests to Azure Resource Manager that could be sent now, per subscription; at 0 they wait,"
    " active sweeps first in line. Absent if no hub uses it.",
    ("subscription",),
    of_process=r.running(lambda view: r.by_name(view.budgets)),
    stability=Stability.EXPERIMENTAL,
)

AZURE_FAMILIES = (
    DISCOVERY_APPS,
    DISCOVERY_LAST_SUCCESS,
    DISCOVERY_ERRORS,
    RESOURCE_MANAGER_REMAINING,
)
