"""The emulator on a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulator.emulator import Emulator
from emulator.http.app import create_app
from emulator.http.connection import CLOSE_CONNECTION


class _Connection(H11Protocol):
    """Lets the app close its connection, for which ASGI has no message."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        super().connection_made(transport)
        self.app_state = {**self.app_state, CLOSE_CONNECTION: self.transport.close}


class _Server(uvicorn.Server):
    """Reports when it listens, and stops on request instead of on signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()
        self._stopping = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.transport.abort()  # closing waits for a client that has stopped reading
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)
        for server in self.servers:
            await server.wait_closed()

    def stop(self) -> None:
        """Stop at once, aborting requests."""
        self._stopping.set()


@asynccontextmanager
async def running(emulator: Emulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve an emulator as `running_app` serves an app."""
    async with running_app(create_app(emulator), host, port) as url:
        yield url


@asynccontextmanager
async def running_app(
    app: ASGIApp, host: str, port: int, *, certificate: Path | None = None, key: Path | None = None
) -> AsyncIterator[str]:
    """
    Serve an app while the context lasts; yields its base URL once it listens.

    It serves TLS with a *certificate* and its *key*. Port 0 takes a free one. Raises `OSError` if
    it cannot bind.
    """
    listener = _bind(host, port)
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(config)

    async def serve_to_the_end() -> None:
        # A cancelled server leaves its sockets open.
        with anyio.CancelScope(shield=True):
            await server.serve([listener])

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(serve_to_the_end)
            try:
                await server.listening.wait()
                yield _url(listener, "http" if certificate is None else "https")
            finally:
                server.stop()
    except BaseExceptionGroup as failures:
        # A single exception is raised as it is.
        if len(failures.exceptions) > 1:
            raise
        raise failures.exceptions[0] from None


async def serve(emulator: Emulator, host: str, port: int) -> None:
    """Serve an emulator until cancelled, without signal handlers."""
    async with running(emulator, host, port):
        await anyio.sleep_forever()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY if the protocol is named; else each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
