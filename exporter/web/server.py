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
from exporter.web.sockets import bind

_MAX_CONNECTIONS = 2000
# Each holds a third of a megabyte, from the first byte of its handshake.
_MAX_TLS_CONNECTIONS = 200
# What a client may send ahead of being read: a head, and little more.
_RECEIVE_BUFFER_BYTES = 16_384
_SHUTDOWN_SECONDS = 5.0
_ACCEPT_RETRY_SECONDS = 0.1
# More would keep those waiting who are there already.
_ACCEPTED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _TlsEndpoint:
    """How clients are let in; `limit` is how many at once."""

    tls: TlsPolicy | None
    context: ssl.SSLContext | None
    limit: int

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


def _endpoint(tls: TlsPolicy | None) -> _TlsEndpoint:
    context = server_context(tls) if tls else None
    return _TlsEndpoint(tls, context, _max_connections(encrypted=tls is not None))


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
        self._endpoint = _endpoint(tls)
        self._connections = Connections()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._bound.setblocking(False)
        self._bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
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
        before = self._endpoint
        if tls == before.tls:
            return
        self._endpoint = await anyio.to_thread.run_sync(_endpoint, tls)
        if self._endpoint.admission == before.admission:
            return
        for connection in list(self._connections.open):
            connection.shutdown()

    async def accept(self) -> None:
        """Let clients in until cancelled, a few in each turn of the event loop."""
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    for _ in range(_ACCEPTED_AT_ONCE):
                        # Does not wait while there are any.
                        accepted, _ = await loop.sock_accept(self._bound)
                        self._let_in(accepted, tasks)
                except OSError:
                    # The client is gone already, or there are too many files: those will close.
                    await anyio.sleep(_ACCEPT_RETRY_SECONDS)
                await anyio.lowlevel.checkpoint()

    def _let_in(self, accepted: socket.socket, tasks: TaskGroup) -> None:
        endpoint = self._endpoint
        connection = Connection(
            self.config,
            self.server_state,
            asyncio.get_running_loop(),
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
                # Whoever says nothing costs a socket, and no buffers of TLS.
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
        """Leave signals alone."""
        yield


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
        # Below are lines for what any client may send, as often as it likes.
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
    """Tell whether a client will not hear an answer, whatever it has asked."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def _max_connections(*, encrypted: bool) -> int:
    """Return how many clients may be connected at once: files and hubs need sockets, too."""
    limit = _MAX_TLS_CONNECTIONS if encrypted else _MAX_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if allowed == resource.RLIM_INFINITY else max(1, min(limit, allowed // 2))
