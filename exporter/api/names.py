"""Name look-ups, which delay nobody but the hubs of that name."""

from __future__ import annotations

import asyncio
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import AsyncResolver

from exporter.api.connecting import now_connecting

_TRY_SECONDS = 2.0
_TRIES = 3


class NameResolver(AbstractResolver):
    """
    Looks names up with c-ares: no thread waits for a name server.

    All hubs of a process share one, so that at most one look-up of a name is in flight. A look-up
    ends after three tries of a few seconds, whoever waits for it. Raises `OSError`.
    """

    def __init__(self, nameservers: list[str] | None = None) -> None:
        """*nameservers* are asked instead of the configured ones (`host:port`)."""
        self._nameservers = nameservers
        self._resolver: AsyncResolver | None = None
        self._in_flight: dict[tuple[str, int], asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*, each with *port*; raises `OSError` if it has none."""
        key = (host, family)
        task = self._in_flight.get(key)
        if task is None:
            task = self._in_flight[key] = asyncio.create_task(self._look_up(host, family))
            task.add_done_callback(lambda ended: self._forget(key, ended))
        progress = now_connecting()
        progress.name = host
        found = await asyncio.shield(task)
        progress.name = ""
        return [ResolveResult(**{**each, "port": port}) for each in found]

    def _forget(self, key: tuple[str, int], ended: asyncio.Task[list[ResolveResult]]) -> None:
        del self._in_flight[key]
        if not ended.cancelled():
            # Whoever waited may have given up before.
            ended.exception()

    async def _look_up(self, host: str, family: socket.AddressFamily) -> list[ResolveResult]:
        if self._resolver is None:
            self._resolver = AsyncResolver(
                nameservers=self._nameservers, timeout=_TRY_SECONDS, tries=_TRIES
            )
        return await self._resolver.resolve(host, 0, family)

    async def close(self) -> None:
        """Keep on: the sessions of all hubs share it, and `aclose` ends it."""

    async def aclose(self) -> None:
        """End what is in flight."""
        for task in list(self._in_flight.values()):
            task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None
