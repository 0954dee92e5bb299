"""What differs between the languages of apps."""

from dataclasses import dataclass
from typing import Protocol

from emulator.engine.actions import EntityRequest
from emulator.engine.failures import Failure
from emulator.engine.tasks import Task
from emulator.json_text import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a history says of a failure: reason, details as text, and FailureDetails as JSON."""

    reason: str
    details: str | None = None
    failure_details: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a failed orchestration ends: its row's output, and what its history says."""

    output: JsonValue
    result: JsonValue
    failure_details: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of an activity or a sub-orchestrator, by the number of its action."""

    name: str
    number: int
    is_activity: bool


class Conventions(Protocol):
    """
    The conventions of a worker's language.

    `schedules_on_yield`: what an orchestrator calls is scheduled once it is yielded, in the order
    of the tasks there. `drops_missing`: calls of functions that do not exist come to nothing, and
    their callers wait for ever. `keeps_signal_case`: an entity's signals go to the class as it is
    spelled. `shows_exists`: the row of an entity says that it exists. `plain_child_ids`: the ids of
    sub-orchestrations and their runs are 32 hex digits. `empty_tags`: tags are empty, not null.
    `keeps_child_inputs`: the history of a parent has the inputs of its children.
    """

    schedules_on_yield: bool
    drops_missing: bool
    keeps_signal_case: bool
    shows_exists: bool
    plain_child_ids: bool
    empty_tags: bool
    keeps_child_inputs: bool

    def activity_failed(self, name: str, failure: Failure) -> Told:
        """Return what the caller's history says of a failed activity."""
        ...

    def child_failed(self, ending: Ending, failure: Failure | None) -> Told:
        """Return what the parent's history says; without a failure the child was terminated."""
        ...

    def orchestrator_failed(self, name: str, failure: Failure) -> Ending:
        """Return how an orchestration ends that its orchestrator's failure ended."""
        ...

    def received(self, call: Call, told: Told) -> Failure:
        """Return what an orchestrator sees of the failure of what it called."""
        ...

    def request_text(self, request: EntityRequest) -> str:
        """Write a request as its sender's history has it."""
        ...

    def queued(self, request: EntityRequest) -> JsonValue:
        """Write a request as it waits in the queue of an entity."""
        ...

    def lock_acquired_text(self) -> str:
        """Write the answer that gives a lock."""
        ...

    def result_text(self, result: JsonValue) -> str:
        """Write the answer of an operation that went well; an operation may have no result."""
        ...

    def failure_text(self, failure: Failure) -> str:
        """Write the answer of an operation that failed."""
        ...

    def read_response(self, text: str, request: EntityRequest, target: str, task: Task) -> None:
        """Complete the task that waits for the answer to a request."""
        ...
