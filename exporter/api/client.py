"""The client of one task hub: lists of instances and entities, and single instances, read-only."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from operator import attrgetter
from typing import TypeVar
from urllib.parse import quote

import anyio
import httpx
import msgspec

from exporter.api.classify import Failures, parse_http_date
from exporter.api.errors import ApiError, HubDenied, ListingTruncated
from exporter.api.keys import KeySource
from exporter.api.listing import Listing, Page
from exporter.api.query import HubAddress, InstanceQuery, encode_id
from exporter.api.retries import RetryPolicy
from exporter.api.telemetry import NO_ANSWER, ApiTelemetry
from exporter.api.wire import EntityRow, InstanceRow, InstanceStatus

LIST_INSTANCES = "listInstances"
LIST_ENTITIES = "listEntities"
GET_INSTANCE = "getInstanceStatus"
OPERATIONS = (LIST_INSTANCES, LIST_ENTITIES, GET_INSTANCE)
TOKEN_HEADER = b"x-ms-continuation-token"

Result = TypeVar("Result")

_INSTANCES = msgspec.json.Decoder(list[InstanceRow])
_ENTITIES = msgspec.json.Decoder(list[EntityRow])
_INSTANCE = msgspec.json.Decoder(InstanceStatus)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Bounds of requests: seconds for one, bytes of one body, rows of a page, pages of a list."""

    timeout: float
    max_bytes: int
    page_size: int
    max_pages: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes
    seconds: float

    @property
    def token(self) -> bytes:
        for name, value in self.headers.raw:
            if name.lower() == TOKEN_HEADER:
                return value.strip()
        return b""

    @property
    def date(self) -> float | None:
        return parse_http_date(self.headers.get("date"))


class HubClient:
    """
    Asks one task hub.

    Every request has a deadline, a bounded number of retries and a slot of its host; the key
    travels in a header only. What fails is an `ApiError`.
    """

    def __init__(
        self,
        hub: str,
        address: HubAddress,
        *,
        http: httpx.AsyncClient,
        key: KeySource,
        retry: RetryPolicy,
        limits: RequestLimits,
        host: anyio.CapacityLimiter,
        telemetry: ApiTelemetry,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.hub = hub
        self.telemetry = telemetry
        self._address = address
        self._http = http
        self._key = key
        self._retry = retry
        self._limits = limits
        self._host = host
        self._jitter = jitter

    def reread_key(self) -> bool:
        """Read the key anew; True if it changed."""
        return self._key.reread()

    def list_instances(self, query: InstanceQuery) -> Listing[InstanceRow]:
        """Start to list the instances that match *query*, entities among them."""
        url = httpx.URL(self._address.url("instances", query.parameters(self._limits.page_size)))

        def rows(failures: Failures, answer: _Answer) -> list[InstanceRow]:
            decoded = _decode(_INSTANCES, failures, answer)
            dropped = query.violation(decoded)
            if dropped:
                raise failures.dropped_filter(dropped)
            return decoded

        return self._listing(LIST_INSTANCES, url, rows, attrgetter("instance_id"))

    def list_entities(self, entity: str = "") -> Listing[EntityRow]:
        """Start to list all entities, or those of the class *entity*."""
        path = f"entities/{quote(entity, safe='')}" if entity else "entities"
        url = httpx.URL(self._address.url(path, [("top", str(self._limits.page_size))]))

        def rows(failures: Failures, answer: _Answer) -> list[EntityRow]:
            decoded = _decode(_ENTITIES, failures, answer)
            if entity and any(row.entity_id.name.lower() != entity.lower() for row in decoded):
                raise failures.protocol(f"the answer has entities of another class than {entity}")
            return decoded

        return self._listing(LIST_ENTITIES, url, rows, _entity_key)

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        """
        Read one instance by its id; None where the server says that there is none.

        One 404 is weak evidence: a host that restarts answers so too (reference 1.6).
        """
        found = await self._read(encode_id(instance_id), instance_id, history, inputs)
        if found is None and any(sign in instance_id for sign in "+%"):
            return await self._read(
                encode_id(instance_id, twice=True), instance_id, history, inputs
            )
        return found

    async def _read(
        self, segment: str, instance_id: str, history: bool, inputs: bool
    ) -> InstanceStatus | None:
        parameters = [("showInput", str(inputs).lower())]
        if history:
            parameters.append(("showHistory", "true"))
        url = httpx.URL(self._address.url(f"instances/{segment}", parameters))

        def interpret(failures: Failures, answer: _Answer) -> InstanceStatus | None:
            if answer.status == HTTPStatus.NOT_FOUND and not answer.body.strip():
                return None
            return _decode_status(failures, answer, instance_id)

        return await self._request(GET_INSTANCE, url, b"", interpret)

    def _listing(
        self,
        operation: str,
        url: httpx.URL,
        rows_of: Callable[[Failures, _Answer], list[Result]],
        id_of: Callable[[Result], str],
    ) -> Listing[Result]:
        def page_of(failures: Failures, answer: _Answer) -> Page[Result]:
            if answer.status != HTTPStatus.OK:
                raise failures.of_status(answer.status, answer.headers, answer.body)
            rows = rows_of(failures, answer)
            return Page(rows, answer.token, answer.date, answer.seconds, len(answer.body))

        async def fetch(token: bytes) -> Page[Result]:
            return await self._request(operation, url, token, page_of)

        def truncated(message: str) -> ListingTruncated:
            error = Failures(self.hub, operation).truncated(message)
            self.telemetry.errors[operation, error.kind] += 1
            return error

        return Listing(fetch, id_of, max_pages=self._limits.max_pages, truncated=truncated)

    async def _request(
        self,
        operation: str,
        url: httpx.URL,
        token: bytes,
        interpret: Callable[[Failures, _Answer], Result],
    ) -> Result:
        """Ask until the answer is good, retries are used up, or waiting would miss the deadline."""
        failures = Failures(self.hub, operation)
        retries = 0
        key_is_fresh = False
        while True:
            try:
                return interpret(failures, await self._attempt(failures, url, token))
            except ApiError as error:
                self.telemetry.errors[operation, error.kind] += 1
                if isinstance(error, HubDenied) and not key_is_fresh and self._key.reread():
                    key_is_fresh = True
                    continue
                delay = self._retry.delay(error, retries, self._jitter)
                if delay is None or not _within_deadline(delay):
                    raise
            retries += 1
            self.telemetry.retries[operation] += 1
            await anyio.sleep(delay)

    async def _attempt(self, failures: Failures, url: httpx.URL, token: bytes) -> _Answer:
        async with self._host:
            started = anyio.current_time()
            code, size = NO_ANSWER, 0
            try:
                with anyio.fail_after(self._limits.timeout):
                    async with self._http.stream(
                        "GET", url, headers=self._headers(token), follow_redirects=False
                    ) as response:
                        code = str(response.status_code)
                        body = await self._body(failures, response)
                        size = len(body)
            except (httpx.HTTPError, TimeoutError) as error:
                raise failures.of_exception(error, self._limits.timeout) from error
            finally:
                seconds = anyio.current_time() - started
                self.telemetry.attempt(failures.operation, code, seconds, size)
            return _Answer(response.status_code, response.headers, body, seconds)

    async def _body(self, failures: Failures, response: httpx.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._limits.max_bytes:
                raise failures.too_large(self._limits.max_bytes)
            chunks.append(chunk)
        return b"".join(chunks)

    def _headers(self, token: bytes) -> list[tuple[bytes, bytes]]:
        headers = [(b"accept", b"application/json"), (b"accept-encoding", b"identity")]
        key = self._key.current()
        if key is not None:
            headers.append((b"x-functions-key", key.encode("latin-1")))
        if token:
            headers.append((TOKEN_HEADER, token))
        return headers


def _decode(decoder: msgspec.json.Decoder[Result], failures: Failures, answer: _Answer) -> Result:
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise failures.protocol(
            f"the answer is not the JSON that was asked for ({answer.headers.get('content-type')})",
            status=answer.status,
        ) from error


def _decode_status(failures: Failures, answer: _Answer, instance_id: str) -> InstanceStatus:
    """Branch on the body: 202 is an active instance, 500 can carry a status too (reference 3.2)."""
    usual = answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
    if not usual and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        raise failures.of_status(answer.status, answer.headers, answer.body)
    try:
        status = _decode(_INSTANCE, failures, answer)
    except ApiError:
        if usual:
            raise
        raise failures.of_status(answer.status, answer.headers, answer.body) from None
    if status.instance_id != instance_id:
        raise failures.protocol("the answer is about another instance", status=answer.status)
    return status


def _entity_key(row: EntityRow) -> str:
    return f"@{row.entity_id.name}@{row.entity_id.key}"


def _within_deadline(delay: float) -> bool:
    return anyio.current_time() + delay < anyio.current_effective_deadline()
