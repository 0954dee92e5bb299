"""The listening server."""

from __future__ import annotations

import asyncio
import resource
import select
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import anyio.to_thread
import uvicorn
from anyio.abc import TaskGroup
from starlette.types import ASGIApp

from exporter.settings import TlsPolicy, server_context
from exporter.web.connection import (
    KEEP_ALIVE_SECONDS,
    MAX_HEAD_BYTES,
    Connection,
    Connections,
    names_of,
)
from exporter.web.overload import network_of
from exporter.web.sockets import bind

_MAX_CONNECTIONS = 2000
# Each takes a third of a megabyte, from the first byte of its handshake.
_MAX_TLS_CONNECTIONS = 200
# What a client may send ahead: a head, and little more.
_RECEIVE_BUFFER_BYTES = 16_384
_SHUTDOWN_SECONDS = 5.0
_ACCEPT_RETRY_SECONDS = 0.1
# Per turn of the event loop: more would delay open connections.
_ACCEPTED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _TlsEndpoint:
    """How clients connect, at most `limit` at once."""

    tls: TlsPolicy | None
    context: ssl.SSLContext | None
    limit: int

    @property
    def admission(self) -> tuple[object, ...]:
        """What decides which clients are admitted."""
        tls = self.tls
        if tls is None:
            return ()
        return (tls.client_auth, tls.client_authority, tls.client_names, tls.minimum)

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether the client's certificate, if required, has an allowed name."""
        names = self.tls.client_names if self.tls else frozenset()
        return not names or not names.isdisjoint(names_of(transport))


def _endpoint(tls: TlsPolicy | None) -> _TlsEndpoint:
    context = server_context(tls) if tls else None
    return _TlsEndpoint(tls, context, _max_connections(encrypted=tls is not None))


class Server(uvicorn.Server):
    """
    Serves on the *bound* socket, encrypted by *tls* if given.

    Signals are left to the command. It accepts connections itself: TLS can change without closing
    the socket.
    """

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: TlsPolicy | None) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self.port: int = bound.getsockname()[1]
        self._bound = bound
        self._endpoint = _endpoint(tls)
        self._connections = Connections()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self._bound.setblocking(False)
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._bound.listen(self.config.backlog)
        self.listening.set()

    async def follow(self, tls: TlsPolicy | None) -> None:
        """
        Apply *tls* to further connections.

        Open ones stay, unless admission changes: then they close after the answers in flight.

        Raises:
            ValueError: *tls* is unusable; nothing changes.
        """
        before = self._endpoint
        if tls == before.tls:
            return
        self._endpoint = await anyio.to_thread.run_sync(_endpoint, tls)
        if self._endpoint.admission == before.admission:
            return
        for connection in list(self._connections.open):
            connection.shutdown()

    async def accept(self) -> None:
        """Accept connections until cancelled, a few per turn of the event loop."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    for _ in range(_ACCEPTED_AT_ONCE):
                        # Returns at once while there are any.
                        accepted, address = await loop.sock_accept(self._bound)
                        self._let_in(accepted, network_of(address[0]), tasks)
                except OSError:
                    # The client has left, or too many files are open: those will close.
                    await anyio.sleep(_ACCEPT_RETRY_SECONDS)
                await anyio.lowlevel.checkpoint()

    def _let_in(self, accepted: socket.socket, network: str, tasks: TaskGroup) -> None:
        endpoint = self._endpoint
        connection = Connection(
            self.config,
            self.server_state,
            asyncio.get_running_loop(),
            network=network,
            all_connections=self._connections,
            admits=endpoint.admits,
        )
        if self._connections.admit(connection, endpoint.limit):
            tasks.start_soon(self._connect, connection, accepted, endpoint.context)
        else:
            accepted.close()

    async def _connect(
        self, connection: Connection, accepted: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            with connection.arrival, suppress(OSError):
                # A silent client costs a socket, but no TLS buffers.
                await anyio.wait_readable(accepted)
                if not _has_left(accepted):
                    await loop.connect_accepted_socket(
                        lambda: connection,
                        accepted,
                        ssl=context,
                        ssl_shutdown_timeout=_SHUTDOWN_SECONDS if context else None,
                    )
        finally:
            if not connection.is_made:
                self._connections.remove(connection)
                accepted.close()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no handlers."""
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp, host: str, port: int, *, grace_seconds: float, tls: TlsPolicy | None = None
) -> AsyncGenerator[Server, None]:
    """
    Serve *app* while the block runs, on a free port if *port* is 0.

    Requests in flight at its end have *grace_seconds* to finish.

    Raises:
        CannotListen: the address is in use, or not of this machine.
        ValueError: *tls* is unusable.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        # Lower levels log what any client can cause, without limit.
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
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


def _has_left(client: socket.socket) -> bool:
    """Return whether the client has closed its connection."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def _max_connections(*, encrypted: bool) -> int:
    """Return the limit of connections: half of the file descriptors are for files and hubs."""
    limit = _MAX_TLS_CONNECTIONS if encrypted else _MAX_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if allowed == resource.RLIM_INFINITY else max(1, min(limit, allowed // 2))
