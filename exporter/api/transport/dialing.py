"""New connections: addresses of a name by turns, then TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, zip_longest

import anyio
import httpx

from exporter.api.transport.wire import Wire

# How long an address has before the next one is tried beside it (RFC 8305).
_HEAD_START_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go; *host* is a name or an address, IPv6 without brackets."""

    is_tls: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> Origin:
        """Return the origin of *url*; raises `httpx.UnsupportedProtocol` if it is not HTTP."""
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("the address is neither http:// nor https://")
        is_tls = url.scheme == "https"
        return cls(is_tls, url.raw_host.decode("ascii"), url.port or (443 if is_tls else 80))


Dialing = Callable[[Origin, ssl.SSLContext, float | None], Awaitable[Wire]]


async def dial(origin: Origin, tls: ssl.SSLContext, seconds: float | None) -> Wire:
    """
    Open a connection within some *seconds*.

    Raises `httpx.ConnectTimeout`, or `httpx.ConnectError` from what the system or TLS said.
    """
    try:
        with anyio.fail_after(seconds):
            connected = await _connected(origin)
            return await _wired(connected, origin, tls)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("the connection took too long") from error
    except (OSError, UnicodeError, ExceptionGroup) as error:
        raise httpx.ConnectError("the connection failed") from error


async def _wired(connected: socket.socket, origin: Origin, tls: ssl.SSLContext) -> Wire:
    loop = asyncio.get_running_loop()
    with ExitStack() as undo:
        undo.callback(connected.close)
        if origin.is_tls:
            _, wire = await loop.create_connection(
                Wire, sock=connected, ssl=tls, server_hostname=origin.host
            )
        else:
            _, wire = await loop.create_connection(Wire, sock=connected)
        undo.pop_all()
    return wire


async def _connected(origin: Origin) -> socket.socket:
    """Return a socket of the first address that answers; they are tried with a short delay."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: tuple[object, ...], failed: anyio.Event) -> None:
        with ExitStack() as undo:
            connecting = undo.enter_context(
                socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            )
            connecting.setblocking(False)
            try:
                await loop.sock_connect(connecting, address)
            except OSError as error:
                errors.append(error)
                failed.set()
            else:
                undo.pop_all()
                undo_all.callback(connecting.close)
                won.append(connecting)
                attempts.cancel_scope.cancel()

    with ExitStack() as undo_all:
        async with anyio.create_task_group() as attempts:
            for family, address in _by_turns(found):
                failed = anyio.Event()
                attempts.start_soon(attempt, family, address, failed)
                with anyio.move_on_after(_HEAD_START_SECONDS):
                    await failed.wait()
        undo_all.pop_all()
    for late in won[1:]:
        late.close()
    if not won:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("no address answers", errors)
    return won[0]


def _by_turns(
    found: Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]],
) -> list[tuple[int, tuple[object, ...]]]:
    """Return the addresses, those of IPv6 and IPv4 by turns, beginning with the first's."""
    addresses = [(int(family), address) for family, _, _, _, address in found]
    first = [pair for pair in addresses if pair[0] == addresses[0][0]]
    second = [pair for pair in addresses if pair[0] != addresses[0][0]]
    mixed = chain.from_iterable(zip_longest(first, second))
    return [pair for pair in mixed if pair is not None]
