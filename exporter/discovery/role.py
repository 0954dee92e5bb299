"""The least custom role by which apps are found and read; pure."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.api.azure.access import READ_KEYS, READ_ROUTE
from exporter.discovery.search import (
    READ_APPS,
    READ_FUNCTIONS,
    READ_SLOT_FUNCTIONS,
    READ_SLOTS,
)
from exporter.settings.azure import RESOURCE_MANAGER
from exporter.settings.discovery import AzureDiscovery

NAME = "Durable Functions exporter"
# Stands in the role where the settings name no subscription.
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

_SITES, _SLOTS = "Microsoft.Web/sites/", "Microsoft.Web/sites/slots/"


def role(azure: AzureDiscovery) -> dict[str, object]:
    """Return the role for these settings, as `az role definition create` takes it."""
    ways = {azure.access, *(rule.access for rule in azure.hubs.values() if _is_set(rule))}
    return {
        "Name": NAME,
        "IsCustom": True,
        "Description": "Finds function apps and reads the instances of Durable Functions.",
        "Actions": actions(sorted(ways), slots=azure.slots),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [
            f"/subscriptions/{each}" for each in azure.subscriptions or (NO_SUBSCRIPTION,)
        ],
    }


def actions(ways: Sequence[str], *, slots: bool) -> list[str]:
    """Return the rights for some *ways* to read, those of slots too where they are polled."""
    reading = [READ_ROUTE if way == RESOURCE_MANAGER else READ_KEYS for way in ways]
    of_apps = [READ_APPS, READ_FUNCTIONS, *reading]
    if not slots:
        return of_apps
    of_slots = [each.replace(_SITES, _SLOTS) for each in reading]
    return [*of_apps, READ_SLOTS, READ_SLOT_FUNCTIONS, *of_slots]


def _is_set(rule: object) -> bool:
    return "access" in getattr(rule, "model_fields_set", ())
