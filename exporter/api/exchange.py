"""One request and its answer: over httpx, or straight over the transport where that is possible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from exporter.api.transport.client import DirectClient
from exporter.api.transport.dialing import Origin
from exporter.api.transport.direct import DirectTransport

Fields = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The begin of an answer; names of *headers* are in lower case, the first of several counts.

    It has to be closed, whether its body was read or not.
    """

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


class Route(Protocol):
    """The way to one URL."""

    async def get(self, fields: Fields) -> Reply:
        """Ask, with these header fields beside the usual ones; raises `httpx.HTTPError`."""


def routes_below(base: str, http: httpx.AsyncClient) -> Callable[[str], Route]:
    """
    Return what makes the ways that *http* has to the URLs that begin with *base*.

    It takes the rest of them, escaped as it is to be sent: to take a URL apart for each of many
    small requests takes as long as half of the rest.
    """
    if not isinstance(http, DirectClient):
        return lambda rest: _OverHttpx(httpx.URL(base + rest), http)
    return _Straight.to(httpx.URL(base), http).on_to


def usual_fields(http: httpx.AsyncClient) -> list[tuple[bytes, bytes]]:
    """Return the header fields of every request; those of *http* come first."""
    fields = http.headers.copy()
    fields["accept"] = "application/json"
    fields["accept-encoding"] = "identity"
    return fields.raw


class _OverHttpx:
    """Leaves everything to httpx, proxies above all."""

    def __init__(self, url: httpx.URL, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._usual = usual_fields(http)

    async def get(self, fields: Fields) -> Reply:
        request = httpx.Request(
            "GET",
            self._url,
            headers=[*self._usual, *fields],
            extensions={"timeout": self._http.timeout.as_dict()},
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        headers = _headers_of(response.headers.raw)
        return Reply(response.status_code, headers, response.aiter_bytes(), response.aclose)


@dataclass(frozen=True, slots=True)
class _Straight:
    """
    Leaves out what httpx does around a request, which takes longer than the rest of it.

    There are no cookies, redirects, hooks nor logs of requests then, which nobody wants here.
    """

    direct: DirectTransport
    origin: Origin
    path: bytes
    usual: Fields
    connect: float | None

    @classmethod
    def to(cls, url: httpx.URL, http: DirectClient) -> _Straight:
        """Return the way to a URL."""
        usual = usual_fields(http)
        if not any(name.lower() == b"host" for name, _ in usual):
            usual.insert(0, (b"Host", url.netloc))
        return cls(http.direct, Origin.of(url), url.raw_path, usual, http.timeout.connect)

    def on_to(self, rest: str) -> _Straight:
        """Return the way to a URL that goes on from this one."""
        path = self.path + rest.encode("ascii")
        return _Straight(self.direct, self.origin, path, self.usual, self.connect)

    async def get(self, fields: Fields) -> Reply:
        head, body = await self.direct.get(
            self.origin, self.path, [*self.usual, *fields], connect=self.connect
        )
        headers = _headers_of(head.fields)
        pieces: AsyncIterator[bytes] = body
        if headers.get("content-encoding", "identity") != "identity":
            response = httpx.Response(head.status, headers=head.fields, stream=body)
            pieces = response.aiter_bytes()
        return Reply(head.status, headers, pieces, body.aclose)


def _headers_of(fields: Fields) -> dict[str, str]:
    return {
        name.lower().decode("latin-1"): value.decode("latin-1") for name, value in reversed(fields)
    }
