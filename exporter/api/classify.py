"""Failed requests, told apart by what an operator has to do."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

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
    ProtocolError,
)

_LONGEST_EXCEPTION_NAME = 120


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one operation of one hub."""

    hub: str
    operation: str

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
        """Return the error for an answer whose status is not the one asked for."""
        if status == HTTPStatus.UNAUTHORIZED:
            return self._denied(status, "401, the key was refused")
        if status == HTTPStatus.FORBIDDEN:
            return self._forbidden(body)
        if status == HTTPStatus.NOT_FOUND:
            return self._not_found()
        retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._throttled(retry_after)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._server(status, body, retry_after)
        return self._unexpected(status, body)

    def of_exception(self, error: Exception, seconds: float) -> ApiError:
        """Return the error for a request that got no whole answer within *seconds*."""
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return self._unreachable(
                ErrorKind.TIMEOUT,
                f"no answer within {seconds:g} s",
                "a starting host holds requests for 30 s; otherwise raise timeouts.request",
                retryable=True,
            )
        if isinstance(error, httpx.ProxyError):
            return self._unreachable(
                ErrorKind.PROXY,
                "the proxy refused the connection",
                "check proxy, HTTPS_PROXY and NO_PROXY",
                retryable=True,
            )
        tls = _tls_error(error)
        if tls is not None:
            return self._unreachable(
                ErrorKind.TLS,
                f"TLS failed: {getattr(tls, 'verify_message', '') or tls.reason or 'handshake'}",
                "check the host name in url, tls.ca_file and tls.client_cert_file",
            )
        if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
            return self.protocol("the answer ended early or is not HTTP", retryable=True)
        return self._unreachable(
            ErrorKind.CONNECT,
            f"no connection: {str(error) or type(error).__name__}",
            "check the host and port in url, and that the app runs",
            retryable=True,
        )

    def protocol(
        self, message: str, *, hint: str = "", status: int | None = None, retryable: bool = False
    ) -> ProtocolError:
        """Return the error for an answer that is not what was asked for."""
        return ProtocolError(
            message,
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.PROTOCOL,
            hint=hint
            or "check that url leads to the Durable Functions API and nothing rewrites it",
            status=status,
            retryable=retryable,
        )

    def too_large(self, limit: int) -> ProtocolError:
        """Return the error for a body over *limit* bytes."""
        return ProtocolError(
            f"the answer is larger than {limit} bytes",
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.TOO_LARGE,
            hint="lower page_size, or raise max_response_bytes",
        )

    def dropped_filter(self, parameter: str) -> ProtocolError:
        """Return the error for rows that the filter *parameter* should have left out."""
        return self.protocol(
            f"the answer has rows that the filter {parameter} excludes",
            hint="something between exporter and app drops or rewrites query parameters",
        )

    def _unreachable(
        self, kind: ErrorKind, message: str, hint: str, *, retryable: bool = False
    ) -> HubUnreachable:
        return HubUnreachable(
            message,
            hub=self.hub,
            operation=self.operation,
            kind=kind,
            hint=hint,
            retryable=retryable,
        )

    def _denied(self, status: int, message: str) -> HubDenied:
        return HubDenied(
            message,
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.AUTH,
            hint="key or key_file must hold the system key durabletask_extension of this app",
            status=status,
        )

    def _forbidden(self, body: bytes) -> HubDenied:
        if not _is_html(body):
            return self._denied(HTTPStatus.FORBIDDEN, "403, the key is of the wrong kind")
        return HubDenied(
            "403 with an HTML page: the app is stopped, disabled or closed to this address",
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.STOPPED,
            hint="start the app, or let this address through its access restrictions",
            status=HTTPStatus.FORBIDDEN,
        )

    def _not_found(self) -> HubNotFound:
        return HubNotFound(
            "404, nothing answers at this address",
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.NOT_FOUND,
            hint="check url: the app's root, or a path that ends in /durabletask",
            status=HTTPStatus.NOT_FOUND,
        )

    def _throttled(self, retry_after: float | None) -> HubThrottled:
        return HubThrottled(
            "429, the app is overloaded",
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.THROTTLED,
            hint="raise intervals, or scale the app out",
            status=HTTPStatus.TOO_MANY_REQUESTS,
            retryable=True,
            retry_after=retry_after,
        )

    def _server(self, status: int, body: bytes, retry_after: float | None) -> HubFailed:
        exception = _exception_type(body)
        return HubFailed(
            f"{status}{f', {exception}' if exception else ''}",
            hub=self.hub,
            operation=self.operation,
            kind=ErrorKind.SERVER,
            hint="look at the app's own log; its storage may be throttled or unreachable",
            status=status,
            retryable=True,
            retry_after=retry_after,
        )

    def _unexpected(self, status: int, body: bytes) -> ProtocolError:
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return self.protocol(
                f"{status}, a redirect, which is never followed",
                hint="App Service authentication answers so: exempt /runtime/webhooks from it",
                status=status,
            )
        exception = _exception_type(body)
        return self.protocol(
            f"{status} instead of a result{f', {exception}' if exception else ''}", status=status
        )


def parse_retry_after(text: str | None, date: str | None) -> float | None:
    """
    Return the seconds that a `Retry-After` header asks for, None where it says nothing usable.

    A moment instead of seconds is measured against *date*, the answer's own `Date`.
    """
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    until, now = parse_http_date(text), parse_http_date(date)
    if until is None or now is None:
        return None
    return max(0.0, until - now)


def parse_http_date(text: str | None) -> float | None:
    """Return the seconds since the epoch that a `Date` header says, None if unreadable."""
    if not text:
        return None
    try:
        moment: datetime = parsedate_to_datetime(text)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


class _ErrorObject(msgspec.Struct, rename="pascal"):
    exception_type: str = ""


def _exception_type(body: bytes) -> str:
    """Return the class of an error object (reference 1.7); its message may hold data."""
    try:
        return msgspec.json.decode(body, type=_ErrorObject).exception_type[:_LONGEST_EXCEPTION_NAME]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
