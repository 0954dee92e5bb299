"""`emulator`: the API of Durable Functions with sample task hubs behind it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio

from exporter.cli.exit_codes import ExitCode
from exporter.cli.functions_file import load_functions
from exporter.cli.serve import wait_for_stop
from exporter.emulator import (
    App,
    Crash,
    Emulator,
    ExtensionVersion,
    RealClock,
    running,
    sample_emulator,
)
from exporter.emulator.backends.azure_storage import AzureStorage
from exporter.settings import Problem, SettingsError
from exporter.web.server import CannotListen


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    summary = "serve the API with sample task hubs behind it"
    description = f"{summary[0].upper()}{summary[1:]}."
    command = commands.add_parser("emulator", help=summary, description=description)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    command.add_argument("--port", type=int, default=7071, help="port to listen on (%(default)s)")
    command.add_argument(
        "--hub",
        action="append",
        metavar="NAME",
        help="name of a task hub; may be repeated (OrdersHub)",
    )
    command.add_argument(
        "--seed", type=int, default=1, help="the same seed repeats the same run (%(default)s)"
    )
    command.add_argument(
        "--rate",
        type=_positive,
        default=0.5,
        help="starts per second of the first hub (%(default)s)",
    )
    command.add_argument(
        "--speed", type=_positive, default=1.0, help="how much faster time runs (%(default)s)"
    )
    command.add_argument(
        "--app",
        choices=[app.value for app in App],
        default=App.SHOP,
        help="what is served: a shop with traffic, the functions that were recorded without any,"
        " or nothing but --functions (%(default)s)",
    )
    command.add_argument(
        "--functions",
        type=Path,
        metavar="FILE",
        help="file of Python with more to serve, as `functions = Functions()`",
    )
    command.add_argument(
        "--extension",
        choices=[version.value for version in ExtensionVersion],
        default=ExtensionVersion.V3,
        help="version of the extension (%(default)s)",
    )
    command.add_argument(
        "--crash-after",
        type=_positive,
        metavar="SECONDS",
        help="let the host crash so long after the start",
    )
    command.add_argument(
        "--crash-for",
        type=_positive,
        default=60.0,
        metavar="SECONDS",
        help="how long it is down then (%(default)g)",
    )
    command.add_argument(
        "--scan-rows",
        type=_natural,
        metavar="ROWS",
        help="rows that a filtered query looks at before it answers, as Azure's tables do",
    )
    command.add_argument(
        "--key-file", type=Path, metavar="FILE", help="ask for the key in this file (no key)"
    )
    command.set_defaults(run=_run)


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    emulator = _emulator(options)
    anyio.run(partial(_serve, emulator, options.host, options.port))
    return ExitCode.OK


def _emulator(options: argparse.Namespace) -> Emulator:
    clock = RealClock(options.speed)
    crashes: list[Crash] = []
    if options.crash_after is not None:
        crashes = [Crash(at=clock.now() + options.crash_after, down=options.crash_for)]
    return sample_emulator(
        clock=clock,
        seed=options.seed,
        hub_names=options.hub or ["OrdersHub"],
        system_key=None if options.key_file is None else _read_key(options.key_file),
        rate=options.rate,
        version=ExtensionVersion(options.extension),
        app=App(options.app),
        functions=None if options.functions is None else load_functions(options.functions),
        backend=AzureStorage(scan_rows=options.scan_rows),
        crashes=crashes,
    )


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        problem = Problem("--key-file", f"cannot read {path}: {error.strerror}")
        raise SettingsError([problem]) from error


async def _serve(emulator: Emulator, host: str, port: int) -> None:
    try:
        async with running(emulator, host, port) as url:
            _print_banner(emulator, url)
            await wait_for_stop()
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _print_banner(emulator: Emulator, url: str) -> None:
    print("The emulator listens; stop it with Ctrl-C.\n")
    for hub in emulator.hubs.values():
        print(f"  {hub.name:12} {url}/runtime/webhooks/durabletask/instances?taskHub={hub.name}")
    hub = next(iter(emulator.hubs.values()))
    print(
        f"\nPoint an exporter at it:\n  durable-exporter serve --url {url} --task-hub {hub.name}",
        flush=True,
    )
