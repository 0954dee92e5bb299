"""What the Resource Manager answers by itself, told apart from what an app answers through it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from exporter.api.answers import Answer
from exporter.api.classify import Failures, parse_retry_after
from exporter.api.errors import ApiError

# What it says where the host of an app does not run.
HOST_DOWN = b"Encountered an error ("
REMAINING = (
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-global-reads",
)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_UNKNOWN = "no code"


class _Error(msgspec.Struct):
    code: str = ""


class _Body(msgspec.Struct):
    """The usual form, and the one of App Service; an app's own errors have an `ExceptionType`."""

    error: _Error | None = None
    code: str = msgspec.field(name="Code", default="")
    exception_type: str = msgspec.field(name="ExceptionType", default="")


def code_of(answer: Answer) -> str | None:
    """Return the code of an error of the Resource Manager, None where it is none of its own."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return None
    try:
        body = msgspec.json.decode(answer.body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if body.exception_type or (body.error is None and not body.code):
        return None
    code = body.error.code if body.error is not None else body.code
    return code if _NAME.fullmatch(code) else _UNKNOWN


def error_of(failures: Failures, answer: Answer, code: str, hint: str) -> ApiError:
    """
    Return the error for an answer of the Resource Manager with a *code*.

    *hint* is what to do where the identity lacks a right.
    """
    status = answer.status
    said = f"{status} from Azure's Resource Manager ({code}), not from the app"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return failures.azure_throttled(retry_after(answer.headers))
    if status == HTTPStatus.UNAUTHORIZED:
        return failures.azure_denied(said, "check the tenant and cloud of the identity", status)
    if HOST_DOWN in answer.body:
        return failures.azure_failed(
            f"{status} from Azure: the app's host does not answer ({code})",
            "start the app, if it is stopped; else look at its own log",
            status,
            retryable=False,
        )
    if status == HTTPStatus.FORBIDDEN:
        return failures.azure_denied(said, hint, status)
    if status == HTTPStatus.NOT_FOUND:
        return failures.azure_failed(
            said, "check resource_id: the app was deleted or moved", status, retryable=False
        )
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return failures.azure_failed(said, "look at Azure's status page", status, retryable=may_pass)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds that the answer asks to wait: `Retry-After`, else when the quota is reset.

    The latter is `x-ms-user-quota-resets-after` of Resource Graph, as `hh:mm:ss`.
    """
    asked_for = parse_retry_after(headers.get("retry-after"), headers.get("date"))
    if asked_for is not None:
        return asked_for
    parts = headers.get("x-ms-user-quota-resets-after", "").split(":")
    if len(parts) != len(("hours", "minutes", "seconds")) or not all(map(str.isdecimal, parts)):
        return None
    hours, minutes, seconds = map(int, parts)
    return min(3600.0, 3600.0 * hours + 60.0 * minutes + seconds)


def remaining_of(headers: Mapping[str, str]) -> int | None:
    """Return how many reads the subscription has left, None where the answer does not say."""
    said = (headers.get(name, "") for name in REMAINING)
    return min((int(each) for each in said if each.isdecimal()), default=None)
