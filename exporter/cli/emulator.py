"""`emulator`: serve the API of Durable Functions with sample task hubs."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio

from emulator import (
    App,
    Crash,
    Emulator,
    ExtensionVersion,
    Functions,
    Keys,
    RealClock,
    Worker,
    running,
    sample_emulator,
)
from emulator.apps import load_functions
from emulator.azure.app import IDENTITY_PATH, create_azure_app
from emulator.azure.file import AzureFile, read_azure_file
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend, HubNameRefused, Latency
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.faults import parse_fault
from emulator.http.server import running_app
from emulator.recordings import Recording, read_recording, replay_app
from emulator.scenarios.play import BACKENDS, play, rehearse
from emulator.scenarios.scenario import Scenario, built_in, load_scenario
from emulator.synthetic.hub import SyntheticHub, SyntheticOption, parse_synthetic
from emulator.timelines import read_timeline, timeline_hub
from exporter.cli.conventions import ExitCode
from exporter.cli.process import outcome_of, wait_for_stop
from exporter.cli.terminal import say
from exporter.settings import Problem, SettingsError
from exporter.web.sockets import CannotListen

EXAMPLE = "emulator --scenario busy"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `emulator`."""
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    command.add_argument("--port", type=_port, default=7071, help="port to listen on (%(default)s)")
    command.add_argument(
        "--hub",
        action="append",
        metavar="NAME",
        help="name of a task hub; repeatable (OrdersHub)",
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
    command.add_argument("--speed", type=_positive, default=1.0, help="time factor (%(default)s)")
    command.add_argument(
        "--app",
        choices=[app.value for app in App],
        default=App.SHOP,
        help="what is served: a shop or an insurer with traffic, the recorded functions,"
        " or nothing but those of --functions (%(default)s)",
    )
    command.add_argument(
        "--functions",
        type=Path,
        metavar="FILE",
        help="Python file with more functions, as `functions = Functions()`",
    )
    command.add_argument(
        "--extension",
        choices=[version.value for version in ExtensionVersion],
        default=ExtensionVersion.V3,
        help="version of the extension (%(default)s)",
    )
    command.add_argument(
        "--worker",
        choices=[worker.value for worker in Worker],
        default=Worker.DOTNET,
        help="language of the app: it shows in failures, histories and messages (%(default)s)",
    )
    command.add_argument(
        "--crash-after",
        type=_positive,
        metavar="SECONDS",
        help="crash the host after this time",
    )
    command.add_argument(
        "--crash-for",
        type=_positive,
        default=60.0,
        metavar="SECONDS",
        help="how long it stays down (%(default)g)",
    )
    command.add_argument(
        "--scenario",
        metavar="NAME|FILE",
        help=f"play a scenario: {', '.join(built_in())}, or a YAML file",
    )
    command.add_argument(
        "--rehearse",
        action="store_true",
        help="play the scenario instantly and check its expectations",
    )
    command.add_argument(
        "--timeline",
        type=Path,
        metavar="FILE",
        help="replay a recorded timeline, with no app",
    )
    command.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="serve the answers that `durable-exporter record` stored in this file",
    )
    command.add_argument(
        "--backend",
        choices=list(BACKENDS),
        default="azure-storage",
        help="storage provider (%(default)s)",
    )
    command.add_argument(
        "--fault",
        action="append",
        metavar="KIND[:name=value,...]",
        default=[],
        help="inject a fault from the start, such as throttled:rate=0.2,seconds=5; repeatable",
    )
    command.add_argument(
        "--synthetic",
        action="append",
        metavar="NAME=ROWS[,active=N][,entities=N]",
        default=[],
        help="an additional hub of millions of rows, such as BigHub=10M,active=1k",
    )
    command.add_argument(
        "--latency",
        type=_latency,
        default=Latency(),
        metavar="SECONDS[,SECONDS]",
        help="seconds per answer, and per 1,000 rows scanned (0)",
    )
    command.add_argument(
        "--scan-rows",
        type=_natural,
        metavar="ROWS",
        help="rows that a filtered query scans before it answers with a token",
    )
    command.add_argument(
        "--azure",
        type=Path,
        metavar="FILE",
        help="serve an Azure stand-in over TLS, with the apps in this file",
    )
    command.add_argument(
        "--key-file", type=Path, metavar="FILE", help="require the key in this file (no key)"
    )


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def run(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Run the command."""
    return outcome_of(partial(_run, options))


def _run(options: argparse.Namespace) -> ExitCode:
    if options.rehearse:
        return _rehearse(options)
    if options.replay is not None:
        with _refusing("--replay"):
            recording = read_recording(options.replay)
        anyio.run(_serve_recording, recording, options.host, options.port)
    elif options.azure is not None:
        anyio.run(_serve_azure, _azure(options), options.host, options.port)
    else:
        emulator = _emulator(options)
        anyio.run(_serve, emulator, options.host, options.port, options.key_file)
    return ExitCode.OK


def _rehearse(options: argparse.Namespace) -> ExitCode:
    if options.scenario is None:
        raise _refusal("--rehearse", "--rehearse needs --scenario")
    scenario = _scenario(options)
    problems = rehearse(scenario, seed=options.seed, functions=_functions(options))
    for problem in problems:
        print(f"{scenario.name}: {problem}")
    if not problems:
        print(f"{scenario.name}: all {len(scenario.expected)} expectations met")
    return ExitCode.HUB_FAILED if problems else ExitCode.OK


def _emulator(options: argparse.Namespace) -> Emulator:
    with _refusing("--fault"):
        faults = [parse_fault(text) for text in options.fault]
    with _refusing("--synthetic"):
        wanted = [_synthetic(text, options) for text in options.synthetic]
    with _refusing("--hub" if options.scenario is None else "--scenario", HubNameRefused):
        emulator = _running_app(options)
    with _refusing("--synthetic"):
        for option in wanted:
            emulator.add_synthetic(_synthetic_hub(option, emulator, options))
    for hub in emulator.every_hub:
        hub.faults.set(*faults)
        hub.latency = options.latency
    return emulator


def _azure(options: argparse.Namespace) -> AzureFile:
    clock = RealClock(options.speed)

    def make(hub: str, key: str) -> Emulator:
        return sample_emulator(
            clock=clock,
            seed=options.seed,
            hub_names=[hub],
            system_key=key,
            rate=options.rate,
            app=App(options.app),
            functions=_functions(options),
            backend=_backend(options),
        )

    with _refusing("--azure"):
        return read_azure_file(options.azure, make)


def _running_app(options: argparse.Namespace) -> Emulator:
    clock = RealClock(options.speed)
    key = None
    if options.key_file is not None:
        with _refusing("--key-file"):
            key = options.key_file.read_text(encoding="utf-8").strip()
    if options.timeline is not None:
        names = options.hub or ["Recorded"]
        with _refusing("--timeline"):
            timeline = read_timeline(options.timeline)
        return Emulator(timeline_hub(names[0], clock, timeline), clock=clock, keys=Keys(system=key))
    if options.scenario is not None:
        return play(
            _scenario(options),
            clock,
            seed=options.seed,
            system_key=key,
            version=ExtensionVersion(options.extension),
            worker=Worker(options.worker),
            functions=_functions(options),
        )
    crashes: list[Crash] = []
    if options.crash_after is not None:
        crashes = [Crash(at=clock.now() + options.crash_after, down=options.crash_for)]
    return sample_emulator(
        clock=clock,
        seed=options.seed,
        hub_names=options.hub or ["OrdersHub"],
        system_key=key,
        rate=options.rate,
        version=ExtensionVersion(options.extension),
        worker=Worker(options.worker),
        app=App(options.app),
        functions=_functions(options),
        backend=_backend(options),
        crashes=crashes,
    )


def _synthetic(text: str, options: argparse.Namespace) -> SyntheticOption:
    option = parse_synthetic(text)
    _backend(options).check_hub(option.name)
    return option


def _synthetic_hub(
    option: SyntheticOption, emulator: Emulator, options: argparse.Namespace
) -> SyntheticHub:
    return SyntheticHub(
        option.name,
        emulator.clock,
        rows=option.rows,
        active=option.active,
        entities=option.entity_classes,
        seed=options.seed,
        backend=_backend(options),
        version=emulator.version,
    )


def _latency(text: str) -> Latency:
    request, _, rows = text.partition(",")
    return Latency(request=_positive(request), thousand_rows=_positive(rows) if rows else 0.0)


def _functions(options: argparse.Namespace) -> Functions | None:
    if options.functions is None:
        return None
    with _refusing("--functions"):
        return load_functions(options.functions)


def _backend(options: argparse.Namespace) -> Backend:
    if options.backend == AzureStorage.name:
        return AzureStorage(scan_rows=options.scan_rows)
    if options.backend == Netherite.name:
        return Netherite(scan_rows=options.scan_rows)
    if options.scan_rows is not None:
        raise _refusal("--scan-rows", f"{options.backend} has indexes and scans nothing")
    return MSSQL()


def _scenario(options: argparse.Namespace) -> Scenario:
    with _refusing("--scenario"):
        return load_scenario(options.scenario)


@contextmanager
def _refusing(option: str, problem: type[ValueError] = ValueError) -> Generator[None, None, None]:
    """Turn errors of the value of an option, or of the file that it names, into a refusal."""
    try:
        yield
    except OSError as error:
        raise _refusal(option, f"cannot read {error.filename}: {error.strerror}") from error
    except problem as error:
        raise _refusal(option, str(error)) from error


def _refusal(option: str, message: str) -> SettingsError:
    return SettingsError([Problem(option, message)])


async def _serve(emulator: Emulator, host: str, port: int, key_file: Path | None) -> None:
    try:
        async with running(emulator, host, port) as url:
            _print_banner(emulator, url, key_file)
            await wait_for_stop()
    except OSError as error:
        raise CannotListen(host, port, error, "--host and --port") from error


async def _serve_recording(recording: Recording, host: str, port: int) -> None:
    told: set[str] = set()

    def tell(asked: str) -> None:
        # Clients repeat requests that fail.
        if asked not in told:
            told.add(asked)
            say(f"not in the recording: {asked}")

    app = replay_app(recording, RealClock(), tell)
    try:
        async with running_app(app, host, port) as url:
            print(
                f"{len(recording.exchanges):,} recorded answers are served; stop with Ctrl-C.\n\n"
                f"Point an exporter at them:\n  durable-exporter serve --url {url}",
                flush=True,
            )
            await wait_for_stop()
    except OSError as error:
        raise CannotListen(host, port, error, "--host and --port") from error


async def _serve_azure(file: AzureFile, host: str, port: int) -> None:
    app = create_azure_app(file.cloud)
    try:
        async with running_app(
            app, host, port, certificate=file.certificate, key=file.private_key
        ) as url:
            file.cloud.port = int(url.rpartition(":")[2])
            print(f"{len(file.cloud.sites)} apps of Azure are served; stop with Ctrl-C.\n")
            print("An exporter finds them with this environment:\n")
            for name, value in _environment(file):
                print(f"  {name}={value}")
            print("\n  durable-exporter discover", flush=True)
            await wait_for_stop()
    except OSError as error:
        problem = (
            f"cannot listen with {file.certificate} on {host}:{port}: {error.strerror or error}"
        )
        raise _refusal("--azure", problem) from error


def _environment(file: AzureFile) -> Iterator[tuple[str, str]]:
    """Yield the variables that lead an exporter here: those of a managed identity."""
    yield "IDENTITY_ENDPOINT", f"https://{file.cloud.resource_manager}{IDENTITY_PATH}"
    yield "IDENTITY_HEADER", "any"
    yield "SSL_CERT_FILE", f"the authority of {file.certificate}"
    yield "DURABLE_EXPORTER_TLS__CA_FILE", "the same"
    yield "DURABLE_EXPORTER_DISCOVERY__AZURE__ENABLED", "true"
    yield "DURABLE_EXPORTER_DISCOVERY__AZURE__CLOUD", f"https://{file.cloud.resource_manager}"


def _print_banner(emulator: Emulator, url: str, key_file: Path | None) -> None:
    print("The emulator listens; stop it with Ctrl-C.\n")
    for hub in emulator.every_hub:
        print(f"  {hub.name:12} {url}/runtime/webhooks/durabletask/instances?taskHub={hub.name}")
    hub = next(iter(emulator.hubs.values()))
    print(
        f"\nPoint an exporter at it:\n  durable-exporter serve --url {url} --task-hub {hub.name}"
        + ("" if key_file is None else f" --key-file {key_file}")
        + f"\n\nStatus and usage: {url}/",
        flush=True,
    )
