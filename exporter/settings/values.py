"""Types of the fields of settings: numbers, lists, files, id prefixes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from exporter.settings.error_messages import shown_name


@dataclass(frozen=True, slots=True)
class Shown:
    """Metadata of a field's type: its possible values in words. The last of several applies."""

    values: str


A_FILE = Shown("path of a file")
A_FOLDER = Shown("path of a folder")

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)")
# Larger ones are not exact as sample values, which are floats.
_LARGEST_COUNT = 1 << 53

# Models of settings are immutable, and errors of pydantic do not show values.
FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


def split_list(value: object) -> list[object]:
    """
    Return the items of a list, of a JSON list, or of a comma-separated text.

    Raises:
        ValueError: *value* is none of these.
    """
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        raise ValueError("is not a list: separate its items by commas")  # noqa: TRY004 - pydantic's
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        return list(json.loads(value))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not a JSON list ({error.msg} at character {error.pos + 1}): "
            "close its quotes and brackets, or separate the items by commas"
        ) from None


def _parse_names(value: object) -> list[str]:
    names = []
    for item in split_list(value):
        if not isinstance(item, str) or not item.strip():
            raise ValueError("has an item that is not a name: quote each name")
        names.append(item.strip())
    return names


def _whole_number(value: object) -> object:
    """Keep pydantic from reading `true` as 1."""
    if isinstance(value, bool):
        raise ValueError("is not a whole number: write it in digits")  # noqa: TRY004 - pydantic's
    return value


def _is_none(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


def _parse_share(value: object) -> float | None:
    """Parse a share from 0 to 1, written as `5%` or `0.05`; None for `none`."""
    if _is_none(value):
        return None
    written = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if written is not None:
        value = float(written[1]) / (100 if written[2] else 1)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a share: write it as 5% or 0.05")  # noqa: TRY004 - pydantic's
    if not 0 <= value <= 1:
        raise ValueError("is not between 0 and 1: write it as 5% or 0.05")
    return float(value)


def _parse_count_limit(value: object) -> int | None:
    """Parse a whole number from 0; None for `none`."""
    if _is_none(value):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_COUNT:
        raise ValueError("is not a number of instances: give a whole number from 0, or none")
    return value


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}): check the path, mount and permissions"
        ) from None


def is_folder(path: Path) -> bool:
    """Return whether *path* is a folder; raises `OSError` if it cannot be reached."""
    return S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Return whether *path* is a file; raises `OSError` if it cannot be reached."""
    return S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    """
    Return the file mode at *path*, 0 if nothing is there.

    `Path.is_dir` and `Path.is_file` of Python 3.14 do not raise if a path cannot be reached.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _folder(path: Path) -> Path:
    try:
        found = is_folder(path)
    except OSError as error:
        raise ValueError(f"cannot be reached ({error.strerror}): check its permissions") from None
    if not found:
        raise ValueError("names no folder: correct the path, or create or mount the folder")
    return path


def _writable_folder(path: Path) -> Path:
    if not os.access(_folder(path), os.W_OK | os.X_OK):
        raise ValueError("names a folder that is not writable: check its owner and permissions")
    return path


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(_whole_number)]
Names = Annotated[tuple[str, ...], BeforeValidator(_parse_names), Shown("list of names")]
ReadableFile = Annotated[Path, AfterValidator(_readable), A_FILE]
Folder = Annotated[Path, AfterValidator(_folder), A_FOLDER]
WritableFolder = Annotated[Path, AfterValidator(_writable_folder), A_FOLDER]
AnyCase = BeforeValidator(_lower)


GUID = "guid"
_HEX_DIGITS = tuple("0123456789abcdef")
_WILDCARDS = frozenset("%_[")
_LONGEST = 100


def _check_prefixes(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    expanded = [
        prefix
        for given in prefixes
        for prefix in (_HEX_DIGITS if given.lower() == GUID else (given,))
    ]
    for prefix in expanded:
        # MSSQL reads these as wildcards and cuts long ones, so it would list other ids.
        if _WILDCARDS & set(prefix) or len(prefix) > _LONGEST:
            raise ValueError(
                f"has {shown_name(prefix)!r}: give prefixes of at most {_LONGEST} characters "
                "without %, _ and ["
            )
        if prefix.startswith("@"):
            raise ValueError(f"has {shown_name(prefix)!r}, which entities begin with: leave it out")
    for shorter, longer in pairwise(sorted(expanded)):
        if longer.startswith(shorter):
            raise ValueError(
                f"has {shown_name(longer)!r}, which begins with {shown_name(shorter)!r}: "
                "keep the shorter one alone"
            )
    return tuple(expanded)


IdPrefixes = Annotated[Names, AfterValidator(_check_prefixes), Shown("list of prefixes, or `guid`")]


ShareLimit = Annotated[
    float | None, BeforeValidator(_parse_share), Shown("share such as `5%` or `0.05`, or `none`")
]
CountLimit = Annotated[
    int | None, BeforeValidator(_parse_count_limit), Shown("whole number from 0, or `none`")
]
