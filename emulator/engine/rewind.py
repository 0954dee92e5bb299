"""What a rewind makes of the history of a failed instance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulator.storage.history import Event, EventKind, generic_event


@dataclass(frozen=True, slots=True)
class Rewound:
    """A history without its failures, and the sub-orchestrations that have to run again first."""

    history: Sequence[Event]
    failed_children: Sequence[str]


def rewound(history: Sequence[Event]) -> Rewound:
    """
    Take the failures out of a history.

    A failed activity goes with its scheduling, so that it is scheduled again; of a failed
    sub-orchestration only the failure goes, since it will report once more. What was taken out
    leaves an event that says nothing, at the same time (recorded).
    """
    failed_tasks = {event.task for event in history if event.kind is EventKind.TASK_FAILED}
    failed_children = {
        event.task for event in history if event.kind is EventKind.SUB_ORCHESTRATION_FAILED
    }
    return Rewound(
        history=[
            generic_event(event.timestamp, None) if _taken(event, failed_tasks) else replace(event)
            for event in history
        ],
        failed_children=[
            str(event.fields["InstanceId"])
            for event in history
            if event.kind is EventKind.SUB_ORCHESTRATION_CREATED and event.task in failed_children
        ],
    )


def _taken(event: Event, failed_tasks: set[int | None]) -> bool:
    if event.kind is EventKind.TASK_SCHEDULED:
        return event.task in failed_tasks
    return event.kind in (
        EventKind.TASK_FAILED,
        EventKind.SUB_ORCHESTRATION_FAILED,
        EventKind.EXECUTION_COMPLETED,
    )
