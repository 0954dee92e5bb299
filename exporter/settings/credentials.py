"""Keys and headers: checked without ever being shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from exporter.settings.shown import Shown

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset({
    "x-functions-key", "host", "content-length", "transfer-encoding", "connection",
})  # fmt: skip


def check_key(key: str) -> str:
    """Return *key* if it can be sent in a header; raises `ValueError`, which does not show it."""
    if not key:
        raise ValueError("is empty: give the key, or leave the setting out")
    if not _can_be_sent(key):
        raise ValueError("has characters that no key has: copy it anew, as one line")
    return key


def check_key_file(path: Path) -> Path:
    """
    Return *path* if it holds a key.

    Raises:
        ValueError: it is missing, unreadable or empty, or holds what cannot be a key. The message
            does not show *path*, which is the key where the two settings were mixed up.
    """
    try:
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(
            f"names a file that cannot be read ({error.strerror}): "
            "mount it, and let the exporter read it"
        ) from None
    except UnicodeDecodeError:
        raise ValueError("names a file that is not text: write the key to it") from None
    try:
        check_key(key)
    except ValueError as error:
        raise ValueError(f"names a file whose content {error}") from None
    return path


def _strip_key(key: SecretStr) -> SecretStr:
    return SecretStr(check_key(key.get_secret_value().strip()))


def _lower_names(headers: object) -> object:
    """Spell names in lower case; of two that differ in case the first holds."""
    if not isinstance(headers, dict):
        return headers
    lowered: dict[object, object] = {}
    for name, value in headers.items():
        lowered.setdefault(name.lower() if isinstance(name, str) else name, value)
    return lowered


def _check_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is not the name of a header: use letters, digits and hyphens")
    if name in _OWN_HEADERS:
        raise ValueError("is a header that the exporter sets itself: remove it")
    return name


def _check_header_value(value: SecretStr) -> SecretStr:
    if not _can_be_sent(value.get_secret_value()):
        raise ValueError("has characters that no header may have: give one line of Latin-1 text")
    return value


def _can_be_sent(text: str) -> bool:
    """Tell whether a header can hold *text*: Latin-1 without control characters."""
    return all(" " <= sign <= "~" or "\xa0" <= sign <= "\xff" for sign in text)


Key = Annotated[SecretStr, AfterValidator(_strip_key), Shown("text")]
KeyFile = Annotated[Path, AfterValidator(check_key_file), Shown("path of a file")]
Headers = Annotated[
    dict[
        Annotated[str, AfterValidator(_check_header_name)],
        Annotated[SecretStr, AfterValidator(_check_header_value)],
    ],
    BeforeValidator(_lower_names),
    Shown("texts by header name"),
]
