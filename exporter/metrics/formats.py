"""The exposition formats: classic text of Prometheus, and OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from exporter.metrics.family import Family, Kind, classic_name


class Format(Enum):
    """An exposition format, by its content type."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def headers(families: Iterable[Family], form: Format) -> dict[str, bytes]:
    """Return what comes before the samples of each of *families*, by name, in their order."""
    write = _classic if form is Format.CLASSIC else _openmetrics
    return {family.name: write(family) for family in families}


def _classic(family: Family) -> bytes:
    name = classic_name(family)
    kinds = {Kind.INFO: "gauge", Kind.DISTRIBUTION: "untyped"}
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    kind = kinds.get(family.kind, family.kind)
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def _openmetrics(family: Family) -> bytes:
    suffixes = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
    name = family.name.removesuffix(suffixes.get(family.kind, ""))
    text = family.help.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    kind = "gaugehistogram" if family.kind is Kind.DISTRIBUTION else family.kind
    unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{unit}".encode()
