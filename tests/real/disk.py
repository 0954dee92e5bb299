"""A small disk of its own for a program, which can be full, read-only, and both no longer."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tools import missing, tool

SIZE = "2m"
_BLOCK = b"\0" * 4096


@dataclass(frozen=True, slots=True)
class Disk:
    """
    What is mounted on *folder* for those alone that are started by the command `entered_by`.

    It lasts as long as the *holder* of its namespace.
    """

    folder: Path
    holder: int

    @property
    def entered_by(self) -> Sequence[str]:
        """The command that runs another one where the disk is mounted."""
        user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
        enter = (str(tool("nsenter")), f"--target={self.holder}", "--mount", *user)
        return (*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd()))

    @property
    def _seen(self) -> Path:
        """The disk as it is seen from here."""
        return Path(f"/proc/{self.holder}/root", *self.folder.parts[1:])

    @property
    def _filler(self) -> Path:
        return self._seen / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while file.write(_BLOCK):
                pass
        assert shutil.disk_usage(self._seen).free == 0

    def make_room(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def make_read_only(self) -> None:
        """Let nothing be opened for writing any more; what is open stays so."""
        self._run("mount", "--bind", str(self.folder), str(self.folder))
        self._run("mount", "-o", "remount,bind,ro", str(self.folder))

    def make_writable(self) -> None:
        """Take that back."""
        self._run("umount", str(self.folder))

    def _run(self, *command: str) -> None:
        subprocess.run([*self.entered_by, *command], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Mount a disk on a folder; skips where that is not allowed."""
    folder.mkdir()
    as_root = () if os.geteuid() == 0 else ("--map-root-user",)
    mount = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && echo mounted && exec cat'
    command = [str(tool("unshare")), *as_root, "--mount", "sh", "-c", mount, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            missing("nobody may mount a disk here: it takes a namespace of users")
        try:
            yield Disk(folder, holder.pid)
        finally:
            holder.stdin.close()
