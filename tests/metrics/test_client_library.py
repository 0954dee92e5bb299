"""What is written is what the client library writes, byte for byte, whatever the samples are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.exposition import generate_latest as classic_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as classic_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as LibraryExemplar
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from exporter.metrics.exposition import assemble
from exporter.metrics.family import (
    SPREAD_SUFFIXES,
    Exemplar,
    Family,
    Kind,
    Series,
    Spread,
    Values,
)
from exporter.metrics.lines import Format, LineWriter, headers, spell

both_formats = pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())

NAME_ENDS = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
HUGE = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=8), st.just(5000))
TEXTS = st.text(max_size=12) | st.text('\\"\n{},= #\r\N{NO-BREAK SPACE}', max_size=12) | HUGE
# Colons are for recording rules; the library replaces them in one of its formats.
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True)
# Some stand right before and after the label of a bound.
LABEL_NAMES = st.sampled_from(("l", "lE", "ld", "lea", "lf", "limit")) | st.from_regex(
    r"[a-zA-Z][a-zA-Z0-9_]{0,10}", fullmatch=True
).filter(lambda name: name not in ("le", "task_hub"))
COUNTS = st.integers(0, 10) | st.integers(0, 10**20)
# What a parser refuses in a counter, a sum or a bound is no less to be written as the library does.
ANY_NUMBERS = st.floats() | st.integers(-(10**20), 10**20)
SOUND_NUMBERS = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False) | COUNTS


@dataclass(frozen=True)
class Drawn:
    """Samples, and the labels that all of them have."""

    samples: Sequence[Series]
    fixed: tuple[tuple[str, str], ...]

    @property
    def families(self) -> list[Family]:
        return [series.family for series in self.samples]


@st.composite
def drawn(draw: st.DrawFn, *, sound: bool = False) -> Drawn:
    samples = []
    fixed = draw(st.sampled_from(((), (("task_hub", "hub"),), (("task_hub", 'o"r\\d\n'),))))
    for place, kind in enumerate(draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=5))):
        unit = draw(st.sampled_from(("", "_seconds", "_bytes", "_ratio")))
        name = f"{draw(NAMES)}_{place}{unit}{NAME_ENDS.get(kind, '')}"
        labels = tuple(draw(st.lists(LABEL_NAMES, unique=True, max_size=4)))
        family = Family(name, kind, draw(TEXTS), labels)
        keys = draw(st.lists(st.tuples(*[TEXTS] * len(labels)), unique=True, max_size=4))
        if kind in SPREAD_SUFFIXES:
            bounds = draw(BOUNDS)
            spread = [(key, draw(spreads(bounds, sound=sound))) for key in keys]
            samples.append(Series(family, spreads=spread))
        else:
            drawn_numbers = [(key, draw(numbers(kind, sound=sound))) for key in keys]
            exemplars = exemplars_of(READABLE if sound else st.text(max_size=20))
            some = keys[::2] if kind is Kind.COUNTER else []
            shown = {key: draw(exemplars) for key in some}
            samples.append(Series(family, drawn_numbers, exemplars=shown))
    return Drawn(samples, fixed)


def numbers(kind: Kind, *, sound: bool) -> st.SearchStrategy[float]:
    if sound and kind is Kind.INFO:
        return st.just(1.0)
    return SOUND_NUMBERS if sound and kind is Kind.COUNTER else ANY_NUMBERS


BOUNDS = st.lists(
    st.floats(min_value=0.0, exclude_min=True, allow_infinity=False, allow_nan=False),
    unique=True,
    max_size=4,
).map(sorted)
# The library's parser cannot read all that it writes itself where exemplars hold these.
READABLE = st.text(st.characters(exclude_characters='"\\\n{}#,='), max_size=20)


def exemplars_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Exemplar]:
    return st.builds(
        Exemplar,
        st.dictionaries(LABEL_NAMES.map(lambda name: name[:8]), texts, max_size=4),
        SOUND_NUMBERS,
        st.floats(min_value=0.0, max_value=1e11),
    )


@st.composite
def spreads(draw: st.DrawFn, bounds: Sequence[float], *, sound: bool) -> Spread:
    counts = draw(st.lists(COUNTS, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return Spread(bounds, sorted(counts), draw(SOUND_NUMBERS if sound else ANY_NUMBERS))


def written(shown: Drawn, form: Format, writer: LineWriter | None = None) -> bytes:
    """Return what the exporter writes."""
    lines = (writer or LineWriter(shown.fixed)).write(shown.samples)
    text = assemble([[lines]], form, headers(shown.families, form))
    return text + (b"# EOF\n" if form is Format.OPENMETRICS else b"")


class Library(Collector):
    """The same samples as the client library has them."""

    def __init__(self, shown: Drawn, form: Format) -> None:
        self._shown = shown
        self._form = form

    def collect(self) -> Iterator[Metric]:
        for series in self._shown.samples:
            yield from self._metrics(series)

    def _metrics(self, series: Series) -> Iterator[Metric]:
        family = series.family
        name = family.name.removesuffix(NAME_ENDS.get(family.kind, ""))
        samples = list(self._samples(series))
        if family.kind is Kind.DISTRIBUTION:
            metric = self._distribution(family)
        else:
            metric = Metric(name, family.help, family.kind, unit=family.unit)
        metric.samples = samples
        yield from [metric] if samples else []

    def _distribution(self, family: Family) -> Metric:
        if self._form is Format.CLASSIC:
            return Metric(f"{family.name}_bucket", family.help, "unknown")
        return Metric(family.name, family.help, "gaugehistogram", unit=family.unit)

    def _samples(self, series: Series) -> Iterator[Sample]:
        for values, number in series.numbers:
            exemplar = series.exemplars.get(values)
            yield Sample(
                series.family.name,
                self._labels(series.family, values),
                number,
                None,
                LibraryExemplar(dict(exemplar.labels), exemplar.value, exemplar.at)
                if exemplar and characters(exemplar) <= 128
                else None,
            )
        for values, spread in series.spreads:
            yield from self._spread(series.family, self._labels(series.family, values), spread)

    def _spread(self, family: Family, labels: dict[str, str], spread: Spread) -> Iterator[Sample]:
        for bound, below in zip((*spread.bounds, math.inf), spread.cumulative, strict=True):
            yield Sample(f"{family.name}_bucket", {**labels, "le": library_spelling(bound)}, below)
        if family.kind is Kind.HISTOGRAM:
            yield Sample(f"{family.name}_count", labels, spread.cumulative[-1])
            yield Sample(f"{family.name}_sum", labels, spread.total)

    def _labels(self, family: Family, values: Values) -> dict[str, str]:
        return dict((*self._shown.fixed, *zip(family.labels, values, strict=True)))


def characters(exemplar: Exemplar) -> int:
    return len("".join((*exemplar.labels, *exemplar.labels.values())))


def library_spelling(number: float) -> str:
    return str(floatToGoString(number))  # type: ignore[no-untyped-call] # library without types


def by_library(shown: Drawn, form: Format) -> bytes:
    if form is Format.CLASSIC:
        return bytes(classic_latest(Library(shown, form)))
    return bytes(openmetrics_latest(Library(shown, form)))  # type: ignore[no-untyped-call] # library


def parsed(text: bytes, form: Format) -> Iterable[Metric]:
    if form is Format.CLASSIC:
        return classic_families(text.decode())
    return openmetrics_families(text.decode())  # type: ignore[no-any-return,no-untyped-call] # library


@both_formats
class TestWriting:
    @settings(max_examples=50)
    @given(shown=drawn())
    def test_it_is_what_the_client_library_writes_byte_for_byte(
        self, form: Format, shown: Drawn
    ) -> None:
        assert written(shown, form) == by_library(shown, form)

    @settings(max_examples=50)
    @given(shown=drawn())
    def test_what_a_writer_remembers_of_labels_changes_nothing(
        self, form: Format, shown: Drawn
    ) -> None:
        writer = LineWriter(shown.fixed)
        first = written(shown, form, writer)
        assert written(shown, form, writer) == first

    @settings(max_examples=50)
    @given(shown=drawn(sound=True))
    def test_the_parser_of_the_client_library_reads_the_same_samples(
        self, form: Format, shown: Drawn
    ) -> None:
        found = [
            (sample.name, sample.labels, pytest.approx(sample.value, nan_ok=True))
            for family in parsed(written(shown, form), form)
            for sample in family.samples
        ]
        told = [
            (sample.name, sample.labels, sample.value)
            for metric in Library(shown, form).collect()
            for sample in metric.samples
        ]
        assert found == told  # type: ignore[comparison-overlap] # approximately equal

    def test_a_label_that_is_no_text_takes_nothing_else_with_it(self, form: Format) -> None:
        family = Family("f", Kind.GAUGE, "Help.", ("l",))
        series = Series(family, [(("\udcff",), 1), (("b",), 2)])
        text = written(Drawn([series], ()), form)
        assert b'f{l="?"} 1.0\nf{l="b"} 2.0\n' in text


class TestNumbers:
    @given(st.floats() | st.integers(-(10**20), 10**20) | st.booleans())
    def test_they_are_spelled_as_the_client_library_does(self, number: float) -> None:
        assert spell(number) == library_spelling(number)

    @pytest.mark.parametrize(
        "number",
        [
            0,
            -0.0,
            1,
            999_999,
            1_000_000,
            1e6,
            604800.0,
            2592000.0,
            1e16,
            5e-324,
            math.inf,
            -math.inf,
        ],
    )
    def test_bounds_are_spelled_as_the_client_library_does(self, number: float) -> None:
        assert spell(number) == library_spelling(number)


COUNTER = Family("finished_total", Kind.COUNTER, "Finishes.", ("orchestrator",))


def exemplified(
    labels: Mapping[str, str], family: Family = COUNTER, form: Format = Format.OPENMETRICS
) -> bytes:
    exemplars: dict[Values, Exemplar] = {("Order",): Exemplar(labels, 1.0, 1_795_428_000.5)}
    series = Series(family, [(("Order",), 3)], exemplars=exemplars)
    return written(Drawn([series], ()), form)


class TestExemplars:
    def test_one_follows_the_value_of_its_counter(self) -> None:
        assert exemplified({"instance_id": 'a"b'}).splitlines()[2:] == [
            b'finished_total{orchestrator="Order"} 3.0 # {instance_id="a\\"b"} 1.0 1795428000.5',
            b"# EOF",
        ]

    def test_one_that_is_too_long_is_left_out_and_its_counter_is_not(self) -> None:
        longest = "\N{SNOWMAN}" * (128 - len("instance_id"))
        assert b"# {" in exemplified({"instance_id": longest})
        too_long = exemplified({"instance_id": longest + "x"})
        assert b"# {" not in too_long
        assert b'finished_total{orchestrator="Order"} 3.0\n' in too_long

    def test_only_counters_have_any(self) -> None:
        gauge = replace(COUNTER, name="running", kind=Kind.GAUGE)
        assert b"# {" not in exemplified({"instance_id": "a"}, gauge)

    def test_the_classic_format_has_none(self) -> None:
        text = exemplified({"instance_id": "a"}, form=Format.CLASSIC)
        assert text.endswith(b'finished_total{orchestrator="Order"} 3.0\n')
