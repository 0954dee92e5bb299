"""What a scrape shows, read by the client library's own parser."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from exporter.collector.snapshot import HubSnapshot, ProcessView
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.exposition import Exposition
from exporter.metrics.family import Family, sample_names
from exporter.metrics.lines import Format


def samples(text: bytes) -> Iterator[Sample]:
    """Yield the samples of a text in the classic format."""
    for family in text_string_to_metric_families(text.decode()):
        yield from family.samples


class Shown:
    """The samples of hubs at one moment."""

    def __init__(
        self, *snapshots: HubSnapshot, now: float, process: ProcessView | None = None
    ) -> None:
        self.text = Exposition().body(snapshots, now, Format.CLASSIC, process).text
        self._samples = list(samples(self.text))

    def of(self, family: Family) -> list[Sample]:
        """Return the samples of *family*."""
        names = sample_names(family)
        return [sample for sample in self._samples if sample.name in names]

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Return samples by the values of their labels, ordered as in the catalogue, no hub's."""
        (family,) = (family for family in CATALOGUE if name in sample_names(family))
        return {
            tuple(sample.labels[label] for label in family.labels if label in sample.labels): (
                sample.value
            )
            for sample in self._samples
            if sample.name == name
        }
