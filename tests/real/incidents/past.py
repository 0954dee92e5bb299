"""What Prometheus remembers of a week that was never scraped: blocks written from text."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from exporter.metrics import catalogue as c
from tests.real.incidents.faster import FACTOR
from tests.tools import tool

_STEP_SECONDS = 5.0
_WEEK_SECONDS = 7 * 86_400.0 / FACTOR
# How long the test may go on looking at the week before.
_LONGEST_SECONDS = 900.0
# The longest window of an expression that looks at the week before.
_WINDOW_SECONDS = 6 * 3600.0 / FACTOR


def remember(folder: Path, labels: str, now: float) -> None:
    """
    Write the past of the hub with *labels* into Prometheus' data *folder*.

    A week ago instances were started and ended, one a second, each after five.
    """
    text = folder / "past.txt"
    folder.mkdir()
    text.write_text("\n".join((*_lines(labels, now), "# EOF\n")))
    subprocess.run(
        [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, folder],
        check=True,
        capture_output=True,
    )


def _lines(labels: str, now: float) -> Iterator[str]:
    week_ago = now - _WEEK_SECONDS - _WINDOW_SECONDS - 10 * _STEP_SECONDS
    then = _times(week_ago, week_ago + _WINDOW_SECONDS + _LONGEST_SECONDS)
    of_report = f'{labels},orchestrator="Report"'
    yield f"# TYPE {c.CREATED.name.removesuffix('_total')} counter"
    yield from (
        f'{c.CREATED.name}{{{labels},orchestrator="Usual"}} {at - week_ago:.0f} {at:.3f}'
        for at in then
    )
    yield f"# TYPE {c.DURATION.name} histogram"
    for at in then:
        number = at - week_ago
        yield f'{c.DURATION.name}_bucket{{{of_report},le="+Inf"}} {number:.0f} {at:.3f}'
        yield f"{c.DURATION.name}_count{{{of_report}}} {number:.0f} {at:.3f}"
        yield f"{c.DURATION.name}_sum{{{of_report}}} {5 * number:.0f} {at:.3f}"


def _times(begin: float, end: float) -> list[float]:
    return [begin + _STEP_SECONDS * step for step in range(int((end - begin) / _STEP_SECONDS))]
