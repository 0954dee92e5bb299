"""What a ledger counts for ever: starts, finishes, and the latest of each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from exporter.ledger.counters import CounterFamily, HistogramFamily
from exporter.ledger.places import Places
from exporter.ledger.snapshot import AccountsView, LabelUse, LimitInForce
from exporter.ledger.status import TERMINAL
from exporter.ledger.windows import Pair

Labels = TypeVar("Labels", bound=Hashable)


class Accounts:
    """Counters and latest times of one hub, by label value."""

    def __init__(self, duration_bounds: Sequence[float]) -> None:
        self.created = CounterFamily[str]()
        self.continued = CounterFamily[str]()
        self.vanished = CounterFamily[str]()
        self.late_finishes = 0
        self._finished = CounterFamily[Pair]()
        self._durations = HistogramFamily[Pair](duration_bounds)
        self._last_created: dict[str, float] = {}
        self._last_finished: dict[Pair, float] = {}
        self._last_progress: dict[str, float] = {}
        self._limits: dict[str, Mapping[str, LimitInForce]] = {}

    def knows(self, label: str) -> bool:
        """Tell whether the series of *label* exist."""
        return label in self._limits

    def introduce(self, label: str, limits: Mapping[str, LimitInForce]) -> None:
        """Let the series of *label* exist, at 0."""
        self._limits[label] = limits
        for status in TERMINAL:
            self._finished.ensure((label, status))
        for family in (self.created, self.continued, self.vanished):
            family.ensure(label)

    def finish(self, pair: Pair, created: float | None, updated: float | None) -> None:
        """Count a finish and, where both times are known, how long it took."""
        self._finished.add(pair)
        if created is not None and updated is not None:
            self._durations.ensure(pair).observe(max(0.0, updated - created))

    def note_times(
        self,
        label: str,
        created: float | None,
        updated: float | None,
        *,
        finished: Pair | None = None,
    ) -> None:
        """Keep the latest times; *finished* is the pair where they are those of a finish."""
        _raise_to(self._last_created, label, created)
        _raise_to(self._last_progress, label, updated)
        if finished is not None:
            _raise_to(self._last_finished, finished, updated)

    def view(
        self,
        published: float,
        *,
        orchestrators: Places,
        entities: Places,
        unconfirmed: int,
        baseline: float | None,
        horizon: float | None,
    ) -> AccountsView:
        """Return all of it, frozen; series are born at *published*, by the exporter's clock."""
        return AccountsView(
            orchestrators=orchestrators.labels,
            entities=entities.labels,
            created=self.created.frozen(published),
            continued=self.continued.frozen(published),
            vanished=self.vanished.frozen(published),
            finished=self._finished.frozen(published),
            durations=self._durations.frozen(published),
            last_created=dict(self._last_created),
            last_finished=dict(self._last_finished),
            last_progress=dict(self._last_progress),
            limits={
                (label, limit): in_force
                for label, limits in self._limits.items()
                for limit, in_force in limits.items()
            },
            late_finishes=self.late_finishes,
            unconfirmed=unconfirmed,
            baseline=baseline,
            horizon=horizon,
            label_use={
                "orchestrator": LabelUse(orchestrators.distinct, orchestrators.folded),
                "entity": LabelUse(entities.distinct, entities.folded),
            },
        )


def _raise_to(latest: dict[Labels, float], labels: Labels, moment: float | None) -> None:
    if moment is not None and moment > latest.get(labels, 0.0):
        latest[labels] = moment
