"""HTTP connections of a hub, as its settings ask for: TLS, proxy, extra headers."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from urllib.request import getproxies

import httpx

from exporter import __version__
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import FixedKey, KeyFile, KeySource
from exporter.api.query import HubAddress
from exporter.api.retries import RetryPolicy
from exporter.api.slots import HostSlots
from exporter.api.telemetry import ApiTelemetry
from exporter.api.transport.client import DirectClient
from exporter.api.transport.direct import DirectTransport
from exporter.settings import HubSettings, fingerprint, tls_files

# Longer than the longest default interval of the active sweep, shorter than Azure's front end
# keeps an idle connection.
_KEEP_IDLE_SECONDS = 120.0
_CONTEXTS_KEPT = 16


def connect(
    hub: HubSettings, hosts: HostSlots, http: httpx.AsyncClient | None = None
) -> tuple[HubClient, httpx.AsyncClient]:
    """Return the client of *hub* and the connections under it, which the caller closes."""
    http = http or open_connections(hub)
    client = HubClient(
        hub.name,
        HubAddress(hub.base_url, hub.task_hub, hub.connection),
        http=http,
        key=key_source(hub),
        retry=RetryPolicy(hub.retries.attempts, hub.retries.backoff, hub.retries.backoff_max),
        limits=RequestLimits(
            timeout=hub.timeouts.request,
            max_bytes=hub.max_response_bytes,
            page_size=hub.page_size,
            max_pages=hub.max_pages,
            page_bytes=hub.page_bytes,
        ),
        host=hosts.of(hub.base_url, hub.host_requests),
        telemetry=ApiTelemetry(),
    )
    return client, http


def open_connections(hub: HubSettings) -> httpx.AsyncClient:
    """
    Return the HTTP client of *hub*: a direct one, or httpx's own where there may be a proxy.

    `HTTPS_PROXY` and `NO_PROXY` hold where the hub has no proxy of its own.
    """
    headers = {name: value.get_secret_value() for name, value in hub.headers.items()}
    headers = {"user-agent": f"durable-functions-exporter/{__version__}", **headers}
    timeout = httpx.Timeout(hub.timeouts.request, connect=hub.timeouts.connect)
    tls = _tls_context(
        hub.tls.ca_file,
        hub.tls.client_cert_file,
        hub.tls.client_key_file,
        fingerprint(tls_files(hub)),
    )
    if not _may_need_proxy(hub):
        transport = DirectTransport(verify=tls, keep_idle=_KEEP_IDLE_SECONDS)
        return DirectClient(transport, headers=headers, timeout=timeout)
    return httpx.AsyncClient(
        verify=tls,
        proxy=hub.proxy.get_secret_value() if hub.proxy else None,
        headers=headers,
        timeout=timeout,
        limits=httpx.Limits(keepalive_expiry=_KEEP_IDLE_SECONDS),
        follow_redirects=False,
    )


def _may_need_proxy(hub: HubSettings) -> bool:
    """Tell whether a proxy is configured; httpx knows best which hosts `NO_PROXY` excludes."""
    scheme = httpx.URL(hub.base_url).scheme
    return hub.proxy is not None or not getproxies().keys().isdisjoint((scheme, "all"))


def key_source(hub: HubSettings) -> KeySource:
    """Return where the key of *hub* comes from."""
    if hub.key_path is not None:
        return KeyFile(hub.key_path)
    return FixedKey(hub.key.get_secret_value() if hub.key else None)


@lru_cache(maxsize=_CONTEXTS_KEPT)
def _tls_context(
    ca: Path | None, certificate: Path | None, key: Path | None, _content: bytes
) -> ssl.SSLContext:
    """Share one context between hubs: each holds all trusted authorities in memory."""
    context = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
