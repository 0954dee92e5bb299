"""Runs `promtool test rules` over many files at once."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.tools import tool

_FILE = re.compile(r"^Unit Testing:\s+(.+)$")


def findings(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the findings of `promtool` by file, an empty text if all is as expected."""
    command = [str(tool("promtool")), "test", "rules", *map(str, paths)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    found: dict[Path, list[str]] = {}
    lines: list[str] = []
    for line in done.stdout.splitlines():
        if begun := _FILE.match(line):
            lines = found.setdefault(Path(begun[1]), [])
        elif line.strip() not in ("", "SUCCESS"):
            lines.append(line)
    assert set(found) == set(paths), done.stdout
    return {path: "\n".join(lines) for path, lines in found.items()}
