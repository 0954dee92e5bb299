"""The command at a terminal: what it shows, and what keys do."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.to_thread
from anyio.abc import Process

from tests.cli.process import COMMAND, PATIENCE_SECONDS

CTRL_C = b"\x03"
_LINES = 40
# A new session has no terminal until it opens one; from then on keys are signals for it. What a
# shell runs in the background ignores Ctrl-C, and so would all that it starts.
_TAKE_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(slots=True)
class Terminal:
    """A terminal in which a command runs, with its output so far."""

    process: Process
    master: int
    seen: str = ""

    async def until(self, text: str) -> None:
        """Wait for a text."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while text not in self.seen:
                assert await self._read(), f"it ended without {text!r}: {self.seen}"

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    async def end(self) -> int:
        """Wait for the end; returns the exit code."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while await self._read():
                pass
            return await self.process.wait()

    async def _read(self) -> bool:
        try:
            read = await anyio.to_thread.run_sync(
                os.read, self.master, 1 << 16, abandon_on_cancel=True
            )
        except OSError:
            # So it is told that nobody has the terminal open any more.
            return False
        self.seen += read.decode(errors="replace")
        return bool(read)


@asynccontextmanager
async def at_terminal(*arguments: str, columns: int = 120) -> AsyncGenerator[Terminal, None]:
    """Run the command at its own terminal, and end it if it still runs."""
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
        try:
            process = await anyio.open_process(
                [sys.executable, "-c", _TAKE_TERMINAL, *COMMAND, *arguments],
                stdin=slave, stdout=slave, stderr=slave,
                env={"TERM": "xterm"}, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(slave)
        try:
            yield Terminal(process, master)
        finally:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()
    finally:
        os.close(master)
