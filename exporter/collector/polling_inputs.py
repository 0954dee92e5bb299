"""The settings and files behind the polling of a hub: its identity, owner and ledger rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from exporter.collector.snapshot import HubIdentity
from exporter.collector.state import Owner
from exporter.ledger.app_traits import Worker
from exporter.ledger.rules import STOPPED_LIMIT, LedgerRules
from exporter.settings import Buckets, HubSettings, fingerprint, tls_files

_NAMES_REMEMBERED = 1000
# Shared by all orchestrators: the garbage collector would traverse a dict of each.
_NO_OWN_LIMITS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PollingInputs:
    """Everything that the polling of a hub depends on: if it changes, polling restarts."""

    hub: HubSettings
    buckets: Buckets = field(default_factory=Buckets)
    key_path: Path | None = None
    tls_content: bytes = b""


def polling_inputs_of(hub: HubSettings, buckets: Buckets) -> PollingInputs:
    """Return what the polling of *hub* depends on; reads its files."""
    return PollingInputs(hub, buckets, hub.key_path, fingerprint(tls_files(hub)))


def identity_of(hub: HubSettings) -> HubIdentity:
    """Return the published part of the configuration of *hub*."""
    return HubIdentity(
        name=hub.name,
        function_app=urlsplit(hub.base_url).netloc,
        hub_name=hub.task_hub or "",
        connection=hub.connection or "",
        labels=dict(hub.labels),
        links=dict(hub.links),
    )


def owner_of(hub: HubSettings) -> Owner:
    """Return the owner of a hub's state: hubs with the same owner are the same hub."""
    return Owner(hub.name, hub.base_url, (hub.task_hub or "").lower(), hub.connection or "")


def rules_of(hub: HubSettings, buckets: Buckets) -> LedgerRules:
    """Return the settings of the ledger of *hub*."""
    limits = {
        limit: value
        for limit, value in hub.limits.of_hub().items()
        if value is not None and not (limit == STOPPED_LIMIT and hub.may_stop)
    }

    @lru_cache(_NAMES_REMEMBERED)
    def own_limits_of(name: str) -> Mapping[str, float]:
        own = {
            limit: math.inf if value is None else value
            for limit, value in hub.limits.own(name).items()
            if value is not None or limit in limits
        }
        return own or _NO_OWN_LIMITS

    return LedgerRules(
        limits=limits,
        own_limits_of=own_limits_of,
        orchestrators=hub.orchestrators,
        entities=hub.entities,
        id_prefixes=hub.id_prefixes,
        label_limit=hub.max_label_values,
        max_series=hub.max_series,
        age_bounds=buckets.age,
        duration_bounds=buckets.duration,
        overlap=hub.overlap,
        lookback=hub.lookback,
        failed_lookback=hub.failed_lookback,
        most_finishes=hub.max_ledger_finishes,
        reason_limit=hub.max_failure_reasons,
        worker=hub.worker and Worker(hub.worker),
    )
