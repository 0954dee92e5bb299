"""The exporter as a process that is killed, and started again as if nothing had happened."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from tests.real import killing
from tests.real.program import Program, running_program
from tests.real.trouble import ShuffledFaults

COMMAND = (sys.executable, "-m", "exporter", "serve")
LOG_LEVEL = "warning"


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port of loopback from all who take a free one, until the block is left."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield int(keeper.getsockname()[1])


class Daemon:
    """
    Runs one exporter after another, each with the same settings; only the logs have numbers.

    *settings* are environment variables without their prefix.
    """

    def __init__(self, directory: Path, port: int, settings: Mapping[str, str]) -> None:
        self.port = port
        self.lives = 0
        self._directory = directory
        self._environ = {
            "PATH": os.environ["PATH"],
            "DURABLE_EXPORTER_LISTEN_ADDRESS": self.address,
            "DURABLE_EXPORTER_LOG_LEVEL": LOG_LEVEL,
            **{f"DURABLE_EXPORTER_{name}": value for name, value in settings.items()},
        }

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    def change(self, settings: Mapping[str, str]) -> None:
        """Give the next exporter other settings, named as before."""
        self._environ |= {f"DURABLE_EXPORTER_{name}": value for name, value in settings.items()}

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[Program]:
        """Run the next exporter until the block is left; does not wait for its first words."""
        self.lives += 1
        log = self._directory / f"exporter-{self.port}-{self.lives}.log"
        async with running_program(COMMAND, log, environ=self._environ) as program:
            yield program


async def kill_on_change(program: Program, path: Path) -> None:
    """Kill a program in the moment in which a file appears or changes."""
    command = [sys.executable, "-I", "-S", killing.__file__, str(program.pid), str(path)]
    with anyio.fail_after(2 * killing.PATIENCE_SECONDS):
        killer = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT)
    assert killer.returncode == 0, killer.stdout.decode()
    await program.ended()
    assert program.code == -signal.SIGKILL


class StateFiles:
    """The files in which an exporter of one hub keeps its state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def state(self) -> Path:
        """The state itself; there must be one."""
        (found,) = self._folder.glob("*.state")
        return found

    def half_written(self, program: Program) -> Path:
        """Return what a program makes its next state of, once that is written as a whole."""
        return self.state.with_suffix(f".{program.pid}.tmp")

    async def kill_after_replacing(self, program: Program) -> None:
        """Kill between the state and the publication of what it accounts for."""
        await kill_on_change(program, self.state)

    async def kill_while_writing(self, program: Program) -> bool:
        """Kill while a state is being written; tells whether it was in time."""
        half_written = self.half_written(program)
        await kill_on_change(program, half_written)
        return half_written.exists()


async def kill_at_request(program: Program, faults: ShuffledFaults, count: int) -> None:
    """Kill in the moment in which so many more requests have come."""
    await faults.more_requests(count)
    await program.kill()
    assert program.code == -signal.SIGKILL
