"""Warnings about secrets that others on the machine can read."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from exporter.settings import Settings, exposed_files

READABLE_BY_EVERYONE = "secret is readable by everyone"
ON_COMMAND_LINE = "secret is on the command line"

_SECRET_SETTINGS = frozenset({"headers", "key", "proxy"})

log = structlog.get_logger()


def warn_about_files(settings: Settings) -> None:
    """Warn about each file with a key that every user of the machine can read."""
    for path in exposed_files(settings):
        hint = "chmod o-r; in Kubernetes defaultMode: 0440"
        log.warning(READABLE_BY_EVERYONE, path=str(path), hint=hint)


def warn_about_options(overrides: Iterable[str]) -> None:
    """Warn about each secret setting that an option sets."""
    for name in overrides:
        setting = name.split(".")[2 if name.startswith("hubs.") else 0 :]
        if _SECRET_SETTINGS & set(setting[:1]):
            hint = "every user of the machine can read it: use a file, as key_file, or a variable"
            log.warning(ON_COMMAND_LINE, option=f"--set {name}", hint=hint)
