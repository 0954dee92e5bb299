"""How far a new connection has come, so that it can be told what it hangs at."""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Connecting:
    """The host whose name is being looked up, and the one whose TLS handshake is under way."""

    name: str = ""
    handshake: str = ""


connecting: ContextVar[Connecting] = ContextVar("connecting")


def now_connecting() -> Connecting:
    """Return the connection that the present request makes; one that nobody looks at elsewhere."""
    return connecting.get(Connecting())


class ObservedTls(ssl.SSLObject):
    """Notes while its handshake is under way; for `SSLContext.sslobject_class`."""

    def do_handshake(self) -> None:
        """Go on with the handshake; raises `ssl.SSLError`."""
        progress = now_connecting()
        progress.handshake = self.server_hostname or ""
        super().do_handshake()
        progress.handshake = ""
