"""The exposition of all hubs: what changed is rendered anew, the rest reused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import generate_latest as classic_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_latest
from prometheus_client.registry import Collector

from exporter.collector.snapshot import HubSnapshot, ProcessView, Sweep
from exporter.metrics.catalogue import CATALOGUE, SERIES, SWEEP_FRESH
from exporter.metrics.family import Family, Series, classic_name
from exporter.metrics.lines import Format, Lines, LineWriter, headers

# Kept bodies, one per selection of hubs and format.
_MAX_BODIES = 8
# Higher levels cost more CPU than they save.
_LEVEL = 1
_GZIP = zlib.MAX_WBITS | 16
_SUFFIXES = {"counter": "_total", "info": "_info"}


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What is exposed.

    `exclude` are patterns (`*`, `?`, `[abc]`) of family names. With `exemplars`, counters of
    finishes have the id of the last finished instance in OpenMetrics.
    """

    exclude: tuple[str, ...] = ()
    exemplars: bool = False

    def left_out(self, families: Iterable[Family]) -> frozenset[str]:
        """Return the names of excluded *families*."""
        return frozenset(
            family.name
            for family in families
            if not (self.wants(family.name) and self.wants(classic_name(family)))
        )

    def wants(self, name: str) -> bool:
        """Return whether a family is not excluded."""
        return not any(fnmatchcase(name, pattern) for pattern in self.exclude)


class _HubLines:
    """Lines of one snapshot, in parts that show while their sweep is fresh."""

    def __init__(
        self,
        snapshot: HubSnapshot,
        writer: LineWriter,
        left_out: Container[str],
        *,
        exemplars: bool,
    ) -> None:
        self.snapshot = snapshot
        self.writer = writer
        self._left_out = left_out
        self._parts = [
            (sweep, writer.write(some, left_out))
            for sweep, some in read(snapshot, exemplars=exemplars).items()
        ]
        self._ages: tuple[frozenset[Sweep], frozenset[Sweep]] | None = None
        self._shown: tuple[Lines, ...] = ()

    def shown(self, now: float) -> tuple[Lines, ...]:
        """Return the lines shown at *now*: the same object while nothing changes."""
        hub = self.snapshot
        fresh = frozenset(sweep for sweep in hub.sweeps if hub.is_fresh(sweep, now))
        judged = frozenset(sweep for sweep in hub.sweeps if hub.may_be_judged(sweep, now))
        if (fresh, judged) != self._ages:
            self._ages = fresh, judged
            lines = [lines for sweep, lines in self._parts if sweep is None or sweep in fresh]
            lines.append(self.writer.write([self._sweep_fresh(judged)], self._left_out))
            self._shown = (*lines, self._series(lines))
        return self._shown

    def _sweep_fresh(self, judged: Container[Sweep]) -> Series:
        states = self.snapshot.sweeps.items()
        return Series(
            SWEEP_FRESH,
            [((sweep,), int(sweep in judged)) for sweep, state in states if state.configured],
        )

    def _series(self, lines: Iterable[Lines]) -> Lines:
        """Return the line with the number of series, itself included."""
        number = sum(part.count for part in lines) + 1
        return self.writer.write([Series(SERIES, [((), number)])], self._left_out)


class Body:
    """
    The text of some hubs, constant until one of them publishes.

    The tail changes with every scrape. Compressed, both are one stream: not every client reads a
    second one.
    """

    def __init__(self, shown: Sequence[Sequence[Lines]], text: bytes) -> None:
        self.shown = shown
        self.text = text
        self._begun: tuple[bytes, zlib._Compress] | None = None

    def compressed(self, tail: bytes) -> bytes:
        """Return the text and *tail* as gzip; the text is compressed only once."""
        if self._begun is None:
            compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            self._begun = compressor.compress(self.text), compressor
        start, begun = self._begun
        compressor = begun.copy()
        return start + compressor.compress(tail) + compressor.flush()


class Exposition:
    """
    The exposition of all hubs; lines are kept until their hub publishes again.

    Not thread-safe.
    """

    def __init__(self, choice: Choice | None = None) -> None:
        self._choice = choice or Choice()
        self._left_out = self._choice.left_out(CATALOGUE)
        self._headers = {form: headers(CATALOGUE, form) for form in Format}
        self._hubs: dict[str, _HubLines] = {}
        self._bodies: dict[tuple[Format, tuple[str, ...]], Body] = {}
        self._process: ProcessView | None = None
        self._of_process = self._write_process(None)

    def is_current(self, snapshot: HubSnapshot) -> bool:
        """Return whether the lines of *snapshot* are written."""
        held = self._hubs.get(snapshot.identity.name)
        return held is not None and held.snapshot is snapshot

    def write(self, snapshot: HubSnapshot) -> None:
        """Write the lines of *snapshot*, unless done."""
        self._lines(snapshot)

    def forget_others(self, names: Collection[str]) -> None:
        """Drop all hubs but *names*."""
        for gone in self._hubs.keys() - set(names):
            del self._hubs[gone]
            self._bodies.clear()

    def body(
        self,
        snapshots: Sequence[HubSnapshot],
        now: float,
        form: Format,
        process: ProcessView | None = None,
    ) -> Body:
        """
        Return what *snapshots* show at *now*, and *process* if given.

        It lacks the end of OpenMetrics, which is in the tail.
        """
        if process != self._process:
            self._process, self._of_process = process, self._write_process(process)
        shown = (*(self._lines(snapshot).shown(now) for snapshot in snapshots), self._of_process)
        key = (form, tuple(snapshot.identity.name for snapshot in snapshots))
        body = self._bodies.pop(key, None)
        if body is None or body.shown != shown:
            body = Body(shown, assemble(shown, form, self._headers[form]))
        self._bodies[key] = body
        if len(self._bodies) > _MAX_BODIES:
            del self._bodies[next(iter(self._bodies))]
        return body

    def tail(self, form: Format) -> bytes:
        """Return the process's own metrics, and the end of the text."""
        return _process_metrics(form, self._choice.wants)

    def _write_process(self, view: ProcessView | None) -> tuple[Lines, ...]:
        some = [Series(each, each.of_process(view)) for each in CATALOGUE if each.of_process]
        return (LineWriter().write(some, self._left_out),)

    def _lines(self, snapshot: HubSnapshot) -> _HubLines:
        held = self._hubs.get(snapshot.identity.name)
        if held is None or held.snapshot is not snapshot:
            writer = held.writer if held else LineWriter((("task_hub", snapshot.identity.name),))
            held = _HubLines(snapshot, writer, self._left_out, exemplars=self._choice.exemplars)
            self._hubs[snapshot.identity.name] = held
        return held


def read(hub: HubSnapshot, *, exemplars: bool) -> Mapping[Sweep | None, Sequence[Series]]:
    """Return the series of all families, by the sweep whose age removes them, None if none."""
    parts: dict[Sweep | None, list[Series]] = {sweep: [] for sweep in (None, *Sweep)}
    for family in CATALOGUE:
        shown = family.exemplars(hub) if exemplars and family.exemplars else {}
        free = hub.identity.labels if family.free_labels else ()
        labelled = replace(family, labels=(*family.labels, *free)) if free else family
        for reading in family.numbers:
            if numbers := reading.read(hub):
                parts[reading.sweep].append(Series(labelled, numbers, exemplars=shown))
        for spread in family.spreads:
            if spreads := spread.read(hub):
                parts[spread.sweep].append(Series(family, spreads=spreads))
    return parts


def assemble(
    shown: Iterable[Iterable[Lines]], form: Format, headings: Mapping[str, bytes]
) -> bytes:
    """Join lines by family, in the order of *headings*, without empty families."""
    families: dict[str, list[bytes]] = {name: [] for name in headings}
    for parts in shown:
        for lines in parts:
            by_name = lines.classic if form is Format.CLASSIC else lines.openmetrics
            for name, text in by_name.items():
                families[name].append(text)
    return b"".join(
        text for name, some in families.items() if some for text in (headings[name], *some)
    )


def _process_metrics(form: Format, wanted: Callable[[str], bool]) -> bytes:
    """Return the *wanted* families `process_*` and `python_*`, and the end of the text."""
    if form is Format.OPENMETRICS:
        return bytes(openmetrics_latest(_Wanted(wanted)))  # type: ignore[no-untyped-call] # library
    return bytes(classic_latest(_Wanted(wanted)))


class _Wanted(Collector):
    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted

    def collect(self) -> Iterator[Metric]:
        for metric in REGISTRY.collect():
            if self._wanted(metric.name + _SUFFIXES.get(metric.type, "")):
                yield metric
