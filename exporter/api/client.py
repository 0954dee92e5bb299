"""The client of one task hub: lists of instances and entities, and single instances, read-only."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
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
from exporter.api.connection_errors import TRANSPORT_ERRORS, Way
from exporter.api.errors import ApiError, ErrorKind, HubDenied
from exporter.api.keys import Field, KeySource
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

# The status of one instance comes with 202 while it is active, and can come with 500.
_WITH_INSTANCE = (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.INTERNAL_SERVER_ERROR)


# Bytes of a page of a list, however much an instance may have.
LARGEST_LIST = 8 << 20


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """
    Bounds of requests: seconds for one, rows of a page, pages of a list, bytes of one body.

    `page_bytes` is how large a page should be at most: where rows are large, fewer are asked for.
    `list_bytes` bounds a page, `instance_bytes` a single instance, with its history.
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
    """What is known of lists whose rows are alike."""

    size: PageSize
    decoder: Decoder[Row]


class HubClient:
    """
    Asks one task hub.

    Every request has a deadline, a bounded number of retries and a slot of its host; the key
    travels in a header only. What fails is an `ApiError`. Each exchange is told to *observer*.
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
        telemetry: ApiTelemetry,
        jitter: Callable[[], float] = random.random,
        observer: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.hub = hub
        self.telemetry = telemetry
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
        """How large the largest rows are, by what lists with such rows have in common."""
        known = {kind: each.size.known for kind, each in self._kinds.items()}
        return {**self._row_bytes, **{kind: size for kind, size in known.items() if size}}

    def expect_row_bytes(self, row_bytes: Mapping[str, float]) -> None:
        """Begin lists with pages that suit rows as large as they were once."""
        self._row_bytes = {kind: size for kind, size in row_bytes.items() if 0 < size < math.inf}

    def reread_key(self) -> bool:
        """Read the key anew; True if it changed."""
        return self._key.reread()

    def list_instances(
        self, query: InstanceQuery, prefixes: Sequence[str] = ()
    ) -> Cursor[InstanceRow]:
        """
        Return the begin of the list of instances that match *query*, entities among them.

        Where there are *prefixes*, of those whose ids begin with one, prefix by prefix.
        """
        queries = [replace(query, id_prefix=prefix) for prefix in prefixes] or [query]
        return Cursor(queries)

    def list_entities(self, *entities: str) -> Cursor[EntityRow]:
        """Return the begin of the list of all entities, or those of some classes."""
        return Cursor([EntityQuery(entity) for entity in entities or ("",)])

    async def pages(
        self, cursor: Cursor[Row], goes_on: Callable[[], bool] = lambda: True
    ) -> AsyncGenerator[Page[Row], None]:
        """
        Read on from *cursor*: at least one page, and more while *goes_on* says so.

        The next page is asked for while one is used, so what is in a page may be as old as the
        last call for one; whoever stops early has to close the generator.

        Raises:
            ApiError: the page at the cursor could not be read; it can be asked for again.
            ListingTruncated: the list has more than `max_pages` pages.
        """
        ahead: asyncio.Task[Answer] | None = None
        try:
            while not cursor.finished:
                failures = Failures(self.hub, cursor.query.operation)
                if cursor.pages >= self._limits.max_pages:
                    error = failures.truncated(f"the list has more than {cursor.pages} pages")
                    self.telemetry.errors[error.operation, error.kind] += 1
                    raise error
                kind = self._kind_of(cursor)
                size = kind.size
                first, ahead = ahead, None
                try:
                    rows, answer = await self._page(failures, cursor, kind.decoder, first)
                except ApiError as error:
                    if error.kind is not ErrorKind.TOO_LARGE or cursor.page_size == 1:
                        raise
                    size.was_refused(cursor.page_size, self._limits.list_bytes)
                    cursor.page_size = size.rows
                    continue
                size.came(len(rows), len(answer.body))
                may_restart = cursor.may_restart and not cursor.ends_with(answer.token)
                if may_restart and size.may_grow(cursor.page_size):
                    cursor.restart()
                    continue
                kept, ids = cursor.query.bounded(rows)
                fresh, ids = cursor.unseen.of(kept, ids)
                cursor.advance(answer.token, is_empty=not rows)
                is_wanted = not cursor.finished and goes_on()
                if is_wanted and cursor.pages < self._limits.max_pages:
                    ahead = asyncio.create_task(self._list_once(failures, cursor))
                    # So that the request is sent before the page is used.
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
        """Return what is known of lists such as that of *cursor*; sets its page size."""
        kind = self._kinds.get(cursor.query.kind)
        if kind is None:
            known = self._row_bytes.get(cursor.query.kind, 0.0)
            size = PageSize(self._limits.page_size, self._limits.page_bytes, known)
            kind = self._kinds[cursor.query.kind] = _Kind(size, cursor.query.decoder())
        if not cursor.page_size:
            kind.size.begin()
            cursor.page_size = kind.size.rows
        return kind

    async def _page(
        self,
        failures: Failures,
        cursor: Cursor[Row],
        decoder: Decoder[Row],
        first: Awaitable[Answer] | None,
    ) -> tuple[list[Row], Answer]:
        """Return the rows of the page at *cursor*, which *first* may bring, checked."""
        query = cursor.query

        def checked(answer: Answer) -> tuple[list[Row], Answer]:
            if answer.status != HTTPStatus.OK:
                raise failures.of_status(answer.status, answer.headers, answer.body)
            rows = decode(decoder.decode, failures, answer)
            if dropped := query.violation(rows):
                raise failures.dropped_filter(dropped)
            if not _is_text(answer.token):
                raise failures.protocol("the token of the next page cannot be sent back")
            if cursor.came_before(answer.token):
                raise failures.protocol("the listing repeats a continuation token")
            return rows, answer

        return await self._request(
            failures, lambda: self._list_once(failures, cursor), checked, first
        )

    async def find_instance(
        self, instance_id: str, seen: Callable[[Page[InstanceRow]], object]
    ) -> InstanceRow | None:
        """
        List what begins with an id; returns the row of that id, None where there is none.

        So also those are found that cannot be read. Each page is told to *seen*.
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
        url = self._address.url(f"instances/{segment}", parameters)
        failures = Failures(self.hub, GET_INSTANCE)

        def ask() -> Coroutine[None, None, Answer]:
            limit = self._limits.instance_bytes
            return self._attempt(failures, url, b"", limit, _WITH_INSTANCE)

        found = await self._request(
            failures,
            ask,
            lambda answer: decode_status(failures, answer, instance_id, history=history),
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
        Ask until the answer is good, retries are used up, or waiting would miss the deadline.

        *first* is an attempt that is under way already.
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
                if delay is None or not _within_deadline(delay):
                    raise
            retries += 1
            self.telemetry.retries[operation] += 1
            await anyio.sleep(delay)

    def _list_once(self, failures: Failures, cursor: Cursor[Row]) -> Coroutine[None, None, Answer]:
        """Ask once for the page at *cursor*."""
        # The same object for all pages of a list: to make one is dear.
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
        Ask once for *url*.

        A body has at most *limit* bytes where its status is one that comes *with_data*; of any
        other only the begin is read.
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
                response = await self._http.get(url, _fields(key, token))
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
            way = Way(self._http.proxy, progress, has_answered, self._key.place)
            failure = failures.of_exception(error, self._limits.timeout, way)
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
        # Out here it does not lead to the one of the library, which shows the key.
        raise failure


def _fields(key: Sequence[Field], token: bytes) -> Sequence[Field]:
    """Return the header fields of the key, and of the *token* of a page where there is one."""
    return (*key, (NEXT_PAGE, token)) if token else key


def _is_text(token: bytes) -> bool:
    """Tell whether a header field with *token* leaves the HTTP library byte for byte."""
    try:
        token.decode()
    except UnicodeDecodeError:
        return False
    return True


def _within_deadline(delay: float) -> bool:
    return anyio.current_time() + delay < anyio.current_effective_deadline()
