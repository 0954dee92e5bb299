"""
Clients that mean no good, as a process: `python -m tests.hostile.flood KIND PORT COUNT SOURCE`.

It says `done` once all have come, and leaves when its input ends.
"""

from __future__ import annotations

import resource
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

HOST = "127.0.0.1"
PIPELINED = 50
SLOW_SECONDS = 10.0
# Long enough to be let in when the server has a full backlog.
CONNECT_SECONDS = 60.0

Connect = Callable[[], socket.socket]


def request(path: str, login: str = "") -> bytes:
    """Return a request, of whom *login* (`user:password`) names."""
    credentials = f"authorization: Basic {b64encode(login.encode()).decode()}\r\n" if login else ""
    return f"GET {path} HTTP/1.1\r\nhost: exporter\r\n{credentials}\r\n".encode()


def silent(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Connect, and say nothing."""
    for _ in range(count):
        yield connect()


def encrypted(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Shake hands, and say nothing more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(count):
        with suppress(OSError):
            yield context.wrap_socket(connect())


def logins(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Try a password each, and leave before the answer."""
    for number in range(count):
        _abandon(connect(), request("/metrics", f"prometheus:guess-{number}"))
    yield from ()


def pages(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Ask for the status page with a right password, and leave before the answer."""
    for _ in range(count):
        _abandon(connect(), request("/", "prometheus:right"))
    yield from ()


def pipelined(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Ask for everything at once, again and again."""
    for _ in range(count):
        connection = connect()
        with suppress(OSError):
            connection.sendall(request("/metrics") * PIPELINED)
        yield connection


def slow(connect: Connect, count: int) -> Iterator[socket.socket]:
    """Say a head letter by letter."""
    connections = [connect() for _ in range(count)]
    end = time.monotonic() + SLOW_SECONDS
    for letter in request("/metrics"):
        for connection in connections:
            with suppress(OSError):
                connection.sendall(bytes([letter]))
        if time.monotonic() > end:
            break
        time.sleep(0.03)
    yield from connections


def _abandon(connection: socket.socket, head: bytes) -> None:
    with connection, suppress(OSError):
        connection.sendall(head)


FLOODS: Mapping[str, Callable[[Connect, int], Iterator[socket.socket]]] = {
    flood.__name__: flood for flood in (silent, encrypted, logins, pages, pipelined, slow)
}


def main(kind: str, port: str, count: str, source: str) -> None:
    """Send the clients of one kind, from the address *source*."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def connect() -> socket.socket:
        return socket.create_connection((HOST, int(port)), CONNECT_SECONDS, (source, 0))

    held = list(FLOODS[kind](connect, int(count)))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.read()
    for connection in held:
        connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
