"""What faults change in requests and answers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from emulator.api import StorageRefused
from emulator.faults import Fault, FaultKind
from emulator.http.messages import Answer, Request, error_answer

_PAGE = b"<!DOCTYPE html><html><head><title>%b</title></head><body><h1>%b</h1></body></html>"
_HTML = {"content-type": "text/html"}
_EVER_NEW = count(1)
_RESTRICTED = Answer(
    403, b"Ip Forbidden", {"content-type": "text/plain", "x-ms-forbidden-ip": "203.0.113.7"}
)
_NOT_RUNNING = Answer(503, b"Function host is not running.", {"content-type": "text/plain"})

EndlessToken = Callable[[int], str]
"""Returns a token behind the last row, another one per number."""


def substitute(fault: Fault) -> Answer | None:
    """Return the answer that a fault gives instead, if any."""
    make = _SUBSTITUTES.get(fault.kind)
    return None if make is None else make(fault)


def distort_request(fault: Fault, request: Request) -> Request:
    """Return the request as a faulty server reads it."""
    if fault.kind is not FaultKind.DROPPED_FILTER:
        return request
    kept = request.parameters.without("runtimeStatus", "createdTimeFrom", "createdTimeTo")
    return replace(request, parameters=kept)


def distort_answer(fault: Fault, answer: Answer, token: EndlessToken) -> Answer:
    """Return the usual answer as a fault changes it."""
    distort = _DISTORTIONS.get(fault.kind)
    return answer if distort is None else distort(answer, token)


def _throttled(fault: Fault) -> Answer:
    headers = {"x-function-scaleout": "1"}
    if fault.seconds is not None:
        headers["retry-after"] = f"{fault.seconds:.0f}"
    return Answer(429, headers=headers)


def _page(status: int, title: bytes) -> Answer:
    return Answer(status, _PAGE % (title, title), _HTML)


_SUBSTITUTES: Mapping[FaultKind, Callable[[Fault], Answer]] = {
    FaultKind.UNAUTHORIZED: lambda _: Answer(401, headers={"www-authenticate": "Bearer"}),
    FaultKind.STOPPED: lambda _: _page(403, b"Error 403 - This web app is stopped."),
    FaultKind.RESTRICTED: lambda _: _RESTRICTED,
    FaultKind.FORBIDDEN: lambda _: Answer(403),
    FaultKind.THROTTLED: _throttled,
    FaultKind.ERROR: lambda _: error_answer(StorageRefused()),
    FaultKind.ERROR_WITHOUT_BODY: lambda _: Answer(500),
    FaultKind.UNAVAILABLE: lambda _: _NOT_RUNNING,
    FaultKind.STARTING: lambda _: _NOT_RUNNING,
    FaultKind.HTML: lambda _: _page(200, b"Welcome"),
    FaultKind.REDIRECT: lambda _: Answer(302, headers={"location": "/login"}),
}


def _break_off(answer: Answer, _token: EndlessToken) -> Answer:
    return replace(answer, body=answer.body[:-1])


def _other_type(answer: Answer, _token: EndlessToken) -> Answer:
    is_array = answer.body.startswith(b"[")
    body = b'{"value":%b}' % answer.body if is_array else b"[%b]" % answer.body
    return replace(answer, body=body)


def _endless(answer: Answer, token: EndlessToken) -> Answer:
    return _tokenised(answer, token(next(_EVER_NEW)), b"[]")


def _repeated(answer: Answer, token: EndlessToken) -> Answer:
    return _tokenised(answer, token(0), answer.body)


def _ended(answer: Answer, _token: EndlessToken) -> Answer:
    return _tokenised(answer, "", answer.body)


def _tokenised(answer: Answer, token: str, body: bytes) -> Answer:
    """Give a listing another token; leave other answers."""
    return answer if answer.token is None else replace(answer, body=body, token=token)


def _as_error(answer: Answer, _token: EndlessToken) -> Answer:
    return replace(answer, status=500)


_DISTORTIONS: Mapping[FaultKind, Callable[[Answer, EndlessToken], Answer]] = {
    FaultKind.ERROR_WITH_BODY: _as_error,
    FaultKind.MALFORMED: _break_off,
    FaultKind.WRONG_TYPE: _other_type,
    FaultKind.ENDLESS_TOKEN: _endless,
    FaultKind.REPEATED_TOKEN: _repeated,
    FaultKind.SILENT_END: _ended,
}
