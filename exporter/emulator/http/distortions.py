"""What faults do to requests and answers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from exporter.emulator.errors import StorageRefused
from exporter.emulator.faults import Fault, FaultKind
from exporter.emulator.http import tokens
from exporter.emulator.http.messages import Answer, Request, error_answer
from exporter.emulator.version import ExtensionVersion

_PAGE = b"<!DOCTYPE html><html><head><title>%b</title></head><body><h1>%b</h1></body></html>"
_HTML = {"content-type": "text/html"}
_EVER_NEW = count(1)

Distortion = Callable[[Answer, ExtensionVersion], Answer]


def substitute(fault: Fault) -> Answer | None:
    """Return the answer that a fault gives in place of the right one; `None` if it gives none."""
    make = _SUBSTITUTES.get(fault.kind)
    return None if make is None else make(fault)


def distort_request(fault: Fault, request: Request) -> Request:
    """Return the request as the faulty server reads it."""
    if fault.kind is not FaultKind.DROPPED_FILTER:
        return request
    kept = request.parameters.without("runtimeStatus", "createdTimeFrom", "createdTimeTo")
    return replace(request, parameters=kept)


def distort_answer(fault: Fault, answer: Answer, version: ExtensionVersion) -> Answer:
    """Return what a fault leaves of the right answer of a version."""
    distort = _DISTORTIONS.get(fault.kind)
    return answer if distort is None else distort(answer, version)


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
    FaultKind.FORBIDDEN: lambda _: Answer(403),
    FaultKind.THROTTLED: _throttled,
    FaultKind.ERROR: lambda _: error_answer(StorageRefused()),
    FaultKind.UNAVAILABLE: lambda _: Answer(
        503, b"Function host is not running.", {"content-type": "text/plain"}
    ),
    FaultKind.HTML: lambda _: _page(200, b"Welcome"),
    FaultKind.REDIRECT: lambda _: Answer(302, headers={"location": "/login"}),
}


def _break_off(answer: Answer, _version: ExtensionVersion) -> Answer:
    return replace(answer, body=answer.body[:-1])


def _other_type(answer: Answer, _version: ExtensionVersion) -> Answer:
    is_array = answer.body.startswith(b"[")
    body = b'{"value":%b}' % answer.body if is_array else b"[%b]" % answer.body
    return replace(answer, body=body)


def _tokenised(token: Callable[[ExtensionVersion], str], body: bytes | None = None) -> Distortion:
    """Give every listing another token, and maybe another body."""

    def distort(answer: Answer, version: ExtensionVersion) -> Answer:
        if answer.token is None:
            return answer
        left = answer.body if body is None else body
        return replace(answer, body=left, token=token(version))

    return distort


_DISTORTIONS: Mapping[FaultKind, Distortion] = {
    FaultKind.MALFORMED: _break_off,
    FaultKind.WRONG_TYPE: _other_type,
    FaultKind.ENDLESS_TOKEN: _tokenised(
        lambda version: tokens.encode(f"~{next(_EVER_NEW)}", version), b"[]"
    ),
    FaultKind.REPEATED_TOKEN: _tokenised(lambda version: tokens.encode("~", version)),
    FaultKind.SILENT_END: _tokenised(lambda _: ""),
}
