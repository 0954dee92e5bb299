"""The listening socket."""

from __future__ import annotations

import socket


class CannotListen(Exception):
    """An address cannot be listened on; the message has the reason and the remedy."""

    def __init__(self, host: str, port: int, error: OSError, option: str) -> None:
        super().__init__(
            f"cannot listen on {host or '*'}:{port}: {error.strerror or error}; "
            f"choose another address with {option}"
        )


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; an empty host or `::` is all of IPv4 and IPv6."""
    both = host in ("", "::") and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named; else each answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise CannotListen(host, port, error, "--listen-address") from error
    return bound
