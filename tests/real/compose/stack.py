"""
Runs the services of `compose.yaml` as processes: its commands, environments and mounted files.

A container has a file system and a network of its own; a process has neither, so each text that a
service is given, its command, its environment and its files, goes through one substitution
(`Places.moved`). Nothing else differs, but for the programs' versions, and that what comes every
five seconds comes every second.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx

from tests.compose.specification import Compose, Service
from tests.docs.pages import ROOT
from tests.real.daemon import reserved_port
from tests.real.polling import poll
from tests.real.program import Program, running_program
from tests.tools import tool

START_SECONDS = 120.0
_OURS = (sys.executable, "-m", "exporter")
_SECRETS = "/run/secrets"
_SOONER = {": 5s": ": 1s", "counter_hold: 15s": "counter_hold: 3s"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports that the kernel chose, by those that the services in *hosts* have in their file."""

    hosts: Sequence[str]
    ports: Mapping[int, int]

    def moved(self, text: str) -> str:
        """
        Return *text* with each `host:port` of a service, of localhost or of all interfaces moved.

        It becomes loopback and the port that was chosen, and so do `--host` and `--port`.
        """
        hosts = "|".join(map(re.escape, (*self.hosts, "localhost", "127.0.0.1", "0.0.0.0")))
        ports = "|".join(map(str, self.ports))
        text = re.sub(rf"(?<![\w.-])(?:{hosts}):({ports})\b", self._address, text)
        text = re.sub(rf"(?<=--port=)({ports})\b", self._port, text)
        return text.replace("--host=0.0.0.0", "--host=127.0.0.1")

    def _address(self, found: re.Match[str]) -> str:
        return f"127.0.0.1:{self._port(found)}"

    def _port(self, found: re.Match[str]) -> str:
        return str(self.ports[int(found[1])])


@dataclass(frozen=True, slots=True)
class Places:
    """Where a service is instead of its container: a *folder* for `/`, where it has *targets*."""

    folder: Path
    addresses: Addresses
    targets: Sequence[str]

    def moved(self, text: str) -> str:
        """Return *text* as it must be where there are no containers: addresses, then paths."""
        paths = "|".join(re.escape(path) for path in sorted(self.targets, reverse=True))
        return re.sub(
            rf"(?<![\w.])(?:{paths})(?![\w.])", rf"{self.folder}\g<0>", self.addresses.moved(text)
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One service, laid out: what it runs, with what, and what it is asked whether it is well."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    check: Sequence[str]


class Stack:
    """The services of a file that can be run here, laid out below *folder*."""

    def __init__(self, compose: Compose, folder: Path, addresses: Addresses) -> None:
        self._compose = compose
        self._folder = folder
        self._addresses = addresses

    def part(self, name: str) -> Part:
        """Lay out the files of a service."""
        service = self._compose.services[name]
        places = self._places(name, service)
        for mount in service.volumes:
            path = Path(f"{places.folder}{mount.target}")
            if mount.type == "volume":
                path.mkdir(parents=True)
            else:
                _lay_out(ROOT / mount.source, path, places)
        for secret in service.secrets:
            source = ROOT / self._compose.secrets[secret].file
            _lay_out(source, Path(f"{places.folder}{_SECRETS}") / secret, places)
        assert service.healthcheck is not None
        environ = {each: places.moved(text) for each, text in service.environment.items()}
        return Part(
            name,
            [*_program(name), *map(places.moved, service.command)],
            {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
            _called([places.moved(word) for word in service.healthcheck.test[1:]]),
        )

    def url(self, name: str) -> str:
        """Return where a service is reached."""
        (port,) = self._compose.services[name].ports
        return self._addresses.moved(f"http://localhost:{port.published}")

    def secret(self, name: str, secret: str) -> str:
        """Return a secret as a service that is laid out reads it."""
        return Path(f"{self._folder / name}{_SECRETS}", secret).read_text(encoding="utf-8").strip()

    def _places(self, name: str, service: Service) -> Places:
        targets = [mount.target for mount in service.volumes]
        secrets = [_SECRETS] if service.secrets else []
        return Places(self._folder / name, self._addresses, [*targets, *secrets])


@contextmanager
def addresses_of(compose: Compose) -> Iterator[Addresses]:
    """Keep a port of loopback for each that the file publishes, until the block is left."""
    targets = [port.target for service in compose.services.values() for port in service.ports]
    with ExitStack() as kept:
        ports = {each: kept.enter_context(reserved_port()) for each in targets}
        yield Addresses(tuple(compose.services), ports)


@asynccontextmanager
async def running(part: Part, folder: Path) -> AsyncIterator[Program]:
    """Run a part until the block is left."""
    log = folder / f"{part.name}.log"
    async with running_program(part.command, log, environ=part.environ) as program:
        yield program


async def until_well(part: Part, program: Program) -> None:
    """Ask as the file says until the answer is that it is well."""

    async def is_well() -> bool:
        assert program.code is None, f"{part.name} ended with {program.code}"
        return await _is_well(part)

    await poll(is_well, bool, within=START_SECONDS)


async def _is_well(part: Part) -> bool:
    """Run the check; `wget` of the images is stood in for, it is not everywhere."""
    if part.check[0] == "wget":
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(part.check[-1])
            except httpx.TransportError:
                return False
            return answer.is_success
    done = await anyio.run_process(part.check, check=False, env=dict(part.environ))
    return done.returncode == 0


def _program(name: str) -> Sequence[str]:
    match name:
        case "prometheus":
            return (str(tool("prometheus")),)
        case "alertmanager":
            return (str(tool("prometheus-alertmanager")),)
        case _:
            return _OURS


def _called(command: Sequence[str]) -> Sequence[str]:
    """Return a check with the programs of the image as those of this machine."""
    match command:
        case ["durable-exporter", *rest]:
            return [*_OURS, *rest]
        case ["python", *rest]:
            return [sys.executable, *rest]
        case ["wget", *_]:
            return command
        case _:
            raise AssertionError(f"not known how to run {shlex.join(command)}")


def _lay_out(source: Path, path: Path, places: Places) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8")
    for said, sooner in _SOONER.items() if source.parent.name == "compose" else ():
        text = text.replace(said, sooner)
    path.write_text(places.moved(text), encoding="utf-8")
