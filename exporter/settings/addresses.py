"""Addresses: where the exporter listens, and where task hubs and proxies answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from exporter.settings.shown import Shown
from exporter.settings.values import Names

_API_PATH = "/runtime/webhooks/durabletask"
_LAST_SEGMENT = "durabletask"
_LAST_PORT = 65_535
_HOST_PATTERN = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen: an empty `host` is all interfaces, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(value: object) -> ListenAddress:
    """Read `host:port`, `[::1]:port` or `:port`; raises `ValueError` for anything else."""
    if isinstance(value, ListenAddress):
        return value
    host, separator, port = str(value).strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not separator or (":" in host and not bracketed) or any(map(str.isspace, host)):
        raise ValueError("is not host:port: write it as :10771, 127.0.0.1:10771 or [::1]:10771")
    if not (port.isascii() and port.isdecimal() and int(port) <= _LAST_PORT):
        raise ValueError(f"has no port: end it in a number of 0 to {_LAST_PORT}")
    return ListenAddress(host[1:-1] if bracketed else host, int(port))


def _check_host_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not _HOST_PATTERN.fullmatch(pattern):
            raise ValueError(
                "has an item that is no host: write app.example.com, *.example.com, 10.0.0.1 or "
                "[::1], without scheme and port"
            )
    return patterns


def check_hub_url(url: str, *, allow_insecure: bool) -> str:
    """
    Return *url* if the API of a task hub can be reached by it.

    Raises:
        ValueError: it cannot, or would carry a key; the message shows no part of the URL.
    """
    parts = _split(url)
    if "?" in url or "#" in url:
        raise ValueError(
            "has a query or a fragment: cut it before the ? or #, and put the key in key_file"
        )
    if "@" in parts.netloc:
        raise ValueError("has a user or password in it: remove it, and put the key in key_file")
    if _LAST_SEGMENT in parts.path.rstrip("/").lower().split("/")[:-1]:
        raise ValueError(f"goes on after /{_LAST_SEGMENT}: cut it there")
    if parts.scheme == "http" and not (allow_insecure or is_loopback(parts.hostname or "")):
        raise ValueError("is not encrypted: use https://, or set allow_insecure to true")
    return url


def base_of(url: str) -> str:
    """Return the base of all requests for a checked *url*, spelled one way, without a slash."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2].lower() != _LAST_SEGMENT:
        path += _API_PATH
    return urlunsplit((parts.scheme, host + port, path, "", ""))


def _check_proxy(proxy: SecretStr) -> SecretStr:
    _split(proxy.get_secret_value())
    return proxy


def _split(url: str) -> SplitResult:
    """Take a URL apart; errors do not show it, as it may hold a secret."""
    if not url:
        raise ValueError("is empty: give a URL")
    if not url.isprintable() or " " in url:
        raise ValueError("has blanks or control characters in it: remove them")
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(
            "has a host or port that cannot be: write it as https://host:port"
        ) from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("does not start with https:// or http://: give the whole URL")
    if not usable:
        raise ValueError("names no host: write it as https://host")
    return parts


def is_loopback(host: str) -> bool:
    """Tell whether a host, by name or address, is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


ListenOn = Annotated[ListenAddress, BeforeValidator(parse_listen_address), Shown("`host:port`")]
HostPatterns = Annotated[Names, AfterValidator(_check_host_patterns)]
Proxy = Annotated[SecretStr, AfterValidator(_check_proxy), Shown("URL")]
