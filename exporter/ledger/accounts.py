"""The permanent counts of a ledger: starts, finishes, failures, and the latest time of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.api.wire import InstanceRow
from exporter.ledger.counters import (
    Counters,
    HistogramFamily,
    Labels,
)
from exporter.ledger.failures_in_doubt import FailureInDoubt, FailuresInDoubt
from exporter.ledger.label_values import OTHER, LabelValues
from exporter.ledger.reasons import Category, Doubt, FailureReason, read_failure
from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.search import FARTHEST_AHEAD
from exporter.ledger.snapshot import (
    ChangeBuffer,
    CountersView,
    Failed,
    FinishedInstance,
    LatestView,
)
from exporter.ledger.state import LedgerState
from exporter.ledger.status import Pair, RuntimeStatus
from exporter.ledger.unresolved import Unresolved

_HUB: tuple[str, ...] = ()
OF_THE_HUB = ("reopened", "vanished", "late_finishes")
"""Counters of the whole hub, which always exist; all others are by orchestrator."""
_BROKEN_DEPLOYMENT = (
    Category.NON_DETERMINISM,
    Category.VERSION_MISMATCH,
    Category.FUNCTION_MISSING,
)

_CREATED, _PROGRESS, _FINISHED = "created", "progress", "finished"
"""The kinds of latest times, with which the keys of their records begin."""


class Accounts:
    """
    Counters and latest times of one hub, by label value.

    At most *reason_limit* failure reasons have series of their own; the others share `_other`.
    `failed` notes failures when they are counted; `in_doubt` holds those still to be counted.
    """

    def __init__(
        self,
        duration_bounds: Sequence[float],
        reason_limit: int,
        saved: LedgerState | None = None,
    ) -> None:
        """Restore what was *saved*, but not durations over other bounds."""
        saved = saved or LedgerState()
        are_same = saved.header.duration_bounds == tuple(duration_bounds)
        self._counters = Counters(saved.counters)
        for name in OF_THE_HUB:
            self._counters[name].ensure(_HUB)
        self._durations = HistogramFamily(duration_bounds, saved.durations if are_same else {})
        self._reason_limit = reason_limit
        self.failed: ChangeBuffer[Failed] = ChangeBuffer()
        self.in_doubt = FailuresInDoubt(saved.in_doubt)
        self._latest = dict(saved.latest)
        self._latest_changed: ChangedKeys[Labels] = ChangedKeys()
        self._latest_finished: dict[tuple[str, ...], FinishedInstance] = {}
        self._known: set[str] = set()

    def count(self, family: str, *labels: str) -> None:
        """Add one to a counter."""
        self._counters[family].add(labels)

    def introduce(self, *labels: str) -> None:
        """Create at 0 the series of *labels* whose first increment an alert must see."""
        for label in labels:
            if label in self._known:
                continue
            self._known.add(label)
            self._counters["created"].ensure((label,))
            for status in (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED):
                self._counters["finished"].ensure((label, status.value))
            for category in _BROKEN_DEPLOYMENT:
                self._counters["failures"].ensure((label, category.value))

    def start(
        self, label: str, created: float | None, *, contact: float | None, forgotten: float
    ) -> None:
        """
        Count a start, unless it was before first *contact*.

        What started before failures are *forgotten* was counted then: it failed, was forgotten, and
        is rewound.
        """
        if created is None or contact is None or created < contact:
            return
        if created < forgotten:
            self.count("reopened")
        else:
            self.count("created", label)

    def finish(
        self, pair: Pair, row: InstanceRow, created: float | None, updated: float | None
    ) -> None:
        """
        Count a finish and, where both times are known, the duration of a completed instance.

        A failure must come with its output, which holds the reason.
        """
        label, status = pair
        self.count("finished", *pair)
        if status == RuntimeStatus.COMPLETED and created is not None and updated is not None:
            self._durations.observe((label,), max(0.0, updated - created))
        if updated is not None:
            latest = self._latest_finished.get(pair)
            if latest is None or updated >= latest.at:
                self._latest_finished[pair] = FinishedInstance(row.instance_id, updated)
        if status == RuntimeStatus.FAILED:
            reading = read_failure(row.name or "", row.output)
            failure = FailureInDoubt(row.instance_id, label, updated or created, reading)
            if reading.doubt is Doubt.NONE or self.in_doubt.is_full:
                self._fail(failure, reading.reason)
            else:
                self.in_doubt.add(failure)

    def settle_failures(self, unresolved: Unresolved, names: set[str]) -> None:
        """Count the failures in doubt; *names* are the known orchestrators, in lower case."""

        def is_orchestrator(name: str) -> bool:
            return name.lower() in names

        unresolved.settle(is_orchestrator)
        for failure, reason in self.in_doubt.settled(is_orchestrator, unresolved.child_reasons):
            self._fail(failure, reason)

    def _fail(self, failure: FailureInDoubt, reason: FailureReason) -> None:
        """Count a failure in its final category."""
        label = failure.label
        self.failed.add(Failed(failure.instance_id, label, reason, failure.failed))
        self.count("failures", label, reason.category.value)
        reasons = self._counters["failure_reasons"]
        labels = (label, reason.category.value, reason.failed_function, reason.error_type)
        if labels not in reasons and len(reasons) >= self._reason_limit:
            labels = (label, reason.category.value, OTHER, OTHER)
        reasons.add(labels)

    def note_times(
        self,
        label: str,
        created: float | None,
        updated: float | None,
        *,
        at: float,
        finished: Pair | None = None,
    ) -> None:
        """
        Keep the latest times; *finished* is the pair where they are those of a finish.

        Times over a day ahead of *at* are ignored: one would hide all that come before it.
        """
        latest = at + FARTHEST_AHEAD
        self._raise_to((_CREATED, label), created, latest)
        self._raise_to((_PROGRESS, label), updated, latest)
        if finished is not None:
            self._raise_to((_FINISHED, *finished), updated, latest)

    def _raise_to(self, key: Labels, moment: float | None, latest: float) -> None:
        if moment is not None and self._latest.get(key, 0.0) < moment <= latest:
            self._latest[key] = moment
            self._latest_changed.add(key)

    def latest_of(self, label_values: LabelValues, name: str) -> tuple[float | None, float | None]:
        """Return when the latest known instances of *name* were created and completed."""
        label = label_values.peek(name)
        completed = self._latest.get((_FINISHED, label, RuntimeStatus.COMPLETED))
        return self._latest.get((_CREATED, label)), completed

    def latest(self) -> LatestView:
        """Return the latest times, frozen."""
        created: dict[str, float] = {}
        progress: dict[str, float] = {}
        finished: dict[Pair, float] = {}
        for (of, label, *status), moment in self._latest.items():
            if of == _FINISHED:
                finished[label, status[0]] = moment
            else:
                (created if of == _CREATED else progress)[label] = moment
        return LatestView(created, finished, progress)

    def counters(self, now: float, hold: float, folded: Mapping[str, int]) -> CountersView:
        """
        Return the counters as shown at *now*, by a monotonic clock.

        New series show their base for *hold* seconds. *folded* is how many names share `_other`, by
        label.
        """
        counts = self._counters.show(now, hold)
        shows_all = self._counters["finished"].shows_all
        return CountersView(
            {**counts, "label_values_folded": {(label,): n for label, n in folded.items()}},
            self._durations.show(now, hold),
            latest_finished={
                labels: latest
                for labels, latest in self._latest_finished.items()
                if shows_all(labels)
            },
        )

    def withdraw(self, published: CountersView) -> None:
        """Forget the birth of series that were not *published* after all."""
        self._counters.withdraw(published.counts)
        self._durations.withdraw(published.durations)

    @property
    def next_release_time(self) -> float:
        """When the next increment on hold may be shown; infinite where none is."""
        return min(self._counters.next_release_time, self._durations.next_release_time)

    @property
    def records(self) -> list[Records[Any, Any]]:
        """Everything but the latest finishes, which a restart forgets."""
        latest = Records("latest", self._latest_changed, self._latest.keys, self._latest.get)
        return [
            self._counters.records, self._durations.records, latest, self.in_doubt.records
        ]  # fmt: skip
