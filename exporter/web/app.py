"""The ASGI app of the exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.collector.snapshot import HubSnapshot
from exporter.web.page import status_page
from exporter.web.scrapes import Scrapes

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def create_app(
    snapshots: Callable[[], Sequence[HubSnapshot]],
    scrapes: Scrapes,
    *,
    wall: Callable[[], float],
) -> Starlette:
    """Return the app that shows *snapshots*, with *scrapes* as `/metrics`."""

    async def page(_request: Request) -> Response:
        shown, now = snapshots(), wall()
        text = await anyio.to_thread.run_sync(lambda: status_page(shown, now))
        return HTMLResponse(text, headers=_PAGE_HEADERS)

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/metrics", scrapes, methods=["GET"]),
            Route("/-/healthy", alive),
            Route("/-/ready", alive),
        ]
    )
