"""The files that a configuration rests on, and whether any of them has changed."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from exporter.settings.hub import HubSettings
from exporter.settings.model import Settings

_PRIVATE_KEY = b"PRIVATE KEY-----"


def watched_files(settings: Settings) -> tuple[Path, ...]:
    """Return every file that *settings* were read from or name, in a fixed order."""
    paths = [path for hub in settings.hubs for path in (*key_files(hub), *tls_files(hub))]
    if settings.config_file is not None:
        paths.append(settings.config_file)
    return tuple(sorted({*paths, *settings.web_config.files}))


def key_files(hub: HubSettings) -> Iterator[Path]:
    """Yield where the key of *hub* may be, also where there is none yet."""
    if hub.key_file is not None:
        yield hub.key_file
    elif hub.key is None and hub.keys_dir is not None:
        path = hub.keys_dir / hub.name
        if path.parent == hub.keys_dir:
            yield path


def tls_files(hub: HubSettings) -> Iterator[Path]:
    """Yield the files that the TLS of *hub* rests on."""
    files = (hub.tls.ca_file, hub.tls.client_cert_file, hub.tls.client_key_file)
    yield from (path for path in files if path is not None)


def exposed_files(settings: Settings) -> Iterator[Path]:
    """Yield the files with a secret of *settings* that every user of the machine can read."""
    keys = {path for hub in settings.hubs for path in key_files(hub)}
    inline = {hub.key.get_secret_value().encode() for hub in settings.hubs if hub.key is not None}
    for path in watched_files(settings):
        if _is_readable_by_everyone(path):
            content = _content(path)
            if path in keys or _PRIVATE_KEY in content or any(key in content for key in inline):
                yield path


def _is_readable_by_everyone(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def fingerprint(paths: Iterable[Path]) -> bytes:
    """
    Return a value that differs where the content of any of *paths* does.

    It reads them: a mounted secret is replaced by way of symbolic links, in any number of ways, and
    with whatever times and sizes.
    """
    digest = blake2b(digest_size=16)
    for path in paths:
        content = _content(path)
        digest.update(len(content).to_bytes(8) + content)
    return digest.digest()


def _content(path: Path) -> bytes:
    try:
        return b"+" + path.read_bytes()
    except OSError as error:
        return f"-{error.errno}".encode()
