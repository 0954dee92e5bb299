"""What the configuration and its files say about the polling of a hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from exporter.collector.snapshot import HubIdentity
from exporter.settings import Buckets, HubSettings, fingerprint, tls_files


@dataclass(frozen=True, slots=True)
class PollingInputs:
    """Everything that the polling of a hub follows: with other inputs it is polled anew."""

    hub: HubSettings
    buckets: Buckets = field(default_factory=Buckets)
    key_path: Path | None = None
    tls_content: bytes = b""


def polling_inputs_of(hub: HubSettings, buckets: Buckets) -> PollingInputs:
    """Return what the polling of *hub* follows; reads its files."""
    return PollingInputs(hub, buckets, hub.key_path, fingerprint(tls_files(hub)))


def identity_of(hub: HubSettings) -> HubIdentity:
    """Return what is shown of the configuration of *hub*."""
    return HubIdentity(
        name=hub.name,
        function_app=urlsplit(hub.base_url).netloc,
        hub_name=hub.task_hub or "",
        connection=hub.connection or "",
        labels=dict(hub.labels),
        links=dict(hub.links),
    )
