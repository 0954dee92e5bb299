"""What came back for one request, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from exporter.api.classify import Failures, parse_http_date
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.wire import InstanceStatus

NEXT_PAGE = b"x-ms-continuation-token"

Decoded = TypeVar("Decoded")

# Two events of the history have one key, as after an activity was renamed (reference 3.2).
_SAME_KEY = b"same key has already been added"
_INSTANCE = msgspec.json.Decoder(InstanceStatus)
# One text a second, which every page of a second has.
_seconds_of = lru_cache(maxsize=8)(parse_http_date)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; *seconds* is the time from the request to its end."""

    status: int
    headers: httpx.Headers
    body: bytes
    seconds: float

    @property
    def token(self) -> bytes:
        """The token of the next page, byte for byte, empty if there is none."""
        found = (value for name, value in self.headers.raw if name.lower() == NEXT_PAGE)
        return next(found, b"").strip(b" \t")

    @property
    def date(self) -> float | None:
        """The server's clock, None where it sent none."""
        return _seconds_of(self.headers.get("date"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request and what came of it, without the header fields that were sent.

    `target` is the path and query below the base URL, `token` that of the page that was asked for.
    Without an `answer`, `error` says why the request failed, and `status` what came before that.
    """

    target: str
    token: bytes
    answer: Answer | None = None
    error: ErrorKind | None = None
    status: int | None = None


def decode(read: Callable[[bytes], Decoded], failures: Failures, answer: Answer) -> Decoded:
    """Read the body; raises `ProtocolError` if it is not what was asked for."""
    try:
        return read(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise failures.protocol(
            f"the answer is not the JSON that was asked for ({answer.headers.get('content-type')})",
            status=answer.status,
        ) from error


def decode_status(
    failures: Failures, answer: Answer, instance_id: str, *, history: bool = False
) -> InstanceStatus | None:
    """
    Read the status of one instance, None where the server says that there is none.

    Raises `HistoryRefused` where its *history* was asked for and cannot be had.

    Branches on the body: 202 is an active instance, 500 can carry a status too (reference 3.2).
    """
    if answer.status == HTTPStatus.NOT_FOUND and not answer.body.strip():
        return None
    if history and answer.status == HTTPStatus.BAD_REQUEST and _SAME_KEY in answer.body:
        raise failures.history_refused()
    usual = answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
    if not usual and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        raise failures.of_status(answer.status, answer.headers, answer.body)
    try:
        status = decode(_INSTANCE.decode, failures, answer)
    except ApiError:
        if usual:
            raise
        raise failures.of_status(answer.status, answer.headers, answer.body) from None
    if status.instance_id != instance_id:
        raise failures.protocol("the answer is about another instance", status=answer.status)
    return status
