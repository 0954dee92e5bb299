"""What is wrong with a hub, in plain words, with the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.snapshot import EntityLocks
from exporter.ledger.status import RuntimeStatus
from exporter.web.formatting import percent, plural, span
from exporter.web.report import Finding, HubStatus, Severity
from exporter.web.runbooks import RUNBOOKS, runbook_of_stalled, runbook_of_trouble
from exporter.web.waits import cause_in_words, others_in_words

FEEDS = {
    Sweep.ACTIVE: "active instances, ages, limits, locks",
    Sweep.FINISHED: "recent finishes, counters, failure ratios",
    Sweep.FAILED: "unresolved failures",
    Sweep.CENSUS: "finished instances in storage",
    Sweep.ENTITIES: "entities",
}
_BEYOND = {
    "pending": ("has not started within its limit", "have not started within their limit"),
    "idle": ("is idle over its limit", "are idle over their limit"),
    "age": ("is over its age limit", "are over their age limit"),
    "suspended": ("is suspended over its limit", "are suspended over their limit"),
}
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
_STATUS = {Severity.ERROR: HubStatus.ERROR, Severity.WARNING: HubStatus.WARNING}
_CAUSES_NAMED = 3
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
        *_stuck(snapshot, now),
        *_active(snapshot, now),
        *_locks(snapshot, now),
        *_failing(snapshot, now),
        *_unresolved(snapshot, now),
        *_accounts(snapshot),
        *_settings(snapshot, now),
        *_emptiness(snapshot, now),
    ]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


def trust_in(snapshot: HubSnapshot, now: float) -> str:
    """Tell whether the numbers of a hub can be trusted."""
    active = snapshot.sweeps[Sweep.ACTIVE]
    if active.completed is None:
        return "There are no numbers yet: no sweep is complete."
    missing = _missing(snapshot, now)
    age = span(now - active.completed)
    if Sweep.ACTIVE in missing:
        return f"No: what was last seen is {age} old and no longer shown. Only counters stay."
    if not snapshot.up:
        left = span(snapshot.withdrawn_after(Sweep.ACTIVE, now) - (now - active.completed))
        return f"Only as of {age} ago: stale, and removed in {left}."
    if missing:
        fed = "; ".join(FEEDS[sweep] for sweep in missing)
        return f"In part: not known now are {fed}. The rest is fresh, {age} old at most."
    return f"Yes: every sweep is fresh. Active instances are as of {age} ago."


def is_current(snapshot: HubSnapshot, now: float) -> bool:
    """Tell whether the hub is up and everything that its sweeps feed is shown."""
    return snapshot.up and not _missing(snapshot, now)


def _missing(snapshot: HubSnapshot, now: float) -> list[Sweep]:
    """Return the sweeps that are on and feed nothing that may be shown at *now*."""
    return [
        sweep
        for sweep, state in snapshot.sweeps.items()
        if state.configured is not None and not snapshot.is_fresh(sweep, now)
    ]


def locks_of(snapshot: HubSnapshot, now: float) -> dict[str, EntityLocks] | None:
    """Return locks and queues by entity, None where they are not known at *now*."""
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
        yield Finding(
            Severity.NOTE, "starting", "The hub was not polled yet: its first sweep comes now.", ""
        )
    for sweep, state in snapshot.sweeps.items():
        is_said = sweep is Sweep.ACTIVE and not snapshot.up
        if state.configured is None or is_said:
            continue
        why, hint, runbook = "", "Look in the log for “sweep failed”.", _STALE
        if state.trouble is not None:
            why = f" ({state.trouble.kind}): {state.trouble.message}"
            hint = _sentence(state.trouble.hint)
            runbook = runbook_of_trouble(state.trouble.kind, otherwise=_STALE)
        if state.completed is not None and not snapshot.is_fresh(sweep, now):
            age = span(now - state.completed)
            summary = f"Not known now: {FEEDS[sweep]}. The last complete sweep was {age} ago{why}."
            severity = Severity.ERROR if sweep is Sweep.ACTIVE else Severity.WARNING
            yield Finding(severity, "stale", summary, hint, runbook)
        elif state.trouble is not None:
            summary = f"The last sweep for {FEEDS[sweep]} failed{why}."
            yield Finding(Severity.WARNING, "sweep_failed", summary, hint, runbook)


def _stuck(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    view = snapshot.diagnosis
    if view is None or not snapshot.is_fresh(Sweep.ACTIVE, now):
        return
    total = sum(view.stalled.values())
    if total:
        causes = [cause for cause in view.causes if cause.wait.waiting_on.means_trouble]
        server_now = now + (snapshot.clock_skew or 0.0)
        said = [cause_in_words(cause, server_now) for cause in causes[:_CAUSES_NAMED]]
        said.extend(others_in_words(view.stalled, causes[:_CAUSES_NAMED]))
        unstarted = sum(
            count
            for (_, kind, _), count in view.stalled.items()
            if kind == WaitingOn.NOT_STARTED.value
        )
        if unstarted:
            said.append(f"{plural(unstarted, 'instance')} not started")
        worst = "; ".join(said)
        yield Finding(
            Severity.ERROR,
            "stalled",
            f"{plural(total, 'instance')} {'is' if total == 1 else 'are'} stalled"
            f"{f': {worst}' if worst else ''}.",
            "Start with the cause that blocks the most: see below, or run durable-exporter why ID.",
            runbook_of_stalled(view.stalled),
        )


def _active(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.active is None or not snapshot.is_fresh(Sweep.ACTIVE, now):
        return
    beyond: dict[str, Counter[str]] = {}
    for (orchestrator, limit), count in snapshot.active.over_limit.items():
        if count:
            beyond.setdefault(limit, Counter())[orchestrator] += count
    for limit, counts in beyond.items():
        one, many = _BEYOND[limit]
        total = counts.total()
        worst = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(3))
        others = plural(len(counts) - 3, "other") if len(counts) > 3 else ""  # noqa: PLR2004
        who = f"{worst} and {others}" if others else worst
        yield Finding(
            Severity.ERROR,
            f"over_limit_{limit}",
            f"{plural(total, 'instance')} {one if total == 1 else many}: {who}.",
            f"Their ids are below. For those that may take longer, raise limits.{limit}.",
            RUNBOOKS[f"over_limit_{limit}"],
        )


def _locks(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    orphaned = {
        entity: locks.orphaned
        for entity, locks in (locks_of(snapshot, now) or {}).items()
        if locks.orphaned
    }
    if orphaned:
        total = sum(orphaned.values())
        which = ", ".join(f"{entity} {count:,}" for entity, count in orphaned.items())
        verb = "is" if total == 1 else "are"
        yield Finding(
            Severity.ERROR,
            "orphaned_locks",
            f"{plural(total, 'entity', 'entities')} {verb} locked by an instance that is not "
            f"active: {which}.",
            "CleanEntityStorage of the durable client releases such locks.",
            RUNBOOKS["orphaned_locks"],
        )


def _failing(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.finished is None or not snapshot.is_fresh(Sweep.FINISHED, now):
        return
    counts: Counter[str] = Counter()
    for (_, status, window), count in snapshot.finished.recent.items():
        if window == "1h":
            counts[status] += count
    failed = counts[RuntimeStatus.FAILED]
    ended = failed + counts[RuntimeStatus.COMPLETED]
    if failed:
        yield Finding(
            Severity.WARNING,
            "failing",
            f"{failed:,} of {plural(ended, 'instance')} that ended in the last hour failed "
            f"({percent(failed / ended)}).",
            "Look at the reasons below.",
            RUNBOOKS["failing"],
        )


def _unresolved(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    if snapshot.unresolved is None or not snapshot.is_fresh(Sweep.FAILED, now):
        return
    total = sum(snapshot.unresolved.failures.values())
    if total:
        oldest = min(snapshot.unresolved.oldest.values(), default=None)
        server_now = now + (snapshot.clock_skew or 0.0)
        since = "" if oldest is None else f", the oldest for {span(server_now - oldest)}"
        verb = "is" if total == 1 else "are"
        yield Finding(
            Severity.WARNING,
            "unresolved_failures",
            f"{plural(total, 'failed instance')} {verb} unresolved{since}.",
            "Fix the cause, then rewind, restart or purge them.",
            RUNBOOKS["unresolved_failures"],
        )


def _accounts(snapshot: HubSnapshot) -> Iterator[Finding]:
    known, state = snapshot.known, snapshot.state
    completed = snapshot.sweeps[Sweep.FINISHED].completed
    if state is not None and completed is not None:
        written = state.last_write
        if written is None or completed - written > _STATE_LAG_WORTH_SAYING:
            lag = "never" if written is None else f"last {span(completed - written)} earlier"
            yield Finding(
                Severity.WARNING,
                "state_not_kept",
                f"The accounts are not kept: they were written {lag}. Counters may be frozen.",
                "Look in the log for “state not written” and “state is held by another process”.",
                RUNBOOKS["state_not_kept"],
            )
    if known.unconfirmed:
        yield Finding(
            Severity.NOTE,
            "unconfirmed",
            f"{plural(known.unconfirmed, 'instance')} left the list of active ones and could not "
            "be read yet.",
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
            f"{plural(outside, 'active instance')} outside id_prefixes: nothing here counts them.",
            "Add the beginnings of their ids to id_prefixes.",
        )
    if snapshot.pages_remaining == 0:
        yield Finding(
            Severity.WARNING,
            "page_budget",
            "The page budget of today is spent: no sweep is made before midnight UTC.",
            "Raise max_pages_per_day, or lengthen the intervals.",
            RUNBOOKS["page_budget"],
        )
    skew = snapshot.clock_skew
    if skew is not None and abs(skew) > _SKEW_WORTH_SAYING:
        where = "ahead of" if skew > 0 else "behind"
        yield Finding(
            Severity.WARNING,
            "clock_skew",
            f"The app's clock is {span(abs(skew))} {where} this machine's.",
            "Synchronize both with a time server: ages here are by the app's clock.",
        )
    for labels, count in snapshot.counters.label_values_folded.items():
        if count:
            yield Finding(
                Severity.NOTE,
                "names_folded",
                f"{plural(count, 'name')} of the label {labels[0]} share _other.",
                "Raise max_label_values to give each a label of its own.",
                RUNBOOKS["names_folded"],
            )


def _emptiness(snapshot: HubSnapshot, now: float) -> Iterator[Finding]:
    """Say that there is nothing: a hub of another name than the app's reads as an empty one."""
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
            "There is nothing in this task hub: no instance and no entity.",
            "If there should be, compare task_hub and connection with the app's host.json: a hub "
            "of another name reads as an empty one.",
            RUNBOOKS["empty"],
        )


def _sentence(hint: str) -> str:
    """Return a hint as a sentence of its own."""
    return f"{hint[:1].upper()}{hint[1:]}." if hint else ""
