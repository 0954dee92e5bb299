"""The mix of a synthetic hub: orchestrators by share and status, and entity classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from emulator.backends.backend import Traits
from emulator.json_text import JsonValue, compact
from emulator.storage.history import execution_completed, execution_started
from emulator.storage.rows import NEVER, Entity, Instance, RuntimeStatus
from emulator.synthetic.layout import apportion

LONGEST_SECONDS = 3600.0
"""The maximum from creation to last update."""

_LOCK_HOLDER = "the-lock-holder"
_USUAL = {
    RuntimeStatus.COMPLETED: 0.93,
    RuntimeStatus.FAILED: 0.04,
    RuntimeStatus.TERMINATED: 0.01,
    RuntimeStatus.RUNNING: 0.015,
    RuntimeStatus.PENDING: 0.003,
    RuntimeStatus.SUSPENDED: 0.002,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Orchestrator:
    """
    The instances of an orchestrator.

    `share` and `statuses` are relative weights; `longest` is the maximum duration in seconds.
    """

    name: str
    share: float = 1.0
    statuses: Mapping[RuntimeStatus, float] = field(default_factory=lambda: _USUAL)
    longest: float = 600.0
    input: JsonValue = None
    custom_status: JsonValue = None
    output: JsonValue = None

    def __post_init__(self) -> None:
        if not 0 <= self.longest <= LONGEST_SECONDS:
            raise ValueError(f"longest must be from 0 to {LONGEST_SECONDS:g}, not {self.longest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityClass:
    """Entities of a class, with one state; some rows are deleted or locked."""

    name: str
    rows: int
    state: JsonValue = 0
    deleted: int = 0
    locked: int = 0

    def __post_init__(self) -> None:
        if min(self.deleted, self.locked, self.rows - self.deleted - self.locked) < 0:
            raise ValueError(f"{self.name} has fewer rows than deleted and locked ones")
        if self.name != self.name.lower() or not self.name.isidentifier():
            raise ValueError(f"The class of an entity is a name in lower case, not {self.name!r}")


SHOP = (
    Orchestrator(name="ProcessOrder", share=0.7, input={"order": 7}, output={"shipped": True}),
    Orchestrator(name="PaymentSaga", share=0.2, input={"amount": 12.5}, output="paid"),
    Orchestrator(name="ApprovalWorkflow", share=0.05, longest=3600.0, custom_status="waiting"),
    Orchestrator(name="NightlyReport", share=0.05, output={"rows": 1200}),
)
"""The default mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceKind:
    """Instances of one orchestrator and status; those that `never_ran` were never updated."""

    name: str
    status: RuntimeStatus
    input: JsonValue
    custom_status: JsonValue
    output: JsonValue
    longest: float
    never_ran: bool = False

    exists = True

    def row(self, instance_id: str, created: float, seconds: float) -> Instance:
        """Return an instance, last updated *seconds* after its creation."""
        updated = NEVER if self.never_ran else created + seconds
        text = None if self.input is None else compact(self.input)
        history = [execution_started(created, self.name, text)]
        if self.status.terminal:
            history.append(execution_completed(updated, self.status, self.output))
        return Instance(
            instance_id=instance_id,
            name=self.name,
            status=self.status,
            created=created,
            updated=updated,
            input=self.input,
            custom_status=self.custom_status,
            output=self.output,
            history=() if self.status is RuntimeStatus.PENDING else tuple(history),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityKind:
    """Entities of a class that are alike."""

    class_name: str
    state: JsonValue
    exists: bool = True
    locked: bool = False

    status = RuntimeStatus.RUNNING
    longest = 0.0

    def row(self, instance_id: str, created: float, _seconds: float) -> Entity:
        """Return an entity, last used at *created*."""
        return Entity(
            class_name=self.class_name,
            key=instance_id.rpartition("@")[2],
            last_operation=created,
            state=self.state if self.exists else None,
            exists=self.exists,
            locked_by=_LOCK_HOLDER if self.locked else None,
        )


Kind: TypeAlias = InstanceKind | EntityKind


def instance_kinds(
    orchestrators: Sequence[Orchestrator], rows: int, active: int | None, traits: Traits
) -> list[tuple[InstanceKind, int]]:
    """
    Return every kind of instance with its number of rows, the active ones last.

    *active* is the number of unfinished ones, `None` for that of the mix. Raises `ValueError` where
    the mix does not allow it.
    """
    weighed = weighed_kinds(orchestrators, traits)
    if rows < 0:
        raise ValueError(f"A hub cannot have {rows} instances")
    if active is None:
        return _numbered(weighed, rows)
    if not 0 <= active <= rows:
        raise ValueError(f"{active} of {rows} instances cannot be active")
    finished = [item for item in weighed if item[0].status.terminal]
    unfinished = weighed[len(finished) :]
    return _numbered(finished, rows - active) + _numbered(unfinished, active)


def weighed_kinds(
    orchestrators: Sequence[Orchestrator], traits: Traits
) -> list[tuple[InstanceKind, float]]:
    """Return every kind of instance with its share, the active ones last."""
    weighed = [
        (_instance_kind(orchestrator, status, traits), orchestrator.share * part)
        for orchestrator in orchestrators
        for status, part in _parts(orchestrator.statuses)
    ]
    weighed.sort(key=lambda item: not item[0].status.terminal)
    return weighed


def entity_kinds(entities: EntityClass) -> list[tuple[EntityKind, int]]:
    """Return every kind of entity of a class with its number of rows."""
    name, state = entities.name, entities.state
    usual = entities.rows - entities.locked - entities.deleted
    return [
        (EntityKind(class_name=name, state=state), usual),
        (EntityKind(class_name=name, state=state, locked=True), entities.locked),
        (EntityKind(class_name=name, state=state, exists=False), entities.deleted),
    ]


def _parts(statuses: Mapping[RuntimeStatus, float]) -> list[tuple[RuntimeStatus, float]]:
    whole = sum(statuses.values())
    return [(status, weight / whole) for status, weight in statuses.items() if weight]


def _numbered(
    weighed: Sequence[tuple[InstanceKind, float]], rows: int
) -> list[tuple[InstanceKind, int]]:
    if not rows:
        return []
    if not weighed:
        raise ValueError(f"No share of any orchestrator is of a status that {rows} rows could have")
    parts = apportion(rows, [weight for _, weight in weighed])
    return [(kind, part) for (kind, _), part in zip(weighed, parts, strict=True)]


def _instance_kind(
    orchestrator: Orchestrator, status: RuntimeStatus, traits: Traits
) -> InstanceKind:
    return InstanceKind(
        name=orchestrator.name,
        status=status,
        input=orchestrator.input,
        custom_status=orchestrator.custom_status,
        output=_output(orchestrator, status, traits),
        longest=orchestrator.longest,
        never_ran=traits.never_updated and status is RuntimeStatus.PENDING,
    )


def _output(orchestrator: Orchestrator, status: RuntimeStatus, traits: Traits) -> JsonValue:
    """Return the output of a row, which not only completed ones have (2.4)."""
    if status is RuntimeStatus.COMPLETED:
        return orchestrator.output
    if status is RuntimeStatus.FAILED:
        return f"Orchestrator function '{orchestrator.name}' failed: it was made to"
    if status is RuntimeStatus.TERMINATED:
        return "no longer needed"
    held = status is RuntimeStatus.SUSPENDED and traits.reasons_in_output
    return "held back" if held else None
