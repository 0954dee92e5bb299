"""One connection of a client, which is given up where the client leaves it hanging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

FIRST_REQUEST_SECONDS = 10.0
# Longer than the usual scrape intervals: no scrape needs a handshake of its own.
KEEP_ALIVE_SECONDS = 75
# For a request from its head to the last byte of the answer; no scrape waits longer.
ANSWER_SECONDS = 60.0

Admission = Callable[[asyncio.BaseTransport], bool]


class Connection(H11Protocol):
    """
    A connection with a deadline at any time.

    *admits* tells whether the client may come in, once it is known who that is. Beyond *most*
    connections the one that has waited longest gives way.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        *,
        admits: Admission,
        most: int,
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self._admits = admits
        self._most = most
        self._asked: object = None
        self._since = loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base class has it
        """Let the client in, or not."""
        super().connection_made(transport)
        if not self._admits(transport):
            transport.abort()
        elif len(self.connections) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        """Give up the connection on which nothing is asked for longest, or nothing is taken."""
        open_ones = [
            each
            for each in self.connections
            if isinstance(each, Connection) and not each.transport.is_closing()
        ]
        if len(open_ones) <= self._most:
            return
        victim = min(
            (each for each in open_ones if each is not self and not each.is_answering),
            key=lambda each: (each.is_sending, each.waits_since),
            default=self,
        )
        victim.give_up()

    def data_received(self, data: bytes) -> None:
        """Take what came, but for what comes after all is over."""
        if not self.transport.is_closing():
            super().data_received(data)

    def handle_events(self) -> None:
        """Take what came, and note when a request began."""
        super().handle_events()
        if self.cycle is not self._asked:
            self._asked = self.cycle
            self._since = self.loop.time()

    def on_response_complete(self) -> None:
        """Note when the client was answered."""
        if not self.is_sending:
            self._since = self.loop.time()
        super().on_response_complete()

    @property
    def waits_since(self) -> float:
        """Since when the next step is the client's, or the app's."""
        return self._since

    @property
    def is_answering(self) -> bool:
        """Tell whether the app is at work for the client."""
        is_asked = self._asked is not None
        return is_asked and not self.cycle.response_complete and not self.is_sending

    @property
    def is_sending(self) -> bool:
        """Tell whether an answer is under way that the client has not taken."""
        return self.transport.get_write_buffer_size() > 0

    def is_overdue(self, now: float) -> bool:
        """Tell whether the client has kept the connection waiting for too long."""
        if self._asked is None:
            return now - self._since > FIRST_REQUEST_SECONDS
        is_busy = self.is_sending or not self.cycle.response_complete
        return now - self._since > (ANSWER_SECONDS if is_busy else KEEP_ALIVE_SECONDS)

    def give_up(self) -> None:
        """Close at once, without a word: nobody listens."""
        self.transport.abort()


def names_of(transport: asyncio.BaseTransport) -> frozenset[str]:
    """Return the alternative names in the certificate that the client has shown."""
    certificate = transport.get_extra_info("peercert") or {}
    return frozenset(_spelled(kind, name) for kind, name in certificate.get("subjectAltName", ()))


def _spelled(kind: str, name: str) -> str:
    """Spell an address as the configuration has it."""
    if kind != "IP Address":
        return name
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name
