"""The listening server."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

from exporter.settings import TlsPolicy, server_context
from exporter.web.connection import KEEP_ALIVE_SECONDS, Connection, names_of

_MOST_CONNECTIONS = 2000
# Each holds a quarter of a megabyte.
_MOST_ENCRYPTED = 500
_LONGEST_HEAD = 16_384
_HANDSHAKE_SECONDS = 10.0
_GOODBYE_SECONDS = 5.0
_TICKS_BETWEEN_LOOKS = 10


class CannotListen(Exception):
    """The address cannot be listened on; the message names it and the reason."""


class Server(uvicorn.Server):
    """
    Serves on the address of *bound*, with the encryption that *tls* says.

    It leaves signals to the command. How it listens can be changed while it runs: connections are
    accepted by way of a duplicate of *bound*, so that none is lost between one and the next.
    """

    def __init__(self, config: uvicorn.Config, bound: socket.socket, tls: TlsPolicy | None) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self.port: int = bound.getsockname()[1]
        self._bound = bound
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.servers = [await self._listen(self._tls)]
        self.listening.set()

    async def follow(self, tls: TlsPolicy | None) -> None:
        """
        Take further connections as *tls* says; those there are end with their answers.

        Raises:
            OSError: the system does not allow it; all stays as it was.
        """
        if tls == self._tls:
            return
        there_are = list(self.server_state.connections)
        before, self.servers = self.servers, [await self._listen(tls)]
        self._tls = tls
        for server in before:
            server.close()
        for connection in there_are:
            connection.shutdown()

    async def _listen(self, tls: TlsPolicy | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        most = _most_connections(encrypted=tls is not None)
        names = tls.client_names if tls else frozenset()

        def admits(transport: asyncio.BaseTransport) -> bool:
            return not names or not names.isdisjoint(names_of(transport))

        def connected() -> Connection:
            return Connection(self.config, self.server_state, loop, admits=admits, most=most)

        duplicate = self._bound.dup()
        try:
            return await loop.create_server(
                connected,
                sock=duplicate,
                backlog=self.config.backlog,
                ssl=server_context(tls) if tls else None,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if tls else None,
            )
        except (OSError, ValueError):
            duplicate.close()
            raise

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
            try:
                yield server
            finally:
                server.should_exit = True


@asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, *, grace_seconds: float
) -> AsyncGenerator[int, None]:
    """Serve *app* without encryption while the block runs; yields the port."""
    async with listening(app, host, port, grace_seconds=grace_seconds) as server:
        yield server.port


def _most_connections(*, encrypted: bool) -> int:
    """Return how many clients may be connected at once: files and hubs need sockets, too."""
    most = _MOST_ENCRYPTED if encrypted else _MOST_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if allowed == resource.RLIM_INFINITY else max(1, min(most, allowed // 2))


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; an empty host means all addresses."""
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small segments at once; else each answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        where = f"{host or '*'}:{port}"
        raise CannotListen(f"cannot listen on {where}: {error.strerror or error}") from error
    return bound
