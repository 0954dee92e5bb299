"""The ASGI app: metrics, health, pages, JSON API, reload."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from exporter.collector.snapshot import HubSnapshot
from exporter.web.instance_pages import InstancePages
from exporter.web.overload import ConcurrencyLimit, SlicedResponse, WorkQueue
from exporter.web.page import REFRESH_SECONDS, View, hub_page, missing_page, overview_page
from exporter.web.report import Problem
from exporter.web.reporting import Reporter, hubs_report
from exporter.web.runbook_pages import INDEX, missing_runbook_page, runbook_names, runbook_page
from exporter.web.scrapes import Scrapes

_RELOAD_PATH = "/-/reload"
_FORBIDDEN = "reload by request is off: set allow_reload, or send SIGHUP\n"
_CROSS_SITE = "requested by a page of another site: reload from a terminal, or send SIGHUP\n"
_NOT_FOUND = 404
# In flight at once, until clients have read them.
_MAX_PAGES = 50
_LONGEST_ID = 1024
_SAFE: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
# For what changes only with the version.
_LASTING: Mapping[str, str] = {**_SAFE, "cache-control": "public, max-age=300"}
_HTML = "text/html; charset=utf-8"
_ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


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

    pages = _Pages(snapshots, wall, instances)
    router = Router(
        [
            Route("/", pages.overview),
            Route("/hubs/{name:path}", pages.hub),
            Route("/runbooks", _runbooks),
            Route("/runbooks/", _without_slash),
            Route("/runbooks/{name}", _runbook),
            Route("/runbooks/{name}/", _without_slash),
            Route("/assets/{name}", _asset),
            Route("/api/v1/hubs", pages.api_hubs),
            Route("/api/v1/hubs/{name:path}", pages.api_hub),
        ],
        redirect_slashes=False,
    )
    app = Starlette(
        routes=[
            Route("/metrics", scrapes, methods=["GET"]),
            Route("/-/healthy", alive),
            Route("/-/ready", alive),
        ]
    )
    app.router.redirect_slashes = False
    app.router.default = ConcurrencyLimit(router, lambda: _MAX_PAGES, "pages")
    return app


async def _without_slash(request: Request) -> Response:
    """Redirect relatively: a proxy may serve the app below any path."""
    last = request.scope["path"].rstrip("/").rpartition("/")[2]
    return Response(status_code=307, headers={"location": f"../{quote(last)}"})


class _Pages:
    """Pages and JSON, rendered in a thread: with many hubs they would delay scrapes."""

    def __init__(
        self,
        snapshots: Callable[[], Sequence[HubSnapshot]],
        wall: Callable[[], float],
        instances: InstancePages | None,
    ) -> None:
        self._snapshots = snapshots
        self._instances = instances
        self._wall = wall
        self._queue: WorkQueue[bytes] = WorkQueue()

    async def overview(self, request: Request) -> Response:
        view, shown = self._view(request, "./"), self._snapshots()
        return _html(
            await self._make(
                ("overview", view.refreshes), lambda: overview_page(shown, view).encode()
            ),
            view,
        )

    async def hub(self, request: Request) -> Response:
        view, name = self._view(request, "../"), request.path_params["name"]
        found = self._find(name)
        if found is None and "/instances/" in name:
            return await self._instance(request, *name.split("/instances/", 1))
        if found is None:
            return _html(missing_page(name, view).encode(), view, _NOT_FOUND)
        return _html(
            await self._make(("hub", name, view.refreshes), lambda: hub_page(found, view).encode()),
            view,
        )

    async def _instance(self, request: Request, name: str, instance_id: str) -> Response:
        view, found = self._view(request, "../../../"), self._find(name)
        if found is None:
            return _html(missing_page(name, view).encode(), view, _NOT_FOUND)
        # It makes requests to the hub, so it never refreshes by itself.
        still = replace(view, refreshes=False)
        if self._instances is None or len(instance_id) > _LONGEST_ID:
            page = missing_page(name, still)
            return _html(page.encode(), still, _NOT_FOUND)
        answer = await self._instances.page(found, instance_id, still)
        response = _html(answer.page.encode(), still, answer.status)
        if answer.retry_after is not None:
            response.headers["retry-after"] = str(max(1, math.ceil(answer.retry_after)))
        return response

    async def api_hubs(self, _request: Request) -> Response:
        shown, now = self._snapshots(), self._wall()
        return _json(await self._make("hubs", lambda: msgspec.json.encode(hubs_report(shown, now))))

    async def api_hub(self, request: Request) -> Response:
        name, now = request.path_params["name"], self._wall()
        found = self._find(name)
        if found is None:
            problem = Problem(f"unknown hub {name!r}")
            return _json(msgspec.json.encode(problem), _NOT_FOUND)
        return _json(
            await self._make(
                ("report", name), lambda: msgspec.json.encode(Reporter(found, now).report())
            )
        )

    async def _make(self, key: Hashable, work: Callable[[], bytes]) -> bytes:
        return await self._queue.run(key, lambda: work)

    def _find(self, name: str) -> HubSnapshot | None:
        return next((each for each in self._snapshots() if each.identity.name == name), None)

    def _view(self, request: Request, root: str) -> View:
        has_instances = self._instances is not None and self._instances.is_on
        refreshes = request.query_params.get("refresh") != "off"
        return View(self._wall(), root, refreshes, has_instances)


def _json(body: bytes, status: int = 200) -> Response:
    return SlicedResponse([body], status, {**_SAFE, "content-type": "application/json"})


def _html(page: bytes, view: View, status: int = 200) -> Response:
    # A header, not an element: the link on the page switches it off.
    refresh = {"refresh": str(REFRESH_SECONDS)} if view.refreshes else {}
    return SlicedResponse([page], status, {**_SAFE, **refresh, "content-type": _HTML})


async def _runbooks(_request: Request) -> Response:
    return HTMLResponse(runbook_page(INDEX, "./"), headers=_LASTING)


async def _runbook(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in runbook_names():
        return HTMLResponse(missing_runbook_page("../"), _NOT_FOUND, headers=_SAFE)
    return HTMLResponse(runbook_page(name, "../"), headers=_LASTING)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return Response("no such file\n", _NOT_FOUND, media_type="text/plain")
    body = resources.files("exporter.web").joinpath("assets", name).read_bytes()
    return Response(body, headers=_LASTING, media_type=_ASSETS[name])


def with_reload(
    app: ASGIApp, reload: Callable[[], Awaitable[Sequence[object]]], allowed: Callable[[], bool]
) -> Starlette:
    """Return *app* with a path that calls *reload*, which returns problems."""

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

    return Starlette(routes=[Route(_RELOAD_PATH, Reload), Mount("/", app)])


def _is_cross_site(headers: Headers) -> bool:
    """Return whether a browser sends this for another site's page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")
