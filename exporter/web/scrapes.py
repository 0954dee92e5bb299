"""Answers to scrapes: negotiated, rendered off the event loop, sent in slices."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from exporter.collector.snapshot import HubSnapshot, ProcessView
from exporter.metrics.exposition import Choice, Exposition
from exporter.metrics.lines import Format
from exporter.settings import MetricsSettings
from exporter.web.overload import ConcurrencyLimit, SlicedResponse, WorkQueue

SCRAPE_CUT_OFF = "scrape closed: the client did not read in time"

_OPENMETRICS_VERSIONS = frozenset({"", "0.0.1", "1.0.0"})

_Elements = list[tuple[str, dict[str, str]]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scrape requests; no hubs means all."""

    hubs: frozenset[str]
    form: Format
    compressed: bool


class Scrapes:
    """
    The resource `/metrics`, as an ASGI app.

    A scrape shows the latest snapshots and never waits for a hub.
    """

    def __init__(
        self,
        snapshots: Callable[[], Sequence[HubSnapshot]],
        settings: Callable[[], MetricsSettings],
        *,
        wall: Callable[[], float],
        process: Callable[[], ProcessView | None] = lambda: None,
    ) -> None:
        self._snapshots = snapshots
        self._settings = settings
        self._wall = wall
        self._process = process
        self._choice = _choice_of(settings())
        self._exposition = Exposition(self._choice)
        self._limited = ConcurrencyLimit(
            self._scrape, lambda: settings().max_concurrent_scrapes, "scrapes"
        )
        self._texts: WorkQueue[Sequence[bytes]] = WorkQueue()
        self._published = anyio.Event()

    def note_publication(self) -> None:
        """Wake `keep_written` after a publication."""
        self._published.set()

    @property
    def is_idle(self) -> bool:
        """Whether no scrape is in flight."""
        return self._limited.is_idle

    async def keep_written(self) -> None:
        """Render snapshots as they are published, ahead of scrapes."""
        while True:
            self._published = anyio.Event()
            published = self._snapshots()
            names = frozenset(snapshot.identity.name for snapshot in published)
            async with self._texts.turn:
                self._follow_settings()
                self._exposition.forget_others(names)
            for snapshot in published:
                if not self._exposition.is_current(snapshot):
                    async with self._texts.turn:
                        await anyio.to_thread.run_sync(self._exposition.write, snapshot)
            await self._published.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one scrape; a client that does not read in time is disconnected."""
        await self._limited(scope, receive, send)

    async def _scrape(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = self._settings().scrape_timeout
        with anyio.move_on_after(seconds) as deadline:
            answer = await self._answer(Request(scope))
            await answer(scope, receive, send)
        if deadline.cancelled_caught:
            log.warning(SCRAPE_CUT_OFF, seconds=seconds)

    async def _answer(self, request: Request) -> Response:
        chosen = frozenset(request.query_params.getlist("task_hub"))
        unknown = chosen - {snapshot.identity.name for snapshot in self._snapshots()}
        if unknown:
            # Without them, a renamed hub would look like one without data.
            return PlainTextResponse(f"no such task_hub: {', '.join(sorted(unknown))}\n", 404)
        form = choose_format(request.headers.get("accept", ""))
        compress = accepts_gzip(request.headers.get("accept-encoding", ""))
        headers = {"content-type": form.value, "vary": "Accept, Accept-Encoding"}
        if compress:
            headers["content-encoding"] = "gzip"
        wanted = Wanted(chosen, form, compress)
        return SlicedResponse(await self._pieces(wanted), headers=headers)

    async def _pieces(self, wanted: Wanted) -> Sequence[bytes]:
        """Return what is published from now on."""
        return await self._texts.run(wanted, lambda: self._begin(wanted))

    def _begin(self, wanted: Wanted) -> Callable[[], Sequence[bytes]]:
        self._follow_settings()
        return partial(self._written, self._snapshots(), wanted, self._wall())

    def _follow_settings(self) -> None:
        """Drop everything rendered if other families are wanted."""
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


def choose_format(accept: str) -> Format:
    """
    Return the format with the highest `q` in an `Accept` header.

    The most specific matching range counts. If both are equal or none matches, classic text, which
    every client reads.
    """
    elements = _elements(accept)
    openmetrics = _best(
        elements, ("application/openmetrics-text", "application/*", "*/*"), _OPENMETRICS_VERSIONS
    )
    classic = _best(elements, ("text/plain", "text/*", "*/*"))
    return Format.OPENMETRICS if openmetrics > classic else Format.CLASSIC


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header allows gzip."""
    allowed = {coding: _quality(parameters) for coding, parameters in _elements(accept_encoding)}
    return allowed.get("gzip", allowed.get("*", 0.0)) > 0


def _best(
    elements: _Elements, ranges: Sequence[str], versions: Container[str] | None = None
) -> float:
    """Return the highest quality of the first of *ranges* present, in one of *versions*."""
    for wanted in ranges:
        qualities = [
            _quality(parameters)
            for media_type, parameters in elements
            if media_type == wanted
            and (versions is None or parameters.get("version", "") in versions)
        ]
        if qualities:
            return max(qualities)
    return 0.0


def _elements(header: str) -> _Elements:
    elements = []
    for element in header.split(","):
        value, *parameters = (part.strip() for part in element.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        elements.append(
            (
                value.lower(),
                {name.strip().lower(): text.strip().strip('"') for name, _, text in pairs},
            )
        )
    return elements


def _quality(parameters: dict[str, str]) -> float:
    try:
        return min(1.0, max(0.0, float(parameters.get("q", "1"))))
    except ValueError:
        return 0.0
