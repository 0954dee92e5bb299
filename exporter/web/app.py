"""The ASGI app of the exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.collector.snapshot import HubSnapshot
from exporter.web.instance_pages import InstancePages
from exporter.web.people import people_app
from exporter.web.scrapes import Scrapes


def create_app(
    snapshots: Callable[[], Sequence[HubSnapshot]],
    scrapes: Scrapes,
    *,
    wall: Callable[[], float],
    instances: InstancePages | None = None,
) -> Starlette:
    """Return the app that shows *snapshots*, with *scrapes* as `/metrics`."""

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    app = Starlette(
        routes=[
            Route("/metrics", scrapes, methods=["GET"]),
            Route("/-/healthy", alive),
            Route("/-/ready", alive),
        ]
    )
    app.router.redirect_slashes = False
    app.router.default = people_app(snapshots, wall, instances)
    return app
