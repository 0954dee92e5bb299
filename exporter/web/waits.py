"""Waits of instances, in words and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

from msgspec.structs import replace

from exporter.collector.instance_lookup import FoundInstance
from exporter.collector.snapshot import HubIdentity
from exporter.diagnosis.blame import Blame, End, ends_in_who_waits
from exporter.diagnosis.groups import Cause, WaitGroup
from exporter.diagnosis.view import DiagnosisView
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.snapshot import EntityLocks
from exporter.ledger.status import ACTIVE, RuntimeStatus, known_status
from exporter.web.formatting import plural, rfc3339, span, words_of
from exporter.web.report import BlockerReport, CauseReport, WaitGroupReport, links_to

REFUSED = (
    "Its history cannot be read: most likely an activity in flight was renamed. Check the last "
    "deployment, then terminate and restart the instance."
)
_REWOUND = "It was rewound and is listed as Pending until it ends; it may be running."
_MAY_BE_SCHEDULED = (
    "In .NET isolated and Java it may be scheduled for later, which the API does not show."
)
_EVENT_OR_LOST = (
    "Nothing is outstanding: it waits on an event, or (JavaScript, Python, PowerShell) a "
    "call or a failure was lost; only the app's log shows which."
)
_LOST = (
    "Its orchestrator is not known to receive events: check the app's log for a call to a "
    "missing function."
)

# About the end of a chain, beside what it waits on.
END_WORDS = {
    End.LEAF: "",
    End.FINISHED: "it has finished, but the result was not delivered",
    End.MISSING: "it has no row",
    End.ORPHANED_LOCK: "it holds the lock and is not active",
    End.CYCLE: "they wait for each other",
    End.TOO_DEEP: "the chain is too long to follow",
    End.UNREAD: "it cannot be read",
}


def end_in_words(blame: Blame) -> str:
    """Return what to say about the end of a chain, empty if its wait says it all."""
    if blame.end is End.MISSING and blame.chain[-1].startswith("@"):
        return "its first operation has not ended"
    if blame.end is End.ORPHANED_LOCK:
        return f"{blame.chain[-1]} holds the lock and is not active"
    return END_WORDS[blame.end]


# Classes that are no object of "waits on".
_STATES = {
    WaitingOn.NOT_STARTED: "has not started",
    WaitingOn.TIMER: "waits on a timer or an external event",
    WaitingOn.TIMER_OVERDUE: "waits on a timer that is overdue",
    WaitingOn.RETRY_BACKOFF: "waits to retry",
    WaitingOn.EXTERNAL_EVENT: "waits on an event",
    WaitingOn.SUSPENDED: "is suspended",
    WaitingOn.FINISHED_IN_HISTORY: "has finished, but is still listed as Running",
    WaitingOn.NO_STEP: "has taken no step: it waits on an event, or a call may have been lost",
    WaitingOn.HISTORY_REFUSED: "has a history that cannot be read",
    WaitingOn.UNKNOWN: "waits on something unknown",
}
# The same, of several instances.
_GROUPED = {
    WaitingOn.NOT_STARTED: "not started",
    WaitingOn.TIMER_OVERDUE: "timer overdue",
    WaitingOn.SUSPENDED: "suspended",
    WaitingOn.FINISHED_IN_HISTORY: "finished, but still listed as Running",
    WaitingOn.UNKNOWN: "unknown",
}


class WaitFields(TypedDict):
    """The fields of `OverLimitSample` that come from a history."""

    waiting_on: str | None
    target: str | None
    waiting_since: str | None
    held_by: str | None
    chain: list[str]
    leaf_waiting_on: str | None
    leaf_target: str | None
    stalled: bool | None


def wait_of(blame: Blame | None) -> WaitFields:
    """Return what an instance waits on, all null if unknown."""
    wait = blame.wait if blame else None
    leaf = blame.leaf if blame else None
    return WaitFields(
        waiting_on=wait.waiting_on.value if wait else None,
        target=wait.target if wait else None,
        waiting_since=rfc3339(wait.since) if wait else None,
        held_by=blame.held_by if blame else None,
        chain=list(blame.chain) if blame else [],
        leaf_waiting_on=leaf.waiting_on.value if leaf else None,
        leaf_target=leaf.target if leaf else None,
        stalled=leaf.waiting_on.means_trouble if leaf else None,
    )


def causes_of(identity: HubIdentity, view: DiagnosisView) -> list[CauseReport]:
    """Return what blocks instances."""
    return [
        CauseReport(
            cause=cause.cause,
            orchestrator=cause.orchestrator,
            waiting_on=cause.wait.waiting_on.value,
            target=cause.wait.target,
            since=rfc3339(cause.wait.since),
            end=cause.end.value,
            stalled=cause.wait.waiting_on.means_trouble,
            victims=cause.blocked,
            victim_ids=list(cause.samples),
            links=links_to(identity, cause.cause, cause.orchestrator),
        )
        for cause in view.causes
    ]


def groups_of(identity: HubIdentity, view: DiagnosisView, now: float) -> list[WaitGroupReport]:
    """Return instances grouped by their wait, as of *now* by the server's clock."""
    return [
        WaitGroupReport(
            summary=group_in_words(group, now),
            orchestrator=group.orchestrator,
            waiting_on=group.waiting_on.value,
            target=group.target,
            stalled=group.means_trouble,
            instances=group.instances,
            since=rfc3339(group.since),
            instance_ids=list(group.samples),
            blockers=[
                BlockerReport(
                    cause.cause,
                    cause.blocked,
                    blocker_in_words(cause, now),
                    links_to(identity, cause.cause, cause.orchestrator),
                )
                for cause in group.blockers
            ],
        )
        for group in view.groups
    ]


def wait_in_words(wait: Wait) -> str:
    """Return what a wait is on."""
    return f"{words_of(wait.waiting_on.value)} {wait.target}".rstrip()


def state_in_words(wait: Wait) -> str:
    """Return the predicate of a wait, to follow a name."""
    state = _STATES.get(wait.waiting_on)
    return f"waits on {wait_in_words(wait)}" if state is None else f"{state} {wait.target}".rstrip()


def waiter_in_words(orchestrator: str, wait: Wait, instance_id: str = "") -> str:
    """Describe an instance and its wait; for a wait on nothing, others name it as the target."""
    if wait.waiting_on in _STATES and wait.target == orchestrator:
        wait = replace(wait, target="")
    return f"{orchestrator} {instance_id}".strip() + f" {state_in_words(wait)}"


def group_in_words(group: WaitGroup, now: float) -> str:
    """Describe a group: how many wait, on what, how long at *now* by the server's clock."""
    since = f" for {span(now - group.since)}" if group.since is not None else ""
    wait = Wait(group.waiting_on, group.target)
    number = f"{group.instances:,} {group.orchestrator}".rstrip()
    return f"{number}: {_GROUPED.get(group.waiting_on, wait_in_words(wait))}{since}"


def blame_in_words(found: FoundInstance, now: float) -> Iterator[str]:
    """Yield sentences about what an instance waits on, and what that waits on."""
    blame = found.blame
    if found.entity is not None:
        held = found.entity.locked_by
        yield f"Locked by {held}." if held else "Not locked."
        if found.entity.queue:
            yield f"{plural(len(found.entity.queue), 'caller')} in its queue."
    is_refused = blame.wait is not None and blame.wait.waiting_on is WaitingOn.HISTORY_REFUSED
    if found.is_refused or is_refused:
        yield REFUSED
    is_active = known_status(found.row.runtime_status) in ACTIVE
    if blame.wait is None or blame.leaf is None or not is_active:
        return
    if found.entity is None and not is_refused:
        since = f" ({span(now - blame.wait.since)})" if blame.wait.since is not None else ""
        yield f"It {state_in_words(blame.wait)}{since}."
    if len(blame.chain) > 1:
        yield f"Root cause: {root_cause(blame, blame.leaf)}."
    for older in found.older:
        yield f"Still outstanding from an earlier turn: {wait_in_words(older)}."
    if verdict := verdict_on(found):
        yield verdict


def root_cause(blame: Blame, leaf: Wait) -> str:
    """Describe the end of a chain: who waits on *leaf* there, else why the chain ends."""
    end, odd = blame.chain[-1], end_in_words(blame)
    if blame.end is End.ORPHANED_LOCK:
        return odd
    if ends_in_who_waits(blame):
        said = waiter_in_words(blame.leaf_orchestrator, leaf, end)
        return f"{said}; {odd}" if odd else said
    if blame.end is End.LEAF and leaf.waiting_on is WaitingOn.SUSPENDED:
        return f"{end} is suspended"
    return f"{end}: {odd or 'it has not answered'}"


def verdict_on(found: FoundInstance) -> str:
    """Return what a wait means in the end, empty if it speaks for itself."""
    leaf = found.blame.leaf
    waiting_on = leaf.waiting_on if leaf else None
    if waiting_on is WaitingOn.UNKNOWN:
        is_rewound = known_status(found.row.runtime_status) is RuntimeStatus.PENDING
        return _REWOUND if is_rewound else "The API does not show what."
    if waiting_on is WaitingOn.NOT_STARTED:
        return _MAY_BE_SCHEDULED
    if waiting_on is WaitingOn.NO_STEP:
        return _LOST
    if waiting_on is WaitingOn.EXTERNAL_EVENT and found.may_lose_calls:
        return _EVENT_OR_LOST
    is_expected = waiting_on is not None and not waiting_on.means_trouble
    return "That is expected: it waits by design or on request." if is_expected else ""


def orphaned_in_words(locks: Mapping[str, EntityLocks]) -> str:
    """Describe the entities locked by an inactive instance; empty if there are none."""
    orphaned = {entity: each.orphaned for entity, each in locks.items() if each.orphaned}
    if not orphaned:
        return ""
    total = sum(orphaned.values())
    which = ", ".join(f"{entity} {count:,}" for entity, count in orphaned.items())
    verb = "is" if total == 1 else "are"
    entities = plural(total, "entity", "entities")
    return f"{entities} {verb} permanently locked: {which}"


def blocker_in_words(cause: Cause, now: float) -> str:
    """Describe a blocking instance; empty if nothing beside its id is known."""
    if cause.orchestrator and cause.end is not End.CYCLE:
        since = f", {span(now - cause.wait.since)}" if cause.wait.since is not None else ""
        return f"{waiter_in_words(cause.orchestrator, cause.wait)}{since}"
    return END_WORDS[cause.end]
