"""Programs that tests start: their output in a file, their end certain."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

from tests.real.polling import poll

START_SECONDS = 60.0
GRACE_SECONDS = 30.0
LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


class ProgramEnded(AssertionError):
    """A program ended that should have gone on."""


class Program:
    """A running program, known by the stem of its log's file name."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def name(self) -> str:
        return self._log.stem

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self, last: int = 40) -> str:
        """Return the last lines of what the program has written to both outputs."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-last:])

    async def listening(self) -> str:
        """
        Wait for the `host:port` that a program of the Prometheus project says it listens on.

        Raises `ProgramEnded` with the log where it ended instead.
        """
        found = await poll(self._announced, lambda match: match is not None, within=START_SECONDS)
        assert found is not None
        return found[1]

    async def until_logged(self, words: str, *, within: float) -> None:
        """Wait until the log has certain words."""

        async def log() -> str:
            return self._log.read_text(errors="replace")

        await poll(log, lambda text: words in text, within=within)

    async def _announced(self) -> re.Match[str] | None:
        if self._process.returncode is not None:
            raise ProgramEnded(f"{self.name} ended with {self._process.returncode}")
        return LISTENING.search(self._log.read_text(errors="replace"))

    @property
    def code(self) -> int | None:
        """The exit code, the negative number of the signal that ended it, or None while it runs."""
        return self._process.returncode

    async def kill(self) -> None:
        """Kill the program without warning, and return when it is dead."""
        self._process.kill()
        await self.ended()

    async def ended(self) -> None:
        """Wait until the program is dead, whoever ends it."""
        with anyio.fail_after(GRACE_SECONDS):
            await self._process.wait()

    async def stop(self) -> None:
        """Terminate the program, and kill it where that takes longer than the grace period."""
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.terminate()
            with anyio.move_on_after(GRACE_SECONDS):
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()


running_programs: list[Program] = []
"""Those whose logs belong to a test that fails now."""


@asynccontextmanager
async def running_program(
    command: Sequence[str], log: Path, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """
    Run a program until the block is left; an error that leaves it carries the log.

    It gets nothing but *environ* as its environment, or that of the tests where there is none.
    """
    with log.open("wb") as output:
        process = await anyio.open_process(
            [*_dying_with_its_parent(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
        )
    program = Program(process, log)
    running_programs.append(program)
    try:
        yield program
    except Exception as error:
        error.add_note(f"log of {program.name}:\n{program.log()}")
        raise
    finally:
        running_programs.remove(program)
        await program.stop()


def _dying_with_its_parent() -> list[str]:
    """Where Linux offers it, not even a killed test run leaves a program behind."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
