"""Answers to scrapes: written off the event loop, sent in slices, never more than a few at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import anyio.to_thread
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from exporter.collector.snapshot import HubSnapshot, ProcessView
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.formats import Format
from exporter.settings import MetricsSettings
from exporter.web.negotiation import accepts_gzip, choose_format

SCRAPE_CUT_OFF = "scrape cut off: the client did not read in time"

# Hubs publish twice in a row after a sweep: a look a second later writes both at once.
_PAUSE_BETWEEN_LOOKS = 1.0
_RETRY_AFTER_SECONDS = 5
# Small enough that fifty answers that go out at once do not hold the event loop.
_SLICE = 1 << 16

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scrape asks for; no hubs are all of them."""

    hubs: frozenset[str]
    form: Format
    compressed: bool


class _Making:
    """An answer for all who came before work on it began; None where that was given up."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.pieces: Sequence[bytes] | None = None


class Scrapes:
    """
    The resource `/metrics`, as an ASGI app.

    A scrape shows what is published in its moment and never waits for a hub. All text is made by
    one thread at a time: more would only take turns, and keep the event loop waiting longer.
    """

    def __init__(
        self,
        snapshots: Callable[[], Sequence[HubSnapshot]],
        settings: Callable[[], MetricsSettings],
        *,
        wall: Callable[[], float],
        process: Callable[[], ProcessView | None] = lambda: None,
    ) -> None:
        """Let each answer go by what *settings* are in its moment."""
        self._snapshots = snapshots
        self._settings = settings
        self._wall = wall
        self._process = process
        self._choice = _choice_of(settings())
        self._exposition = Exposition(self._choice)
        self._turn = anyio.Lock()
        self._awaiting: dict[Wanted, _Making] = {}
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Return whether nobody is being answered."""
        return not self._under_way

    async def keep_written(self) -> None:
        """Write what hubs publish soon after they did, so that scrapes find it done."""
        while True:
            published = self._snapshots()
            names = frozenset(snapshot.identity.name for snapshot in published)
            async with self._turn:
                self._follow_settings()
                self._exposition.forget_others(names)
            for snapshot in published:
                if not self._exposition.is_current(snapshot):
                    async with self._turn:
                        await anyio.to_thread.run_sync(self._exposition.write, snapshot)
            await anyio.sleep(_PAUSE_BETWEEN_LOOKS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scrape; a client that does not read it in time is cut off."""
        settings = self._settings()
        if self._under_way >= settings.most_scrapes:
            await _busy()(scope, receive, send)
            return
        self._under_way += 1
        try:
            with anyio.move_on_after(settings.scrape_timeout) as deadline:
                answer = await self._answer(Request(scope))
                await answer(scope, receive, send)
        finally:
            self._under_way -= 1
        if deadline.cancelled_caught:
            log.warning(SCRAPE_CUT_OFF, seconds=settings.scrape_timeout)

    async def _answer(self, request: Request) -> Response:
        chosen = frozenset(request.query_params.getlist("task_hub"))
        unknown = chosen - {snapshot.identity.name for snapshot in self._snapshots()}
        if unknown:
            # An answer without them would look like hubs that have nothing to show.
            return PlainTextResponse(f"no such task_hub: {', '.join(sorted(unknown))}\n", 404)
        form = choose_format(request.headers.get("accept", ""))
        compress = accepts_gzip(request.headers.get("accept-encoding", ""))
        headers = {"content-type": form.value, "vary": "Accept, Accept-Encoding"}
        if compress:
            headers["content-encoding"] = "gzip"
        return _InSlices(await self._pieces(Wanted(chosen, form, compress)), headers)

    async def _pieces(self, wanted: Wanted) -> Sequence[bytes]:
        """Return what is published from now on; those who wait for the same share it."""
        while True:
            making = self._awaiting.get(wanted)
            if making is None:
                return await self._make(wanted)
            await making.ended.wait()
            if making.pieces is not None:
                return making.pieces

    async def _make(self, wanted: Wanted) -> Sequence[bytes]:
        making = self._awaiting[wanted] = _Making()
        try:
            async with self._turn:
                # Whoever comes later may know of something newer, and waits for the next one.
                del self._awaiting[wanted]
                self._follow_settings()
                published = self._snapshots()
                making.pieces = await anyio.to_thread.run_sync(
                    self._written, published, wanted, self._wall()
                )
        finally:
            if self._awaiting.get(wanted) is making:
                del self._awaiting[wanted]
            making.ended.set()
        return making.pieces

    def _follow_settings(self) -> None:
        """Write everything anew if something else is to be shown than before."""
        choice = _choice_of(self._settings())
        if choice != self._choice:
            self._choice = choice
            self._exposition = Exposition(choice)

    def _written(
        self, published: Sequence[HubSnapshot], wanted: Wanted, now: float
    ) -> Sequence[bytes]:
        shown = [
            snapshot
            for snapshot in published
            if not wanted.hubs or snapshot.identity.name in wanted.hubs
        ]
        body = self._exposition.body(shown, now, wanted.form, self._process())
        tail = self._exposition.tail(wanted.form)
        return (body.compressed(tail),) if wanted.compressed else (body.text, tail)


def _choice_of(settings: MetricsSettings) -> Choice:
    return Choice(settings.exclude, settings.exemplars)


class _InSlices(Response):
    """A body in pieces that are shared with other answers, sent at the pace of its reader."""

    def __init__(self, pieces: Sequence[bytes], headers: dict[str, str]) -> None:
        self._pieces = pieces
        length = sum(len(piece) for piece in pieces)
        super().__init__(headers={**headers, "content-length": str(length)})

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        for part in _slices(self._pieces):
            # A socket that takes everything at once would let nobody else have a turn.
            await anyio.lowlevel.checkpoint()
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _slices(pieces: Iterable[bytes]) -> Iterable[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _SLICE):
            yield piece[start : start + _SLICE]


def _busy() -> Response:
    headers = {"retry-after": str(_RETRY_AFTER_SECONDS)}
    return PlainTextResponse("too many scrapes at once\n", 503, headers=headers)
