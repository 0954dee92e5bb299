"""Samples as text: the classic format of Prometheus, and OpenMetrics."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from enum import Enum

from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest as classic_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest

from exporter import __version__
from exporter.collector.snapshot import HubSnapshot, ProcessView
from exporter.metrics import catalogue as c
from exporter.metrics.catalogue import BUILD_INFO, CATALOGUE
from exporter.metrics.collection import Collection, LabelPairs, spell
from exporter.metrics.family import Family, Kind
from exporter.metrics.hubs import collect_hub


class Format(Enum):
    """An exposition format, by its content type."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def expose(
    snapshots: Iterable[HubSnapshot], now: float, form: Format, process: ProcessView | None = None
) -> bytes:
    """Return what all hubs show at *now*, and the process itself, in the format *form*."""
    return render(collect(snapshots, now, process), form) + _process_metrics(form)


def collect(
    snapshots: Iterable[HubSnapshot], now: float, process: ProcessView | None = None
) -> Collection:
    """Gather the samples of all hubs, and of the process where it goes on."""
    collection = Collection()
    for snapshot in snapshots:
        collection.merge(collect_hub(snapshot, now))
    if process is not None:
        collection.merge(collect_process(process))
    collection.add(BUILD_INFO, (__version__, platform.python_version()), 1.0)
    return collection


def collect_process(view: ProcessView) -> Collection:
    """Return what is shown of the process itself, but for what it is built of."""
    collection = Collection()
    collection.add(c.RELOAD_SUCCESSFUL, (), float(view.reload_successful))
    collection.add(c.RELOAD_TIMESTAMP, (), view.loaded)
    collection.add(c.SHARD_INFO, (str(view.shard), str(view.shards)), 1.0)
    return collection


def render(collection: Collection, form: Format) -> bytes:
    """Write *collection*, without the end of OpenMetrics; empty families are left out."""
    parts: list[str] = []
    for family in CATALOGUE:
        if collection.of(family):
            parts.extend(_family_lines(family, collection, form))
    return "".join(parts).encode()


def _family_lines(family: Family, collection: Collection, form: Format) -> Iterable[str]:
    """Group the samples under the header of the family that each belongs to in the format."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in collection.samples(family):
        header = name if family.kind is Kind.DISTRIBUTION else family.name
        lines.setdefault(header, []).append(f"{name}{_labels(labels)} {spell(value)}\n")
    for header, samples in lines.items():
        yield from _header(header, family, form)
        yield from samples


def _header(name: str, family: Family, form: Format) -> Iterable[str]:
    kind: str = family.kind
    if family.kind is Kind.DISTRIBUTION:
        kind = "untyped" if form is Format.CLASSIC else "unknown"
    elif form is Format.OPENMETRICS:
        name = name.removesuffix("_total") if family.kind is Kind.COUNTER else name
        name = name.removesuffix("_info") if family.kind is Kind.INFO else name
    elif family.kind is Kind.INFO:
        kind = "gauge"
    yield f"# HELP {name} {family.help}\n"
    yield f"# TYPE {name} {kind}\n"


def _labels(labels: LabelPairs) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(labels)) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _process_metrics(form: Format) -> bytes:
    if form is Format.OPENMETRICS:
        return bytes(openmetrics_latest(REGISTRY))  # type: ignore[no-untyped-call] # library
    return bytes(classic_latest(REGISTRY))
