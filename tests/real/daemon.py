"""The exporter as a process that is killed, and started again as if nothing had happened."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
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

    *settings* are environment variables without their prefix. They are started *by* another
    command, if there is one.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        settings: Mapping[str, str],
        *,
        by: Sequence[str] = (),
    ) -> None:
        self.port = port
        self._by = by
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
        command = (*self._by, *COMMAND)
        async with running_program(command, log, environ=self._environ) as program:
            yield program


async def kill_when(program: Program, path: Path, *, emptied: bool = False) -> None:
    """Kill a program in the moment in which a file has content, or is *emptied* again."""
    command = [sys.executable, "-I", "-S", killing.__file__, str(program.pid), str(path)]
    with anyio.fail_after(2 * killing.PATIENCE_SECONDS):
        killer = await anyio.run_process(
            [*command, *["emptied"] * emptied], check=False, stderr=subprocess.STDOUT
        )
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

    @property
    def journal(self) -> Path:
        """What takes back a commit that is under way; it is empty while there is none."""
        return self.state.with_name(f"{self.state.name}-journal")

    async def kill_after_committing(self, program: Program) -> None:
        """Kill between a commit and the publication of what it accounts for."""
        await kill_when(program, self.journal, emptied=True)

    async def kill_while_committing(self, program: Program) -> bool:
        """Kill while a commit is being written; tells whether it was in time."""
        await kill_when(program, self.journal)
        return self.journal.stat().st_size > 0

    async def kill_while_writing_all(self, program: Program) -> bool:
        """Kill while a new file is made, as at each start; tells whether it was in time."""
        new = self.state.with_suffix(f".{program.pid}.tmp")
        await kill_when(program, new)
        return new.exists()


async def kill_at_request(program: Program, faults: ShuffledFaults, count: int) -> None:
    """Kill in the moment in which so many more requests have come."""
    await faults.more_requests(count)
    await program.kill()
    assert program.code == -signal.SIGKILL
