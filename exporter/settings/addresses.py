"""Addresses: where to listen, of hubs and proxies, and templates of links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from string import Formatter
from typing import Annotated
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from exporter.settings.values import Names, Shown

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
                "has an item that is not a host: write app.example.com, *.example.com, 10.0.0.1 or "
                "[::1], without scheme and port"
            )
    return patterns


def check_hub_url(url: str, *, allow_insecure: bool) -> str:
    """
    Return *url* if it can be the address of a task hub's API.

    Raises:
        ValueError: it cannot, or may hold a key; the message shows no part of the URL.
    """
    parts = _split(url)
    if "?" in url or "#" in url:
        raise ValueError(
            "has a query or a fragment: cut it before the ? or #, and put the key in key_file"
        )
    if "@" in parts.netloc:
        raise ValueError("has a user or password in it: remove it, and put the key in key_file")
    if _LAST_SEGMENT in parts.path.rstrip("/").lower().split("/")[:-1]:
        raise ValueError(f"has extra path after /{_LAST_SEGMENT}: cut it there")
    if parts.scheme == "http" and not (allow_insecure or is_loopback(parts.hostname or "")):
        raise ValueError("is not encrypted: use https://, or set allow_insecure to true")
    return url


def base_of(url: str) -> str:
    """Return the base URL of all requests for a checked *url*, normalized, without a slash."""
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
    """Split a URL; errors do not show it, as it may hold a secret."""
    if not url:
        raise ValueError("is empty: give a URL")
    if not url.isprintable() or " " in url:
        raise ValueError("has blanks or control characters in it: remove them")
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError("has an impossible host or port: write it as https://host:port") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("does not start with https:// or http://: give the whole URL")
    if not usable:
        raise ValueError("has no host: write it as https://host")
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


ListenOn = Annotated[ListenAddress, BeforeValidator(parse_listen_address), Shown("`host:port`")]
HostPatterns = Annotated[Names, AfterValidator(_check_host_patterns)]
Proxy = Annotated[SecretStr, AfterValidator(_check_proxy), Shown("URL")]


PLACEHOLDERS = ("instance_id", "task_hub", "hub_name", "orchestrator")

_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_LONGEST_NAME = 40
_NO_ADDRESS = "is not a URL: start it with https:// or http:// and a host"


def _check_name(name: str) -> str:
    if name != name.strip() or not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"is not a link name: use up to {_LONGEST_NAME} characters without surrounding blanks"
        )
    return name


def check_template(template: str) -> str:
    """
    Return *template* if it is a web address with known placeholders.

    The host is fixed: data of a task hub must not decide where a link leads.

    Raises:
        ValueError: it is something else; the message shows no part of it.
    """
    literal = "".join(text for text, _ in _parts(template))
    if not template.isprintable() or " " in template:
        raise ValueError("has blanks or control characters in it: write them as %20 and the like")
    if not template.startswith(("https://", "http://")):
        raise ValueError(_NO_ADDRESS)
    if any(field is not None for _, field in _parts(_begin(template))):
        raise ValueError("has a placeholder in its host: write the host out")
    try:
        parts = urlsplit(literal)
        usable = parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(_NO_ADDRESS)
    if "@" in parts.netloc:
        raise ValueError("has a user or password in it: remove it, everybody sees the page")
    return template


def _parts(template: str) -> Iterator[tuple[str, str | None]]:
    """Yield the literal texts, each with the placeholder after it."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError(
            f"has an unknown placeholder; known: {_KNOWN}; write a literal brace twice"
        ) from None
    for literal, field, form, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or form or conversion):
            raise ValueError(f"has an unknown placeholder: use {_KNOWN}")
        yield literal, field


def _begin(template: str) -> str:
    """Return *template* up to the end of the host."""
    scheme, separator, rest = template.partition("://")
    ends = [place for sign in "/?#" if (place := rest.find(sign)) >= 0]
    return scheme + separator + rest[: min(ends, default=len(rest))]


LinkName = Annotated[str, AfterValidator(_check_name)]
Template = Annotated[str, AfterValidator(check_template)]
Links = Annotated[dict[LinkName, Template], Shown("URL templates by name")]
