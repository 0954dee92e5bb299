"""The listening server."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp


class CannotListen(Exception):
    """The address cannot be listened on; the message names it and the reason."""


class _Server(uvicorn.Server):
    """Leaves signals to the command, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp, host: str, port: int, *, grace_seconds: float
) -> AsyncGenerator[int, None]:
    """
    Serve *app* while the block runs; yields the port, which is chosen freely for 0.

    Requests under way when the block ends have *grace_seconds* to finish.

    Raises:
        CannotListen: the address is taken or is not one of this machine.
    """
    bound = bind(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
    )
    server = _Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [bound])
        await server.listening.wait()
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True


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
