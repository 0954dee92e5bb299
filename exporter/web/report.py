"""
Models of the status page and of the JSON API, version 1.

Times are RFC 3339 in UTC. Unknown values are null, never 0. Version 1 may gain fields; none is
renamed, removed or redefined.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from exporter.collector.snapshot import HubIdentity

Time = str


class Severity(StrEnum):
    """Severity of a finding, the worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class HubStatus(StrEnum):
    """Status of a hub, the worst first."""

    DOWN = "down"
    ERROR = "error"
    WARNING = "warning"
    STARTING = "starting"
    OK = "ok"


class Finding(Struct, frozen=True):
    """Something that is wrong with a hub, or worth knowing."""

    severity: Severity
    kind: Annotated[str, Meta(description="Its stable key.")]
    summary: Annotated[str, Meta(description="What was found.")]
    remedy: Annotated[str, Meta(description="What to do; empty if nothing.")]
    runbook: Annotated[
        str, Meta(description="Name of its runbook below `/runbooks/`; empty if none.")
    ] = ""
    section: Annotated[
        str, Meta(description="Id of the section of the hub's page with its rows; empty if none.")
    ] = ""


class TroubleReport(Struct, frozen=True):
    """Why a sweep failed."""

    kind: Annotated[str, Meta(description="Class of the error, as in the label `kind`.")]
    message: Annotated[str, Meta(description="What happened.")]
    hint: Annotated[str, Meta(description="How to fix it.")]


class SweepReport(Struct, frozen=True):
    """One kind of sweep: freshness of its data, and cost."""

    sweep: Annotated[str, Meta(description="Name of the sweep, as in the label `sweep`.")]
    feeds: Annotated[str, Meta(description="Data that it feeds.")]
    fresh: Annotated[
        bool | None,
        Meta(description="Whether that data is shown; null if off."),
    ]
    last_complete_time: Annotated[
        Time | None, Meta(description="When the last complete one ended.")
    ]
    age_seconds: Annotated[float | None, Meta(description="How long ago that was.")]
    withdrawn_after_seconds: Annotated[float, Meta(description="Age at which the data is removed.")]
    interval_seconds: Annotated[float | None, Meta(description="Effective interval; null if off.")]
    configured_interval_seconds: Annotated[
        float | None, Meta(description="Configured interval; null if off.")
    ]
    duration_seconds: Annotated[float | None, Meta(description="Duration of the last one.")]
    results: Annotated[dict[str, int], Meta(description="Sweeps by result.")]
    pages: Annotated[int, Meta(description="Pages read since the start.")]
    rows: Annotated[int, Meta(description="Rows read since the start.")]
    trouble: Annotated[
        TroubleReport | None, Meta(description="Why the last one failed; null if not.")
    ]


class FinishesReport(Struct, frozen=True):
    """Finishes by time step, the oldest first; the last step is incomplete."""

    begin_time: Annotated[Time, Meta(description="Start of the first step.")]
    step_seconds: Annotated[float, Meta(description="Length of a step.")]
    completed: list[int]
    failed: list[int]
    other: Annotated[list[int], Meta(description="Terminated and canceled.")]


class OrchestratorReport(Struct, frozen=True):
    """One orchestrator; `_other` is all beyond `max_label_values`."""

    name: str
    instances: Annotated[
        dict[str, int | None], Meta(description="Instances now, by runtime status.")
    ]
    oldest_pending_since: Annotated[
        Time | None, Meta(description="Start of the oldest Pending instance's wait.")
    ]
    longest_idle_since: Annotated[
        Time | None,
        Meta(description="Last progress of the longest idle Running instance."),
    ]
    over_limit: Annotated[
        dict[str, int] | None, Meta(description="Active instances over a limit, by limit.")
    ]
    stalled: Annotated[
        int | None,
        Meta(description="Stalled instances; null if histories are not read."),
    ]
    limits_seconds: Annotated[dict[str, float], Meta(description="Its limits, by name.")]
    recent: Annotated[
        dict[str, dict[str, int]] | None,
        Meta(description="Finishes by window (`1h`, `24h`) and runtime status."),
    ]
    failure_ratio_1h: Annotated[
        float | None,
        Meta(description="Failed / (Completed + Failed) of the last hour; null if both are 0."),
    ]
    unresolved_failures: Annotated[int | None, Meta(description="Root instances still Failed.")]
    oldest_unresolved_failure_time: Annotated[
        Time | None, Meta(description="When the oldest of them failed.")
    ]
    finishes: Annotated[FinishesReport | None, Meta(description="Finishes of the last 6 hours.")]


class OverLimitSample(Struct, frozen=True):
    """One instance over a limit; the oldest are shown, a few of each orchestrator."""

    instance_id: str
    orchestrator: str
    runtime_status: str
    limit: Annotated[str, Meta(description="`pending`, `idle`, `age` or `suspended`.")]
    since: Annotated[Time, Meta(description="Start of the measured time.")]
    seconds: Annotated[float, Meta(description="Time since then.")]
    created_time: Time | None
    last_updated_time: Time | None
    waiting_on: Annotated[str | None, Meta(description="Class of its wait; null until diagnosed.")]
    target: Annotated[
        str | None, Meta(description="Activity, orchestrator or entity; empty if none.")
    ]
    waiting_since: Annotated[Time | None, Meta(description="Start of its wait.")]
    held_by: Annotated[str | None, Meta(description="Holder of the lock that it waits for.")]
    chain: Annotated[
        list[str],
        Meta(description="Ids of its blocking chain, from itself to the root cause."),
    ]
    leaf_waiting_on: Annotated[
        str | None, Meta(description="What the end of the chain waits on, by class.")
    ]
    leaf_target: Annotated[str | None, Meta(description="Its target.")]
    stalled: Annotated[
        bool | None,
        Meta(description="Whether it is stalled; false if waiting as expected."),
    ]
    links: Annotated[dict[str, str], Meta(description="Links to it, by configured name.")]


class CauseReport(Struct, frozen=True):
    """The common end of blocking chains."""

    cause: Annotated[str, Meta(description="Id of the instance or entity at the end of chains.")]
    orchestrator: Annotated[str, Meta(description="Its name; empty for an entity or if unknown.")]
    waiting_on: Annotated[str, Meta(description="What it waits on, by class.")]
    target: Annotated[str, Meta(description="Activity, orchestrator or entity, if there is one.")]
    since: Annotated[Time | None, Meta(description="Start of its wait.")]
    end: Annotated[
        str, Meta(description="Why chains end there: `leaf`, or an anomaly such as `cycle`.")
    ]
    stalled: Annotated[
        bool, Meta(description="Whether it is stalled; false if waiting as expected.")
    ]
    victims: Annotated[int, Meta(description="How many instances it blocks.")]
    victim_ids: Annotated[
        list[str], Meta(description="Ids of some of them, the longest waiting first.")
    ]
    links: Annotated[dict[str, str], Meta(description="Links to it, by configured name.")]


class BlockerReport(Struct, frozen=True):
    """An instance or entity that blocks some of a group."""

    instance_id: Annotated[str, Meta(description="Id of the instance or entity.")]
    blocked: Annotated[int, Meta(description="How many of the group it blocks.")]
    summary: Annotated[str, Meta(description="What it waits on, or why it blocks; may be empty.")]
    links: Annotated[dict[str, str], Meta(description="Links to it, by configured name.")]


class WaitGroupReport(Struct, frozen=True):
    """Instances of one orchestrator over a limit with the same wait at the end of their chains."""

    summary: Annotated[str, Meta(description="The group, as `stuck` prints it.")]
    orchestrator: str
    waiting_on: Annotated[str, Meta(description="What the ends of their chains wait on, by class.")]
    target: Annotated[str, Meta(description="Activity, orchestrator or entity, if there is one.")]
    stalled: Annotated[
        bool, Meta(description="Whether they are stalled; false if waiting as expected.")
    ]
    instances: Annotated[int, Meta(description="Number of instances.")]
    since: Annotated[Time | None, Meta(description="Start of the longest wait.")]
    instance_ids: Annotated[list[str], Meta(description="Ids of the longest waiting.")]
    blockers: Annotated[
        list[BlockerReport],
        Meta(description="What blocks them, the worst first."),
    ]


class FailedSample(Struct, frozen=True):
    """One root instance still Failed; the oldest and the newest of each orchestrator are shown."""

    instance_id: str
    orchestrator: str
    failed_time: Time
    created_time: Time | None
    category: Annotated[str | None, Meta(description="Category of the failure; null until read.")]
    failed_function: Annotated[
        str | None, Meta(description="The function that failed; empty for the orchestrator itself.")
    ]
    error_type: Annotated[str | None, Meta(description="Type of the error; empty if unknown.")]
    links: Annotated[dict[str, str], Meta(description="Links to it, by configured name.")]


class FailureReasonReport(Struct, frozen=True):
    """Unresolved failures with the same reason; nulls until it is read."""

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
        int | None, Meta(description="Queued operations of the entity with the most.")
    ]


class CostReport(Struct, frozen=True):
    """Cost of polling the hub since the exporter started."""

    requests: int
    errors: Annotated[dict[str, int], Meta(description="Failed attempts by error kind.")]
    retries: int
    response_bytes: int
    mean_request_seconds: Annotated[float | None, Meta(description="Mean duration of a request.")]
    pages_per_day: Annotated[
        float | None,
        Meta(description="Pages per day at the present intervals and sizes."),
    ]
    pages_remaining: Annotated[
        int | None, Meta(description="Pages left of today's `max_pages_per_day`; null if unset.")
    ]


class AccountsReport(Struct, frozen=True):
    """The basis of the counters."""

    baseline_time: Annotated[
        Time | None, Meta(description="First contact: earlier finishes are not counted.")
    ]
    unconfirmed_instances: Annotated[
        int, Meta(description="Instances no longer listed as active, and not yet read.")
    ]
    clock_skew_seconds: Annotated[float | None, Meta(description="App clock minus exporter clock.")]
    state_written_time: Annotated[
        Time | None, Meta(description="When the state was last written; null if never.")
    ]
    folded_names: Annotated[
        dict[str, int], Meta(description="Names that share `_other`, by label.")
    ]


class HubSummary(Struct, frozen=True, kw_only=True):
    """A summary of one hub."""

    name: Annotated[str, Meta(description="Its name, as in the label `task_hub`.")]
    function_app: str
    hub_name: Annotated[str, Meta(description="The task hub's own name; empty for the default.")]
    labels: Annotated[dict[str, str], Meta(description="The configured labels.")]
    status: HubStatus
    up: Annotated[bool, Meta(description="Whether the hub can be polled.")]
    current: Annotated[bool, Meta(description="Whether it is up and every sweep is fresh.")]
    trust: Annotated[str, Meta(description="Whether the numbers can be trusted.")]
    last_active_sweep_time: Time | None
    findings: Annotated[list[Finding], Meta(description="Findings, the worst first.")]
    instances: Annotated[
        dict[str, int | None], Meta(description="Active instances now, by runtime status.")
    ]
    verdict: Annotated[str, Meta(description="The status in one short sentence.")]
    over_limit: Annotated[
        int | None,
        Meta(
            description="Active instances over a limit, each counted once: `stalled`, "
            "`waiting_as_expected` and `undiagnosed` (null until histories are read) sum to it."
        ),
    ]
    stalled: Annotated[
        int | None,
        Meta(description="Those whose wait means trouble."),
    ]
    waiting_as_expected: Annotated[
        int | None, Meta(description="Those waiting on a timer, event, retry or resume.")
    ]
    undiagnosed: Annotated[
        int | None,
        Meta(description="Those over a limit that are not diagnosed yet."),
    ]
    unresolved_failures: Annotated[int | None, Meta(description="Root instances still Failed.")]
    completed_1h: Annotated[int | None, Meta(description="Completed within the last hour.")]
    failed_1h: Annotated[int | None, Meta(description="Failed within the last hour.")]
    finishes: Annotated[FinishesReport | None, Meta(description="Finishes of the last 6 hours.")]


class HubReport(HubSummary, frozen=True, kw_only=True):
    """Everything about a hub."""

    time: Annotated[Time, Meta(description="Time of the answer.")]
    sweeps: list[SweepReport]
    over_limit_samples: Annotated[
        list[OverLimitSample], Meta(description="Instances over a limit; at most 100.")
    ]
    causes: Annotated[
        list[CauseReport] | None,
        Meta(
            description="What blocks instances, the worst first, at most 100; null if "
            "no histories are read."
        ),
    ]
    waits: Annotated[
        list[WaitGroupReport] | None,
        Meta(
            description="Instances over a limit by orchestrator and wait, the stalled first, then "
            "the largest; at most 200; null if no histories are read."
        ),
    ]
    failure_reasons: Annotated[
        list[FailureReasonReport] | None,
        Meta(description="Why root instances failed, the most frequent first; at most 50."),
    ]
    failed_samples: Annotated[
        list[FailedSample], Meta(description="Root instances still Failed; at most 100.")
    ]
    orchestrators: list[OrchestratorReport]
    entities: list[EntityReport]
    cost: CostReport
    accounts: AccountsReport


class HubsReport(Struct, frozen=True):
    """All hubs of the exporter, the worst first."""

    time: Annotated[Time, Meta(description="Time of the answer.")]
    version: Annotated[str, Meta(description="Version of the exporter.")]
    hubs: list[HubSummary]


class Problem(Struct, frozen=True):
    """Why a request failed."""

    error: Annotated[str, Meta(description="What is wrong.")]


def links_to(identity: HubIdentity, instance_id: str, orchestrator: str) -> dict[str, str]:
    """Return the links to an instance by name, with URL-encoded values."""
    values = {
        "instance_id": instance_id,
        "task_hub": identity.name,
        "hub_name": identity.hub_name or identity.name,
        "orchestrator": orchestrator,
    }
    # No unescaped delimiter: a value cannot lead elsewhere.
    encoded = {name: quote(value, safe="") for name, value in values.items()}
    return {name: template.format_map(encoded) for name, template in identity.links.items()}
