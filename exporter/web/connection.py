"""Client connections, aborted when the client stalls."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from ipaddress import ip_address

import anyio
import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

# For a handshake, for the head of a request, and for the rest of a body after its answer.
HEAD_SECONDS = 10.0
# Longer than usual scrape intervals: scrapes reuse connections.
KEEP_ALIVE_SECONDS = 75
# From the head of a request to the last byte of the answer; no scraper waits longer.
ANSWER_SECONDS = 60.0
# For the client to read the answer to a request refused before its end.
REFUSED_SECONDS = 2.0
MAX_HEAD_BYTES = 16_384
# More than half of all connections, if they wait and come from one network, are a crowd.
_SHARE_OF_A_CROWD = 2

Admission = Callable[[asyncio.BaseTransport], bool]


class Connections:
    """The open connections, handshakes included, and which of them wait for their client."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        # The one that has waited longest comes first. (A dict finds its first slowly if many left.)
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self._waiting_of: defaultdict[str, OrderedDict[Connection, None]] = defaultdict(OrderedDict)
        self._crowd = ""

    def admit(self, connection: Connection, limit: int) -> bool:
        """
        Add a connection; at *limit*, abort the one that has waited longest.

        If most are a crowd from one network, it is one of theirs. Returns False if none waits.
        """
        while len(self.open) >= limit:
            is_crowd = self._number_of(self._crowd) > limit // _SHARE_OF_A_CROWD
            waiting = self._waiting_of[self._crowd] if is_crowd else self._waiting
            if not waiting:
                return False
            next(iter(waiting)).abort()
        self.open.add(connection)
        self.set_waiting(connection)
        return True

    def set_waiting(self, connection: Connection) -> None:
        """Note that the next step is the client's."""
        if connection not in self.open:
            return
        self.set_busy(connection)
        self._waiting[connection] = self._waiting_of[connection.network][connection] = None
        if self._number_of(connection.network) > self._number_of(self._crowd):
            self._crowd = connection.network

    def set_busy(self, connection: Connection) -> None:
        """Note that the next step is the app's."""
        if connection in self._waiting:
            del self._waiting[connection], self._waiting_of[connection.network][connection]
            if not self._waiting_of[connection.network]:
                del self._waiting_of[connection.network]

    def remove(self, connection: Connection) -> None:
        """Remove a connection, if present."""
        self.open.discard(connection)
        self.set_busy(connection)

    def _number_of(self, network: str) -> int:
        return len(self._waiting_of.get(network, ()))


class Connection(H11Protocol):
    """
    A connection that always has a deadline; *admits* checks the client's certificate.

    *network* is what all addresses of its client share.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        *,
        network: str,
        all_connections: Connections,
        admits: Admission,
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.arrival = anyio.CancelScope(deadline=loop.time() + HEAD_SECONDS)
        self.network = network
        self._all = all_connections
        self._admits = admits
        self._answering: anyio.CancelScope | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.is_made = False
        self._is_idle = False
        self._is_lost = False
        self._is_refused = False

    @property
    def app(self) -> ASGIApp:
        """What the base class runs for a request."""
        # Not stored: a reference cycle would last until the next full garbage collection.
        return self._answer

    @app.setter
    def app(self, app: ASGIApp) -> None:
        self._app = app

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base class has it
        """Admit the client, unless it may not or was aborted meanwhile."""
        super().connection_made(transport)
        self.is_made = True
        self._allow(HEAD_SECONDS)
        if self not in self._all.open or not self._admits(transport):
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Process received data, unless the connection is closing."""
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_idle:
            self._is_idle = False
            self._allow(HEAD_SECONDS)
        super().data_received(data)
        if not self._is_refused and len(self.conn.trailing_data[0]) > MAX_HEAD_BYTES:
            # Pipelined requests are answered, not stored.
            self.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse an invalid request, and let the client read the answer."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        # Closing at once would reset a connection with data in flight, and lose the answer.
        self._is_refused = True
        self._drop_work()
        self._all.set_waiting(self)
        self._allow(REFUSED_SECONDS)
        body = msg.encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def handle_events(self) -> None:
        """Process events, and note when a request begins."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self._is_refused:
            self._all.set_busy(self)
            self._is_idle = False
            self._allow(ANSWER_SECONDS)

    def pause_writing(self) -> None:
        """Note that the client does not read its answer."""
        super().pause_writing()
        self._all.set_waiting(self)

    def resume_writing(self) -> None:
        """Note that the client reads its answer."""
        super().resume_writing()
        if self.cycle is not None and not self.cycle.response_complete:
            self._all.set_busy(self)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        self._all.set_waiting(self)
        self._is_idle = self.conn.their_state is not h11.SEND_BODY
        self._allow(KEEP_ALIVE_SECONDS if self._is_idle else HEAD_SECONDS)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop work for a client that is gone."""
        super().connection_lost(exc)
        self._is_lost = True
        self._all.remove(self)
        if self._deadline is not None:
            self._deadline.cancel()
        self._drop_work()

    def shutdown(self) -> None:
        """Close once the request in flight has been answered."""
        if self.is_made:
            super().shutdown()
        else:
            self.abort()

    def _drop_work(self) -> None:
        """Cancel an answer that is no longer sent."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self._answering is not None:
            self._answering.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_lost:
            return
        with anyio.CancelScope() as self._answering:
            await self._app(scope, receive, send)

    def _allow(self, seconds: float) -> None:
        """Set the deadline to *seconds* from now."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.abort)

    def abort(self) -> None:
        """Close at once, without an answer."""
        self._all.remove(self)
        self.arrival.cancel()
        if self.is_made:
            self.transport.abort()


def names_of(transport: asyncio.BaseTransport) -> frozenset[str]:
    """Return the alternative names in the client's certificate."""
    certificate = transport.get_extra_info("peercert") or {}
    return frozenset(_spelled(kind, name) for kind, name in certificate.get("subjectAltName", ()))


def _spelled(kind: str, name: str) -> str:
    """Return a name, addresses in canonical form."""
    if kind != "IP Address":
        return name
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        return name
