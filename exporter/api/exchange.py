"""One request and its answer: over httpx, or straight over the transport where that is possible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from exporter.api.transport.client import DirectClient
from exporter.api.transport.dialing import Origin

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


def route_to(url: httpx.URL, http: httpx.AsyncClient) -> Route:
    """Return the way to *url* that *http* has."""
    if isinstance(http, DirectClient):
        return _Straight(url, http)
    return _OverHttpx(url, http)


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


class _Straight:
    """
    Leaves out what httpx does around a request, which takes longer than the rest of it.

    There are no cookies, redirects, hooks nor logs of requests then, which nobody wants here.
    """

    def __init__(self, url: httpx.URL, http: DirectClient) -> None:
        self._origin = Origin.of(url)
        self._path = url.raw_path
        self._direct = http.direct
        usual = usual_fields(http)
        if not any(name.lower() == b"host" for name, _ in usual):
            usual.insert(0, (b"Host", url.netloc))
        self._usual = usual
        self._connect = http.timeout.connect

    async def get(self, fields: Fields) -> Reply:
        head, body = await self._direct.get(
            self._origin, self._path, [*self._usual, *fields], connect=self._connect
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
