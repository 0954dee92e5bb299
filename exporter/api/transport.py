"""HTTP connections to a host: name look-ups, TLS handshakes, proxies, over aiohttp under httpx."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import aiohttp
import anyio
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import AsyncResolver
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream


@dataclass(slots=True)
class Connecting:
    """The host whose name is being looked up, and the one whose TLS handshake is under way."""

    name: str = ""
    handshake: str = ""


connecting: ContextVar[Connecting] = ContextVar("connecting")


def now_connecting() -> Connecting:
    """Return the connection that the present request makes; one that nobody looks at elsewhere."""
    return connecting.get(Connecting())


class ObservedTls(ssl.SSLObject):
    """Notes while its handshake is under way; for `SSLContext.sslobject_class`."""

    def do_handshake(self) -> None:
        """Go on with the handshake; raises `ssl.SSLError`."""
        progress = now_connecting()
        progress.handshake = self.server_hostname or ""
        super().do_handshake()
        progress.handshake = ""


_TRY_SECONDS = 2.0
_TRIES = 3


class NameResolver(AbstractResolver):
    """
    Looks names up with c-ares: no thread waits for a name server.

    All hubs of a process share one, so that at most one look-up of a name is in flight. A look-up
    ends after three tries of a few seconds, whoever waits for it. Raises `OSError`.
    """

    def __init__(self, nameservers: list[str] | None = None) -> None:
        """*nameservers* are asked instead of the configured ones (`host:port`)."""
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
            # Whoever waited may have given up before.
            ended.exception()

    async def _look_up(self, host: str, family: socket.AddressFamily) -> list[ResolveResult]:
        if self._resolver is None:
            self._resolver = AsyncResolver(
                nameservers=self._nameservers, timeout=_TRY_SECONDS, tries=_TRIES
            )
        return await self._resolver.resolve(host, 0, family)

    async def close(self) -> None:
        """Keep on: the sessions of all hubs share it, and `aclose` ends it."""

    async def aclose(self) -> None:
        """End what is in flight."""
        for task in list(self._in_flight.values()):
            task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None


# Longer than the longest default interval of the active sweep, shorter than Azure's front end
# keeps an idle connection.
_KEEP_IDLE_SECONDS = 120.0
# A token of Netherite has an instance id for each of up to 32 partitions.
_LARGEST_FIELD = 1 << 16
_RECEIVED_AT_ONCE = 1 << 17
# More than is ever there, so that nothing received is cut and copied once more.
_READ_AT_ONCE = 1 << 20

_NO_BODY = httpx.ByteStream(b"")
_USUAL = {"accept": "application/json", "accept-encoding": "identity"}


class HubConnections:
    """
    Requests to one host, over connections that are kept: to a hub these are all GET.

    Nothing else is kept of an answer: no cookie, and no redirect is followed. Compressed bodies are
    not asked for, and handed through. How long an answer may take is the caller's.
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
        *connect_seconds* are for a whole new connection: name, TCP, proxy and TLS.

        *proxy* is the host of the proxy, where there is one.
        """
        self.proxy = proxy
        self._transport = transport
        self._fields = httpx.Headers({**_USUAL, **(headers or {})}).raw
        timeout = httpx.Timeout(None, connect=connect_seconds, pool=connect_seconds)
        self._extensions = {"timeout": timeout.as_dict()}

    async def get(self, url: httpx.URL, fields: Sequence[tuple[bytes, bytes]]) -> httpx.Response:
        """
        Ask for *url* with header *fields* beside the usual ones; the body waits to be read.

        The answer has to be closed. Raises `httpx.HTTPError` or `aiohttp.ClientError`.
        """
        # Told what it would find out for each request anew: the encoding, and that there is no
        # body.
        headers = httpx.Headers([(b"host", url.netloc), *self._fields, *fields], encoding="utf-8")
        request = httpx.Request(
            "GET", url, headers=headers, stream=_NO_BODY, extensions=self._extensions
        )
        return await self._handle(request)

    async def send(
        self, method: str, url: httpx.URL, fields: Sequence[tuple[bytes, bytes]], content: bytes
    ) -> httpx.Response:
        """Send JSON to *url*, as `get` asks for it; without any, nothing but the header fields."""
        usual = [(b"host", url.netloc), *self._fields, *fields]
        if content:
            usual.append((b"content-type", b"application/json"))
        headers = httpx.Headers(usual, encoding="utf-8")
        return await self._handle(
            httpx.Request(
                method, url, headers=headers, content=content, extensions=self._extensions
            )
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = await self._transport.handle_async_request(request)
        if isinstance(response.stream, AiohttpResponseStream):
            # By 16 KiB, as it reads unless told, a page costs a tenth more.
            response.stream.CHUNK_SIZE = _READ_AT_ONCE
        return response

    async def aclose(self) -> None:
        """Close all connections, also when cancelled: aiohttp aborts them and waits for nobody."""
        # Cancelled meanwhile, it would raise the cancellation of one of its own look-ups.
        with anyio.CancelScope(shield=True):
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def connections_to(
    base_url: str,
    *,
    tls: ssl.SSLContext,
    names: NameResolver,
    connect_seconds: float,
    proxy: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HubConnections:
    """Return the connections to *base_url*, through *proxy* if there is one."""
    through = _proxy(proxy) if proxy else None
    fields = dict(headers or {})
    if through is not None and base_url.startswith("http://"):
        # It reads the request itself; only for https:// is there a CONNECT to hold them.
        fields.update(through.headers)
    transport = AiohttpTransport(verify=tls, proxy=through, client=lambda: _session(tls, names))
    return HubConnections(
        transport,
        connect_seconds=connect_seconds,
        headers=fields,
        proxy=through.url.host if through else "",
    )


def proxy_of_environment(url: str) -> str | None:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` give *url*."""
    parsed = httpx.URL(url)
    proxies = getproxies()
    proxy = proxies.get(parsed.scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(parsed.netloc.decode("ascii")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _session(tls: ssl.SSLContext, names: NameResolver) -> aiohttp.ClientSession:
    """Return what keeps the connections; to be made where the event loop runs."""
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
    """Return the proxy at *address*, which may hold credentials."""
    url = httpx.URL(address)
    headers: dict[str, str] = {}
    if url.username or url.password:
        credentials = f"{url.username}:{url.password}".encode()
        headers["proxy-authorization"] = f"Basic {b64encode(credentials).decode('ascii')}"
    return httpx.Proxy(url.copy_with(username=None, password=None), headers=headers)
