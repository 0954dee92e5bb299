"""Reports of snapshots: what is known at a moment, the rest as null."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec.structs import asdict

from exporter import __version__
from exporter.collector.snapshot import HubSnapshot, Sweep, SweepResult, SweepState
from exporter.ledger.finish_windows import CHART, WINDOWS
from exporter.ledger.over_limit import LIMITS_OF_INSTANCES
from exporter.ledger.reasons import FailureReason
from exporter.ledger.rules import FAILURE_RATIO_LIMIT, STOPPED_LIMIT, UNRESOLVED_LIMIT
from exporter.ledger.snapshot import EntityLocks
from exporter.ledger.status import ACTIVE, TERMINAL, RuntimeStatus
from exporter.web.findings import (
    FEEDS,
    findings_of,
    is_current,
    locks_of,
    status_of,
    trust_in,
    verdict_of,
)
from exporter.web.formatting import rfc3339
from exporter.web.report import (
    AccountsReport,
    CostReport,
    EntityReport,
    FailedSample,
    FailureReasonReport,
    FinishesReport,
    HubReport,
    HubsReport,
    HubStatus,
    HubSummary,
    OrchestratorReport,
    OverLimitSample,
    SweepReport,
    TroubleReport,
    links_to,
)
from exporter.web.waits import causes_of, groups_of, wait_of

View = TypeVar("View")

_DAY = 86_400.0
_CHARTED = (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED)
_OTHER_LIMITS = (FAILURE_RATIO_LIMIT, UNRESOLVED_LIMIT, STOPPED_LIMIT)
_NO_LOCKS = EntityLocks(0, 0, 0, 0)
_SHOWN = (*ACTIVE, *TERMINAL)
_MOST_REASONS = 50
_RANKS = {status: rank for rank, status in enumerate(HubStatus)}


def hubs_report(snapshots: Sequence[HubSnapshot], now: float) -> HubsReport:
    """Return a summary of all hubs, the worst first."""
    hubs = sorted((Reporter(each, now).summary() for each in snapshots), key=badness)
    return HubsReport(_time(now), __version__, hubs)


def badness(hub: HubSummary) -> tuple[int, int, int, str]:
    """Return a key that sorts the worst hub first."""
    return _RANKS[hub.status], -(hub.over_limit or 0), -(hub.unresolved_failures or 0), hub.name


class Reporter:
    """
    Makes the reports of one snapshot as of *now*, by the exporter's clock.

    Ages of instances follow the server's clock, as their times do.
    """

    def __init__(self, snapshot: HubSnapshot, now: float) -> None:
        self._snapshot = snapshot
        self._now = now
        self._server_now = now + (snapshot.clock_skew or 0.0)
        self._active = self._if_fresh(Sweep.ACTIVE, snapshot.active)
        self._diagnosis = self._if_fresh(Sweep.ACTIVE, snapshot.diagnosis)
        self._stalled: Counter[str] = Counter()
        for (label, _, _), count in (self._diagnosis.stalled if self._diagnosis else {}).items():
            self._stalled[label] += count
        self._finished = self._if_fresh(Sweep.FINISHED, snapshot.finished)
        self._retained = self._if_fresh(Sweep.CENSUS, snapshot.retained)
        self._unresolved = self._if_fresh(Sweep.FAILED, snapshot.unresolved)

    def summary(self) -> HubSummary:
        """Return a summary of the hub."""
        snapshot = self._snapshot
        findings = findings_of(snapshot, self._now)
        unresolved, view = self._unresolved, self._diagnosis
        status = status_of(snapshot, findings)
        return HubSummary(
            name=snapshot.identity.name,
            function_app=snapshot.identity.function_app,
            hub_name=snapshot.identity.hub_name,
            labels=dict(snapshot.identity.labels),
            status=status,
            up=snapshot.up,
            current=is_current(snapshot, self._now),
            trust=trust_in(snapshot, self._now),
            last_active_sweep_time=rfc3339(snapshot.sweeps[Sweep.ACTIVE].completed),
            findings=findings,
            instances={status.value: self._active_in(status) for status in ACTIVE},
            verdict=verdict_of(status, findings),
            over_limit=self._over_limit(),
            stalled=sum(view.stalled.values()) if view else None,
            waiting_as_expected=sum(view.waiting.values()) if view else None,
            undiagnosed=view.undiagnosed_in_all() if view else None,
            unresolved_failures=sum(unresolved.failures.values()) if unresolved else None,
            completed_1h=self._ended_in_an_hour(RuntimeStatus.COMPLETED),
            failed_1h=self._ended_in_an_hour(RuntimeStatus.FAILED),
            finishes=self._finishes(None),
        )

    def report(self) -> HubReport:
        """Return everything about the hub."""
        return HubReport(
            **asdict(self.summary()),
            time=_time(self._now),
            sweeps=[self._sweep(sweep, state) for sweep, state in self._snapshot.sweeps.items()],
            over_limit_samples=self._over_limit_samples(),
            causes=causes_of(self._snapshot.identity, self._diagnosis) if self._diagnosis else None,
            waits=groups_of(self._snapshot.identity, self._diagnosis, self._server_now)
            if self._diagnosis
            else None,
            failure_reasons=self._failure_reasons(),
            failed_samples=self._failed_samples(),
            orchestrators=self._orchestrators(),
            entities=self._entities(),
            cost=self._cost(),
            accounts=self._accounts(),
        )

    def _if_fresh(self, sweep: Sweep, view: View | None) -> View | None:
        return view if self._snapshot.is_fresh(sweep, self._now) else None

    def _over_limit(self) -> int | None:
        """Return how many are over a limit, as of their diagnosis."""
        if self._diagnosis is not None:
            view = self._diagnosis
            known = sum(view.stalled.values()) + sum(view.waiting.values())
            return known + view.undiagnosed_in_all()
        return self._active.over_any_limit if self._active else None

    def _active_in(self, status: RuntimeStatus) -> int | None:
        if self._active is None:
            return None
        return sum(n for (_, each), n in self._active.instances.items() if each == status)

    def _ended_in_an_hour(self, status: RuntimeStatus) -> int | None:
        if self._finished is None:
            return None
        recent = self._finished.recent.items()
        return sum(n for (_, each, window), n in recent if (each, window) == (status, "1h"))

    def _finishes(self, label: str | None) -> FinishesReport | None:
        """Return finishes over time, of one orchestrator or all."""
        over_time = self._finished.over_time if self._finished else None
        if over_time is None:
            return None
        rows: dict[str | None, list[tuple[int, ...]]] = {}
        for (name, status), counts in over_time.counts.items():
            if label is None or name == label:
                rows.setdefault(status if status in _CHARTED else None, []).append(counts)
        steps = CHART.length // CHART.resolution
        completed, failed, other = (
            [sum(step) for step in zip(*rows.get(key, [(0,) * steps]), strict=True)]
            for key in (*_CHARTED, None)
        )
        begin = _time(over_time.begin)
        return FinishesReport(begin, over_time.step, completed, failed, other)

    def _sweep(self, sweep: Sweep, state: SweepState) -> SweepReport:
        trouble = state.trouble
        is_on = state.configured is not None
        return SweepReport(
            sweep=sweep.value,
            feeds=FEEDS[sweep],
            fresh=self._snapshot.is_fresh(sweep, self._now) if is_on else None,
            last_complete_time=rfc3339(state.completed),
            age_seconds=None if state.completed is None else max(0.0, self._now - state.completed),
            withdrawn_after_seconds=self._snapshot.withdrawn_after(sweep, self._now),
            interval_seconds=state.interval if is_on else None,
            configured_interval_seconds=state.configured,
            duration_seconds=state.duration,
            results=dict(state.results),
            pages=state.pages,
            rows=state.rows,
            trouble=TroubleReport(trouble.kind, trouble.message, trouble.hint) if trouble else None,
        )

    def _over_limit_samples(self) -> list[OverLimitSample]:
        blames = self._diagnosis.blames if self._diagnosis else {}
        return [
            OverLimitSample(
                instance_id=each.instance_id,
                orchestrator=each.orchestrator,
                runtime_status=each.status.value,
                limit=each.limit,
                since=_time(each.since),
                seconds=max(0.0, self._server_now - each.since),
                created_time=rfc3339(each.created),
                last_updated_time=rfc3339(each.updated),
                **wait_of(blames.get(each.instance_id)),
                links=links_to(self._snapshot.identity, each.instance_id, each.orchestrator),
            )
            for each in (self._active.over_limit_samples if self._active else ())
        ]

    def _failure_reasons(self) -> list[FailureReasonReport] | None:
        if self._unresolved is None:
            return None
        counts = Counter(dict(self._unresolved.reasons)).most_common(_MOST_REASONS)
        return [
            FailureReasonReport(label, *_reason(why), instances=count)
            for (label, why), count in counts
        ]

    def _failed_samples(self) -> list[FailedSample]:
        return [
            FailedSample(
                each.instance_id,
                each.orchestrator,
                _time(each.failed),
                rfc3339(each.created),
                *_reason(each.reason),
                links=links_to(self._snapshot.identity, each.instance_id, each.orchestrator),
            )
            for each in (self._unresolved.samples if self._unresolved else ())
        ]

    def _orchestrators(self) -> list[OrchestratorReport]:
        return [self._orchestrator(label) for label in sorted(self._snapshot.known.orchestrators)]

    def _orchestrator(self, label: str) -> OrchestratorReport:
        limits = {
            limit: value
            for limit, value in self._snapshot.known.limits_of(label).items()
            if limit not in _OTHER_LIMITS and value < math.inf
        }
        active, finished, unresolved = self._active, self._finished, self._unresolved
        waiting = active.waiting_since if active else {}
        over = (
            {limit: active.over_limit.get((label, limit), 0) for limit in LIMITS_OF_INSTANCES}
            if active
            else None
        )
        return OrchestratorReport(
            name=label,
            instances={status.value: self._count(label, status) for status in _SHOWN},
            oldest_pending_since=rfc3339(waiting.get((label, RuntimeStatus.PENDING))),
            longest_idle_since=rfc3339(waiting.get((label, RuntimeStatus.RUNNING))),
            over_limit=over,
            stalled=self._stalled.get(label, 0) if self._diagnosis else None,
            limits_seconds=limits,
            recent={
                window.name: {
                    status.value: finished.recent.get((label, status, window.name), 0)
                    for status in TERMINAL
                }
                for window in WINDOWS
            }
            if finished
            else None,
            failure_ratio_1h=finished.failure_ratio.get((label, "1h")) if finished else None,
            unresolved_failures=unresolved.failures.get(label, 0) if unresolved else None,
            oldest_unresolved_failure_time=rfc3339(unresolved.oldest.get(label))
            if unresolved
            else None,
            finishes=self._finishes(label),
        )

    def _count(self, label: str, status: RuntimeStatus) -> int | None:
        """Return a count, None if unknown."""
        view = self._active if status in ACTIVE else self._retained
        return None if view is None else view.instances.get((label, status), 0)

    def _entities(self) -> list[EntityReport]:
        listed = self._if_fresh(Sweep.ENTITIES, self._snapshot.entities)
        locks = locks_of(self._snapshot, self._now)
        reports = []
        for label in sorted(self._snapshot.known.entities):
            mine = None if locks is None else locks.get(label, _NO_LOCKS)
            reports.append(
                EntityReport(
                    entity=label,
                    entities=listed.entities.get(label, 0) if listed else None,
                    last_operation_time=rfc3339(listed.last_operation.get(label))
                    if listed
                    else None,
                    locked=mine.locked if mine else None,
                    orphaned_locks=mine.orphaned if mine else None,
                    backlog_operations=mine.backlog if mine else None,
                    backlog_max_operations=mine.backlog_max if mine else None,
                )
            )
        return reports

    def _cost(self) -> CostReport:
        api = self._snapshot.api
        errors: Counter[str] = Counter()
        for (_, kind), count in api.errors.items():
            errors[kind] += count
        timed = sum(sum(each.counts) for each in api.durations.values())
        seconds = sum(each.total for each in api.durations.values())
        return CostReport(
            requests=sum(api.requests.values()),
            errors=dict(+errors),
            retries=sum(api.retries.values()),
            response_bytes=sum(api.response_bytes.values()),
            mean_request_seconds=seconds / timed if timed else None,
            pages_per_day=_pages_per_day(self._snapshot.sweeps.values()),
            pages_remaining=self._snapshot.pages_remaining,
        )

    def _accounts(self) -> AccountsReport:
        known, state = self._snapshot.known, self._snapshot.state
        folded = self._snapshot.counters["label_values_folded"]
        return AccountsReport(
            baseline_time=rfc3339(known.baseline),
            unconfirmed_instances=known.unconfirmed,
            clock_skew_seconds=self._snapshot.clock_skew,
            state_written_time=rfc3339(state.last_write) if state else None,
            folded_names={labels[0]: count for labels, count in folded.items()},
        )


def _reason(reason: FailureReason | None) -> tuple[str | None, str | None, str | None]:
    if reason is None:
        return None, None, None
    return reason.category.value, reason.failed_function, reason.error_type


def _pages_per_day(sweeps: Iterable[SweepState]) -> float | None:
    """Return the pages per day at the pace of the sweeps so far."""
    pages = 0.0
    for state in sweeps:
        made = sum(n for result, n in state.results.items() if result != SweepResult.SKIPPED_BUDGET)
        if state.configured is not None and made and state.interval:
            pages += state.pages / made * _DAY / state.interval
    return pages or None


def _time(moment: float) -> str:
    return rfc3339(moment) or ""
