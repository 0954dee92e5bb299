"""Keys, key files, the folder of keys, and headers; no message shows a secret."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from exporter.settings.values import A_FILE, Shown, is_file, is_folder

_LARGEST_KEY_FILE = 65_536
# Generated keys are longer.
_SHORTEST_KEY = 32
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset({
    "x-functions-key", "host", "content-length", "transfer-encoding", "connection",
})  # fmt: skip


def check_key(key: str) -> str:
    """Return *key* if a header can hold it; the `ValueError` otherwise does not show it."""
    if not key:
        raise ValueError("is empty: give the key, or leave the setting out")
    if not _can_be_sent(key):
        raise ValueError("contains characters that no key has: copy it again, as one line")
    return key


def read_key(path: Path) -> str:
    """
    Return the key in a file, without a byte order mark, white space and quotes around it.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content cannot be a key; the message does not show it.
    """
    with path.open("rb") as file:
        content = file.read(_LARGEST_KEY_FILE + 1)
    if len(content) > _LARGEST_KEY_FILE:
        raise ValueError("is too long for a key: write nothing else to it")
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("is not text: save the key as UTF-8") from None
    if "\0" in text:
        raise ValueError("looks like UTF-16 without its mark: save the key as UTF-8")
    return check_key(_bare(text))


def check_key_file(path: Path) -> Path:
    """
    Return *path* if it holds a key.

    Raises:
        ValueError: the file is missing or unreadable, or its content cannot be a key. The message
            names the file, or only its folder if *path* may be a key given as `key_file`.
    """
    try:
        read_key(path)
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}; looked {_looked_for(path)}): "
            "check the path, mount and permissions"
        ) from None
    except ValueError as error:
        raise ValueError(f"file content {error}") from None
    return path


def _looked_for(path: Path) -> str:
    """Return where the key was looked for; only the folder if the name may be a key."""
    may_be_key = path.parent == Path() or (not path.suffix and len(path.name) >= _SHORTEST_KEY)
    try:
        is_path = is_folder(path.parent)
    except OSError:
        is_path = False
    if not is_path:
        return "in a folder that cannot be reached"
    return f"in {path.parent.absolute()}" if may_be_key else f"at {path}"


def check_key_in(folder: Path, name: str) -> None:
    """Raise `ValueError` if the file of the hub *name* in *folder* holds no key, or is misnamed."""
    try:
        path = key_in(folder, name)
        if path is not None:
            check_key_file(path)
            return
        other = next((each.name for each in folder.iterdir() if _is_near(each, name)), None)
    except OSError as error:
        raise ValueError(
            f"cannot be searched for {name!r} ({error.strerror}): check its permissions"
        ) from None
    except ValueError as error:
        raise ValueError(f"is searched for {name!r}, and {error}") from None
    if other is not None:
        raise ValueError(
            f"has no file {name!r} but one called {other!r}: rename the file or the hub"
        )


def _is_near(path: Path, name: str) -> bool:
    """Return whether a file has the name of a hub, apart from case."""
    return path.name.lower() == name.lower() and is_file(path)


def key_in(folder: Path, name: str) -> Path | None:
    """Return the key file of the hub *name*, None if there is none; never outside *folder*."""
    path = folder / name
    return path if path.parent == folder and is_file(path) else None


def _bare(text: str) -> str:
    """Return a key without white space and one pair of quotes around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].strip()
    return text


def _strip_key(key: SecretStr) -> SecretStr:
    return SecretStr(check_key(_bare(key.get_secret_value())))


def _lower_names(headers: object) -> object:
    """Return headers with names in lower case; of two that differ in case, the first wins."""
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
    """Return whether a header can hold *text*: Latin-1 without control characters."""
    return all(" " <= sign <= "~" or "\xa0" <= sign <= "\xff" for sign in text)


Key = Annotated[SecretStr, AfterValidator(_strip_key), Shown("text")]
KeyFile = Annotated[Path, AfterValidator(check_key_file), A_FILE]
Headers = Annotated[
    dict[
        Annotated[str, AfterValidator(_check_header_name)],
        Annotated[SecretStr, AfterValidator(_check_header_value)],
    ],
    BeforeValidator(_lower_names),
    Shown("text by header name"),
]
