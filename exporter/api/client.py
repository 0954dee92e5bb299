"""The client of one task hub: listings of instances and entities, single instances; read-only."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import anyio
import httpx

from exporter.api.answers import (
    NEXT_PAGE,
    Answer,
    BodyBudget,
    Exchange,
    decode,
    decode_status,
    read_body,
    read_explanation,
)
from exporter.api.classify import Failures
from exporter.api.connection_errors import TRANSPORT_ERRORS, Attempt
from exporter.api.errors import ApiError, ErrorKind, HubDenied
from exporter.api.keys import KeySource
from exporter.api.listing import Cursor, Page, PageSize
from exporter.api.pacing import HubSlots, RequestRate, RetryPolicy
from exporter.api.query import (
    Decoder,
    EntityQuery,
    HubAddress,
    InstanceQuery,
    encode_id,
)
from exporter.api.telemetry import GET_INSTANCE, NO_ANSWER, ApiTelemetry
from exporter.api.transport import Connecting, HubConnections, connecting
from exporter.api.wire import EntityRow, InstanceRow, InstanceStatus, bounded_row
from exporter.settings import HUB_DEFAULTS

Row = TypeVar("Row")
Result = TypeVar("Result")

# An active instance has 202, and 500 can carry an instance, too.
_WITH_INSTANCE = (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.INTERNAL_SERVER_ERROR)
# Bytes of a page, whatever the limit for a single instance.
LARGEST_LIST = 8 << 20


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """
    Bounds of requests: `timeout` in seconds, rows per page, pages per listing, bytes of a body.

    `page_bytes` is the size to aim at for a page, `list_bytes` its limit, `instance_bytes` that of
    a single instance with its history.
    """

    timeout: float
    page_size: int
    max_pages: int
    page_bytes: int = HUB_DEFAULTS.page_bytes
    list_bytes: int = LARGEST_LIST
    instance_bytes: int = HUB_DEFAULTS.max_response_bytes
    requests_per_second: float = HUB_DEFAULTS.max_requests_per_second


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Row]):
    """What listings of one kind share."""

    size: PageSize
    decoder: Decoder[Row]


class HubClient:
    """
    Requests to one task hub.

    Each has a deadline, bounded retries and a slot of its host; the key is sent in a header only.
    Failures are an `ApiError`. *observer* is called with each exchange.
    """

    def __init__(
        self,
        hub: str,
        address: HubAddress,
        *,
        http: HubConnections,
        key: KeySource,
        retry: RetryPolicy,
        limits: RequestLimits,
        host: HubSlots,
        bodies: BodyBudget,
        jitter: Callable[[], float] = random.random,
        observer: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.hub = hub
        self.telemetry = ApiTelemetry()
        self._address = address
        self._http = http
        self._key = key
        self._retry = retry
        self._limits = limits
        self._host = host
        self._bodies = bodies
        self._rate = RequestRate(limits.requests_per_second)
        self._jitter = jitter
        self._note_exchange = observer
        self._kinds: dict[str, _Kind[Any]] = {}
        self._row_bytes: dict[str, float] = {}
        self._url: tuple[object, httpx.URL] = (None, httpx.URL())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def row_bytes(self) -> dict[str, float]:
        """Bytes of the largest rows, by kind of listing."""
        known = {kind: each.size.known for kind, each in self._kinds.items()}
        return {**self._row_bytes, **{kind: size for kind, size in known.items() if size}}

    def expect_row_bytes(self, row_bytes: Mapping[str, float]) -> None:
        """Begin listings with pages that suit rows of an earlier run."""
        self._row_bytes = {kind: size for kind, size in row_bytes.items() if 0 < size < math.inf}

    def reread_key(self) -> bool:
        """Read the key again; True if it changed."""
        return self._key.reread()

    def list_instances(
        self, query: InstanceQuery, prefixes: Sequence[str] = ()
    ) -> Cursor[InstanceRow]:
        """
        Return a listing of the instances that match *query*, entities included.

        With *prefixes*, of those whose ids begin with one, prefix by prefix.
        """
        queries = [replace(query, id_prefix=prefix) for prefix in prefixes] or [query]
        return Cursor(queries)

    def list_entities(self, *entities: str) -> Cursor[EntityRow]:
        """Return a listing of all entities, or of some classes."""
        return Cursor([EntityQuery(entity) for entity in entities or ("",)])

    async def pages(
        self, cursor: Cursor[Row], goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[Page[Row], None]:
        """
        Yield pages from *cursor* on: one, and more while *goes_on* returns true.

        The next page is requested while one is used, so its rows may be as old as that. A caller
        that stops early has to close the generator.

        Raises:
            ApiError: the page at the cursor could not be read; it can be requested again.
            ListingTruncated: the listing has more than `max_pages` pages.
        """
        kind = self._kind_of(cursor)
        size = kind.size
        cursor.page_size = cursor.page_size or size.begin()
        ahead: asyncio.Task[Answer] | None = None
        try:
            while not cursor.finished:
                failures = Failures(self.hub, cursor.query.operation)
                if cursor.pages >= self._limits.max_pages:
                    error = failures.truncated(f"the list has more than {cursor.pages} pages")
                    self.telemetry.errors[error.operation, error.kind] += 1
                    raise error
                first, ahead = ahead, None
                try:
                    rows, answer = await self._request(
                        failures,
                        partial(self._list_once, failures, cursor),
                        partial(_checked_page, failures, cursor, kind.decoder),
                        first,
                    )
                except ApiError as error:
                    if error.kind is not ErrorKind.TOO_LARGE or cursor.page_size == 1:
                        raise
                    cursor.page_size = size.shrink(cursor.page_size, self._limits.list_bytes)
                    continue
                size.note_page(len(rows), len(answer.body))
                if cursor.may_restart(answer.token) and size.may_grow(cursor.page_size):
                    cursor.restart(size.begin())
                    continue
                kept, ids = cursor.query.bounded(rows)
                fresh, ids = cursor.unseen.of(kept, ids)
                cursor.advance(answer.token, is_empty=not rows)
                is_wanted = not cursor.finished and goes_on()
                if is_wanted and cursor.pages < self._limits.max_pages:
                    ahead = asyncio.create_task(self._list_once(failures, cursor))
                    # Sends the request before the page is used.
                    await asyncio.sleep(0)
                yield Page(fresh, ids, answer.date, answer.seconds, len(rows) - len(kept))
                if not is_wanted:
                    return
        finally:
            if ahead is not None:
                ahead.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.gather(ahead, return_exceptions=True)

    def _kind_of(self, cursor: Cursor[Row]) -> _Kind[Row]:
        """Return what listings such as that of *cursor* share: all its queries are of one kind."""
        kind = self._kinds.get(cursor.query.kind)
        if kind is None:
            known = self._row_bytes.get(cursor.query.kind, 0.0)
            size = PageSize(self._limits.page_size, self._limits.page_bytes, known)
            kind = self._kinds[cursor.query.kind] = _Kind(size, cursor.query.decoder())
        return kind

    async def find_instance(
        self, instance_id: str, seen: Callable[[Page[InstanceRow]], object]
    ) -> InstanceRow | None:
        """
        Return the row of an id from a listing by prefix, None if it has none.

        This also finds instances that cannot be read. *seen* is called with each page.
        """
        cursor = self.list_instances(InstanceQuery(id_prefix=instance_id))
        async with aclosing(self.pages(cursor)) as pages:
            async for page in pages:
                seen(page)
                for row in page.rows:
                    if row.instance_id == instance_id:
                        return row
        return None

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        """
        Return one instance by its id; None if the server answers 404.

        That is weak evidence: a restarting host does so, too (reference 1.6).
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
        url = self._address.url(f"instances/{segment}", parameters)
        failures = Failures(self.hub, GET_INSTANCE)
        limit = self._limits.instance_bytes
        found = await self._request(
            failures,
            partial(self._attempt, failures, url, b"", limit, _WITH_INSTANCE),
            partial(decode_status, failures, instance_id=instance_id, history=history),
        )
        return found and bounded_row(found)

    async def _request(
        self,
        failures: Failures,
        attempt: Callable[[], Awaitable[Answer]],
        interpret: Callable[[Answer], Result],
        first: Awaitable[Answer] | None = None,
    ) -> Result:
        """
        Attempt until the answer is good, retries are used up, or waiting would miss the deadline.

        *first* is an attempt already in flight.
        """
        operation = failures.operation
        retries = 0
        key_is_fresh = False
        while True:
            try:
                return interpret(await (first or attempt()))
            except ApiError as error:
                first = None
                self.telemetry.errors[operation, error.kind] += 1
                if isinstance(error, HubDenied) and not key_is_fresh:
                    key_is_fresh = True
                    if await self._key.renew(failures, error):
                        continue
                delay = self._retry.delay(error, retries, self._jitter)
                deadline = anyio.current_effective_deadline()
                if delay is None or anyio.current_time() + delay >= deadline:
                    raise
            retries += 1
            self.telemetry.retries[operation] += 1
            await anyio.sleep(delay)

    def _list_once(self, failures: Failures, cursor: Cursor[Row]) -> Coroutine[None, None, Answer]:
        """Attempt once to get the page at *cursor*."""
        # Cached for all pages of a listing: expensive to make.
        known, url = self._url
        query, page_size = cursor.query, cursor.page_size
        if known != (query, page_size):
            url = self._address.url(query.path, query.parameters(page_size))
            self._url = ((query, page_size), url)
        limit = self._limits.list_bytes
        return self._attempt(failures, url, cursor.token, limit, (HTTPStatus.OK,))

    async def _attempt(
        self, failures: Failures, url: httpx.URL, token: bytes, limit: int, with_data: Sequence[int]
    ) -> Answer:
        """
        Request *url* once.

        A body has at most *limit* bytes if its status is one *with_data*; of others only the
        beginning is read.
        """
        await self._rate.take()
        key = await self._key.admit(failures)
        await self._host.take()
        started = anyio.current_time()
        code, size = NO_ANSWER, 0
        failure: ApiError
        progress = Connecting()
        connecting.set(progress)
        answer, kind = None, None
        try:
            with anyio.fail_after(self._limits.timeout), self._bodies.body() as body:
                fields = (*key, (NEXT_PAGE, token)) if token else key
                response = await self._http.request("GET", url, fields)
                code = str(response.status_code)
                try:
                    if response.status_code in with_data:
                        content = await read_body(response, limit, body, failures)
                    else:
                        content = await read_explanation(response, body, failures)
                finally:
                    await response.aclose()
                size = len(content)
                seconds = anyio.current_time() - started
                answer = Answer(response.status_code, response.headers, content, seconds)
                self._key.check(failures, answer)
                return answer
        except TRANSPORT_ERRORS as error:
            has_answered = code != NO_ANSWER
            attempt = Attempt(self._http.proxy, progress, has_answered, self._key.server)
            failure = failures.of_exception(error, self._limits.timeout, attempt)
            kind = failure.kind
        except ApiError as error:
            kind = error.kind
            raise
        finally:
            self._host.give_back()
            seconds = anyio.current_time() - started
            self.telemetry.attempt(failures.operation, code, seconds, size)
            if self._note_exchange is not None and (answer or kind):
                status = None if code == NO_ANSWER else int(code)
                target = self._address.target(url)
                self._note_exchange(Exchange(target, token, answer, kind, status))
        # Not in the block: the library's exception, which shows the key, must not be its context.
        raise failure


def _checked_page(
    failures: Failures, cursor: Cursor[Row], decoder: Decoder[Row], answer: Answer
) -> tuple[list[Row], Answer]:
    """Return the rows of the page at *cursor*, and the answer that they are from."""
    if answer.status != HTTPStatus.OK:
        raise failures.of_status(answer.status, answer.headers, answer.body)
    rows = decode(decoder.decode, failures, answer)
    if dropped := cursor.query.violation(rows):
        raise failures.dropped_filter(dropped)
    token = answer.token
    try:
        # The HTTP library sends only such text byte for byte.
        token.decode()
    except UnicodeDecodeError:
        raise failures.protocol("the token of the next page cannot be sent back") from None
    if cursor.came_before(token):
        raise failures.protocol("the listing repeats a continuation token")
    return rows, answer
