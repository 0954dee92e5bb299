"""The cost of polling a hub by a daemon's counters, to compare with a forecast."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

DAY = 86_400.0
CYCLES = ("active", "finished")
WITHIN = 0.05

_LOG = logging.getLogger(__name__)
_PREFIX = "durable_functions_exporter_"


@dataclass(frozen=True, slots=True)
class Polled:
    """
    Counters of one daemon at a moment, in seconds of any clock: pages and complete sweeps by kind,
    requests, and series.

    `reads` are the requests that no page was.
    """

    at: float
    pages: Mapping[str, float]
    sweeps: Mapping[str, float]
    requests: float
    series: float

    @property
    def reads(self) -> float:
        return self.requests - sum(self.pages.values())


def polled(exposition: str, at: float) -> Polled:
    """Read the counters that a daemon shows."""
    lines = [line for line in exposition.splitlines() if line.startswith(_PREFIX)]
    complete = [line for line in lines if 'result="complete"' in line]
    return Polled(
        at=at,
        pages=_by_sweep(lines, "pages_total"),
        sweeps=_by_sweep(complete, "sweeps_total"),
        requests=sum(_value(line) for line in lines if _is_of(line, "api_requests_total")),
        series=sum(_value(line) for line in lines if _is_of(line, "series")),
    )


def _by_sweep(lines: Iterable[str], family: str) -> dict[str, float]:
    return {
        line.partition('sweep="')[2].partition('"')[0]: _value(line)
        for line in lines
        if _is_of(line, family)
    }


def _is_of(line: str, family: str) -> bool:
    return line.startswith(f"{_PREFIX}{family}{{")


def _value(line: str) -> float:
    return float(line.rpartition(" ")[2])


def hold(out: str, begin: Polled, end: Polled) -> None:
    """
    Hold a forecast, as printed, against a daemon: its cycles from *begin* to *end* are those of
    the day, and the other sweeps as often as forecast, each with as many pages as it took.
    """
    (forecast,) = json.loads(out)
    assert all(each["bytes"] > 0 or not each["rows"] for each in forecast["sweeps"])
    sweeps = {each["sweep"]: each for each in forecast["sweeps"]}
    cycles = end.sweeps["active"] - begin.sweeps["active"]
    requests = 0.0
    for name, sweep in sweeps.items():
        is_of_cycle = name in CYCLES
        pages = end.pages[name] - begin.pages[name] * is_of_cycle
        made = cycles if is_of_cycle else end.sweeps[name]
        assert made > 0, name
        requests += pages / made * DAY / sweep["interval_seconds"]
        _LOG.info("%s: %s pages forecast, %.2f read", name, sweep["pages"], pages / made)
    # So many leave in a time, however often somebody looks.
    reads = (end.reads - begin.reads) * DAY / (end.at - begin.at)
    requests += reads
    _LOG.info("reads: %.0f forecast, %.0f made", forecast["reads_per_day"], reads)
    _LOG.info("requests: %.0f forecast, %.0f made", forecast["requests_per_day"], requests)
    _LOG.info("series: %d forecast, %d shown", forecast["series"], end.series)
    assert forecast["requests_per_day"] == pytest.approx(requests, rel=WITHIN)
    assert forecast["series"] == pytest.approx(end.series, rel=WITHIN)
