"""The ASGI app of the exporter."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.collector.snapshot import HubSnapshot
from exporter.metrics.exposition import expose
from exporter.web.negotiation import accepts_gzip, choose_format
from exporter.web.people import people_routes

# Beyond level 1 a scrape costs more processor time than it saves bytes.
_GZIP_LEVEL = 1


def create_app(
    snapshots: Callable[[], Sequence[HubSnapshot]], *, wall: Callable[[], float]
) -> Starlette:
    """
    Return the app that shows *snapshots*.

    A scrape reads what is published and never waits for a hub.
    """

    async def metrics(request: Request) -> Response:
        shown = snapshots()
        wanted = request.query_params.getlist("task_hub")
        unknown = set(wanted) - {snapshot.identity.name for snapshot in shown}
        if unknown:
            return PlainTextResponse(f"no such task_hub: {', '.join(sorted(unknown))}\n", 404)
        if wanted:
            shown = [snapshot for snapshot in shown if snapshot.identity.name in wanted]
        form = choose_format(request.headers.get("accept", ""))
        compress = accepts_gzip(request.headers.get("accept-encoding", ""))

        def body() -> bytes:
            text = expose(shown, wall(), form)
            return gzip.compress(text, _GZIP_LEVEL, mtime=0) if compress else text

        headers = {"content-type": form.value, "vary": "Accept, Accept-Encoding"}
        if compress:
            headers["content-encoding"] = "gzip"
        return Response(await anyio.to_thread.run_sync(body), headers=headers)

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            *people_routes(snapshots, wall),
            Route("/metrics", metrics),
            Route("/-/healthy", alive),
            Route("/-/ready", alive),
        ]
    )
