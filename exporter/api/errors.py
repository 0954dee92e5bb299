"""
Errors of the client, by their remedy.

* ApiError
  - HubUnreachable    no answer: retry later; check name, network, TLS and proxy settings
  - HubDenied         key refused, access restricted or app stopped: somebody must act
  - HubNotFound       no API at this address: fix the URL
  - HubThrottled      the app is overloaded: retry after `retry_after`
  - HubFailed         an error of the app's own: retry later, check the app
  - ProtocolError     an answer of another form than requested: never data
    - ListingTruncated  a listing exceeded its bounds
    - HistoryRefused    the app cannot show the history of this one instance
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

    `hint` is the remedy; `retryable` says whether the same request may succeed in a moment;
    `retry_after` is the server's, in seconds. Kinds that begin with `azure_` come from Azure's
    Resource Manager or the identity, not from the app.
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
    """There is no answer."""


class HubDenied(ApiError):
    """The key was refused, or the app is stopped."""


class HubNotFound(ApiError):
    """There is no API at this address."""


class HubThrottled(ApiError):
    """The app is overloaded."""


class HubFailed(ApiError):
    """The app answered with its own error."""


class ProtocolError(ApiError):
    """The answer has another form than requested."""


class HistoryRefused(ProtocolError):
    """The app can never show the history of this instance."""


class ListingTruncated(ProtocolError):
    """A listing exceeded its bounds."""
