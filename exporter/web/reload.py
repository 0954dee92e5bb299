"""`POST /-/reload`: read the configuration anew, now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

PATH = "/-/reload"
_FORBIDDEN = "reload by request is off: set allow_reload, or send SIGHUP\n"
_CROSS_SITE = "requested by a page of another site: reload from a terminal, or send SIGHUP\n"


def with_reload(
    app: ASGIApp, reload: Callable[[], Awaitable[Sequence[object]]], allowed: Callable[[], bool]
) -> Starlette:
    """Return *app* with a path that calls *reload*, which returns what it was refused for."""

    class Reload(HTTPEndpoint):
        """Answers 200, or 500 with a line for each problem."""

        async def post(self, request: Request) -> Response:
            if _is_cross_site(request.headers):
                return PlainTextResponse(_CROSS_SITE, 403)
            if not allowed():
                return PlainTextResponse(_FORBIDDEN, 403)
            problems = await reload()
            text = "".join(f"{problem}\n" for problem in problems)
            return PlainTextResponse(text or "reloaded\n", 500 if problems else 200)

    return Starlette(routes=[Route(PATH, Reload), Mount("/", app)])


def _is_cross_site(headers: Headers) -> bool:
    """Tell whether a browser sends this for a page that is not the exporter's own."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")
