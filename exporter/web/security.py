"""Who may ask, how often, and which headers answers carry: the web configuration at work."""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from collections.abc import Callable, Sequence

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.settings import RateLimit, WebConfig
from exporter.web.passwords import Passwords

# Whoever watches over the process has no password, and must not be turned away when it is busy.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})

_LONGEST_TARGET = 8192
_MOST_IN_HEADERS = 16_384

_CLOSE = {"connection": "close"}
_ASK_WHO = {"www-authenticate": 'Basic realm="durable-functions-exporter", charset="UTF-8"'}


class TokenBucket:
    """Lets one request through in an interval, and a burst at once; *monotonic* never jumps."""

    def __init__(self, limit: RateLimit, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._tokens = float(limit.burst)
        self._filled = monotonic()

    def take(self) -> bool:
        """Tell whether one more may come now."""
        now = self._monotonic()
        grown = self._tokens + (now - self._filled) / self._limit.interval
        self._tokens, self._filled = min(float(self._limit.burst), grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    @property
    def wait(self) -> int:
        """How long it takes until the next may come, in whole seconds from 1."""
        return max(1, math.ceil((1.0 - self._tokens) * self._limit.interval))


class Guard:
    """Stands before *app*, and does what the web configuration says."""

    def __init__(
        self,
        app: ASGIApp,
        config: WebConfig,
        *,
        monotonic: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._app = app
        self._monotonic = monotonic
        self._use(config)

    def follow(self, config: WebConfig) -> None:
        """Go by another configuration from the next request on."""
        if config != self._config:
            self._use(config)

    def _use(self, config: WebConfig) -> None:
        self._config = config
        self._headers = list(config.headers.items())
        self._passwords = Passwords(config.users) if config.users else None
        limit = config.rate_limit
        self._bucket = TokenBucket(limit, self._monotonic) if limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _oversized(scope)
        if refusal is None and scope["path"] not in OPEN_PATHS:
            refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send, self._headers))

    async def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not let through."""
        bucket, passwords = self._bucket, self._passwords
        if bucket is not None and not bucket.take():
            headers = {"retry-after": str(bucket.wait)}
            return PlainTextResponse("too many requests\n", 429, headers)
        if passwords is None:
            return None
        credentials = credentials_in(Headers(scope=scope).get("authorization", ""))
        if credentials is not None and await passwords.admit(*credentials):
            return None
        return PlainTextResponse("unauthorized\n", 401, _ASK_WHO)


def _oversized(scope: Scope) -> Response | None:
    """Return the answer to a request whose head came at once and is longer than any need be."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
        return PlainTextResponse("the path is too long\n", 414, _CLOSE)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_IN_HEADERS:
        return PlainTextResponse("the headers are too long\n", 431, _CLOSE)
    return None


def credentials_in(header: str) -> tuple[bytes, bytes] | None:
    """Return user and password of an `Authorization` header, None if it is not for Basic."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if separator else None


def _with_headers(send: Send, headers: Sequence[tuple[str, str]]) -> Send:
    """Return a *send* that sets *headers*, whatever the app itself sets."""
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            for name, value in headers:
                answer[name] = value
        await send(message)

    return send_with_headers
