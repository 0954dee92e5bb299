"""Samples that no Prometheus scraped, stored as if one had."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.tools import tool


def create_blocks(folder: Path, samples: Mapping[str, Sequence[str]]) -> None:
    """Write lines of OpenMetrics with times, by family, as the data of a Prometheus in *folder*."""
    text = "\n".join(line for lines in samples.values() for line in lines) + "\n# EOF\n"
    (source := folder / "samples.openmetrics").write_text(text, encoding="utf-8")
    data = folder / "prometheus-data"
    command = ["tsdb", "create-blocks-from", "openmetrics", str(source), str(data)]
    subprocess.run([str(tool("promtool")), *command], check=True, capture_output=True, timeout=300)
