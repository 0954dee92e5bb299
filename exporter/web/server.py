"""The listening server."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import anyio
import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from exporter.settings import TlsPolicy, server_context
from exporter.web.connection import KEEP_ALIVE_SECONDS, Connection, names_of
from exporter.web.sockets import bind

_MOST_CONNECTIONS = 2000
# Each holds a quarter of a megabyte.
_MOST_ENCRYPTED = 500
_LONGEST_HEAD = 16_384
_TIMEOUTS = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 5.0}
_BREATH_SECONDS = 0.1
_TICKS_BETWEEN_LOOKS = 10


@dataclass(frozen=True, slots=True)
class _Door:
    """How clients come in."""

    tls: TlsPolicy | None
    context: ssl.SSLContext | None
    most: int

    @property
    def admission(self) -> tuple[object, ...]:
        """What decides who comes in."""
        tls = self.tls
        if tls is None:
            return ()
        return (tls.client_auth, tls.client_authority, tls.client_names, tls.minimum)

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Tell whether a client may come in that has shown its certificate, if it has one."""
        names = self.tls.client_names if self.tls else frozenset()
        return not names or not names.isdisjoint(names_of(transport))


def _door(tls: TlsPolicy | None) -> _Door:
    context = server_context(tls) if tls else None
    return _Door(tls, context, _most_connections(encrypted=tls is not None))


class Server(uvicorn.Server):
    """
    Serves on the address of *bound*, with the encryption that *tls* says.

    It leaves signals to the command. It accepts connections itself, so that each comes in as is
    said at that moment, and the socket is never closed in between.
    """

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: TlsPolicy | None) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self.port: int = bound.getsockname()[1]
        self._bound = bound
        self._door = _door(tls)
        self._handshakes: dict[int, anyio.CancelScope] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._bound.setblocking(False)
        self._bound.listen(self.config.backlog)
        self.listening.set()

    async def follow(self, tls: TlsPolicy | None) -> None:
        """
        Take further connections as *tls* says.

        Those there are go on, unless others may come in than before: then they end with the
        answers that are under way.

        Raises:
            ValueError: it cannot be done; all stays as it was.
        """
        before = self._door
        if tls == before.tls:
            return
        self._door = await anyio.to_thread.run_sync(_door, tls)
        if self._door.admission == before.admission:
            return
        for scope in self._handshakes.values():
            scope.cancel()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def accept(self) -> None:
        """Let clients in until cancelled."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(self._bound)
                except OSError:
                    # The client is gone already, or there are too many files: those will close.
                    await anyio.sleep(_BREATH_SECONDS)
                else:
                    tasks.start_soon(self._let_in, accepted)

    async def _let_in(self, accepted: socket.socket) -> None:
        loop, door = asyncio.get_running_loop(), self._door
        timeouts = _TIMEOUTS if door.context else {}

        def connected() -> Connection:
            return Connection(
                self.config, self.server_state, loop, admits=door.admits, most=door.most
            )

        with self._handshake(accepted.fileno(), door), suppress(OSError):
            await loop.connect_accepted_socket(connected, accepted, ssl=door.context, **timeouts)

    @contextmanager
    def _handshake(self, number: int, door: _Door) -> Generator[None, None, None]:
        """Let a client take its time to introduce itself, but not so many at once."""
        with anyio.CancelScope() as scope:
            self._handshakes[number] = scope
            if len(self._handshakes) > door.most:
                next(iter(self._handshakes.values())).cancel()
            try:
                yield
            finally:
                del self._handshakes[number]

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Give up connections on which nothing comes or goes."""
        if counter % _TICKS_BETWEEN_LOOKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection) and connection.is_overdue(now):
                    connection.give_up()
        return await super().on_tick(counter)


@asynccontextmanager
async def listening(
    app: ASGIApp, host: str, port: int, *, grace_seconds: float, tls: TlsPolicy | None = None
) -> AsyncGenerator[Server, None]:
    """
    Serve *app* while the block runs, on a free port for 0.

    Requests under way when the block ends have *grace_seconds* to finish.

    Raises:
        CannotListen: the address is taken or is not one of this machine.
        ValueError: *tls* cannot be done.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    with bind(host, port) as bound:
        server = Server(config, bound, tls)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [])
            await server.listening.wait()
            async with anyio.create_task_group() as accepting:
                accepting.start_soon(server.accept)
                try:
                    yield server
                finally:
                    accepting.cancel_scope.cancel()
                    server.should_exit = True


def _most_connections(*, encrypted: bool) -> int:
    """Return how many clients may be connected at once: files and hubs need sockets, too."""
    most = _MOST_ENCRYPTED if encrypted else _MOST_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if allowed == resource.RLIM_INFINITY else max(1, min(most, allowed // 2))
