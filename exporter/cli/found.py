"""The hubs that discovery finds, for commands that ask once."""

from __future__ import annotations

import time
from contextlib import aclosing

from exporter.api.connection import SharedLimits
from exporter.api.errors import ApiError
from exporter.cli.asking import say_failure
from exporter.discovery.discovery import Discovery
from exporter.settings import Settings


async def with_found_hubs(settings: Settings) -> tuple[Settings, bool]:
    """
    Return *settings* with the hubs that are found now, and whether all could be searched for.

    Where the search fails, that is said, and known are those that the exporter last kept.
    """
    shared = SharedLimits()
    discovery = Discovery(shared, wall=time.time, folder=settings.state_dir)
    discovery.restore()
    is_whole = True
    async with aclosing(shared):
        try:
            await discovery.search(settings)
        except ApiError as error:
            is_whole = False
            say_failure(error)
    return discovery.extend(settings), is_whole
