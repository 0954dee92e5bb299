"""`record`: record a hub's requests and answers for a while, redacted, for a bug report."""

from __future__ import annotations

import argparse
import gzip
import os
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import anyio
import msgspec

from exporter import __version__
from exporter.api.answers import Exchange
from exporter.api.connection import SharedLimits, key_source
from exporter.cli import configured
from exporter.cli.configured import add_hub_option, chosen_hubs, count, duration
from exporter.cli.conventions import ExitCode
from exporter.cli.process import wait_for_stop
from exporter.cli.redaction import Redaction
from exporter.cli.terminal import say
from exporter.collector.service import open_collector
from exporter.settings import HubSettings, Problem, Settings, SettingsError
from exporter.web.formatting import plural, rfc3339, size, span

EXAMPLE = "record orders.rec.gz --hub orders --for 5m"

FORMAT = "durable-exporter recording 1"
_MIB = 1 << 20
# Shorter header values are no secrets, and occur everywhere.
_SHORTEST_SECRET = 6


class _File(Protocol):
    def write(self, data: bytes, /) -> int: ...


@dataclass(slots=True)
class Recording:
    """Writes exchanges to a file, a line each, up to *limit* bytes."""

    file: _File
    redaction: Redaction
    limit: int
    is_full: anyio.Event
    now: Callable[[], float]
    begun: float = 0.0
    exchanges: int = 0
    failed: int = 0
    written: int = 0

    def begin(self, at: float) -> None:
        """Write the head line; *at* is the begin in seconds since the epoch."""
        self.begun = self.now()
        head = {"format": FORMAT, "version": __version__, "begin": rfc3339(at)}
        self._write(msgspec.json.encode(head))

    def observe(self, exchange: Exchange) -> None:
        """Write an exchange."""
        if self.is_full.is_set():
            return
        line = self.redaction.line(exchange, self.now() - self.begun)
        if self.written + len(line) > self.limit:
            self.is_full.set()
            return
        self._write(line)
        self.exchanges += 1
        self.failed += exchange.answer is None or exchange.answer.status >= HTTPStatus.BAD_REQUEST

    def _write(self, line: bytes) -> None:
        self.file.write(line + b"\n")
        self.written += len(line) + 1


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `record`."""
    command.usage = f"{command.usage} FILE"
    configured.add_options(command)
    command.add_argument(
        "file", type=Path, metavar="FILE", help="file to write; compressed if it ends in .gz"
    )
    add_hub_option(command)
    command.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        default="2m",
        metavar="DURATION",
        help="how long to poll (2m)",
    )
    command.add_argument(
        "--hash-ids", action="store_true", help="replace instance ids and page tokens, too"
    )
    command.add_argument(
        "--max-size",
        type=count,
        default=20,
        metavar="MIB",
        help="maximum size before compression (%(default)s)",
    )


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return configured.run(record, options, environ)


async def record(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Poll one hub as `serve` does, and write its requests and answers."""
    hubs = chosen_hubs(settings.own_hubs, options.hub)
    if len(hubs) != 1:
        names = ", ".join(hub.name for hub in hubs)
        raise SettingsError([Problem("--hub", f"choose one hub to record; configured: {names}")])
    (hub,) = hubs
    alone = settings.model_copy(update={"hubs": (hub,)})
    shared = SharedLimits()
    with _created(options.file) as file:
        recording = Recording(
            file=file,
            redaction=Redaction(
                salt=secrets.token_bytes() if options.hash_ids else None,
                prefixes=hub.id_prefixes,
                secrets=lambda: [*secrets_of(hub), *shared.azure.secrets()],
            ),
            limit=options.max_size * _MIB,
            is_full=anyio.Event(),
            now=time.monotonic,
        )
        recording.begin(time.time())
        async with (
            open_collector(alone, observer=recording.observe, shared=shared) as collector,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(collector.run)
            with anyio.move_on_after(options.seconds):
                await _until_full_or_stopped(
                    recording,
                    f"recording {hub.name} for {span(options.seconds)}; Ctrl-C ends it earlier",
                )
            tasks.cancel_scope.cancel()
    _say_summary(recording, options)
    return ExitCode.OK


@contextmanager
def _created(path: Path) -> Generator[_File, None, None]:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        problem = Problem("FILE", f"{str(path)!r} exists: choose a new file")
        raise SettingsError([problem]) from None
    except OSError as error:
        problem = Problem("FILE", f"cannot write {str(path)!r}: {error.strerror}")
        raise SettingsError([problem]) from error
    with os.fdopen(handle, "wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="wb") as compressed:
            yield compressed


async def _until_full_or_stopped(recording: Recording, message: str) -> None:
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await wait_for_stop(lambda: say(message))
            tasks.cancel_scope.cancel()

        tasks.start_soon(stop)
        await recording.is_full.wait()
        tasks.cancel_scope.cancel()


def secrets_of(hub: HubSettings) -> Sequence[str]:
    """Return the secrets that must not be in a recording, even where an answer repeats them."""
    key = key_source(hub).key
    fields = [value.get_secret_value() for value in hub.headers.values()]
    proxy = urlsplit(hub.proxy.get_secret_value()).password if hub.proxy else None
    others = [text for text in (*fields, proxy) if text and len(text) >= _SHORTEST_SECRET]
    return [key, *others] if key else others


def _say_summary(recording: Recording, options: argparse.Namespace) -> None:
    failed = f" ({recording.failed:,} failed)" if recording.failed else ""
    requests = plural(recording.exchanges, "request")
    say(f"{options.file}: {requests}{failed}, {size(recording.written)} of text")
    if recording.is_full.is_set():
        say("ended early: --max-size reached")
    ids = "ids are hashed" if options.hash_ids else "instance ids are kept (--hash-ids)"
    say(f"keys, inputs, outputs and custom statuses are redacted; {ids}")
