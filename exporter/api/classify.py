"""Errors of failed requests, classified by their remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

import msgspec

from exporter.api.connection_errors import Attempt, Cause, cause_of, of_proxy_status
from exporter.api.errors import (
    ApiError,
    ErrorKind,
    HistoryRefused,
    HubDenied,
    HubFailed,
    HubNotFound,
    HubThrottled,
    HubUnreachable,
    ListingTruncated,
    ProtocolError,
)

AnyApiError = TypeVar("AnyApiError", bound=ApiError)

_LONGEST_EXCEPTION_NAME = 120
# A hub that recovers must not stay unpolled for a day because of one Retry-After.
_LONGEST_RETRY_AFTER = 3600.0
_THE_KEY = "key or key_file must hold the system key durabletask_extension of this app"
# Statuses of gateways after which the same request may succeed.
_TRANSIENT = (408, 421, 425, 429)
_PERMANENT_REDIRECTS = (301, 308)
# Texts of App Service's front end for an app that is stopped, disabled or over its quota.
_STOPPED_TEXTS = (b"is stopped", b"is currently stopped", b"is disabled", b"quota")
_RESTRICTED_TEXTS = (
    b"ip forbidden",
    b"rbac: access denied",
    b"do not have permission to view this directory",
)


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes errors of one operation of one hub."""

    hub: str
    operation: str

    def of_status(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
        """Return the error for an answer with an unexpected status."""
        if status == HTTPStatus.UNAUTHORIZED:
            return self._unauthorized(headers, body)
        if status == HTTPStatus.FORBIDDEN:
            return self._forbidden(headers, body)
        if status == HTTPStatus.NOT_FOUND:
            return self._error(
                HubNotFound,
                ErrorKind.NOT_FOUND,
                "404, nothing answers at this address",
                "check url: the app's root, or a path that ends in /durabletask",
                status=status,
            )
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return self._unreachable(of_proxy_status(status))
        if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._transient(status, headers, body)
        return self._not_a_result(status, headers, body)

    def _transient(self, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
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
        hint = "check the app's log; its storage may be throttled or unreachable"
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            hint = "check the proxy or gateway in between: it did not pass the request on"
        return self._error(
            HubFailed,
            ErrorKind.SERVER,
            f"{status}{_exception_type(body)}",
            hint,
            status=status,
            retryable=True,
            retry_after=retry_after,
        )

    def of_exception(
        self, error: Exception, seconds: float, attempt: Attempt | None = None
    ) -> ApiError:
        """Return the error for a request without a complete answer within *seconds*."""
        attempt = attempt or Attempt()
        cause = cause_of(error, attempt, seconds)
        if attempt.server:
            cause = replace(
                cause,
                message=f"{attempt.server}: {cause.message}",
                hint=f"check the way to {attempt.server}: DNS, firewall, proxy, and "
                "discovery.azure.cloud",
            )
        if cause.kind is ErrorKind.PROTOCOL:
            return self.protocol(cause.message, hint=cause.hint, retryable=cause.retryable)
        return self._unreachable(cause)

    def protocol(
        self, message: str, *, hint: str = "", status: int | None = None, retryable: bool = False
    ) -> ProtocolError:
        """Return the error for an answer of another form than requested."""
        return self._error(
            ProtocolError,
            ErrorKind.PROTOCOL,
            message,
            hint or "check that url leads to the Durable Functions API and nothing rewrites it",
            status=status,
            retryable=retryable,
        )

    def history_refused(self) -> HistoryRefused:
        """Return the error for a history with two events of one key (reference 3.2)."""
        return self._error(
            HistoryRefused,
            ErrorKind.PROTOCOL,
            "400, the history of this instance cannot be shown",
            "most likely an activity was renamed while the instance was in flight: restart it",
            status=400,
        )

    def too_large(self, limit: int) -> ProtocolError:
        """Return the error for a body over *limit* bytes."""
        return self._error(
            ProtocolError,
            ErrorKind.TOO_LARGE,
            f"the answer is larger than {limit} bytes",
            "raise max_response_bytes for instances; a row of a list cannot be larger",
        )

    def too_large_together(self) -> ProtocolError:
        """Return the error for the largest body when all together exceed their budget."""
        return self._error(
            ProtocolError,
            ErrorKind.TOO_LARGE,
            "the largest of too many large answers at once",
            "lower page_bytes of this hub",
        )

    def truncated(self, message: str) -> ListingTruncated:
        """Return the error for a listing with too many pages."""
        hint = "raise max_pages, if the hub is that large"
        return self._error(ListingTruncated, ErrorKind.TOO_LARGE, message, hint)

    def over_budget(self) -> ListingTruncated:
        """Return the error for a listing cut off by the daily page budget."""
        hint = "raise max_pages_per_day, or the intervals of the sweeps"
        message = "today's page budget was spent before the end of the listing"
        return self._error(ListingTruncated, ErrorKind.TOO_LARGE, message, hint)

    def too_slow(
        self, message: str, hint: str = "raise timeouts.sweep, if the hub is that large"
    ) -> ListingTruncated:
        """Return the error for what was not done by its deadline."""
        return self._error(ListingTruncated, ErrorKind.TIMEOUT, message, hint)

    def dropped_filter(self, parameter: str) -> ProtocolError:
        """Return the error for rows that the filter *parameter* excludes."""
        return self.protocol(
            f"the answer has rows that the filter {parameter} excludes",
            hint="something between exporter and app drops or rewrites query parameters",
        )

    def azure_denied(self, message: str, hint: str, status: int | None = None) -> HubDenied:
        """Return the error for an identity without a token, or whose token is refused."""
        return self._error(HubDenied, ErrorKind.AZURE_AUTH, message, hint, status=status)

    def azure_throttled(self, retry_after: float | None) -> HubThrottled:
        """Return the error for a 429 of the Resource Manager."""
        return self._error(
            HubThrottled,
            ErrorKind.AZURE_THROTTLED,
            "429 from Azure's Resource Manager, not from the app",
            "raise intervals, lower discovery.azure.max_requests_per_hour, or read by key",
            status=429,
            retryable=True,
            retry_after=retry_after,
        )

    def azure_failed(self, message: str, hint: str, status: int, *, retryable: bool) -> HubFailed:
        """Return the error for any other failure of the Resource Manager."""
        return self._error(
            HubFailed, ErrorKind.AZURE_SERVER, message, hint, status=status, retryable=retryable
        )

    def _unauthorized(self, headers: Mapping[str, str], body: bytes) -> HubDenied:
        """
        Distinguish a refused key from authentication in front of the app.

        The host's own 401 has no body, and at most a bare challenge (reference 1.5).
        """
        scheme, _, parameters = headers.get("www-authenticate", "").strip().partition(" ")
        if body.strip() or parameters or scheme.lower() not in ("", "bearer"):
            return self._error(
                HubDenied,
                ErrorKind.AUTH,
                "401 from App Service authentication or a gateway in front, not for the key",
                "exempt /runtime/webhooks from it",
                status=401,
            )
        if scheme:
            return self._error(
                HubDenied,
                ErrorKind.AUTH,
                "401 with a challenge: the key is refused, or App Service authentication is on",
                f"exempt /runtime/webhooks from authentication, if it is on; else {_THE_KEY}",
                status=401,
            )
        return self._error(
            HubDenied, ErrorKind.AUTH, "401, the key is refused", _THE_KEY, status=401
        )

    def _forbidden(self, headers: Mapping[str, str], body: bytes) -> HubDenied:
        """Distinguish a stopped app, an access restriction, and a key of the wrong kind."""
        said = body.lower()
        if "x-ms-forbidden-ip" in headers or any(each in said for each in _RESTRICTED_TEXTS):
            return self._error(
                HubDenied,
                ErrorKind.RESTRICTED,
                "403, an access restriction keeps this address out",
                "allow this address in the access restrictions of the app, or use its private "
                "endpoint",
                status=403,
            )
        if any(each in said for each in _STOPPED_TEXTS):
            return self._error(
                HubDenied,
                ErrorKind.STOPPED,
                "403, the app is stopped or disabled",
                "start the app; if it is over a quota, wait or scale it up",
                status=403,
            )
        if body.strip():
            return self._error(
                HubDenied,
                ErrorKind.RESTRICTED,
                "403 from something in front of the API, not from the app",
                "a firewall, a gateway or an access restriction refuses this address",
                status=403,
            )
        return self._error(
            HubDenied,
            ErrorKind.AUTH,
            "403, the key is of the wrong kind",
            f"{_THE_KEY}; those of functions, host and other extensions are not it",
            status=403,
        )

    def _not_a_result(self, status: int, headers: Mapping[str, str], body: bytes) -> ProtocolError:
        if not HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return self.protocol(
                f"{status} instead of a result{_exception_type(body)}", status=status
            )
        is_to_tls = headers.get("location", "").lower().startswith("https://")
        if status in _PERMANENT_REDIRECTS and is_to_tls:
            return self.protocol(
                f"{status}, a redirect to https://, which is not followed",
                hint="use https:// in url",
                status=status,
            )
        return self.protocol(
            f"{status}, a redirect, which is never followed",
            hint="App Service authentication answers so: exempt /runtime/webhooks from it",
            status=status,
        )

    def _unreachable(self, cause: Cause) -> HubUnreachable:
        return self._error(
            HubUnreachable, cause.kind, cause.message, cause.hint, retryable=cause.retryable
        )

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
    Return the seconds of a `Retry-After` header, at most an hour; None if unusable.

    A time instead of seconds is compared with *date*, the answer's own `Date`.
    """
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_RETRY_AFTER)
    until, now = parse_http_date(text), parse_http_date(date)
    if until is None or now is None:
        return None
    return min(max(0.0, until - now), _LONGEST_RETRY_AFTER)


def parse_http_date(text: str | None) -> float | None:
    """Return a `Date` header as seconds since the epoch, None if unreadable."""
    if not text:
        return None
    try:
        moment: datetime = parsedate_to_datetime(text)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


class _ErrorObject(msgspec.Struct, rename="pascal"):
    exception_type: str = ""


def _exception_type(body: bytes) -> str:
    """Return the class of an error object (reference 1.7); its message may hold data."""
    try:
        name = msgspec.json.decode(body, type=_ErrorObject).exception_type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f", {name[:_LONGEST_EXCEPTION_NAME]}" if name else ""
