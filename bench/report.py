"""How results are written down."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio, or a number of some *unit*, with its target: at least that, or *at_most*."""

    name: str
    value: float
    target: float
    at_most: bool = False
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        """Tell whether the target is met."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def __str__(self) -> str:
        bound = "at most" if self.at_most else "at least"
        met = "met" if self.is_met else "missed"
        return f"{self.name:55} {self.value:6.2f} {self.unit}  ({bound} {self.target:g}: {met})"


def machine() -> list[str]:
    """Describe the machine by what matters for speed."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("httpx", "msgspec", "anyio"))
    lines = [
        f"{os.cpu_count()} cores of {model}; Python {platform.python_version()}; {packages}",
    ]
    node = shutil.which("node")
    if node is not None:
        found = subprocess.run([node, "--version"], check=True, capture_output=True, text=True)
        lines.append(f"Node {found.stdout.strip().removeprefix('v')}")
    return lines


def write_section(name: str, lines: Sequence[str]) -> None:
    """Replace what `RESULTS.md` says between the marks of a section."""
    text = RESULTS.read_text(encoding="utf-8")
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    body = "\n".join(("```text", *lines, "```"))
    RESULTS.write_text(f"{before}{begin}{body}\n{end}{after}", encoding="utf-8")
