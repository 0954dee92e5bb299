"""
Errors of the client, by what the caller can do about them.

* ApiError
  - HubUnreachable    no answer came: try again later; name, network, TLS and proxy settings
  - HubDenied         key, access restriction or a stopped app: somebody must act
  - HubNotFound       nothing of the API answers at this address: fix the URL
  - HubThrottled      the app asks to slow down: try again after `retry_after`
  - HubFailed         the app answered with an error of its own: try again later, look at the app
  - ProtocolError     the answer is not what was asked for: never data
    - ListingTruncated  a listing did not end within its bounds
    - HistoryRefused    the app cannot show the history of this one instance: do without
"""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """Why a request failed, as spelled in the label `kind`."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    NAME = "name"
    TLS = "tls"
    PROXY = "proxy"
    AUTH = "auth"
    RESTRICTED = "restricted"
    STOPPED = "stopped"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    SERVER = "server"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    AZURE_AUTH = "azure_auth"
    AZURE_THROTTLED = "azure_throttled"
    AZURE_SERVER = "azure_server"


class ApiError(Exception):
    """
    A request to a hub failed, or one of discovery, which has no `hub`.

    `hint` says how to fix it in plain words; `retryable` whether the same request may succeed in
    a moment; `retry_after` how long the server asked to wait, in seconds, if it did. Kinds that
    begin with `azure_` are of Azure's Resource Manager or of the identity, not of the app.
    """

    def __init__(
        self,
        message: str,
        *,
        hub: str,
        operation: str,
        kind: ErrorKind,
        hint: str,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        where = f"hub {hub}: " if hub else ""
        super().__init__(f"{where}{operation}: {message}")
        self.reason = message
        self.hub = hub
        self.operation = operation
        self.kind = kind
        self.hint = hint
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


class HubUnreachable(ApiError):
    """No answer came."""


class HubDenied(ApiError):
    """The key was refused, or the app is stopped."""


class HubNotFound(ApiError):
    """Nothing of the API answers at this address."""


class HubThrottled(ApiError):
    """The app asks to slow down."""


class HubFailed(ApiError):
    """The app answered with an error of its own."""


class ProtocolError(ApiError):
    """The answer is not what was asked for."""


class HistoryRefused(ProtocolError):
    """The app cannot show the history of one instance, now or later."""


class ListingTruncated(ProtocolError):
    """A listing did not end within its bounds."""
