"""The former name of the package `emulator`, for one release."""

from __future__ import annotations

import warnings

import emulator


def __getattr__(name: str) -> object:
    if name not in emulator.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"`exporter.emulator` was renamed: import {name} from `emulator`",
        DeprecationWarning,
        stacklevel=2,
    )
    value: object = getattr(emulator, name)
    return value
