"""What Prometheus makes of the accounts of one exporter, by labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.real.prometheus import Prometheus, Sample

FINISHED = "durable_functions_instances_finished_total"
CREATED = "durable_functions_instances_created_total"
VANISHED = "durable_functions_instances_vanished_total"
FAILURES = "durable_functions_failures_total"
REASONS = "durable_functions_failure_reasons_total"
LATE = "durable_functions_exporter_late_finishes_total"
BASELINE = "durable_functions_exporter_baseline_timestamp_seconds"
SWEEPS = "durable_functions_exporter_sweeps_total"
ACCOUNTS = (
    CREATED,
    FINISHED,
    VANISHED,
    FAILURES,
    REASONS,
    LATE,
    "durable_functions_instances_continued_total",
    "durable_functions_instances_reopened_total",
    "durable_functions_instance_duration_seconds_bucket",
    "durable_functions_instance_duration_seconds_sum",
    "durable_functions_instance_duration_seconds_count",
)
"""All that a restart must not take back."""

WHOLE_RUN = "1h"
"""Longer than any test."""

Labels = tuple[str, ...]
_ADDED = ("__name__", "instance", "job", "task_hub")


def key_of(sample: Sample) -> Labels:
    """Return the values of the labels that the exporter gave, in the order of their names."""
    return tuple(value for name, value in sorted(sample.labels.items()) if name not in _ADDED)


def nonzero(values: Mapping[Labels, float]) -> dict[Labels, float]:
    """Leave out the series that are 0."""
    return {labels: value for labels, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Counted:
    """
    What one target showed, up to a sample of its own.

    Where the first sample of a series is 0, and `increase` ends exactly at its last one, Prometheus
    has nothing to extrapolate: it is exact. *at* is that moment, in seconds since the epoch.
    """

    prometheus: Prometheus
    target: str
    at: float

    async def shown(self, family: str) -> dict[Labels, float]:
        """Return what a family showed at the end."""
        return await self._by_labels(f"{self._of(family)} @ {self.at:.3f}")

    async def increase(self, family: str, window: str = WHOLE_RUN) -> dict[Labels, float]:
        """Return by how much a family has grown."""
        return await self._over("increase", self._of(family), window)

    async def resets(self, family: str) -> dict[Labels, float]:
        """Return how often the series of a family fell."""
        return await self._over("resets", self._of(family), WHOLE_RUN)

    async def last(self, family: str, since: float) -> dict[Labels, float]:
        """Return the last that a family showed after a moment, whether it went on or not."""
        window = f"{round(1000 * (self.at - since))}ms"
        return await self._over("last_over_time", self._of(family), window)

    async def begin(self, family: str) -> float:
        """Return when the first sample of a family was taken, within the last few minutes."""
        # At each step the time of the latest sample, so the smallest is the time of the first.
        times = await self._over("min_over_time", f"timestamp({self._of(family)})", "5m:100ms")
        return min(times.values())

    def _of(self, family: str) -> str:
        return f'{family}{{instance="{self.target}"}}'

    async def _over(self, function: str, series: str, window: str) -> dict[Labels, float]:
        return await self._by_labels(f"{function}({series}[{window}] @ {self.at:.3f})")

    async def _by_labels(self, query: str) -> dict[Labels, float]:
        return {key_of(sample): sample.value for sample in await self.prometheus.query(query)}


async def counted(prometheus: Prometheus, target: str) -> Counted:
    """Return what a target that is still scraped has shown up to its last sample."""
    query = f'timestamp(durable_functions_up{{instance="{target}"}})'
    ((_, at),) = await prometheus.wait_until(query)
    return Counted(prometheus, target, at)
