"""The command, which prints its peak memory at the end, in KiB."""

from __future__ import annotations

import sys
from pathlib import Path

from exporter.cli.main import run


def peak() -> int:
    """Return the peak memory of this process, without that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1])


if __name__ == "__main__":
    code = run(sys.argv[1:], {})
    sys.stderr.write(f"{peak()}\n")
    sys.exit(code)
