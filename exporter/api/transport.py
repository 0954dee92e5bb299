"""HTTP connections to a host: name look-ups, TLS handshakes, proxies, over aiohttp under httpx."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import AsyncResolver
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

_LOOK_UP_SECONDS = 2.0
_LOOK_UP_TRIES = 3
# Longer than the longest default interval of the active sweep, shorter than Azure's front end
# keeps an idle connection.
_KEEP_IDLE_SECONDS = 120.0
# A token of Netherite has an instance id for each of up to 32 partitions.
_LARGEST_FIELD = 1 << 16
_RECEIVED_AT_ONCE = 1 << 17
# More than ever arrives: received bytes are not copied again.
_READ_AT_ONCE = 1 << 20

_NO_BODY = httpx.ByteStream(b"")
_USUAL = {"accept": "application/json", "accept-encoding": "identity"}


@dataclass(slots=True)
class Connecting:
    """Progress of a new connection: the host being looked up, and the one of a TLS handshake."""

    name: str = ""
    handshake: str = ""


connecting: ContextVar[Connecting] = ContextVar("connecting")


def now_connecting() -> Connecting:
    """Return the progress of the present request's connection; a throwaway outside of requests."""
    return connecting.get(Connecting())


class ObservedTls(ssl.SSLObject):
    """Reports its handshake in `connecting`; for `SSLContext.sslobject_class`."""

    def do_handshake(self) -> None:
        """Continue the handshake; raises `ssl.SSLError`."""
        progress = now_connecting()
        progress.handshake = self.server_hostname or ""
        super().do_handshake()
        progress.handshake = ""


class NameResolver(AbstractResolver):
    """
    Looks names up with c-ares: no thread waits for a name server.

    Shared by all hubs: at most one look-up of a name is in flight, which ends after three attempts
    of a few seconds.
    """

    def __init__(self, nameservers: list[str] | None = None) -> None:
        """*nameservers* (`host:port`) replace the system's."""
        self._nameservers = nameservers
        self._resolver: AsyncResolver | None = None
        self._in_flight: dict[tuple[str, int], asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*, each with *port*; raises `OSError` if it has none."""
        key = (host, family)
        task = self._in_flight.get(key)
        if task is None:
            task = self._in_flight[key] = asyncio.create_task(self._look_up(host, family))
            task.add_done_callback(lambda ended: self._forget(key, ended))
        progress = now_connecting()
        progress.name = host
        found = await asyncio.shield(task)
        progress.name = ""
        return [ResolveResult(**{**each, "port": port}) for each in found]

    def _forget(self, key: tuple[str, int], ended: asyncio.Task[list[ResolveResult]]) -> None:
        del self._in_flight[key]
        if not ended.cancelled():
            # Retrieved: nobody may be waiting any more.
            ended.exception()

    async def _look_up(self, host: str, family: socket.AddressFamily) -> list[ResolveResult]:
        if self._resolver is None:
            self._resolver = AsyncResolver(
                nameservers=self._nameservers, timeout=_LOOK_UP_SECONDS, tries=_LOOK_UP_TRIES
            )
        return await self._resolver.resolve(host, 0, family)

    async def close(self) -> None:
        """Do nothing: sessions of other hubs use it, until `aclose`."""

    async def aclose(self) -> None:
        """Cancel look-ups in flight."""
        for task in list(self._in_flight.values()):
            task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None


class HubConnections:
    """
    Requests to one host, over kept connections; to a hub, only GET.

    No cookies are kept and no redirects followed. Compression is not requested, and not undone. The
    caller limits the time of an answer.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        connect_seconds: float,
        headers: Mapping[str, str] | None = None,
        proxy: str = "",
    ) -> None:
        """
        *connect_seconds* bound a new connection in all: name, TCP, proxy, TLS.

        *proxy* is the host of the proxy, if any.
        """
        self.proxy = proxy
        self._transport = transport
        self._fields = httpx.Headers({**_USUAL, **(headers or {})}).raw
        timeout = httpx.Timeout(None, connect=connect_seconds, pool=connect_seconds)
        self._extensions = {"timeout": timeout.as_dict()}

    async def request(
        self,
        method: str,
        url: httpx.URL,
        fields: Sequence[tuple[bytes, bytes]] = (),
        content: bytes = b"",
    ) -> httpx.Response:
        """
        Send a request with header *fields* beside the usual ones, and JSON as *content*.

        The answer's body is not read yet, and has to be closed. Raises `httpx.HTTPError` or
        `aiohttp.ClientError`.
        """
        usual = [(b"host", url.netloc), *self._fields, *fields]
        if content:
            usual.append((b"content-type", b"application/json"))
        # With encoding and empty stream given, httpx does not derive them for each request.
        headers = httpx.Headers(usual, encoding="utf-8")
        request = (
            httpx.Request(
                method, url, headers=headers, stream=_NO_BODY, extensions=self._extensions
            )
            if method == "GET"
            else httpx.Request(
                method, url, headers=headers, content=content, extensions=self._extensions
            )
        )
        request.read()
        response = await self._transport.handle_async_request(request)
        if isinstance(response.stream, AiohttpResponseStream):
            # The default of 16 KiB makes a page a tenth slower.
            response.stream.CHUNK_SIZE = _READ_AT_ONCE
        return response

    async def aclose(self) -> None:
        """Close all connections, also when cancelled: aiohttp aborts them without waiting."""
        # Unshielded, a cancellation would surface as that of one of its look-ups.
        with anyio.CancelScope(shield=True):
            await self._transport.aclose()


def connections_to(
    base_url: str,
    *,
    tls: ssl.SSLContext,
    names: NameResolver,
    connect_seconds: float,
    proxy: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HubConnections:
    """Return connections to *base_url*, through *proxy* if given."""
    through = _proxy(proxy) if proxy else None
    fields = dict(headers or {})
    if through is not None and base_url.startswith("http://"):
        # There is no CONNECT to carry them: the proxy reads the request itself.
        fields.update(through.headers)
    transport = AiohttpTransport(verify=tls, proxy=through, client=lambda: _session(tls, names))
    return HubConnections(
        transport,
        connect_seconds=connect_seconds,
        headers=fields,
        proxy=through.url.host if through else "",
    )


def proxy_of_environment(url: str) -> str | None:
    """Return the proxy for *url* by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`."""
    parsed = httpx.URL(url)
    proxies = getproxies()
    proxy = proxies.get(parsed.scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(parsed.netloc.decode("ascii")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _session(tls: ssl.SSLContext, names: NameResolver) -> aiohttp.ClientSession:
    """Return a pool of connections; needs a running event loop."""
    connector = aiohttp.TCPConnector(
        ssl=tls, resolver=names, keepalive_timeout=_KEEP_IDLE_SECONDS, limit=0
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_field_size=_LARGEST_FIELD,
        read_bufsize=_RECEIVED_AT_ONCE,
    )


def _proxy(address: str) -> httpx.Proxy:
    """Return the proxy at *address*, which may contain credentials."""
    url = httpx.URL(address)
    headers: dict[str, str] = {}
    if url.username or url.password:
        credentials = f"{url.username}:{url.password}".encode()
        headers["proxy-authorization"] = f"Basic {b64encode(credentials).decode('ascii')}"
    return httpx.Proxy(url.copy_with(username=None, password=None), headers=headers)
