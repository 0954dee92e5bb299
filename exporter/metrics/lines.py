"""Exposition formats: content types, headings of families, samples as lines of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import TypeVar

import msgspec

from exporter.metrics.family import (
    SPREAD_SUFFIXES,
    Exemplar,
    Family,
    Kind,
    Series,
    Values,
    classic_name,
)

_LEAST_WITH_EXPONENT = 1_000_000
_DIGITS_BEFORE_EXPONENT = 6
# Characters of names and values together: OpenMetrics allows no more.
_LONGEST_EXEMPLAR = 128
_BOUND = "le"

Labels = tuple[tuple[str, str], ...]
Text = TypeVar("Text")


class Format(Enum):
    """An exposition format, by its content type."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def headers(families: Iterable[Family], form: Format) -> dict[str, bytes]:
    """Return the headings of *families* by name, in their order."""
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


class Lines(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Lines by family name, `count` in all; without exemplars, both formats are one object."""

    classic: Mapping[str, bytes]
    openmetrics: Mapping[str, bytes]
    count: int


class LineWriter:
    """
    Writes samples with *fixed* labels.

    Formatted labels are kept by names and values: many families share them, and each snapshot
    repeats them.
    """

    def __init__(self, fixed: Labels = ()) -> None:
        self._fixed = fixed
        self._whole: dict[Values, dict[Values, str]] = {}
        self._split: dict[Values, dict[Values, tuple[str, str, str]]] = {}

    def write(self, some: Iterable[Series], left_out: Container[str] = ()) -> Lines:
        """Return the lines of *some* series, without the families *left_out*."""
        classic: dict[str, bytes] = {}
        marked: dict[str, bytes] = {}
        count = 0
        for series in some:
            name = series.family.name
            if name in left_out:
                continue
            is_spread = series.family.kind in SPREAD_SUFFIXES
            if lines := self._spread(series) if is_spread else self._numbers(series):
                count += len(lines)
                classic[name] = _encoded(lines)
                if series.exemplars and series.family.kind is Kind.COUNTER:
                    marked[name] = _encoded(_with_exemplars(lines, series))
        return Lines(classic, classic | marked if marked else classic, count)

    def _numbers(self, series: Series) -> list[str]:
        name, whole = series.family.name, self._whole.setdefault(series.family.labels, {})
        try:
            return [f"{name}{whole[values]} {spell(number)}\n" for values, number in series.numbers]
        except KeyError:
            self._learn(whole, _braced, series, series.numbers)
        return [f"{name}{whole[values]} {spell(number)}\n" for values, number in series.numbers]

    def _spread(self, series: Series) -> list[str]:
        lines: list[str] = []
        family = series.family
        split = self._split.setdefault(family.labels, {})
        self._learn(split, _split, series, series.spreads)
        name = family.name
        for values, spread in series.spreads:
            whole, before, after = split[values]
            lines += [
                f"{name}_bucket{{{before}{_bound(bound)}{after}}} {spell(number)}\n"
                for bound, number in spread.buckets()
            ]
            if family.kind is Kind.HISTOGRAM:
                lines.append(f"{name}_count{whole} {spell(spread.cumulative[-1])}\n")
                lines.append(f"{name}_sum{whole} {spell(spread.total)}\n")
        return lines

    def _learn(
        self,
        texts: dict[Values, Text],
        write: Callable[[Labels], Text],
        series: Series,
        samples: Iterable[tuple[Values, object]],
    ) -> None:
        """Format the new labels among *samples*."""
        names = series.family.labels
        for values, _ in samples:
            if values not in texts:
                # The garbage collector does not track tuples of plain strings.
                plain = tuple(map(str, values))
                texts[plain] = write((*self._fixed, *zip(names, plain, strict=True)))


def _braced(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels sorted and in braces, empty if there are none."""
    pairs = _pairs(labels)
    return f"{{{pairs}}}" if pairs else ""


def spell(number: float) -> str:
    """Format a number as Go does, as in every `le`: 1.0, 1e+06, +Inf."""
    if type(number) is int and 0 <= number < _LEAST_WITH_EXPONENT:
        return f"{number}.0"
    number = float(number)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    point = text.find(".")
    if number > 0 and point > _DIGITS_BEFORE_EXPONENT:
        mantissa = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{point - 1:02d}"
    return text


@lru_cache(maxsize=1024)
def _bound(bound: float) -> str:
    return f'{_BOUND}="{spell(bound)}"'


def _split(labels: Labels) -> tuple[str, str, str]:
    """Return labels in braces, and their parts before and after `le`."""
    pairs = sorted(labels)
    before = [f'{name}="{_escape(value)}",' for name, value in pairs if name < _BOUND]
    after = [f',{name}="{_escape(value)}"' for name, value in pairs if name > _BOUND]
    return _braced(labels), "".join(before), "".join(after)


def _pairs(labels: Iterable[tuple[str, str]]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(labels))


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _encoded(lines: Iterable[str]) -> bytes:
    # One label that is not UTF-8 must not break all other series.
    return "".join(lines).encode(errors="replace")


def _with_exemplars(lines: Iterable[str], series: Series) -> Iterator[str]:
    for line, (values, _) in zip(lines, series.numbers, strict=True):
        exemplar = series.exemplars.get(values)
        text = _exemplar(exemplar) if exemplar else ""
        yield f"{line[:-1]}{text}\n" if text else line


def _exemplar(exemplar: Exemplar) -> str:
    """Return an exemplar as it follows a value, empty if too long."""
    if sum(len(name) + len(value) for name, value in exemplar.labels.items()) > _LONGEST_EXEMPLAR:
        return ""
    return f" # {{{_pairs(exemplar.labels.items())}}} {spell(exemplar.value)} {exemplar.at}"
