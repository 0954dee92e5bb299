"""The metrics of the process itself, as the client library gathers them at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import generate_latest as classic_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest
from prometheus_client.registry import Collector

from exporter.metrics.formats import Format

_SUFFIXES = {"counter": "_total", "info": "_info"}


class _Wanted(Collector):
    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted

    def collect(self) -> Iterator[Metric]:
        for metric in REGISTRY.collect():
            if self._wanted(metric.name + _SUFFIXES.get(metric.type, "")):
                yield metric


def process_metrics(form: Format, wanted: Callable[[str], bool]) -> bytes:
    """Return the families `process_*` and `python_*` that are *wanted*, and what ends a text."""
    if form is Format.OPENMETRICS:
        return bytes(openmetrics_latest(_Wanted(wanted)))  # type: ignore[no-untyped-call] # library
    return bytes(classic_latest(_Wanted(wanted)))
