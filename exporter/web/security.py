"""Access rules of the web configuration: logins, rate limits, headers, hosts."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence
from urllib.parse import unquote

import anyio
import anyio.lowlevel
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.settings import WebConfig
from exporter.web.overload import Busy, TokenBucket, refusal
from exporter.web.passwords import Passwords, TooManyFailures

# Health checks have no password, and must work under load.
OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
# Some programs add a slash and do not follow redirects.
_WITHOUT_SLASH = {f"{path}/".encode(): path for path in (*OPEN_PATHS, "/-/reload", "/metrics")}

_LONGEST_TARGET = 8192
_MOST_IN_HEADERS = 16_384

_CLOSE = {"connection": "close"}
_ASK_WHO = {"www-authenticate": 'Basic realm="durable-functions-exporter", charset="UTF-8"'}


class Guard:
    """Applies the web configuration to requests of *app*."""

    def __init__(
        self,
        app: ASGIApp,
        config: WebConfig,
        *,
        allowed_hosts: Sequence[str] = (),
        monotonic: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._app = app
        self._monotonic = monotonic
        self._turn = anyio.Lock()
        self._use_hosts(allowed_hosts)
        self._use(config)

    def follow(self, config: WebConfig, allowed_hosts: Sequence[str] = ()) -> None:
        """Apply another configuration to further requests."""
        self._use_hosts(allowed_hosts)
        if config != self._config:
            self._use(config)

    def _use_hosts(self, hosts: Sequence[str]) -> None:
        self._app_of_hosts = TrustedHostMiddleware(self._app, hosts or ["*"], www_redirect=False)

    def _use(self, config: WebConfig) -> None:
        self._config = config
        self._headers = list(config.headers.items())
        users = config.users
        self._passwords = Passwords(users, monotonic=self._monotonic) if users else None
        limit = config.rate_limit
        self._bucket = TokenBucket(limit, self._monotonic) if limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = in_origin_form(scope)
        answer: ASGIApp | None = _oversized(scope)
        if answer is None and scope["path"] in OPEN_PATHS:
            answer = self._app
        elif answer is None:
            answer = await self._refusal(scope) or self._app_of_hosts
        await answer(scope, receive, _with_headers(send, self._headers))

    async def _refusal(self, scope: Scope) -> Response | None:
        """
        Return the answer to a refused request, None if it is admitted.

        A login verified before passes ahead of every limit. Others start one per turn of the event
        loop, so that no number of them delays it.
        """
        passwords, answer = self._passwords, None
        login = credentials_in(Headers(scope=scope).get("authorization", "")) if passwords else None
        if passwords and login and passwords.has_verified(*login):
            return None
        async with self._turn:
            await anyio.lowlevel.checkpoint()
        if passwords is not None:
            answer = await self._login_refusal(passwords, login, scope)
            if answer is None:
                return None
        if self._bucket is not None and not self._bucket.take():
            return refusal("too many requests", 429, self._bucket.wait)
        return answer

    async def _login_refusal(
        self, passwords: Passwords, login: tuple[bytes, bytes] | None, scope: Scope
    ) -> Response | None:
        """Return the answer to a failed login, None if it succeeds."""
        address, _ = scope["client"] or ("", 0)
        try:
            if login is not None and await passwords.admit(*login, address):
                return None
        except TooManyFailures as failures:
            return refusal("too many failed logins", 429, failures.wait)
        except Busy:
            return refusal("too many logins at once", 503)
        return PlainTextResponse("unauthorized\n", 401, _ASK_WHO)


def in_origin_form(scope: Scope) -> Scope:
    """
    Return *scope* with a path that starts at the root.

    A target may be a complete URL (RFC 9112, 3.2.2), whose host then replaces the header's.
    """
    raw, path, headers = scope["raw_path"], scope["path"], scope["headers"]
    scheme, separator, rest = raw.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        authority, slash, tail = rest.partition(b"/")
        raw = slash + tail or b"/"
        path = unquote(raw.decode("ascii"))
        others = [(name, value) for name, value in headers if name != b"host"]
        headers = [(b"host", authority), *others]
    path = _WITHOUT_SLASH.get(raw, path)
    return {**scope, "raw_path": raw, "path": path, "headers": headers}


def _oversized(scope: Scope) -> Response | None:
    """Return the answer to a request with an excessive head."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
        return PlainTextResponse("the path is too long\n", 414, _CLOSE)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MOST_IN_HEADERS:
        return PlainTextResponse("the headers are too long\n", 431, _CLOSE)
    return None


def credentials_in(header: str) -> tuple[bytes, bytes] | None:
    """Return user and password of an `Authorization` header, None if it is not Basic."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if separator else None


def _with_headers(send: Send, headers: Sequence[tuple[str, str]]) -> Send:
    """Return a *send* that sets *headers* in place of the app's own."""
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            for name, value in headers:
                answer[name] = value
        await send(message)

    return send_with_headers
