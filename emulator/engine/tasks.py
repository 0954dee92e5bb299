"""What an orchestrator waits for: single tasks, and all or any of several."""

from collections.abc import Callable, Sequence

from emulator.engine.failures import Failure, FunctionFailed


class Task:
    """Something that will be done: `result` is its value, a failure is raised in the waiter."""

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
        """The value, `None` if there is none; nothing is raised."""
        return self._value

    def start(self) -> None:
        """Begin what was not begun when it was called."""

    def complete(self, value: object) -> None:
        """Give the task its value; what is already completed stays as it is."""
        self._end(value, None)

    def fail(self, failure: Failure) -> None:
        """Make the task fail."""
        self._end(None, failure)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call a function once the task is completed, at once if it is."""
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
    """A task that begins once somebody yields it."""

    def __init__(self, begin: Callable[[], Task]) -> None:
        super().__init__()
        self._begin: Callable[[], Task] | None = begin

    def start(self) -> None:
        """Begin, unless it has."""
        if self._begin is not None:
            begun, self._begin = self._begin(), None
            begun.follow(lambda: self._end(begun.value, begun.failure))


class AllOf(Task):
    """Completed when all are, with their values in order; fails as soon as one does."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self._tasks = tuple(tasks)
        for task in self._tasks:
            task.follow(self._look)
        self._look()

    def start(self) -> None:
        """Begin all, in their order."""
        for task in self._tasks:
            task.start()

    def _look(self) -> None:
        failed = next((task.failure for task in self._tasks if task.failure), None)
        if failed is not None:
            self.fail(failed)
        elif all(task.is_completed for task in self._tasks):
            self.complete([task.result for task in self._tasks])


class AnyOf(Task):
    """Completed when one is: its value is that task, failed or not."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self._tasks = tuple(tasks)
        for task in self._tasks:
            task.follow(lambda task=task: self.complete(task))  # type: ignore[misc]

    def start(self) -> None:
        """Begin all, in their order."""
        for task in self._tasks:
            task.start()
