"""Logging to standard error, one line per event, and warnings about exposed secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from io import StringIO
from textwrap import indent
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from exporter.cli.terminal import printable, printable_lines
from exporter.settings import Settings, exposed_files

_LEVELS = logging.getLevelNamesMapping()

# They log each request, which the exporter counts itself.
_VERBOSE_LIBRARIES = ("httpx", "httpcore", "asyncio", "uvicorn", "azure", "msal")


def set_up_logging(level: str, log_format: str) -> None:
    """
    Log events, and warnings of libraries, to standard error.

    *log_format* is `json`, `console`, or `auto`: `console` on a terminal. Tracebacks omit local
    variables, which may hold a key.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        # Filtered here, not by the logger's class, so that existing loggers follow a new level.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level.upper()])
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderer(log_format: str) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and sys.stderr.isatty()):
        return [
            _made_printable,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=_write_traceback
            ),
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _made_printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep values of an event from controlling the terminal or starting a line."""
    return {
        key: printable(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _write_traceback(file: TextIO, error: ExcInfo) -> None:
    """Write a traceback, indented: an exception's message may have several lines."""
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    file.write("\n" + indent(printable_lines(text.getvalue().strip()), "    "))


READABLE_BY_EVERYONE = "secret is readable by everyone"
ON_COMMAND_LINE = "secret is on the command line"

_SECRET_SETTINGS = frozenset({"headers", "key", "proxy"})

log = structlog.get_logger()


def warn_about_files(settings: Settings) -> None:
    """Warn about each file with a secret that every user of the machine can read."""
    for path in exposed_files(settings):
        hint = "chmod o-r; in Kubernetes defaultMode: 0440"
        log.warning(READABLE_BY_EVERYONE, path=str(path), hint=hint)


def warn_about_options(overrides: Iterable[str]) -> None:
    """Warn about each secret that `--set` passes."""
    for name in overrides:
        setting = name.split(".")[2 if name.startswith("hubs.") else 0 :]
        if _SECRET_SETTINGS & set(setting[:1]):
            hint = "every user of the machine can read it: use a file, as key_file, or a variable"
            log.warning(ON_COMMAND_LINE, option=f"--set {name}", hint=hint)
