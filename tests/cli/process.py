"""The command as a separate process, and an emulator to poll."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from emulator import Emulator, ManualClock, sample_emulator

START = 1_795_428_000.0
KEY = "q7Jw-the-system-key-9zX"
# On busy cores a command takes its time; one that hangs is ended all the same.
PATIENCE_SECONDS = 300
COMMAND = (sys.executable, "-m", "exporter")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The output of a finished command."""

    code: int
    out: str
    err: str


async def run(*arguments: str, environ: Mapping[str, str] | None = None) -> Outcome:
    """Run the command to completion, with only *environ* in its environment."""
    with anyio.fail_after(PATIENCE_SECONDS):
        done = await anyio.run_process(
            [*COMMAND, *arguments], check=False, env=dict(environ or {}), stdin=subprocess.DEVNULL
        )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(slots=True)
class Daemon:
    """A running `serve`: its port, and its log so far."""

    process: Process
    events: list[dict[str, object]] = field(default_factory=list)
    log: str = ""
    port: int = 0

    async def until(self, event: str) -> dict[str, object]:
        """Return the next event of this name."""
        assert self.process.stderr is not None
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                while (line := self._next_event()) is not None:
                    if line["event"] == event:
                        return line
                self.log += (await self.process.stderr.receive()).decode()

    async def until_all(self, event: str, hubs: AbstractSet[str]) -> None:
        """Wait until an event was logged for each of these hubs."""
        while not hubs <= {said["hub"] for said in self.events if said["event"] == event}:
            await self.until(event)

    def _next_event(self) -> dict[str, object] | None:
        complete = self.log.split("\n")[:-1]
        if len(self.events) == len(complete):
            return None
        self.events.append(json.loads(complete[len(self.events)]))
        return self.events[-1]


@asynccontextmanager
async def serving(
    *arguments: str, environ: Mapping[str, str] | None = None, by: Sequence[str] = ()
) -> AsyncGenerator[Daemon, None]:
    """
    Run `serve` on a free port of loopback; it is ended if it has not ended.

    *by* is a command that runs what follows it.
    """
    command = [*by, *COMMAND, "serve", "--listen-address", "127.0.0.1:0", *arguments]
    process = await anyio.open_process(command, env=dict(environ or {}))
    daemon = Daemon(process)
    try:
        listening = await daemon.until("listening")
        daemon.port = int(str(listening["address"]).rpartition(":")[2])
        yield daemon
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


@asynccontextmanager
async def emulator_that_says(words: str, *arguments: str) -> AsyncGenerator[str, None]:
    """Run `emulator` on a free port; yields its banner once that has *words*, a pattern."""
    process = await anyio.open_process([*COMMAND, "emulator", "--port", "0", *arguments], env={})
    try:
        assert process.stdout is not None
        banner = ""
        with anyio.fail_after(PATIENCE_SECONDS):
            async for text in TextReceiveStream(process.stdout):
                banner += text
                if re.search(words, banner):
                    break
        yield banner
    finally:
        process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


@asynccontextmanager
async def emulator_at(*arguments: str) -> AsyncGenerator[str, None]:
    """Run `emulator` on a free port; yields its URL."""
    async with emulator_that_says(r"--url \S+\s", *arguments) as banner:
        found = re.search(r"--url (\S+)", banner)
        assert found is not None
        yield found[1]


def frozen_emulator(**options: Sequence[str]) -> Emulator:
    """Return an emulator with a stopped clock that requires `KEY`."""
    return sample_emulator(
        clock=ManualClock(START),
        seed=7,
        hub_names=options.get("hub_names", ("OrdersHub",)),
        system_key=KEY,
        history=600.0,
    )
