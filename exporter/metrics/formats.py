"""The exposition formats: classic text of Prometheus, and OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from exporter.metrics.family import Family, Kind, exposed_names


class Format(Enum):
    """An exposition format, by its content type."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def headers(families: Iterable[Family], form: Format) -> dict[str, bytes]:
    """Return what comes before the samples of each exposed name, in the order of *families*."""
    write = _classic if form is Format.CLASSIC else _openmetrics
    return {name: write(family, name) for family in families for name in exposed_names(family)}


def _classic(family: Family, name: str) -> bytes:
    kinds = {Kind.INFO: "gauge", Kind.DISTRIBUTION: "untyped"}
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    kind = kinds.get(family.kind, family.kind)
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def _openmetrics(family: Family, name: str) -> bytes:
    suffixes = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
    name = name.removesuffix(suffixes.get(family.kind, ""))
    text = family.help.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    kind = "unknown" if family.kind is Kind.DISTRIBUTION else family.kind
    unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{unit}".encode()
