"""The app of some hubs, and its pages over real sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import httpx
from starlette.applications import Starlette

from exporter.collector.snapshot import HubSnapshot
from exporter.settings import MetricsSettings
from exporter.web.app import create_app
from exporter.web.instance_pages import InstancePages
from exporter.web.scrapes import Scrapes
from exporter.web.server import listening
from tests.ledger.world import NOW


@asynccontextmanager
async def serving_hubs(
    *hubs: HubSnapshot, at: float = NOW + 12.0, instances: InstancePages | None = None
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Serve what is shown of *hubs* at a moment; yields a client whose base is the server."""
    app = app_of(lambda: hubs, lambda: at, instances)
    async with (
        listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
    ):
        yield client


class Read(HTMLParser):
    """What a page holds: its elements, its links, and its text in one line."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(page)
        self.text = " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        # A name may break there; every other element ends a word.
        self._texts.append("" if tag == "wbr" else " ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    def links(self) -> Sequence[str]:
        """Return where links lead, in their order."""
        return [attrs["href"] or "" for tag, attrs in self.elements if tag == "a"]


def app_of(
    snapshots: Callable[[], Sequence[HubSnapshot]],
    wall: Callable[[], float],
    instances: InstancePages | None = None,
    settings: Mapping[str, object] | None = None,
) -> Starlette:
    """Return the app that shows *snapshots*; *settings* are those of the group `metrics`."""
    shown = MetricsSettings.model_validate(settings or {})
    scrapes = Scrapes(snapshots, lambda: shown, wall=wall)
    return create_app(snapshots, scrapes, wall=wall, instances=instances)
