"""Failed requests, told apart by what an operator has to do."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

import aiohttp
import httpx
import msgspec

from exporter.api.errors import (
    ApiError,
    ErrorKind,
    HubDenied,
    HubFailed,
    HubNotFound,
    HubThrottled,
    HubUnreachable,
    ListingTruncated,
    ProtocolError,
)

AnyApiError = TypeVar("AnyApiError", bound=ApiError)

_PROXY_ERRORS = (
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    httpx.ProxyError,
)
_CUT_OFF = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientPayloadError,
    aiohttp.ClientResponseError,
    httpx.RemoteProtocolError,
)

TRANSPORT_ERRORS = (httpx.HTTPError, aiohttp.ClientError, OSError)
"""What a request can raise that got no whole answer; time-outs are among them."""

_LONGEST_EXCEPTION_NAME = 120
# A hub that is up again must not be given up for a day, or for ever, by an answer of a bad hour.
_LONGEST_REST = 3600.0
# OpenSSL's words for an answer that is not TLS at all; they differ by its version.
_SAID_OF_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_NOT_TLS = "what listens there does not speak TLS: check the port in url, and whether it is http://"


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one operation of one hub."""

    hub: str
    operation: str

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
        """Return the error for an answer whose status is not the one asked for."""
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return self._denied(status, body)
        if status == HTTPStatus.NOT_FOUND:
            return self._error(
                HubNotFound,
                ErrorKind.NOT_FOUND,
                "404, nothing answers at this address",
                "check url: the app's root, or a path that ends in /durabletask",
                status=status,
            )
        retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._error(
                HubThrottled,
                ErrorKind.THROTTLED,
                "429, the app is overloaded",
                "raise intervals, or scale the app out",
                status=status,
                retryable=True,
                retry_after=retry_after,
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._error(
                HubFailed,
                ErrorKind.SERVER,
                f"{status}{_exception_type(body)}",
                "look at the app's own log; its storage may be throttled or unreachable",
                status=status,
                retryable=True,
                retry_after=retry_after,
            )
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return self.protocol(
                f"{status}, a redirect, which is never followed",
                hint="App Service authentication answers so: exempt /runtime/webhooks from it",
                status=status,
            )
        return self.protocol(f"{status} instead of a result{_exception_type(body)}", status=status)

    def of_exception(self, error: Exception, seconds: float) -> ApiError:
        """Return the error for a request that got no whole answer within *seconds*."""
        chain = list(_causes(error))
        if _has(chain, aiohttp.ConnectionTimeoutError):
            return self._unreachable(
                ErrorKind.TIMEOUT,
                "no connection within timeouts.connect",
                "check that a firewall lets this machine through, and the port in url",
            )
        if _has(chain, TimeoutError):
            return self._unreachable(
                ErrorKind.TIMEOUT,
                f"no answer within {seconds:g} s",
                "a starting host holds requests for 30 s; otherwise raise timeouts.request",
            )
        if _has(chain, *_PROXY_ERRORS):
            return self._unreachable(
                ErrorKind.PROXY,
                "the proxy refused the connection",
                "check proxy, HTTPS_PROXY and NO_PROXY",
            )
        return self._of_broken_connection(chain)

    def _of_broken_connection(self, chain: Sequence[BaseException]) -> ApiError:
        # aiohttp's own is one, too, but says nothing.
        tls = next((each for each in reversed(chain) if isinstance(each, ssl.SSLError)), None)
        if tls is not None:
            return self._unreachable(
                ErrorKind.TLS,
                f"TLS failed: {getattr(tls, 'verify_message', '') or tls.reason or 'handshake'}",
                _NOT_TLS
                if tls.reason in _SAID_OF_NO_TLS
                else "check the host name in url, tls.ca_file and tls.client_cert_file",
                retryable=False,
            )
        reason = _os_reason(chain)
        if _has(chain, aiohttp.ClientConnectorDNSError):
            return self._unreachable(
                ErrorKind.NAME,
                f"the host name has no address: {reason or 'the look-up failed'}",
                "check the host in url, and this machine's DNS",
            )
        if not reason and _has(chain, *_CUT_OFF):
            return self.protocol("the answer ended early or is not HTTP", retryable=True)
        return self._unreachable(
            ErrorKind.CONNECT,
            f"no connection: {reason or type(chain[-1]).__name__}",
            "check the host and port in url, and that the app runs",
        )

    def protocol(
        self, message: str, *, hint: str = "", status: int | None = None, retryable: bool = False
    ) -> ProtocolError:
        """Return the error for an answer that is not what was asked for."""
        usual = "check that url leads to the Durable Functions API and nothing rewrites it"
        return self._error(
            ProtocolError,
            ErrorKind.PROTOCOL,
            message,
            hint or usual,
            status=status,
            retryable=retryable,
        )

    def too_large(self, limit: int) -> ProtocolError:
        """Return the error for a body over *limit* bytes."""
        return self._error(
            ProtocolError,
            ErrorKind.TOO_LARGE,
            f"the answer is larger than {limit} bytes",
            "lists come in smaller pages next time; if it goes on, raise max_response_bytes",
        )

    def too_large_together(self) -> ProtocolError:
        """Return the error for the largest of several bodies for which there is no room."""
        return self._error(
            ProtocolError,
            ErrorKind.TOO_LARGE,
            "the largest of too many large answers at once",
            "lower page_bytes of this hub",
        )

    def truncated(self, message: str) -> ListingTruncated:
        """Return the error for a list with too many pages."""
        hint = "raise max_pages, if the hub is that large"
        return self._error(ListingTruncated, ErrorKind.TOO_LARGE, message, hint)

    def over_budget(self) -> ListingTruncated:
        """Return the error for a list whose end the pages of the day do not reach."""
        hint = "raise page_budget, or the intervals of the sweeps"
        message = "the page budget of today was spent before the end of the list"
        return self._error(ListingTruncated, ErrorKind.TOO_LARGE, message, hint)

    def too_slow(
        self, message: str, hint: str = "raise timeouts.sweep, if the hub is that large"
    ) -> ListingTruncated:
        """Return the error for what was not done by its deadline."""
        return self._error(ListingTruncated, ErrorKind.TIMEOUT, message, hint)

    def dropped_filter(self, parameter: str) -> ProtocolError:
        """Return the error for rows that the filter *parameter* should have left out."""
        return self.protocol(
            f"the answer has rows that the filter {parameter} excludes",
            hint="something between exporter and app drops or rewrites query parameters",
        )

    def _denied(self, status: int, body: bytes) -> HubDenied:
        if status == HTTPStatus.FORBIDDEN and _is_html(body):
            return self._error(
                HubDenied,
                ErrorKind.STOPPED,
                "403 with an HTML page: the app is stopped, disabled or closed to this address",
                "start the app, or let this address through its access restrictions",
                status=status,
            )
        is_unknown = status == HTTPStatus.UNAUTHORIZED
        wrong = "refused" if is_unknown else "of the wrong kind"
        others = "" if is_unknown else "; those of functions, host and other extensions are not it"
        return self._error(
            HubDenied,
            ErrorKind.AUTH,
            f"{status}, the key is {wrong}",
            f"key or key_file must hold the system key durabletask_extension of this app{others}",
            status=status,
        )

    def _unreachable(
        self, kind: ErrorKind, message: str, hint: str, *, retryable: bool = True
    ) -> HubUnreachable:
        return self._error(HubUnreachable, kind, message, hint, retryable=retryable)

    def _error(
        self,
        error: type[AnyApiError],
        kind: ErrorKind,
        message: str,
        hint: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> AnyApiError:
        return error(
            message,
            hub=self.hub,
            operation=self.operation,
            kind=kind,
            hint=hint,
            status=status,
            retryable=retryable,
            retry_after=retry_after,
        )


def parse_retry_after(text: str | None, date: str | None) -> float | None:
    """
    Return the seconds that a `Retry-After` header asks for, None where it says nothing usable.

    A moment instead of seconds is measured against *date*, the answer's own `Date`. More than an
    hour is an hour.
    """
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_REST)
    until, now = parse_http_date(text), parse_http_date(date)
    if until is None or now is None:
        return None
    return min(max(0.0, until - now), _LONGEST_REST)


def parse_http_date(text: str | None) -> float | None:
    """Return the seconds since the epoch that a `Date` header says, None if unreadable."""
    if not text:
        return None
    try:
        moment: datetime = parsedate_to_datetime(text)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, which libraries wrap several times."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


def _has(chain: Sequence[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in chain)


def _os_reason(chain: Sequence[BaseException]) -> str:
    """Return what the system says of a failed connection, empty if it says nothing."""
    for error in reversed(chain):
        if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
            if isinstance(error.errno, int) and not isinstance(error, socket.gaierror):
                return os.strerror(error.errno)
            return error.strerror or ""
    return ""


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


class _ErrorObject(msgspec.Struct, rename="pascal"):
    exception_type: str = ""


def _exception_type(body: bytes) -> str:
    """Return the class of an error object (reference 1.7) to add; its message may hold data."""
    try:
        name = msgspec.json.decode(body, type=_ErrorObject).exception_type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f", {name[:_LONGEST_EXCEPTION_NAME]}" if name else ""
