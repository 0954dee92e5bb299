"""Clients of hubs, made from settings: addresses, keys, TLS, proxies, headers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx

from exporter import __version__
from exporter.api.answers import BodyBudget, Exchange
from exporter.api.azure.access import AzureAccounts, route_of
from exporter.api.azure.resource_manager import API_VERSION, ResourceManager
from exporter.api.client import LARGEST_LIST, HubClient, RequestLimits
from exporter.api.keys import KeyFile, KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.api.transport import (
    HubConnections,
    NameResolver,
    ObservedTls,
    connections_to,
    proxy_of_environment,
)
from exporter.settings import HubSettings, fingerprint, tls_files
from exporter.settings.azure import RESOURCE_MANAGER

_CONTEXTS_KEPT = 16


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """Shared by the hubs of a process: host slots, body bytes, look-ups, access to Azure."""

    hosts: HostSlots = field(default_factory=HostSlots)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    names: NameResolver = field(default_factory=NameResolver)
    azure: AzureAccounts = field(default_factory=AzureAccounts)

    async def aclose(self) -> None:
        """Close connections and look-ups."""
        await self.azure.aclose()
        await self.names.aclose()


def connect(
    hub: HubSettings, shared: SharedLimits, observer: Callable[[Exchange], None] | None = None
) -> HubClient:
    """
    Return the client of *hub*, to be closed; *observer* is called with each exchange.

    Raises:
        OSError: a file of the hub's TLS cannot be used.
    """
    address = HubAddress(hub.base_url, hub.task_hub, hub.connection)
    key = key_source(hub)
    base_url = None
    if hub.resource_id is not None and (hub.access == RESOURCE_MANAGER or not hub.has_key):
        manager = resource_manager(hub, shared)
        key = shared.azure.key_source(hub, manager)
        if hub.access == RESOURCE_MANAGER:
            base_url = route_of(manager, hub.resource_id)
            address = HubAddress(base_url, hub.task_hub, hub.connection, API_VERSION)
    return HubClient(
        hub.name,
        address,
        http=open_connections(hub, shared.names, base_url),
        key=key,
        retry=RetryPolicy(hub.retries.max_retries, hub.retries.backoff, hub.retries.max_backoff),
        limits=RequestLimits(
            timeout=hub.timeouts.request,
            page_size=hub.max_page_size,
            max_pages=hub.max_pages,
            page_bytes=hub.page_bytes,
            list_bytes=min(LARGEST_LIST, hub.max_response_bytes),
            instance_bytes=hub.max_response_bytes,
            requests_per_second=hub.max_requests_per_second,
        ),
        host=shared.hosts.of(hub.base_url, hub.max_requests_per_host),
        bodies=shared.bodies,
        observer=observer,
    )


def resource_manager(hub: HubSettings, shared: SharedLimits) -> ResourceManager:
    """Return the Resource Manager for *hub*, closed with *shared*."""
    return shared.azure.manager(
        hub, shared.bodies, lambda hub, base_url: open_connections(hub, shared.names, base_url)
    )


def open_connections(
    hub: HubSettings, names: NameResolver, base_url: str | None = None
) -> HubConnections:
    """
    Return connections to *hub*, or to *base_url*, which gets none of the hub's extra headers.

    Without `proxy`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` apply.
    """
    headers = {name: value.get_secret_value() for name, value in hub.headers.items()}
    if base_url is None:
        base_url = hub.base_url
    else:
        headers = {}
    tls = _tls_context(
        hub.tls.ca_file,
        hub.tls.client_cert_file,
        hub.tls.client_key_file,
        fingerprint(tls_files(hub)),
    )
    proxy = hub.proxy.get_secret_value() if hub.proxy else proxy_of_environment(base_url)
    return connections_to(
        base_url,
        tls=tls,
        names=names,
        connect_seconds=hub.timeouts.connect,
        proxy=proxy,
        headers={"user-agent": f"durable-functions-exporter/{__version__}", **headers},
    )


def key_source(hub: HubSettings) -> KeySource:
    """Return the source of the configured key of *hub*, if any."""
    if hub.key_path is not None:
        return KeyFile(hub.key_path)
    return KeySource(hub.key.get_secret_value() if hub.key else None)


@lru_cache(maxsize=_CONTEXTS_KEPT)
def _tls_context(
    ca: Path | None, certificate: Path | None, key: Path | None, _content: bytes
) -> ssl.SSLContext:
    """Return a context shared by hubs: each holds all trusted authorities in memory."""
    context = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = ObservedTls
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
