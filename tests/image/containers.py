"""Containers as a careful operator runs them: nothing to write, nothing allowed, little memory."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread

from tests.image.building import Image, podman
from tests.real.polling import poll

MIB = 2**20
MEMORY_LIMIT = 256 * MIB
STATE_DIR = "/var/lib/durable-functions-exporter"
PATIENCE_SECONDS = 120.0
RESTRICTED = (
    "--cap-drop=all", "--security-opt=no-new-privileges", "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024", "--network=host", "--runtime=runc",
)  # fmt: skip
READ_ONLY = ("--read-only", "--read-only-tmpfs=false")


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started."""

    name: str

    def state(self) -> dict[str, Any]:
        """Return how it is."""
        said = json.loads(podman("inspect", "--format={{json .State}}", self.name))
        assert isinstance(said, dict)
        return said

    def log(self) -> str:
        """Return what it wrote to standard output."""
        return podman("logs", self.name)

    def process(self) -> dict[str, str]:
        """Return what the kernel says of its first process."""
        status = Path(f"/proc/{self.state()['Pid']}/status").read_text(encoding="ascii")
        return dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))

    def handles(self, number: int) -> bool:
        """Tell whether its first process has said what it does on this signal."""
        return bool(int(self.process()["SigCgt"], 16) >> (number - 1) & 1)

    def peak_bytes(self) -> int:
        """Return the most memory that its first process has had resident."""
        return int(self.process()["VmHWM"].split()[0]) * 1024

    def stop(self) -> float:
        """Send it SIGTERM, wait for its end, and return how many seconds that took."""
        begun = time.monotonic()
        podman("kill", "--signal=TERM", self.name)
        podman("wait", "--interval=20ms", self.name)
        return time.monotonic() - begun


@asynccontextmanager
async def running(
    image: Image,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    limit: int = MEMORY_LIMIT,
    how: tuple[str, ...] = READ_ONLY,
) -> AsyncIterator[Container]:
    """Run the image's command with *arguments* until the block is left."""
    container = Container(f"durable-exporter-test-{uuid.uuid4().hex}")
    settings = [f"--env=DURABLE_EXPORTER_{name}={value}" for name, value in (environ or {}).items()]
    memory = [f"--memory={limit}", f"--memory-swap={limit}"]
    podman(
        "run", "--detach", f"--name={container.name}", *RESTRICTED, *how, *memory, *settings,
        image.name, *arguments,
    )  # fmt: skip
    try:
        yield container
    finally:
        podman("rm", "--force", "--time=0", "--volumes", container.name)


async def logged(container: Container, wanted: str) -> str:
    """Wait until a container has written something that matches, and return its log."""

    async def read() -> str:
        return await to_thread.run_sync(container.log)

    return await poll(read, lambda log: bool(re.search(wanted, log)), within=PATIENCE_SECONDS)


def emulator_url(log: str) -> str:
    """Return where an emulator listens that wrote *log*."""
    found = re.search(r"http://127\.0\.0\.1:\d+", log)
    assert found
    return found[0]
