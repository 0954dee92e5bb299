"""Findings about a hub, each with its remedy and runbook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from exporter.collector.snapshot import HubSnapshot, Sweep, Trouble
from exporter.diagnosis.view import DiagnosisView
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.rules import (
    FAILURE_RATIO_LIMIT,
    FEWEST_FAILURES,
    FEWEST_FINISHES,
    UNRESOLVED_LIMIT,
)
from exporter.ledger.snapshot import EntityLocks, FinishedView, KnownView, Name
from exporter.ledger.status import RuntimeStatus
from exporter.web.formatting import percent, plural, span
from exporter.web.report import Finding, HubStatus, Severity
from exporter.web.waits import group_in_words, orphaned_in_words

FEEDS = {
    Sweep.ACTIVE: "active instances, ages, limits, locks",
    Sweep.FINISHED: "recent finishes, counters, failure ratios",
    Sweep.FAILED: "unresolved failures",
    Sweep.CENSUS: "finished instances in storage",
    Sweep.ENTITIES: "entities",
}
_BEYOND = {
    "pending": ("has not started within its limit", "have not started within their limit"),
    "idle": ("is over its idle limit", "are over their idle limit"),
    "age": ("is over its age limit", "are over their age limit"),
    "suspended": ("is over its suspended limit", "are over their suspended limit"),
}
# Limits reported whatever an instance waits on; the others say little once that is known.
_SET_ON_PURPOSE = ("age", "suspended")
_STATES = {
    HubStatus.DOWN: "The hub cannot be polled",
    HubStatus.STARTING: "The hub has not been polled yet",
    HubStatus.OK: "No warnings",
}
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_STATUS = {Severity.ERROR: HubStatus.ERROR, Severity.WARNING: HubStatus.WARNING}
_NAMED = 3
_ENDS = (RuntimeStatus.COMPLETED, RuntimeStatus.FAILED)
# By orchestrator: how many failed, how many failed or completed.
_Finishes = Mapping[Name, tuple[int, int]]
RUNBOOKS: Mapping[str, str] = {
    "stale": "DurableFunctionsDataStale",
    "over_limit_pending": "DurableFunctionsPendingStuck",
    "over_limit_idle": "DurableFunctionsOrchestrationStalled",
    "over_limit_age": "DurableFunctionsOverAge",
    "over_limit_suspended": "DurableFunctionsSuspendedForgotten",
    "orphaned_locks": "DurableFunctionsEntityLockOrphaned",
    "failing": "DurableFunctionsOrchestrationsFailing",
    "unresolved_failures": "DurableFunctionsOrchestrationsFailing",
    "state_not_kept": "DurableFunctionsStateNotWritten",
    "page_budget": "DurableFunctionsDataStale",
    "names_folded": "DurableFunctionsExporterMisconfigured",
    "empty": "DurableFunctionsHubEmpty",
}
_OF_TROUBLE = {
    "auth": "DurableFunctionsHubUnreachable",
    "stopped": "DurableFunctionsHubUnreachable",
    "throttled": "DurableFunctionsThrottled",
}
_OF_STALLED = {
    WaitingOn.NOT_STARTED: "DurableFunctionsPendingStuck",
    WaitingOn.HISTORY_REFUSED: "DurableFunctionsDeploymentBroken",
}
_ANY_STALLED = "DurableFunctionsOrchestrationStalled"
_STALE = RUNBOOKS["stale"]
_SKEW_WORTH_SAYING = 30.0
_STATE_LAG_WORTH_SAYING = 60.0


def status_of(snapshot: HubSnapshot, findings: list[Finding]) -> HubStatus:
    """Return how a hub is, by what was found."""
    if not snapshot.up:
        return HubStatus.DOWN if snapshot.trouble else HubStatus.STARTING
    severities = [_STATUS[each.severity] for each in findings if each.severity in _STATUS]
    return (
        HubStatus.ERROR if HubStatus.ERROR in severities else next(iter(severities), HubStatus.OK)
    )


def findings_of(snapshot: HubSnapshot, now: float) -> list[Finding]:
    """Return what is wrong with a hub at *now*, by the exporter's clock, the worst first."""
    found = [
        *_polling(snapshot, now),
        *_waits(snapshot, now),
        *_active(snapshot, now),
        *_locks(snapshot, now),
        *_failing(snapshot, now),
        *_unresolved(snapshot, now),
        *_accounts(snapshot),
        *_settings(snapshot, now),
        *_emptiness(snapshot, now),
    ]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


def verdict_of(status: HubStatus, findings: Sequence[Finding]) -> str:
    """Return how a hub is, in one short sentence: its worst finding, without the details."""
    worst = next((each for each in findings if each.severity is not Severity.NOTE), None)
    if worst is None or status in (HubStatus.DOWN, HubStatus.STARTING):
        note = next((each for each in findings if each.kind == "waiting"), None)
        is_calm = status is HubStatus.OK and note is not None
        expected = f"; {_short(note.summary)}" if is_calm and note is not None else ""
        return f"{_STATES.get(status, _STATES[HubStatus.OK])}{expected}."
    return f"{_short(worst.summary)}."


def _short(summary: str) -> str:
    """Return the first part of a finding's summary."""
    return summary.split("; ", 1)[0].removesuffix(".")


def trust_in(snapshot: HubSnapshot, now: float) -> str:
    """Return whether the numbers of a hub can be trusted, in words."""
    active = snapshot.sweeps[Sweep.ACTIVE]
    if active.completed is None:
        return "Not yet: no active sweep is complete."
    missing = _missing(snapshot, now)
    age = span(now - active.completed)
    if Sweep.ACTIVE in missing:
        return f"No: active instances were last listed {age} ago; those numbers were removed."
    if not snapshot.up:
        left = span(snapshot.withdrawn_after(Sweep.ACTIVE, now) - (now - active.completed))
        return f"Only as of {age} ago; removed in {left}."
    if missing:
        fed = ", ".join(FEEDS[sweep] for sweep in missing)
        return f"In part: no current data for {fed}. The rest is fresh."
    return f"Yes: every sweep is fresh. Active instances were listed {age} ago."


def is_current(snapshot: HubSnapshot, now: float) -> bool:
    """Return whether the hub is up and no sweep is stale."""
    return snapshot.up and not _missing(snapshot, now)


def _missing(snapshot: HubSnapshot, now: float) -> list[Sweep]:
    """Return the configured sweeps that are stale at *now*."""
    return [
        sweep
        for sweep, state in snapshot.sweeps.items()
        if state.configured is not None and not snapshot.is_fresh(sweep, now)
    ]


def locks_of(snapshot: HubSnapshot, now: float) -> dict[str, EntityLocks] | None:
    """Return locks and queues by entity, None if unknown at *now*."""
    if snapshot.unfiltered is not None and snapshot.is_fresh(Sweep.ENTITIES, now):
        return dict(snapshot.unfiltered.locks)
    active = snapshot.active if snapshot.is_fresh(Sweep.ACTIVE, now) else None
    return None if active is None or active.locks is None else dict(active.locks)


def _polling(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    trouble = snapshot.trouble
    if trouble is not None and not snapshot.up:
        summary = f"The hub cannot be polled ({trouble.kind}): {trouble.message}."
        yield Finding(
            Severity.ERROR,
            "down",
            summary,
            _sentence(trouble.hint),
            runbook_of_trouble(trouble.kind, otherwise="DurableFunctionsHubUnreachable"),
        )
    elif not snapshot.up:
        yield Finding(Severity.NOTE, "starting", "Not polled yet: the first sweep is running.", "")
    yield from _sweeps(snapshot, now)


def _sweeps(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    """Yield failed and stale sweeps, those of one cause together."""
    missing: dict[tuple[bool, Trouble | None], list[Sweep]] = {}
    for sweep, state in snapshot.sweeps.items():
        is_stale = state.completed is not None and not snapshot.is_fresh(sweep, now)
        is_said = not snapshot.up and (sweep is Sweep.ACTIVE or state.trouble == snapshot.trouble)
        if state.configured is None or not (is_stale or state.trouble):
            continue
        if not is_said or (is_stale and sweep is not Sweep.ACTIVE):
            missing.setdefault((is_stale, state.trouble), []).append(sweep)
    for (is_stale, trouble), sweeps in missing.items():
        why, hint, runbook = "", "Search the log for “sweep failed”.", _STALE
        if trouble is not None and trouble == snapshot.trouble:
            why, hint = "", "As above."
        elif trouble is not None:
            why = f" ({trouble.kind}): {trouble.message}"
            hint = _sentence(trouble.hint)
            runbook = runbook_of_trouble(trouble.kind, otherwise=_STALE)
        fed = ", ".join(FEEDS[sweep] for sweep in sweeps)
        severity = Severity.ERROR if is_stale and Sweep.ACTIVE in sweeps else Severity.WARNING
        if is_stale:
            completed = [snapshot.sweeps[sweep].completed or 0.0 for sweep in sweeps]
            age = span(now - min(completed))
            summary = f"No current data for {fed}{why}. The last complete sweep was {age} ago."
        else:
            summary = f"Last sweep failed for {fed}{why}."
        kind = "stale" if is_stale else "sweep_failed"
        yield Finding(severity, kind, summary, hint, runbook, "sweeps")


def _waits(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    """Yield what instances over a limit wait on, as far as known."""
    view = snapshot.diagnosis
    if not snapshot.is_fresh(Sweep.ACTIVE, now):
        return
    if view is None:
        if snapshot.active is not None and snapshot.is_diagnosed:
            yield from _undiagnosed(
                sum(
                    count
                    for (_, limit), count in snapshot.active.over_limit.items()
                    if limit not in _SET_ON_PURPOSE
                )
            )
        return
    server_now = now + (snapshot.clock_skew or 0.0)
    stalled, waiting = sum(view.stalled.values()), sum(view.waiting.values())
    if stalled:
        yield Finding(
            Severity.ERROR,
            "stalled",
            f"{plural(stalled, 'instance')} stalled{_named(view, server_now, is_trouble=True)}.",
            "Start with the largest group; run durable-exporter why ID.",
            runbook_of_stalled(view.stalled),
            "stalled",
        )
    yield from _undiagnosed(view.undiagnosed_in_all())
    if waiting:
        yield Finding(
            Severity.NOTE,
            "waiting",
            f"{plural(waiting, 'instance')} waiting as expected"
            f"{_named(view, server_now, is_trouble=False)}.",
            "",
            section="waiting",
        )


def _undiagnosed(count: int) -> Iterator[Finding]:
    if count:
        yield Finding(
            Severity.WARNING,
            "undiagnosed",
            f"{plural(count, 'instance')} over a limit: not diagnosed yet.",
            "Each active sweep reads up to max_histories_per_sweep histories; "
            "see durable-exporter stuck.",
            RUNBOOKS["over_limit_idle"],
            "over",
        )


def _named(view: DiagnosisView, now: float, *, is_trouble: bool) -> str:
    groups = [group for group in view.groups if group.means_trouble is is_trouble]
    said = [group_in_words(group, now) for group in groups[:_NAMED]]
    if len(groups) > _NAMED:
        said.append(plural(len(groups) - _NAMED, "more group"))
    return f": {'; '.join(said)}" if said else ""


def _some(names: Sequence[str]) -> str:
    worst = ", ".join(names[:_NAMED])
    return f"{worst} and {plural(len(names) - _NAMED, 'other')}" if names[_NAMED:] else worst


def _active(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.active is None or not snapshot.is_fresh(Sweep.ACTIVE, now):
        return
    beyond: dict[str, Counter[str]] = {}
    for (orchestrator, limit), count in snapshot.active.over_limit.items():
        is_told = snapshot.is_diagnosed and limit not in _SET_ON_PURPOSE
        if count and not is_told:
            beyond.setdefault(limit, Counter())[orchestrator] += count
    for limit, counts in beyond.items():
        one, many = _BEYOND[limit]
        total = counts.total()
        who = _some([f"{name} {count:,}" for name, count in counts.most_common()])
        yield Finding(
            # As the alerts: age pages by default, suspended never does.
            Severity.WARNING if limit == "suspended" else Severity.ERROR,
            f"over_limit_{limit}",
            f"{plural(total, 'instance')} {one if total == 1 else many}: {who}.",
            f"If that is normal, raise limits.{limit}.",
            RUNBOOKS[f"over_limit_{limit}"],
            "over",
        )


def _locks(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    said = orphaned_in_words(locks_of(snapshot, now) or {})
    if said:
        yield Finding(
            Severity.ERROR,
            "orphaned_locks",
            f"{said}.",
            "Call the durable client's CleanEntityStorage to release the locks.",
            RUNBOOKS["orphaned_locks"],
            "entities",
        )


def _failing(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.finished is None or not snapshot.is_fresh(Sweep.FINISHED, now):
        return
    hour, day = (_recent(snapshot.finished, window) for window in ("1h", "24h"))
    failed, ended = map(sum, zip(*hour.values(), strict=True)) if hour else (0, 0)
    failing = [name for name in day if _is_failing(snapshot.known, name, hour, day)]
    if failed or failing:
        share = f" ({percent(failed / ended)})" if ended else ""
        too_many = f" Failing recently: {_some(failing)}." if failing else ""
        yield Finding(
            Severity.WARNING if failing else Severity.NOTE,
            "failing",
            f"{failed:,} of {ended:,} failed in the last hour{share}.{too_many}",
            "Check the reasons.",
            RUNBOOKS["failing"],
            "failures",
        )


def _recent(finished: FinishedView, window: str) -> _Finishes:
    found: dict[Name, tuple[int, int]] = {}
    for (name, status, of), count in finished.recent.items():
        if of == window and status in _ENDS:
            failed, ended = found.get(name, (0, 0))
            found[name] = failed + (status == RuntimeStatus.FAILED) * count, ended + count
    return found


def _is_failing(known: KnownView, name: Name, hour: _Finishes, day: _Finishes) -> bool:
    """Return whether too many instances fail, as for the alert OrchestrationsFailing."""
    limit = known.limits_of(name).get(FAILURE_RATIO_LIMIT)
    if limit is None:
        return False
    failed, ended = hour.get(name, (0, 0))
    is_over = failed >= FEWEST_FAILURES and ended >= FEWEST_FINISHES and failed > limit * ended
    return is_over or 0 < day[name][0] == day[name][1]


def _unresolved(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.unresolved is None or not snapshot.is_fresh(Sweep.FAILED, now):
        return
    failures = snapshot.unresolved.failures
    total = sum(failures.values())
    day = _recent(snapshot.finished, "24h") if snapshot.finished else {}
    many = [
        name for name, count in failures.items() if _are_too_many(snapshot.known, name, count, day)
    ]
    too_many = f" Too many: {_some(many)}." if many else ""
    if total:
        oldest = min(snapshot.unresolved.oldest.values(), default=None)
        server_now = now + (snapshot.clock_skew or 0.0)
        since = "" if oldest is None else f", oldest {span(server_now - oldest)} ago"
        yield Finding(
            Severity.WARNING if many else Severity.NOTE,
            "unresolved_failures",
            f"{plural(total, 'unresolved failure')}{since}.{too_many}",
            "Fix the cause, then rewind, restart or purge them.",
            RUNBOOKS["unresolved_failures"],
            "failures",
        )


def _are_too_many(known: KnownView, name: Name, count: float, day: _Finishes) -> bool:
    """Return the same for unresolved failures; an orchestrator's own limit counts alone."""
    limits = known.limits_of(name)
    limit = limits.get(UNRESOLVED_LIMIT)
    if limit is None or count <= limit:
        return False
    failed, ended = day.get(name, (0, 0))
    ratio = limits.get(FAILURE_RATIO_LIMIT, 0.0)
    return UNRESOLVED_LIMIT in known.own_limits[name] or failed > ratio * ended


def _accounts(snapshot: HubSnapshot) -> Iterator[Finding]:
    known, state = snapshot.known, snapshot.state
    completed = snapshot.sweeps[Sweep.FINISHED].completed
    if state is not None and completed is not None:
        written = state.last_write
        if written is None or completed - written > _STATE_LAG_WORTH_SAYING:
            lag = None if written is None else span(completed - written)
            last = f"was last written {lag} before the latest sweep" if lag else "was never written"
            yield Finding(
                Severity.WARNING,
                "state_not_kept",
                f"The state {last}. Counters may be frozen.",
                "Search the log for “state not written” and “state is held by another process”.",
                RUNBOOKS["state_not_kept"],
            )
    if known.unconfirmed:
        yield Finding(
            Severity.NOTE,
            "unconfirmed",
            f"{plural(known.unconfirmed, 'instance')} no longer active: final status not read yet.",
            "",
        )


def _settings(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    outside = 0
    if snapshot.unfiltered is not None and snapshot.is_fresh(Sweep.ENTITIES, now):
        outside = snapshot.unfiltered.outside
    if outside:
        yield Finding(
            Severity.WARNING,
            "outside_prefixes",
            f"{plural(outside, 'active instance')} outside id_prefixes: not counted here.",
            "Add the prefixes of their ids to id_prefixes.",
        )
    if snapshot.pages_remaining == 0:
        yield Finding(
            Severity.WARNING,
            "page_budget",
            "Today's page budget is spent: no sweeps until midnight UTC.",
            "Raise max_pages_per_day, or lengthen the intervals.",
            RUNBOOKS["page_budget"],
        )
    skew = snapshot.clock_skew
    if skew is not None and abs(skew) > _SKEW_WORTH_SAYING:
        where = "ahead of" if skew > 0 else "behind"
        yield Finding(
            Severity.WARNING,
            "clock_skew",
            f"The app's clock is {span(abs(skew))} {where} the exporter's.",
            "Sync both with NTP: ages here use the app's clock.",
        )
    for labels, count in snapshot.counters["label_values_folded"].items():
        if count:
            yield Finding(
                Severity.NOTE,
                "names_folded",
                f"{plural(count, f'{labels[0]} name')} folded into _other.",
                "Raise max_label_values to give each its own value.",
                RUNBOOKS["names_folded"],
            )


def _emptiness(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    """Yield that a hub is empty, as one of a wrong name is."""
    if not is_current(snapshot, now) or snapshot.active is None:
        return
    views = (
        snapshot.retained and snapshot.retained.instances,
        snapshot.unresolved and snapshot.unresolved.failures,
        snapshot.entities and snapshot.entities.entities,
    )
    if not snapshot.active.tracked and not any(sum(view.values()) for view in views if view):
        yield Finding(
            Severity.NOTE,
            "empty",
            "This task hub is empty: no instances or entities.",
            "Compare task_hub and connection with the app's host.json: a wrong name "
            "creates an empty hub.",
            RUNBOOKS["empty"],
        )


def _sentence(hint: str) -> str:
    """Return a hint as a sentence."""
    return f"{hint[:1].upper()}{hint[1:]}." if hint else ""


def runbook_of_trouble(kind: str, *, otherwise: str) -> str:
    """Return the runbook for a failed request, else *otherwise*."""
    return _OF_TROUBLE.get(kind, otherwise)


def runbook_of_stalled(stalled: Mapping[tuple[str, str, str], int]) -> str:
    """Return the runbook for what most stalled instances wait on; keys are as in the metric."""
    waits: Counter[str] = Counter()
    for (_, waiting_on, _), count in stalled.items():
        waits[waiting_on] += count
    ((most, _),) = waits.most_common(1)
    return _OF_STALLED.get(WaitingOn(most), _ANY_STALLED)
