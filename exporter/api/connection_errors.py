"""Causes of broken requests, as far as their exceptions prove them."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import httpx
from aiohttp import http_exceptions

from exporter.api.errors import ErrorKind
from exporter.api.transport import Connecting

AnyError = TypeVar("AnyError", bound=BaseException)

TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)
"""What a request without a complete answer can raise; time-outs are OSErrors."""

# OpenSSL's reasons for an answer that is not TLS, by its version.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_OF_THE_PROXY = {
    407: "put its user and password into proxy: http://user:password@host:port",
    403: "allow the host in url at the proxy",
    502: "the proxy does not reach the app: check the host in url, and the proxy's own log",
    503: "the proxy does not reach the app: check the host in url, and the proxy's own log",
    504: "the proxy does not reach the app: check the host in url, and the proxy's own log",
}
_WHAT_LISTENS = "check the port in url: another service may listen there"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a request has no complete answer, and the remedy."""

    kind: ErrorKind
    message: str
    hint: str
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    A failed attempt of a request: its proxy, and how far it got.

    `has_answered` says that the head of an answer arrived; `server` names the server that was
    asked, if it is not the app.
    """

    proxy: str = ""
    connecting: Connecting = field(default_factory=Connecting)
    has_answered: bool = False
    server: str = ""


def cause_of(error: Exception, attempt: Attempt, seconds: float) -> Cause:
    """Return what broke a request with a time limit of *seconds*."""
    chain = list(_causes(error))
    for find in (_of_time, _of_proxy, _of_tls, _of_name, _of_http):
        cause = find(chain, attempt)
        if cause is not None:
            return cause
    if _first(chain, TimeoutError):
        return _too_slow(attempt, seconds)
    reason = _os_reason(chain)
    if _first(chain, aiohttp.ClientConnectorError):
        return Cause(
            ErrorKind.CONNECT,
            f"no connection: {reason or 'refused'}",
            "check the host and port in url, and that the app runs",
        )
    where = "in the middle of the answer" if attempt.has_answered else "before an answer"
    return Cause(
        ErrorKind.CONNECT if reason and not attempt.has_answered else ErrorKind.PROTOCOL,
        f"the connection broke {where}: {reason or 'closed'}",
        "check the app's log, and the proxy or gateway in between",
    )


def of_proxy_status(status: int) -> Cause:
    """Return the cause for a proxy's own answer."""
    hint = _OF_THE_PROXY.get(status, "check proxy, HTTPS_PROXY and NO_PROXY")
    return Cause(ErrorKind.PROXY, f"{status} from the proxy", hint)


def _of_time(chain: Sequence[BaseException], attempt: Attempt) -> Cause | None:
    """Return what a connection that exceeded `timeouts.connect` was waiting for."""
    if not _first(chain, aiohttp.ConnectionTimeoutError):
        return None
    if attempt.connecting.name == attempt.proxy != "":
        return Cause(
            ErrorKind.PROXY,
            f"no name server answers for the proxy {attempt.proxy} within timeouts.connect",
            "check the host in proxy, and this machine's DNS",
        )
    if attempt.connecting.name:
        return Cause(
            ErrorKind.NAME,
            f"no name server answers for {attempt.connecting.name} within timeouts.connect",
            "check this machine's DNS, and the host in url",
        )
    if attempt.connecting.handshake:
        return _of_slow_handshake(attempt)
    if attempt.proxy:
        return Cause(
            ErrorKind.TIMEOUT,
            "no connection through the proxy within timeouts.connect",
            "check proxy, and that it reaches the host in url",
        )
    return Cause(
        ErrorKind.TIMEOUT,
        "no connection within timeouts.connect",
        "a firewall or a private endpoint may keep this machine out; check the port in url",
    )


def _of_slow_handshake(attempt: Attempt) -> Cause:
    if attempt.connecting.handshake == attempt.proxy:
        return Cause(
            ErrorKind.PROXY,
            "the TLS handshake with the proxy did not end within timeouts.connect",
            "check the scheme and port in proxy",
        )
    return Cause(
        ErrorKind.TLS,
        "the TLS handshake did not end within timeouts.connect",
        "check the port in url, and what inspects TLS in between",
    )


def _of_proxy(chain: Sequence[BaseException], attempt: Attempt) -> Cause | None:
    refused = _first(chain, aiohttp.ClientHttpProxyError)
    if refused is not None:
        return of_proxy_status(refused.status)
    broken = _first(chain, aiohttp.ClientConnectorError)
    if broken is None or not attempt.proxy or broken.host != attempt.proxy:
        return None
    if _tls_error(chain) is not None:
        return Cause(
            ErrorKind.PROXY,
            f"TLS with the proxy failed: {_tls_reason(chain)}",
            "check the scheme and port in proxy, and tls.ca_file",
            retryable=False,
        )
    if _first(chain, aiohttp.ClientConnectorDNSError):
        return Cause(
            ErrorKind.PROXY,
            f"the proxy {broken.host} has no address",
            "check the host in proxy, and this machine's DNS",
        )
    return Cause(
        ErrorKind.PROXY,
        f"no connection to the proxy: {_os_reason(chain) or 'refused'}",
        "check the host and port in proxy, and that it runs",
    )


def _of_tls(chain: Sequence[BaseException], attempt: Attempt) -> Cause | None:
    tls = _tls_error(chain)
    if tls is not None:
        is_other = tls.reason in _NOT_TLS
        return Cause(
            ErrorKind.TLS,
            f"TLS failed: {_tls_reason(chain)}",
            "what listens there does not speak TLS: check the port in url, and whether it is http://"
            if is_other
            else "check the host name in url, tls.ca_file and tls.client_cert_file",
            retryable=False,
        )
    if attempt.connecting.handshake and _first(chain, OSError, aiohttp.ClientOSError):
        return Cause(
            ErrorKind.TLS,
            f"the TLS handshake was cut off: {_os_reason(chain) or 'closed'}",
            "check the port in url, and what inspects TLS in between",
        )
    return None


def _of_name(chain: Sequence[BaseException], _: Attempt) -> Cause | None:
    unknown = _first(chain, aiohttp.ClientConnectorDNSError)
    if unknown is None:
        return None
    return Cause(
        ErrorKind.NAME,
        f"{unknown.host} has no address: {_os_reason(chain) or 'the look-up failed'}",
        "check the host in url, and this machine's DNS",
    )


def _of_http(chain: Sequence[BaseException], _: Attempt) -> Cause | None:
    """Return what is wrong with the answer, by the parser's message."""
    wrong = _first(chain, http_exceptions.HttpProcessingError)
    if wrong is None:
        return None
    said = str(chain[-1])
    if "Not enough data" in said:
        return Cause(
            ErrorKind.PROTOCOL,
            "the answer ended early",
            "check the proxy or gateway in between: it cut the answer off",
        )
    if isinstance(chain[-1], http_exceptions.LineTooLong) or "Too many headers" in said:
        message, hint = "the head of the answer is too large", _WHAT_LISTENS
    elif "Content-Length" in said:
        message = "the answer has lengths that contradict each other"
        hint = "check the proxy or gateway in between: it rewrites answers"
    elif r"\x15\x03" in said or r"\x16\x03" in said:
        message, hint = "what listens there speaks TLS", "use https:// in url"
    elif "chunk" in said.lower():
        message = "the answer has invalid chunks"
        hint = "check the proxy or gateway in between: it rewrites answers"
    else:
        message, hint = "the answer is not HTTP", _WHAT_LISTENS
    return Cause(ErrorKind.PROTOCOL, message, hint)


def _too_slow(attempt: Attempt, seconds: float) -> Cause:
    if attempt.has_answered:
        return Cause(
            ErrorKind.TIMEOUT,
            f"the answer did not end within {seconds:g} s",
            "lower max_page_size or page_bytes, or raise timeouts.request",
        )
    return Cause(
        ErrorKind.TIMEOUT,
        f"no answer within {seconds:g} s",
        "a starting host holds requests for 30 s; otherwise raise timeouts.request",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: libraries wrap several times."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


def _first(chain: Sequence[BaseException], *kinds: type[AnyError]) -> AnyError | None:
    return next((each for each in chain if isinstance(each, kinds)), None)


def _tls_error(chain: Sequence[BaseException]) -> ssl.SSLError | None:
    # The innermost: aiohttp's own subclass has no reason.
    return next((each for each in reversed(chain) if isinstance(each, ssl.SSLError)), None)


def _tls_reason(chain: Sequence[BaseException]) -> str:
    tls = _tls_error(chain)
    return getattr(tls, "verify_message", "") or getattr(tls, "reason", "") or "handshake"


def _os_reason(chain: Sequence[BaseException]) -> str:
    """Return the operating system's reason for a failed connection, empty if unknown."""
    for error in reversed(chain):
        if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
            if isinstance(error.errno, int) and not isinstance(error, socket.gaierror):
                return os.strerror(error.errno)
            return error.strerror or ""
    return ""
