"""The exporter as a process that must stay within the memory that its chart allows it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.polling import poll
from tests.real.program import START_SECONDS, Program, ProgramEnded, running_program

MAX_MEMORY = 256 << 20
COMMAND = (sys.executable, "-m", "exporter", "serve")


@dataclass(frozen=True, slots=True)
class Exporter:
    """A running exporter, and where it listens on loopback."""

    program: Program
    port: int

    @property
    def peak_memory(self) -> int:
        """The most resident memory it has had so far, in bytes."""
        return self._memory("VmHWM")

    @property
    def memory(self) -> int:
        """Its resident memory now, in bytes."""
        return self._memory("VmRSS")

    def _memory(self, field: str) -> int:
        status = Path(f"/proc/{self.program.pid}/status").read_text(encoding="ascii")
        return int(status.partition(f"{field}:")[2].split()[0]) << 10


@asynccontextmanager
async def serving(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Exporter]:
    """
    Run `serve` with nothing but *environ* in its environment, until the block is left.

    Its log is `exporter.log` in *folder*. Stops it with SIGTERM, and fails if it has had more than
    `MAX_MEMORY` or has ended before.
    """
    environ = {"DURABLE_EXPORTER_LISTEN_ADDRESS": "127.0.0.1:0", **environ}
    async with running_program(COMMAND, folder / "exporter.log", environ=environ) as program:
        port = await poll(lambda: _port(program), lambda port: port > 0, within=START_SECONDS)
        exporter = Exporter(program, port)
        yield exporter
        if program.code is not None:
            raise ProgramEnded(f"the exporter ended with {program.code}")
        assert exporter.peak_memory < MAX_MEMORY, f"{exporter.peak_memory >> 20} MiB at its peak"
        await program.stop()
        assert program.code == 0


async def _port(program: Program) -> int:
    """Return the port that the log names, 0 before it does."""
    if program.code is not None:
        raise ProgramEnded(f"the exporter ended with {program.code}")
    for line in program.log().splitlines():
        if line.startswith("{") and line.endswith("}"):
            said = json.loads(line)
            if said["event"] == "listening":
                return int(said["address"].rpartition(":")[2])
    return 0
