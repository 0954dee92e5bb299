"""Instance pages, the only ones that make requests to a hub, and so rate-limited."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import anyio
import anyio.to_thread

from exporter.api.errors import ApiError
from exporter.collector.instance_lookup import FoundInstance, InstanceReader
from exporter.collector.snapshot import HubSnapshot
from exporter.settings import RateLimit
from exporter.web.overload import TokenBucket
from exporter.web.page import View, instance_page, no_instance_page

_KEPT = 20
_KEPT_SECONDS = 15.0
_MAX_WAITING = 4
# Look-ups: one per two seconds, and ten at once.
_RATE = RateLimit(interval=2.0, burst=10)


@dataclass(frozen=True, slots=True)
class InstanceAnswer:
    """A page with its status, and `Retry-After` in seconds if refused."""

    page: str
    status: int = HTTPStatus.OK
    retry_after: float | None = None


class InstancePages:
    """
    Makes instance pages, with one look-up at a time and a limited rate.

    The last 20 instances are cached for 15 s.
    """

    def __init__(
        self, reader: InstanceReader, monotonic: Callable[[], float] = anyio.current_time
    ) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._bucket: TokenBucket | None = None
        self._turn = anyio.Lock()
        self._waiting = 0
        self._kept: OrderedDict[tuple[str, str], tuple[float, FoundInstance | None]] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether instance pages are on."""
        return self._reader.is_on

    async def page(self, snapshot: HubSnapshot, instance_id: str, view: View) -> InstanceAnswer:
        """Return the page of an instance, or one that explains why there is none."""
        asked = _Asked(snapshot.identity.name, instance_id, view)
        if not self.is_on:
            why = "Instance pages are off: set web.instance_pages."
            return asked.refused(why, HTTPStatus.NOT_FOUND)
        if self._waiting > _MAX_WAITING:
            why = "Too many look-ups: try again in a moment."
            return asked.refused(why, HTTPStatus.SERVICE_UNAVAILABLE, 5.0)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._looked_up(snapshot, asked)
        finally:
            self._waiting -= 1

    async def _looked_up(self, snapshot: HubSnapshot, asked: _Asked) -> InstanceAnswer:
        key = (asked.hub, asked.instance_id)
        read_at, found = self._kept.get(key, (-math.inf, None))
        if self._monotonic() - read_at >= _KEPT_SECONDS:
            self._bucket = self._bucket or TokenBucket(_RATE, self._monotonic)
            if not self._bucket.take():
                why = "Too many look-ups: the limit is one every two seconds."
                return asked.refused(why, HTTPStatus.TOO_MANY_REQUESTS, self._bucket.wait)
            try:
                found = await self._reader.read(*key)
            except ApiError as error:
                why = f"{error}. To fix it: {error.hint}."
                return asked.refused(why, HTTPStatus.BAD_GATEWAY)
            self._keep(key, found)
        if found is None:
            why = "The hub has no such instance: it may have been purged."
            return asked.refused(why, HTTPStatus.NOT_FOUND)
        identity, view = snapshot.identity, asked.view
        return InstanceAnswer(await anyio.to_thread.run_sync(instance_page, identity, found, view))

    def _keep(self, key: tuple[str, str], found: FoundInstance | None) -> None:
        self._kept[key] = (self._monotonic(), found)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A requested page: hub, instance, view."""

    hub: str
    instance_id: str
    view: View

    def refused(self, why: str, status: int, retry_after: float | None = None) -> InstanceAnswer:
        """Return the page that explains *why* the instance is not shown."""
        page = no_instance_page(self.hub, self.instance_id, why, self.view)
        return InstanceAnswer(page, status, retry_after)
