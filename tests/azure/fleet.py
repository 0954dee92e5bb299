"""Discovery in the process of the test: what it finds, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.api.connection import SharedLimits
from exporter.discovery.discovery import Discovery
from exporter.settings import HubSettings, Settings
from tests.azure.stand_in import Azure

START = 1_796_000_000.0


@dataclass(slots=True)
class Searching:
    """A discovery, its settings, and its clock."""

    place: Azure
    discovery: Discovery
    settings: Settings
    now: float = START

    async def search(self) -> list[HubSettings]:
        """Search once, and return the hubs that are found."""
        await self.discovery.search(self.settings)
        return self.found()

    def found(self) -> list[HubSettings]:
        """Return the hubs that are found by now."""
        settings = self.discovery.extend(self.settings)
        return list(settings.hubs[len(self.settings.hubs) :])

    def reasons(self) -> dict[str, str]:
        """Return why apps are left out, by name."""
        selection = self.discovery.selection
        assert selection is not None
        return {one.app.name: one.reason for one in (*selection.left_out, *selection.unknown)}


@asynccontextmanager
async def searching(
    place: Azure, folder: Path | None = None, /, **more: str
) -> AsyncIterator[Searching]:
    """Make a discovery with settings that lead to a stand-in."""
    settings = place.settings(DISCOVERY__AZURE__ENABLED="true", **more)
    shared = SharedLimits()
    discovery = Discovery(shared, wall=lambda: made.now, folder=folder)
    discovery.restore()
    discovery.extend(settings)
    made = Searching(place, discovery, settings)
    try:
        yield made
    finally:
        await shared.aclose()
