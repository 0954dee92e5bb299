"""How many requests may be under way at once to one host, and whose turn is next."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio
import httpx


@dataclass(slots=True)
class _Host:
    slots: int
    taken: int = 0
    waiting: OrderedDict[HubSlots, deque[anyio.Event]] = field(default_factory=OrderedDict)

    def hand_out(self) -> None:
        """Give free slots to who waits, one to each hub in turn."""
        while self.taken < self.slots and self.waiting:
            hub, turns = self.waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self.waiting[hub] = turns
            self.taken += 1
            turn.set()


class HubSlots:
    """
    The slots of a host, as one of its hubs sees them.

    A hub that has many requests waits no shorter for it: after each it stands at the end again.
    """

    def __init__(self, host: _Host) -> None:
        self._host = host

    async def take(self) -> None:
        """Wait for a slot, which has to be given back."""
        host = self._host
        if host.taken < host.slots and not host.waiting:
            host.taken += 1
            return
        turn = anyio.Event()
        host.waiting.setdefault(self, deque()).append(turn)
        came = False
        try:
            await turn.wait()
            came = True
        finally:
            if not came:
                self._leave(turn)

    def give_back(self) -> None:
        """Let somebody else have the slot."""
        self._host.taken -= 1
        if self._host.waiting:
            self._host.hand_out()

    def _leave(self, turn: anyio.Event) -> None:
        """Wait no longer; a slot that came at that very moment goes to the next."""
        if turn.is_set():
            self.give_back()
            return
        turns = self._host.waiting[self]
        turns.remove(turn)
        if not turns:
            del self._host.waiting[self]


class HostSlots:
    """The slots of all hosts."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def of(self, url: str, requests: int) -> HubSlots:
        """Return the slots of the host in *url* for one hub; the first hub sets their number."""
        return HubSlots(self._hosts.setdefault(_host_of(url), _Host(requests)))

    def arrange(self, hubs: Iterable[tuple[str, int]]) -> None:
        """Go by other URLs of hubs and numbers of requests; hosts that no hub is on are dropped."""
        first: dict[str, int] = {}
        for url, requests in hubs:
            first.setdefault(_host_of(url), requests)
        for name in self._hosts.keys() - first.keys():
            del self._hosts[name]
        for name, host in self._hosts.items():
            host.slots = first[name]
            host.hand_out()


def _host_of(url: str) -> str:
    return httpx.URL(url).netloc.decode("ascii")
