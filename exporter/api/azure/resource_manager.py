"""The Resource Manager of one cloud: requests with a token, and its own errors."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, TypeVar

import anyio
import httpx
import msgspec

from exporter.api.answers import Answer, BodyBudget, decode, read_body, read_explanation
from exporter.api.azure.identity import AzureIdentity
from exporter.api.classify import Failures, parse_retry_after
from exporter.api.connection_errors import TRANSPORT_ERRORS, Attempt
from exporter.api.errors import ApiError, HubThrottled
from exporter.api.keys import Field
from exporter.api.pacing import Budgets, RetryPolicy, priority
from exporter.api.transport import Connecting, HubConnections, connecting

Found = TypeVar("Found")

SERVER = "Azure's Resource Manager"
API_VERSION = "2023-12-01"
_LARGEST_BODY = 8 << 20
_SECONDS = 60.0
# Pause after a 429 without Retry-After.
_PAUSE_SECONDS = 30.0

# How it says that the host of an app does not run.
_HOST_DOWN = b"Encountered an error ("
_REMAINING = (
    "x-ms-ratelimit-remaining-subscription-reads",
    "x-ms-ratelimit-remaining-subscription-global-reads",
)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_UNKNOWN = "no code"


@dataclass(frozen=True, slots=True)
class ManagementRequest(Generic[Found]):
    """
    A request to the Resource Manager: `target` is a path with query, `kind` the type of its answer.

    It counts against the budget of a `subscription`. `hint` is the remedy for a missing right.
    """

    operation: str
    target: str
    kind: type[Found]
    hint: str
    subscription: str = ""
    method: str = "GET"
    content: bytes = b""


class ResourceManager:
    """
    Asks the Resource Manager at *base_url*.

    What it answers by itself is an `ApiError` of a kind `azure_*`; its 429 slows the requests for
    that subscription, and no others.
    """

    def __init__(
        self,
        base_url: str,
        *,
        identity: AzureIdentity,
        budgets: Budgets,
        http: HubConnections,
        bodies: BodyBudget,
        retry: RetryPolicy,
    ) -> None:
        self.base_url = base_url
        self._identity = identity
        self._budgets = budgets
        self._http = http
        self._bodies = bodies
        self._retry = retry
        self._token = ""

    async def admit(self, failures: Failures, subscription: str = "") -> Sequence[Field]:
        """
        Return the token's header field, once the budget of *subscription* allows a request.

        Raises:
            HubDenied: the identity gets no token.
        """
        self._token = await self._identity.token(failures)
        if subscription:
            await self._budgets.of(subscription).take(priority.get())
        return ((b"authorization", f"Bearer {self._token}".encode()),)

    def check(self, failures: Failures, answer: Answer, subscription: str, hint: str) -> None:
        """
        Apply the limits in *answer*; *hint* is the remedy for a missing right.

        Raises:
            ApiError: the answer is an error of the Resource Manager's own.
        """
        budget = self._budgets.of(subscription) if subscription else None
        remaining = _remaining_of(answer.headers)
        if budget is not None and remaining is not None:
            budget.note_remaining(remaining)
        code = _code_of(answer)
        is_counted = any(name in answer.headers for name in _REMAINING)
        if code is None and answer.status == HTTPStatus.TOO_MANY_REQUESTS and is_counted:
            code = "TooManyRequests"
        if code is None:
            return
        error = _error_of(failures, answer, code, hint)
        if budget is not None and isinstance(error, HubThrottled):
            budget.pause(error.retry_after or _PAUSE_SECONDS)
        raise error

    async def renew(self, failures: Failures) -> bool:
        """Get another token; True if it differs. Raises `HubDenied`."""
        refused = self._token
        await self._identity.renew(refused)
        return await self._identity.token(failures) != refused

    async def ask(self, hub: str, request: ManagementRequest[Found]) -> Found:
        """
        Return the answer to a request, for a *hub* or, if that is empty, for discovery.

        Raises:
            ApiError: there is none, or not of the right form.
        """
        failures = Failures(hub, request.operation)
        retries = 0
        is_fresh = False
        while True:
            fields = await self.admit(failures, request.subscription)
            try:
                answer = await self._send(failures, request, fields)
                self.check(failures, answer, request.subscription, request.hint)
                if answer.status == HTTPStatus.OK:
                    return decode(msgspec.json.Decoder(request.kind).decode, failures, answer)
                raise _not_a_result(failures, answer)
            except ApiError as error:
                if not is_fresh and error.status == HTTPStatus.UNAUTHORIZED:
                    is_fresh = True
                    if await self.renew(failures):
                        continue
                delay = self._retry.delay(error, retries, random.random)
                if delay is None:
                    raise
            retries += 1
            await anyio.sleep(delay)

    async def aclose(self) -> None:
        """Close the connections, not the identity."""
        await self._http.aclose()

    async def _send(
        self, failures: Failures, request: ManagementRequest[Found], fields: Sequence[Field]
    ) -> Answer:
        progress = Connecting()
        connecting.set(progress)
        started = anyio.current_time()
        failure: ApiError
        has_answered = False
        url = httpx.URL(f"{self.base_url}{request.target}")
        try:
            with anyio.fail_after(_SECONDS), self._bodies.body() as body:
                response = await self._http.request(request.method, url, fields, request.content)
                has_answered = True
                try:
                    if response.status_code == HTTPStatus.OK:
                        text = await read_body(response, _LARGEST_BODY, body, failures)
                    else:
                        text = await read_explanation(response, body, failures)
                finally:
                    await response.aclose()
            seconds = anyio.current_time() - started
            return Answer(response.status_code, response.headers, text, seconds)
        except TRANSPORT_ERRORS as error:
            attempt = Attempt(self._http.proxy, progress, has_answered, SERVER)
            failure = failures.of_exception(error, _SECONDS, attempt)
        # Not in the block: the library's exception, which shows the token, must not be its context.
        raise failure


def _not_a_result(failures: Failures, answer: Answer) -> ApiError:
    """Return the error for an answer that is neither a result nor an error of the usual form."""
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return failures.azure_throttled(_retry_after(answer.headers))
    return failures.azure_failed(
        f"{status} from Azure's Resource Manager",
        "check discovery.azure.cloud, and the proxy or gateway in between",
        status,
        retryable=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )


class _Error(msgspec.Struct):
    code: str = ""


class _Body(msgspec.Struct):
    """Errors in the usual form and in App Service's; those of apps have an `ExceptionType`."""

    error: _Error | None = None
    code: str = msgspec.field(name="Code", default="")
    exception_type: str = msgspec.field(name="ExceptionType", default="")


def _code_of(answer: Answer) -> str | None:
    """Return the code of the Resource Manager's own error; None if the answer is not one."""
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


def _error_of(failures: Failures, answer: Answer, code: str, hint: str) -> ApiError:
    """
    Return the error for the Resource Manager's own answer with a *code*.

    *hint* is the remedy for a missing right.
    """
    status = answer.status
    said = f"{status} from Azure's Resource Manager ({code}), not from the app"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return failures.azure_throttled(_retry_after(answer.headers))
    if status == HTTPStatus.UNAUTHORIZED:
        return failures.azure_denied(said, "check the tenant and cloud of the identity", status)
    if _HOST_DOWN in answer.body:
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


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds to wait: `Retry-After`, else until the quota is reset.

    Resource Graph says the latter in `x-ms-user-quota-resets-after`, as `hh:mm:ss`.
    """
    asked_for = parse_retry_after(headers.get("retry-after"), headers.get("date"))
    if asked_for is not None:
        return asked_for
    parts = headers.get("x-ms-user-quota-resets-after", "").split(":")
    if len(parts) != len(("hours", "minutes", "seconds")) or not all(map(str.isdecimal, parts)):
        return None
    hours, minutes, seconds = map(int, parts)
    return min(3600.0, 3600.0 * hours + 60.0 * minutes + seconds)


def _remaining_of(headers: Mapping[str, str]) -> int | None:
    """Return how many reads the subscription has left, None if not said."""
    said = (headers.get(name, "") for name in _REMAINING)
    return min((int(each) for each in said if each.isdecimal()), default=None)
