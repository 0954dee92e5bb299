"""Tasks and actions of one run of an orchestrator over its history."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count

from emulator.engine.actions import Action, CallActivity, CallSubOrchestrator, SendToEntity
from emulator.engine.failures import Failure, FunctionFailed
from emulator.json_text import JsonValue


class Task:
    """Something to wait for; a failure is raised in the orchestrator that yields it."""

    def __init__(self) -> None:
        self.is_completed = False
        self.failure: Failure | None = None
        self._value: object = None
        self._followers: list[Callable[[], None]] = []

    @property
    def result(self) -> object:
        """
        The value of a completed task.

        Raises `FunctionFailed` if it failed.
        """
        if self.failure is not None:
            raise FunctionFailed(self.failure)
        return self._value

    @property
    def value(self) -> object:
        """The value, `None` if there is none."""
        return self._value

    def start(self) -> None:
        """Schedule what was deferred."""

    def complete(self, value: object) -> None:
        """Complete the task, unless it is."""
        self._end(value, None)

    def fail(self, failure: Failure) -> None:
        """Fail the task, unless it is completed."""
        self._end(None, failure)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call a function once the task is completed."""
        if self.is_completed:
            follower()
        else:
            self._followers.append(follower)

    def _end(self, value: object, failure: Failure | None) -> None:
        if self.is_completed:
            return
        self.is_completed, self._value, self.failure = True, value, failure
        followers, self._followers = self._followers, []
        for follower in followers:
            follower()


class Deferred(Task):
    """A task that is scheduled once it is yielded."""

    def __init__(self, begin: Callable[[], Task]) -> None:
        super().__init__()
        self._begin: Callable[[], Task] | None = begin

    def start(self) -> None:
        """Schedule it, unless it is."""
        if self._begin is not None:
            begun, self._begin = self._begin(), None
            begun.follow(lambda: self._end(begun.value, begun.failure))


class AllOf(Task):
    """Completes with the values of all, in order; fails as soon as one does."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self._tasks = tuple(tasks)
        for task in self._tasks:
            task.follow(self._look)
        self._look()

    def start(self) -> None:
        """Schedule all, in order."""
        for task in self._tasks:
            task.start()

    def _look(self) -> None:
        failed = next((task.failure for task in self._tasks if task.failure), None)
        if failed is not None:
            self.fail(failed)
        elif all(task.is_completed for task in self._tasks):
            self.complete([task.result for task in self._tasks])


class AnyOf(Task):
    """Completes when one does; its value is that task, failed or not."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self._tasks = tuple(tasks)
        for task in self._tasks:
            task.follow(lambda task=task: self.complete(task))  # type: ignore[misc]

    def start(self) -> None:
        """Schedule all, in order."""
        for task in self._tasks:
            task.start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One generation of an instance."""

    instance_id: str
    execution_id: str
    name: str
    input_text: str | None
    parent_id: str | None = None


class Execution:
    """
    The actions and tasks of one run.

    `now` is the time of the turn that is replayed. `unconfirmed` has the actions that no event of
    the history confirms, by number. `continued` holds the input of the next generation, once one is
    requested. `child_id` makes an id from the number and name of a sub-orchestrator's call.
    """

    def __init__(
        self,
        run: Run,
        *,
        schedules_on_yield: bool,
        keeps_child_id: bool,
        can_call: Callable[[Action], bool],
        child_id: Callable[[int, str], str],
    ) -> None:
        self.run = run
        self.schedules_on_yield = schedules_on_yield
        self.keeps_child_id = keeps_child_id
        self.child_id = child_id
        self._can_call = can_call
        self.now = 0.0
        self.replaying = True
        self.custom_status: JsonValue = None
        self.unconfirmed: dict[int, Action] = {}
        self.continued: tuple[str | None] | None = None
        self._numbers = count()
        self._tasks: dict[int, Task] = {}
        self._open: set[int] = set()
        self._names: dict[int, str] = {}
        self._waiters: defaultdict[str, deque[Task]] = defaultdict(deque)
        self._unclaimed: defaultdict[str, deque[JsonValue]] = defaultdict(deque)
        self._responses: dict[str, tuple[Task, SendToEntity]] = {}

    @property
    def has_open_tasks(self) -> bool:
        """Whether an activity, a sub-orchestration or a timer has no result."""
        return bool(self._open)

    def next_number(self) -> int:
        """Return the next number of an action."""
        return next(self._numbers)

    def defer(self, begin: Callable[[], Task]) -> Task:
        """
        Return the task that *begin* schedules: now, or once it is yielded.

        In the JSON protocol, a call that is never yielded is never scheduled.
        """
        return Deferred(begin) if self.schedules_on_yield else begin()

    def schedule(self, action: Action) -> Task:
        """
        Schedule an action; its task completes once the history has the result.

        The task of a dropped call never completes.
        """
        task = Task()
        if not self._can_call(action):
            return task
        self.unconfirmed[action.number] = action
        self._tasks[action.number] = task
        if isinstance(action, CallActivity | CallSubOrchestrator):
            self._names[action.number] = action.name
        if not isinstance(action, SendToEntity):
            self._open.add(action.number)
        return task

    def abandon(self, numbers: Collection[int]) -> None:
        """Stop waiting for actions, as those of a cancelled timer."""
        self._open.difference_update(numbers)

    def name_of(self, number: int) -> str:
        """Return the name of the function that an action calls, or an empty one."""
        return self._names.get(number, "")

    def close(self, number: int) -> Task | None:
        """Return the task of an action whose result has arrived."""
        self._open.discard(number)
        return self._tasks.get(number)

    def await_event(self, name: str) -> Task:
        """Return a task that the next unclaimed event of a name completes."""
        task = Task()
        unclaimed = self._unclaimed[name.casefold()]
        if unclaimed:
            task.complete(unclaimed.popleft())
        else:
            self._waiters[name.casefold()].append(task)
        return task

    def raise_event(self, name: str, value: JsonValue) -> None:
        """Deliver an event to the first waiter, or keep it for the next."""
        waiters = self._waiters[name.casefold()]
        if waiters:
            waiters.popleft().complete(value)
        else:
            self._unclaimed[name.casefold()].append(value)

    def send(self, message: SendToEntity) -> Task:
        """Send a message to an entity; the response completes the task."""
        self.schedule(message)
        task = Task()
        self._responses[message.request.request_id] = task, message
        return task

    def response(self, request_id: str) -> tuple[Task, SendToEntity] | None:
        """Return the task and message of a request, `None` if nothing waits for it."""
        return self._responses.get(request_id)
