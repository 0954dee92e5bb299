"""The planned life of an orchestration: what its row will show, and from when on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from exporter.emulator.json_text import JsonValue, compact
from exporter.emulator.storage import history
from exporter.emulator.storage.history import Event
from exporter.emulator.storage.rows import Instance, Row, RuntimeStatus
from exporter.emulator.times import precise

# What an orchestrator needs for one turn.
TURN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """From a time on, a row looks like this."""

    at: float
    row: Row


class Life:
    """
    Writes the life of one instance, step by step; `now` is where it has come to.

    Every method that does something adds to the history, and leaves a checkpoint where the real
    orchestrator would write its row.
    """

    def __init__(
        self, name: str, instance_id: str, created: float, argument: JsonValue = None
    ) -> None:
        self.name = name
        self.instance_id = instance_id
        self.created = created
        self.now = created
        self.custom_status: JsonValue = None
        self.changes: list[Change] = []
        self._argument = argument
        self._events: list[Event] = []
        self._tasks = count()

    def wait_in_queue(self, seconds: float) -> None:
        """Be Pending until a worker takes the instance up."""
        self._checkpoint(RuntimeStatus.PENDING)
        self.now += seconds

    def begin(self) -> None:
        """Run for the first time."""
        started = history.execution_started(
            self.created, self.name, None if self._argument is None else compact(self._argument)
        )
        self._events.append(started)
        self.now += TURN_SECONDS

    def activity(self, name: str, seconds: float, result: JsonValue = None) -> None:
        """Call an activity and wait until it completes."""
        task = self.schedule(name)
        self.now += seconds
        self._events.append(history.task_completed(self.now, task, result))
        self.now += TURN_SECONDS

    def failing_activity(self, name: str, seconds: float, error: str) -> None:
        """Call an activity that throws."""
        task = self.schedule(name)
        self.now += seconds
        reason = f"Activity function '{name}' failed: {error}"
        self._events.append(history.task_failed(self.now, task, reason))
        self.now += TURN_SECONDS

    def schedule(self, name: str) -> int:
        """Call an activity without waiting for it; returns its number."""
        task = next(self._tasks)
        self._events.append(history.task_scheduled(self.now, task, name))
        self._checkpoint(RuntimeStatus.RUNNING)
        return task

    def set_timer(self, seconds: float) -> None:
        """Set a timer and do not wait for it."""
        self._events.append(history.timer_created(self.now, self.now + seconds))
        self._checkpoint(RuntimeStatus.RUNNING)

    def receive_event(self, name: str, value: JsonValue, after: float) -> None:
        """Wait until an external event comes."""
        self._checkpoint(RuntimeStatus.RUNNING)
        self.now += after
        self._events.append(history.event_raised(self.now, name, compact(value)))
        self.now += TURN_SECONDS

    def lock_entity(self, class_name: str, key: str, request_id: str) -> None:
        """Ask for the lock of an entity, and get it at once."""
        request: JsonValue = {
            "op": None,
            "id": request_id,
            "parent": self.instance_id,
            "Timestamp": precise(self.now),
            "Predecessor": "0001-01-01T00:00:00",
            "lockset": [{"name": class_name, "key": key}],
        }
        target = f"@{class_name}@{key}"
        self._events.append(history.event_sent(self.now, target, "op", compact(request)))
        self.now += TURN_SECONDS
        answer = {"result": "Lock Acquisition Completed"}
        self._events.append(history.event_raised(self.now, request_id, compact(answer)))
        self._checkpoint(RuntimeStatus.RUNNING)

    def sub_orchestrations(self, children: "Sequence[Life]") -> None:
        """Fan out to instances whose lives are already planned, and wait for all of them."""
        tasks = []
        for child in children:
            task = next(self._tasks)
            created = history.sub_orchestration_created(
                self.now, task, child.name, child.instance_id
            )
            self._events.append(created)
            tasks.append((child, task))
        self._checkpoint(RuntimeStatus.RUNNING)
        for child, task in sorted(tasks, key=lambda pair: pair[0].now):
            self.now = max(self.now, child.now) + TURN_SECONDS
            self._events.append(history.sub_orchestration_completed(self.now, task, None))
            self._checkpoint(RuntimeStatus.RUNNING)

    def complete(self, output: JsonValue = None) -> None:
        """Return."""
        self._end(RuntimeStatus.COMPLETED, output)

    def fail(self, error: str) -> None:
        """Throw."""
        sentence = f"Orchestrator function '{self.name}' failed: {error}"
        self._end(RuntimeStatus.FAILED, sentence)

    def terminate(self, reason: str) -> None:
        """Be ended by somebody."""
        self._events.append(history.execution_terminated(self.now, reason))
        self._end(RuntimeStatus.TERMINATED, reason)

    def suspend(self, reason: str) -> None:
        """Be held by somebody; the reason shows as the output."""
        self._events.append(history.execution_suspended(self.now, reason))
        self._checkpoint(RuntimeStatus.SUSPENDED, reason)

    def _end(self, status: RuntimeStatus, output: JsonValue) -> None:
        self._events.append(history.execution_completed(self.now, status, output))
        self._checkpoint(status, output)

    def _checkpoint(self, status: RuntimeStatus, output: JsonValue = None) -> None:
        row = Instance(
            instance_id=self.instance_id,
            name=self.name,
            status=status,
            created=self.created,
            updated=self.now,
            input=self._argument,
            custom_status=self.custom_status,
            output=output,
            history=tuple(self._events),
        )
        self.changes.append(Change(self.now, row))


def activity_error(activity: str, error: str) -> str:
    """Return how an orchestrator words the failure of an activity that it did not catch."""
    return (
        f"The activity function '{activity}' failed: \"{error}\". "
        "See the function execution logs for additional details."
    )


def appearing(changes: Iterable[Change], at: float) -> list[Change]:
    """Return changes of a row that is not there before a time and then shows what it has become."""
    missed = [change for change in changes if change.at <= at]
    later = [change for change in changes if change.at > at]
    return [Change(at, missed[-1].row), *later] if missed else later
