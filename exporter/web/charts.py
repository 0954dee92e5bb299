"""Small charts of finishes as paths of SVG, which need no script and no style of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.web.formatting import plural, span
from exporter.web.report import FinishesReport

_PITCH = 10
_BAR = 8
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Chart:
    """
    Bars, stacked: completed at the bottom, then others, then failed.

    `summary` says the same in words, for who does not see it; `most` is what the highest bar means.
    """

    width: int
    height: int
    completed: str
    other: str
    failed: str
    most: int
    span: str
    step: str
    summary: str


def chart_of(finishes: FinishesReport | None, height: int, bars: int) -> Chart | None:
    """Return a chart of *bars* bars, *height* units high; None where nothing is known."""
    if finishes is None:
        return None
    together = max(1, len(finishes.completed) // bars)
    rows = [
        _in_bars(row, together) for row in (finishes.completed, finishes.other, finishes.failed)
    ]
    totals = [sum(bar) for bar in zip(*rows, strict=True)]
    most = max(totals, default=0)
    paths = _paths(rows, most, height)
    length = span(finishes.step_seconds * len(finishes.completed))
    step = span(finishes.step_seconds * together)
    return Chart(
        width=_PITCH * len(totals),
        height=height,
        completed=paths[0],
        other=paths[1],
        failed=paths[2],
        most=most,
        span=length,
        step=step,
        summary=_in_words(finishes, most, length, step),
    )


def _in_bars(counts: Sequence[int], together: int) -> list[int]:
    # Counted from the end, so that the last bar is the newest whole number of steps.
    begins = range(len(counts) % together, len(counts), together)
    return [sum(counts[begin : begin + together]) for begin in begins]


def _paths(rows: Sequence[Sequence[int]], most: int, height: int) -> list[str]:
    """Return the path of each row; what is not 0 is never too small to be seen."""
    tops = [0] * len(rows[0])
    paths = []
    for row in rows:
        bars = []
        for place, count in enumerate(row):
            if not count:
                continue
            tall = max(_LEAST, round(count / most * height))
            tall = min(tall, height)
            foot = min(tops[place], height - _LEAST)
            tall = min(tall, height - foot)
            tops[place] = foot + tall
            bars.append(f"M{place * _PITCH + 1} {height - foot}v-{tall}h{_BAR}v{tall}z")
        paths.append("".join(bars))
    return paths


def _in_words(finishes: FinishesReport, most: int, length: str, step: str) -> str:
    completed, failed, other = map(sum, (finishes.completed, finishes.failed, finishes.other))
    if not completed + failed + other:
        return f"Nothing finished in the last {length}"
    others = f", {other:,} otherwise" if other else ""
    return (
        f"Finishes of the last {length}: {completed:,} completed, {failed:,} failed{others}; "
        f"at most {plural(most, 'finish', 'finishes')} in {step}"
    )
