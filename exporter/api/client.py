"""The client of one task hub: lists of instances and entities, and single instances, read-only."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TypeAlias, TypeVar
from urllib.parse import quote

import anyio
import httpx
import msgspec

from exporter.api.answers import NEXT_PAGE, Answer, decode, decode_status, token_in
from exporter.api.chain import ListingChain
from exporter.api.classify import Failures
from exporter.api.errors import ApiError, ErrorKind, HubDenied, ListingTruncated
from exporter.api.exchange import Reply, Route, routes_below
from exporter.api.keys import KeySource
from exporter.api.listing import Listing, Page
from exporter.api.page_size import PageSize
from exporter.api.query import HubAddress, InstanceQuery, encode_id
from exporter.api.retries import RetryPolicy
from exporter.api.shared import InstanceDecoder
from exporter.api.slots import HubSlots
from exporter.api.telemetry import NO_ANSWER, ApiTelemetry
from exporter.api.wire import BriefRow, EntityRow, InstanceRow, InstanceStatus

LIST_INSTANCES = "listInstances"
LIST_ENTITIES = "listEntities"
GET_INSTANCE = "getInstanceStatus"
OPERATIONS = (LIST_INSTANCES, LIST_ENTITIES, GET_INSTANCE)

Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=BriefRow)
Attempted: TypeAlias = Coroutine[None, None, Answer]
InstanceListing: TypeAlias = Listing[InstanceRow] | ListingChain[InstanceRow]
BriefListing: TypeAlias = Listing[BriefRow] | ListingChain[BriefRow]

_ENTITIES = msgspec.json.Decoder(list[EntityRow])


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """
    Bounds of requests: seconds for one, bytes of one body, rows of a page, pages of a list.

    `page_bytes` is how large a page should be at most: where rows are large, fewer are asked for.
    """

    timeout: float
    max_bytes: int
    page_size: int
    max_pages: int
    page_bytes: int = 2 << 20


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
        host: HubSlots,
        telemetry: ApiTelemetry,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.hub = hub
        self.telemetry = telemetry
        self._address = address
        self._route = routes_below(address.base_url, http)
        self._key = key
        self._retry = retry
        self._limits = limits
        self._host = host
        self._jitter = jitter
        self._decoders: dict[tuple[str, ...], InstanceDecoder[InstanceRow]] = {}
        self._brief_decoders: dict[tuple[str, ...], InstanceDecoder[BriefRow]] = {}
        self._page_sizes: dict[tuple[str, ...], PageSize] = {}

    def reread_key(self) -> bool:
        """Read the key anew; True if it changed."""
        return self._key.reread()

    def list_instances(self, query: InstanceQuery, prefixes: Sequence[str] = ()) -> InstanceListing:
        """
        Start to list the instances that match *query*, entities among them.

        Where there are *prefixes*, those whose ids begin with one, prefix by prefix.
        """
        decoder = self._decoders.get(query.statuses)
        if decoder is None:
            decoder = self._decoders[query.statuses] = InstanceDecoder(InstanceRow, query.statuses)
        return self._chained(query, prefixes, decoder)

    def list_briefly(self, query: InstanceQuery, prefixes: Sequence[str] = ()) -> BriefListing:
        """List as `list_instances` does, without what may be large; `Page.whole` has that."""
        decoder = self._brief_decoders.get(query.statuses)
        if decoder is None:
            decoder = self._brief_decoders[query.statuses] = InstanceDecoder(
                BriefRow, query.statuses
            )
        return self._chained(query, prefixes, decoder)

    def _chained(
        self, query: InstanceQuery, prefixes: Sequence[str], decoder: InstanceDecoder[Kind]
    ) -> Listing[Kind] | ListingChain[Kind]:
        size = self._page_size(LIST_INSTANCES, *query.statuses)
        size.begin()
        if not prefixes:
            return self._instances(query, size, decoder)
        return ListingChain(
            self._instances(replace(query, id_prefix=prefix), size, decoder) for prefix in prefixes
        )

    def _instances(
        self, query: InstanceQuery, size: PageSize, decoder: InstanceDecoder[Kind]
    ) -> Listing[Kind]:
        route = self._route(self._address.target("instances", query.parameters(size.rows)))

        def rows(failures: Failures, answer: Answer) -> list[Kind]:
            decoded, statuses_fit = decode(decoder, failures, answer)
            dropped = query.violation(decoded, statuses_fit=statuses_fit)
            if dropped:
                raise failures.dropped_filter(dropped)
            return decoded

        return self._listing(LIST_INSTANCES, route, rows, _instance_ids, size)

    def list_entities(self, entity: str = "") -> Listing[EntityRow]:
        """Start to list all entities, or those of the class *entity*."""
        path = f"entities/{quote(entity, safe='')}" if entity else "entities"
        size = self._page_size(LIST_ENTITIES)
        size.begin()
        route = self._route(self._address.target(path, [("top", str(size.rows))]))

        def rows(failures: Failures, answer: Answer) -> list[EntityRow]:
            decoded = decode(_ENTITIES, failures, answer)
            if entity and any(row.entity_id.name.lower() != entity.lower() for row in decoded):
                raise failures.protocol(f"the answer has entities of another class than {entity}")
            return decoded

        return self._listing(LIST_ENTITIES, route, rows, _entity_keys, size)

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

    async def find_instance(
        self, instance_id: str, seen: Callable[[Page[InstanceRow]], object]
    ) -> InstanceRow | None:
        """
        List what begins with an id; returns the row of that id, None where there is none.

        So also those are found that cannot be read. Each page is told to *seen*.
        """
        listing = self.list_instances(InstanceQuery(id_prefix=instance_id))
        while (page := await listing.next_page()) is not None:
            seen(page)
            for row in page.rows:
                if row.instance_id == instance_id:
                    return row
        return None

    async def _read(
        self, segment: str, instance_id: str, history: bool, inputs: bool
    ) -> InstanceStatus | None:
        parameters = [("showInput", str(inputs).lower())]
        if history:
            parameters.append(("showHistory", "true"))
        route = self._route(self._address.target(f"instances/{segment}", parameters))

        def interpret(failures: Failures, answer: Answer) -> InstanceStatus | None:
            return decode_status(failures, answer, instance_id)

        def ask() -> Attempted:
            return self._attempt(failures, route, b"", lambda _: None)

        failures = Failures(self.hub, GET_INSTANCE)
        return await self._request(failures, ask, interpret)

    def _listing(
        self,
        operation: str,
        route: Route,
        rows_of: Callable[[Failures, Answer], list[Result]],
        ids_of: Callable[[Sequence[Result]], list[str]],
        size: PageSize,
    ) -> Listing[Result]:
        asked_for = size.rows

        def page_of(failures: Failures, answer: Answer) -> Page[Result]:
            if answer.status != HTTPStatus.OK:
                raise failures.of_status(answer.status, answer.headers, answer.body)
            rows = rows_of(failures, answer)
            size.came(len(rows), len(answer.body))
            return Page(
                rows, answer.token, answer.date, answer.seconds, len(answer.body), body=answer.body
            )

        failures = Failures(self.hub, operation)

        def attempt(token: bytes, received: Callable[[bytes], None]) -> Attempted:
            return self._attempt(failures, route, token, received)

        async def fetch(ask: Callable[[], Awaitable[Answer]]) -> Page[Result]:
            try:
                return await self._request(failures, ask, page_of)
            except ApiError as error:
                if error.kind is ErrorKind.TOO_LARGE:
                    size.was_refused(asked_for, self._limits.max_bytes)
                raise

        def truncated(message: str) -> ListingTruncated:
            error = failures.truncated(message)
            self.telemetry.errors[operation, error.kind] += 1
            return error

        return Listing(
            attempt, fetch, ids_of, max_pages=self._limits.max_pages, truncated=truncated
        )

    async def _request(
        self,
        failures: Failures,
        attempt: Callable[[], Awaitable[Answer]],
        interpret: Callable[[Failures, Answer], Result],
    ) -> Result:
        """Ask until the answer is good, retries are used up, or waiting would miss the deadline."""
        operation = failures.operation
        retries = 0
        key_is_fresh = False
        while True:
            try:
                return interpret(failures, await attempt())
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

    async def _attempt(
        self,
        failures: Failures,
        route: Route,
        token: bytes,
        received: Callable[[bytes], None],
    ) -> Answer:
        """Ask once; *received* is told the token of the next page before the body is read."""
        await self._host.take()
        started = anyio.current_time()
        code, size = NO_ANSWER, 0
        answer: Answer | None = None
        try:
            # What fail_after does, without the half of its cost that is a generator.
            with anyio.CancelScope(deadline=started + self._limits.timeout):
                reply = await route.get(self._fields(token))
                try:
                    code = str(reply.status)
                    if reply.status == HTTPStatus.OK:
                        received(token_in(reply.headers))
                    body = await self._body(failures, reply)
                finally:
                    await reply.aclose()
                size = len(body)
                answer = Answer(reply.status, reply.headers, body, anyio.current_time() - started)
        except httpx.HTTPError as error:
            raise failures.of_exception(error, self._limits.timeout) from error
        finally:
            self._host.give_back()
            seconds = answer.seconds if answer else anyio.current_time() - started
            self.telemetry.attempt(failures.operation, code, seconds, size)
        if answer is None:
            raise failures.of_exception(TimeoutError(), self._limits.timeout)
        return answer

    async def _body(self, failures: Failures, reply: Reply) -> bytes:
        most = self._limits.max_bytes
        announced = reply.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > most:
            raise failures.too_large(most)
        pieces: list[bytes] = []
        size = 0
        async for piece in reply.body:
            size += len(piece)
            if size > most:
                raise failures.too_large(most)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _page_size(self, *kind: str) -> PageSize:
        """Return how many rows to ask for in a list of some *kind*, whose rows are alike."""
        size = self._page_sizes.get(kind)
        if size is None:
            size = PageSize(self._limits.page_size, self._limits.page_bytes)
            self._page_sizes[kind] = size
        return size

    def _fields(self, token: bytes) -> list[tuple[bytes, bytes]]:
        """Return the header fields of one request beside the usual ones."""
        fields: list[tuple[bytes, bytes]] = []
        key = self._key.current()
        if key is not None:
            fields.append((b"x-functions-key", key.encode("latin-1")))
        if token:
            fields.append((NEXT_PAGE.encode(), token))
        return fields


def _instance_ids(rows: Sequence[BriefRow]) -> list[str]:
    return [row.instance_id for row in rows]


def _entity_keys(rows: Sequence[EntityRow]) -> list[str]:
    return [f"@{row.entity_id.name}@{row.entity_id.key}" for row in rows]


def _within_deadline(delay: float) -> bool:
    return anyio.current_time() + delay < anyio.current_effective_deadline()
