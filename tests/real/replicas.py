"""Samples of one exporter, stored again as those of two replicas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from exporter.metrics.family import Kind
from tests.grafana.reading import OWN_WORK, family_of
from tests.real.blocks import create_blocks
from tests.real.prometheus import Series

ALONE, TWICE = "Alone", "Twice"
"""The same hub, shown by one exporter and by two."""

_IDENTITY = ("__name__", "instance", "pod", "task_hub")


def store(folder: Path, watched: Sequence[Series], *, begun: float) -> None:
    """
    Write a folder of data for Prometheus from what was *watched*.

    The hub is in it once as one exporter showed it, and once as two did, of which the second was
    *begun* later: it has seen less of the time, and less of what happened in the hub.
    """
    samples: dict[str, list[str]] = defaultdict(list)
    for series in watched:
        for line in _lines(series, begun):
            samples[series.metric["__name__"]].append(line)
    create_blocks(folder, samples)


def _lines(series: Series, begun: float) -> Iterator[str]:
    name = series.metric["__name__"]
    if "task_hub" not in series.metric:
        yield from _written(series, series.values, instance="one", pod="one")
        return
    yield from _written(series, series.values, instance="one", pod="one", task_hub=ALONE)
    yield from _written(series, series.values, instance="one", pod="one", task_hub=TWICE)
    late = [sample for sample in series.values if sample[0] >= begun]
    first = float(late[0][1]) if late and _is_accounts(name) else 0.0
    counted = [(at, repr(float(value) - first)) for at, value in late]
    yield from _written(series, counted, instance="two", pod="two", task_hub=TWICE)


def _is_accounts(name: str) -> bool:
    """Whether a sample counts what happened in the hub, rather than what an exporter did."""
    if name.startswith(("process_", "python_", "up", "scrape_")):
        return False
    family, _ = family_of(name)
    return family.kind in (Kind.COUNTER, Kind.HISTOGRAM) and family not in OWN_WORK


def _written(series: Series, values: Sequence[tuple[float, str]], **labels: str) -> Iterator[str]:
    given = {key: value for key, value in series.metric.items() if key not in _IDENTITY}
    inside = ",".join(f'{key}="{value}"' for key, value in {**given, **labels}.items())
    for at, value in values:
        yield f"{series.metric['__name__']}{{{inside}}} {value} {at:.3f}"
