"""`emulator`: the API of Durable Functions with sample task hubs behind it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio

from exporter.cli.exit_codes import ExitCode
from exporter.cli.serve import wait_for_stop
from exporter.emulator import Emulator, RealClock, running, sample_emulator
from exporter.web.server import CannotListen


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    summary = "serve the API with sample task hubs behind it"
    command = commands.add_parser("emulator", help=summary, description=f"{summary.capitalize()}.")
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
        "--scan-rows",
        type=int,
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


def _run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    key = None
    if options.key_file is not None:
        try:
            key = options.key_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            print(f"--key-file: cannot read {options.key_file}: {error.strerror}")
            return ExitCode.CONFIGURATION
    emulator = sample_emulator(
        clock=RealClock(options.speed),
        seed=options.seed,
        hub_names=options.hub or ["OrdersHub"],
        system_key=key,
        rate=options.rate,
    )
    for hub in emulator.hubs.values():
        hub.scan_rows = options.scan_rows
    anyio.run(partial(_serve, emulator, options.host, options.port))
    return ExitCode.OK


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
