"""
What is told of a hub to people and scripts: version 1 of the JSON API.

Times are RFC 3339 in UTC. Whatever is not known now is null, never 0. Fields may be added within
version 1; none is renamed, removed or given another meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from exporter.collector.snapshot import HubIdentity

Time = str


class Severity(StrEnum):
    """How bad something is: somebody has to act, should look, or may want to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class HubStatus(StrEnum):
    """How a hub is, the worst first."""

    DOWN = "down"
    ERROR = "error"
    WARNING = "warning"
    STARTING = "starting"
    OK = "ok"


class Finding(Struct, frozen=True):
    """One thing that is wrong with a hub, or worth knowing of it."""

    severity: Severity
    kind: Annotated[str, Meta(description="What it is, in one word that stays the same.")]
    summary: Annotated[str, Meta(description="What it is, in plain words.")]
    remedy: Annotated[str, Meta(description="What to do about it; empty where nothing is.")]
    runbook: Annotated[
        str, Meta(description="Runbook at `/runbooks/`, by its name; empty where none is.")
    ] = ""
    section: Annotated[
        str, Meta(description="Part of the hub's page with its rows, by id; empty where none is.")
    ] = ""


class TroubleReport(Struct, frozen=True):
    """Why a sweep failed."""

    kind: Annotated[str, Meta(description="Class of the error, as in the label `kind`.")]
    message: Annotated[str, Meta(description="What happened.")]
    hint: Annotated[str, Meta(description="How to fix it.")]


class SweepReport(Struct, frozen=True):
    """How one kind of sweep goes, and so how fresh the numbers are that it feeds."""

    sweep: Annotated[str, Meta(description="Name of the sweep, as in the label `sweep`.")]
    feeds: Annotated[str, Meta(description="What it feeds, in plain words.")]
    fresh: Annotated[
        bool | None,
        Meta(description="Whether what it feeds is shown; null where it is off."),
    ]
    last_complete_time: Annotated[
        Time | None, Meta(description="End of the last complete one, by the exporter's clock.")
    ]
    age_seconds: Annotated[float | None, Meta(description="How long ago that was.")]
    withdrawn_after_seconds: Annotated[
        float, Meta(description="Age at which what it feeds is no longer shown.")
    ]
    interval_seconds: Annotated[
        float | None, Meta(description="From one to the next now; null where it is off.")
    ]
    configured_interval_seconds: Annotated[
        float | None, Meta(description="The same as configured; null where it is off.")
    ]
    duration_seconds: Annotated[float | None, Meta(description="How long the last one took.")]
    results: Annotated[dict[str, int], Meta(description="How many ended how.")]
    pages: Annotated[int, Meta(description="Pages read since the start.")]
    rows: Annotated[int, Meta(description="Rows read since the start.")]
    trouble: Annotated[
        TroubleReport | None, Meta(description="Why the last one failed; null if it did not.")
    ]


class FinishesReport(Struct, frozen=True):
    """Finishes in steps of time, the oldest first; the last step is not over yet."""

    begin_time: Annotated[Time, Meta(description="When the first step begins.")]
    step_seconds: Annotated[float, Meta(description="Length of a step.")]
    completed: list[int]
    failed: list[int]
    other: Annotated[list[int], Meta(description="Terminated and canceled.")]


class OrchestratorReport(Struct, frozen=True):
    """One orchestrator; `_other` stands for those beyond `max_label_values`."""

    name: str
    instances: Annotated[
        dict[str, int | None], Meta(description="Instances now, by runtime status.")
    ]
    oldest_pending_since: Annotated[
        Time | None, Meta(description="Since when the oldest one is Pending.")
    ]
    longest_idle_since: Annotated[
        Time | None, Meta(description="Since when the longest idle running one made no progress.")
    ]
    over_limit: Annotated[
        dict[str, int] | None, Meta(description="Active instances over a limit, by limit.")
    ]
    stalled: Annotated[
        int | None,
        Meta(description="Instances whose wait means trouble; null where no histories are read."),
    ]
    limits_seconds: Annotated[dict[str, float], Meta(description="The limits that hold for it.")]
    recent: Annotated[
        dict[str, dict[str, int]] | None,
        Meta(description="Finishes by window (`5m`, `1h`, `24h`) and runtime status."),
    ]
    failure_ratio_1h: Annotated[
        float | None,
        Meta(description="Failed / (Completed + Failed) of the last hour; null if none finished."),
    ]
    unresolved_failures: Annotated[int | None, Meta(description="Instances that are Failed now.")]
    oldest_unresolved_failure_time: Annotated[
        Time | None, Meta(description="When the oldest of them failed.")
    ]
    finishes: Annotated[FinishesReport | None, Meta(description="Finishes of the last hours.")]


class OverLimitSample(Struct, frozen=True):
    """One instance over a limit; the oldest are shown, a few of each orchestrator."""

    instance_id: str
    orchestrator: str
    runtime_status: str
    limit: Annotated[str, Meta(description="`pending`, `idle`, `age` or `suspended`.")]
    since: Annotated[Time, Meta(description="Since when the clock of that limit runs.")]
    seconds: Annotated[float, Meta(description="For how long it runs.")]
    created_time: Time | None
    last_updated_time: Time | None
    waiting_on: Annotated[
        str | None, Meta(description="What it waits on, by class; null while it is not known.")
    ]
    target: Annotated[
        str | None, Meta(description="Activity, orchestrator or entity; empty where there is none.")
    ]
    waiting_since: Annotated[Time | None, Meta(description="Since when it waits on that.")]
    held_by: Annotated[str | None, Meta(description="Who holds the lock that it waits for.")]
    chain: Annotated[
        list[str],
        Meta(description="Ids of its blocking chain, from it to the root cause, both included."),
    ]
    leaf_waiting_on: Annotated[
        str | None, Meta(description="What the last of the chain waits on, by class.")
    ]
    leaf_target: Annotated[str | None, Meta(description="The target of that.")]
    stalled: Annotated[
        bool | None,
        Meta(description="Whether that means trouble; false: it is waiting as expected."),
    ]
    links: Annotated[dict[str, str], Meta(description="Where more is known of it, by `links`.")]


class CauseReport(Struct, frozen=True):
    """The end of blocking chains, and how many instances it blocks."""

    cause: Annotated[str, Meta(description="Id of the instance or entity at the end of chains.")]
    orchestrator: Annotated[str, Meta(description="Its name; empty if it is none or not known.")]
    waiting_on: Annotated[str, Meta(description="What it waits on, by class.")]
    target: Annotated[str, Meta(description="Activity, orchestrator or entity, if there is one.")]
    since: Annotated[Time | None, Meta(description="Since when it waits on that.")]
    end: Annotated[
        str, Meta(description="Why chains end there: `leaf`, or what is odd, such as `cycle`.")
    ]
    stalled: Annotated[
        bool, Meta(description="Whether that means trouble; else it is waiting as expected.")
    ]
    victims: Annotated[int, Meta(description="How many instances wait for it.")]
    victim_ids: Annotated[list[str], Meta(description="Ids of a few, the longest waiting first.")]
    links: Annotated[dict[str, str], Meta(description="Where more is known of it, by `links`.")]


class BlockerReport(Struct, frozen=True):
    """Who blocks several instances of a group."""

    instance_id: Annotated[str, Meta(description="Id of the instance or entity.")]
    blocked: Annotated[int, Meta(description="How many of the group wait for it.")]
    summary: Annotated[
        str, Meta(description="What it waits on itself, or why it does not move; may be empty.")
    ]
    links: Annotated[dict[str, str], Meta(description="Where more is known of it, by `links`.")]


class WaitGroupReport(Struct, frozen=True):
    """Instances of one orchestrator over a limit that wait on the same in the end."""

    summary: Annotated[str, Meta(description="The group in plain words, as `stuck` prints it.")]
    orchestrator: str
    waiting_on: Annotated[str, Meta(description="What they wait on in the end, by class.")]
    target: Annotated[str, Meta(description="Activity, orchestrator or entity, if there is one.")]
    stalled: Annotated[
        bool, Meta(description="Whether that means trouble; else they are waiting as expected.")
    ]
    instances: Annotated[int, Meta(description="How many they are.")]
    since: Annotated[Time | None, Meta(description="Since when the oldest of them waits.")]
    instance_ids: Annotated[list[str], Meta(description="Ids of those that wait longest.")]
    blockers: Annotated[
        list[BlockerReport], Meta(description="Who blocks several of them, the most first.")
    ]


class FailedSample(Struct, frozen=True):
    """One instance that is Failed now; the oldest and the newest of each orchestrator are shown."""

    instance_id: str
    orchestrator: str
    failed_time: Time
    created_time: Time | None
    category: Annotated[str | None, Meta(description="Kind of the failure; null until it is read.")]
    failed_function: Annotated[
        str | None, Meta(description="Which function failed; empty if the orchestrator itself.")
    ]
    error_type: Annotated[str | None, Meta(description="Type of the error; empty if unknown.")]
    links: Annotated[dict[str, str], Meta(description="Where more is known of it, by `links`.")]


class FailureReasonReport(Struct, frozen=True):
    """How many of the unresolved failures have the same reason; nulls until the reason is read."""

    orchestrator: str
    category: str | None
    failed_function: str | None
    error_type: str | None
    instances: int


class EntityReport(Struct, frozen=True):
    """The entities of one class."""

    entity: str
    entities: Annotated[int | None, Meta(description="How many there are.")]
    last_operation_time: Time | None
    locked: Annotated[int | None, Meta(description="How many are locked.")]
    orphaned_locks: Annotated[
        int | None, Meta(description="How many are locked by an instance that is not active.")
    ]
    backlog_operations: Annotated[int | None, Meta(description="Queued operations in all.")]
    backlog_max_operations: Annotated[
        int | None, Meta(description="Queued operations of the one with the most.")
    ]


class CostReport(Struct, frozen=True):
    """What polling the hub cost since the exporter's start."""

    requests: int
    errors: Annotated[dict[str, int], Meta(description="Failed attempts by class of the error.")]
    retries: int
    response_bytes: int
    mean_request_seconds: Annotated[float | None, Meta(description="How long a request takes.")]
    pages_per_day: Annotated[
        float | None,
        Meta(description="Pages that a day takes at the intervals and sizes of now."),
    ]
    pages_remaining: Annotated[
        int | None, Meta(description="Left of today's `max_pages_per_day`; null without one.")
    ]


class AccountsReport(Struct, frozen=True):
    """The basis of the counters."""

    baseline_time: Annotated[
        Time | None, Meta(description="First contact: what finished before is not counted.")
    ]
    unconfirmed_instances: Annotated[
        int, Meta(description="No longer listed as active, and not yet read.")
    ]
    clock_skew_seconds: Annotated[
        float | None, Meta(description="The app's clock less the exporter's.")
    ]
    state_written_time: Annotated[
        Time | None, Meta(description="When the state was last written; null where none is kept.")
    ]
    folded_names: Annotated[
        dict[str, int], Meta(description="Names that share `_other`, by label.")
    ]


class HubSummary(Struct, frozen=True, kw_only=True):
    """One hub at a glance."""

    name: Annotated[str, Meta(description="What it is called, as in the label `task_hub`.")]
    function_app: str
    hub_name: Annotated[str, Meta(description="The task hub's own name; empty for the default.")]
    labels: Annotated[dict[str, str], Meta(description="The configured labels.")]
    status: HubStatus
    up: Annotated[bool, Meta(description="Whether the last active sweep completed.")]
    current: Annotated[
        bool, Meta(description="Whether the hub is up and no sweep is overdue: nothing is missing.")
    ]
    trust: Annotated[str, Meta(description="Whether the numbers can be trusted, in plain words.")]
    last_active_sweep_time: Time | None
    findings: Annotated[list[Finding], Meta(description="What is wrong, the worst first.")]
    instances: Annotated[
        dict[str, int | None], Meta(description="Active instances now, by runtime status.")
    ]
    verdict: Annotated[str, Meta(description="How the hub is, in one short sentence.")]
    over_limit: Annotated[
        int | None,
        Meta(
            description="Active instances over a limit, each counted once: `stalled`, "
            "`waiting_as_expected` and `undiagnosed` add up to it."
        ),
    ]
    stalled: Annotated[
        int | None,
        Meta(
            description="Of those, the ones whose wait means trouble; null where no histories "
            "are read."
        ),
    ]
    waiting_as_expected: Annotated[
        int | None, Meta(description="Those that wait for a timer, an event or a resume.")
    ]
    undiagnosed: Annotated[
        int | None,
        Meta(description="How many are over a limit without a known wait yet."),
    ]
    unresolved_failures: Annotated[int | None, Meta(description="Instances that are Failed now.")]
    completed_1h: Annotated[int | None, Meta(description="Completed within the last hour.")]
    failed_1h: Annotated[int | None, Meta(description="Failed within the last hour.")]
    finishes: Annotated[FinishesReport | None, Meta(description="Finishes of the last hours.")]


class HubReport(HubSummary, frozen=True, kw_only=True):
    """Everything that is shown of a hub."""

    time: Annotated[Time, Meta(description="When this was answered, by the exporter's clock.")]
    sweeps: list[SweepReport]
    over_limit_samples: Annotated[
        list[OverLimitSample], Meta(description="Instances over a limit; at most 100.")
    ]
    causes: Annotated[
        list[CauseReport] | None,
        Meta(
            description="What blocks instances, the most blocked first, at most 100; null where "
            "no histories are read."
        ),
    ]
    waits: Annotated[
        list[WaitGroupReport] | None,
        Meta(
            description="Instances over a limit by orchestrator and what they wait on: those that "
            "are stalled first, then the largest; at most 200; null where no histories are read."
        ),
    ]
    failure_reasons: Annotated[
        list[FailureReasonReport] | None,
        Meta(description="Why instances are Failed now, the most frequent first; at most 50."),
    ]
    failed_samples: Annotated[
        list[FailedSample], Meta(description="Who is Failed now; at most 100.")
    ]
    orchestrators: list[OrchestratorReport]
    entities: list[EntityReport]
    cost: CostReport
    accounts: AccountsReport


class HubsReport(Struct, frozen=True):
    """All hubs of the exporter, the worst first."""

    time: Annotated[Time, Meta(description="When this was answered, by the exporter's clock.")]
    version: Annotated[str, Meta(description="Version of the exporter.")]
    hubs: list[HubSummary]


class Problem(Struct, frozen=True):
    """Why a question has no answer."""

    error: Annotated[str, Meta(description="What is wrong with it, in plain words.")]


def links_to(identity: HubIdentity, instance_id: str, orchestrator: str) -> dict[str, str]:
    """Return the links that lead to an instance, by what they are called; values are encoded."""
    values = {
        "instance_id": instance_id,
        "task_hub": identity.name,
        "hub_name": identity.hub_name or identity.name,
        "orchestrator": orchestrator,
    }
    # With no character left as it is that ends a part of a URL, none can lead elsewhere.
    encoded = {name: quote(value, safe="") for name, value in values.items()}
    return {name: template.format_map(encoded) for name, template in identity.links.items()}
