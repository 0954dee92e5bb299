"""What an orchestrator is given, by the names of the Python library for Durable Functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from emulator.engine.actions import (
    CallActivity,
    CallSubOrchestrator,
    EntityRequest,
    SendToEntity,
    SetTimer,
)
from emulator.engine.execution import Execution
from emulator.engine.tasks import AllOf, AnyOf, Task
from emulator.json_text import JsonValue, compact, parsed, transported
from emulator.times import EPOCH

HTTP_ACTIVITY = "BuiltIn::HttpActivity"

# The storage provider cuts longer timers into pieces (reference 3.5).
_LONGEST_TIMER = timedelta(days=6)
_TIMER_PIECE = timedelta(days=3)
_POLL_SECONDS = 3
# A century, which the calendar has room for.
_LONGEST_RETRY_SECONDS = 3.2e9
_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class EntityId:
    """An entity: a class, in any letter case, and a key."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"@{self.name.lower()}@{self.key}"


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """
    How often to try, and how long to wait between: each wait is `backoff` times the last.

    `ValueError` if there is no attempt, or if a wait is not above 0 seconds.
    """

    first_retry_interval: float
    max_number_of_attempts: int
    backoff: float = 1.0

    def __post_init__(self) -> None:
        if not (self.first_retry_interval > 0 and self.backoff > 0):
            raise ValueError("The waits between attempts are above 0 seconds")
        if self.max_number_of_attempts < 1:
            raise ValueError("There is at least one attempt")

    def wait_after(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt; nothing follows the last one."""
        if attempt >= self.max_number_of_attempts:
            return 0.0
        try:
            wait = self.first_retry_interval * self.backoff ** (attempt - 1)
        except OverflowError:
            return _LONGEST_RETRY_SECONDS
        return min(wait, _LONGEST_RETRY_SECONDS)


class Timer(Task):
    """A timer, in one piece or several; cancelled, it fires all the same, but nobody minds."""

    def __init__(self, execution: Execution) -> None:
        super().__init__()
        self.cancelled = False
        self._execution = execution
        self._pieces: list[int] = []

    def cancel(self) -> None:
        """Stop waiting for it, so that the instance can end; the history shows nothing of that."""
        self.cancelled = True
        self._execution.drop(self._pieces)

    def set_piece(self, fire_at: float) -> Task:
        """Set the next piece."""
        number = self._execution.next_number()
        self._pieces.append(number)
        return self._execution.ask(SetTimer(number=number, fire_at=fire_at))


class OrchestrationContext:
    """
    The world of one run of an orchestrator.

    What the methods return is a task to `yield`, or to put into `task_all` or `task_any`. An
    orchestrator is run from its beginning for every turn, so it must do the same each time.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._last_sent: dict[str, float] = {}
        self._locks: tuple[str, ...] = ()
        self._lock_id = ""
        self._guids = 0

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        return self._execution.run.instance_id

    @property
    def name(self) -> str:
        """The name under which the orchestrator was started."""
        return self._execution.run.name

    @property
    def parent_instance_id(self) -> str | None:
        """The id of the instance that started this one, if one did."""
        return self._execution.run.parent_id

    @property
    def is_replaying(self) -> bool:
        """Whether what happens now has happened before."""
        return self._execution.replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """The time of this turn, the same in every replay."""
        return EPOCH + timedelta(seconds=self._execution.now)

    def get_input(self) -> JsonValue:
        """Return what the instance was started with."""
        return parsed(self._execution.run.input_text)

    def new_uuid(self) -> str:
        """Return a GUID, the same in every replay."""
        self._guids += 1
        return self._guid(f"guid {self._guids}")

    def set_custom_status(self, status: JsonValue) -> None:
        """Show a status of one's own."""
        self._execution.custom_status = transported(status)

    def call_activity(self, name: str, input_: JsonValue = None) -> Task:
        """Run an activity: its result, or `FunctionFailed`."""
        number = self._execution.next_number()
        argument = transported(input_)
        return self._execution.ask(CallActivity(number=number, name=name, argument=argument))

    def call_activity_with_retry(
        self, name: str, retry_options: RetryOptions, input_: JsonValue = None
    ) -> Task:
        """Run an activity, and again as long as it fails and attempts are left."""
        outcome = Task()

        def attempt(number: int) -> None:
            task = self.call_activity(name, input_)
            task.follow(lambda: judge(task, number))

        def judge(task: Task, number: int) -> None:
            failure = task.failure
            if failure is None:
                outcome.complete(task.result)
                return
            # The real one sets a timer after the last attempt too, one that is over at once.
            pause = self._timer(self._execution.now + retry_options.wait_after(number))
            if number < retry_options.max_number_of_attempts:
                pause.follow(lambda: attempt(number + 1))
            else:
                pause.follow(lambda: outcome.fail(failure))

        attempt(1)
        return outcome

    def call_sub_orchestrator(
        self, name: str, input_: JsonValue = None, instance_id: str | None = None
    ) -> Task:
        """Start another orchestration and wait for its end."""
        number = self._execution.next_number()
        child_id = instance_id or f"{self._execution.run.execution_id}:{number}"
        text = None if input_ is None else compact(input_)
        return self._execution.ask(
            CallSubOrchestrator(number=number, name=name, instance_id=child_id, input_text=text)
        )

    def create_timer(self, fire_at: datetime) -> Timer:
        """Wait until a time."""
        timer = Timer(self._execution)

        def arm() -> None:
            if timer.cancelled:
                return
            left = fire_at - self.current_utc_datetime
            piece = self.current_utc_datetime + _TIMER_PIECE if left > _LONGEST_TIMER else fire_at
            task = timer.set_piece((piece - EPOCH) / timedelta(seconds=1))
            task.follow(arm if piece < fire_at else lambda: timer.complete(None))

        arm()
        return timer

    def wait_for_external_event(self, name: str) -> Task:
        """Wait for an event by its name, in any letter case; one that came before counts too."""
        return self._execution.await_event(name)

    def task_all(self, tasks: Sequence[Task]) -> Task:
        """Wait for all of several tasks."""
        return AllOf(tasks)

    def task_any(self, tasks: Sequence[Task]) -> Task:
        """Wait for the first of several tasks; the result is that task."""
        return AnyOf(tasks)

    def continue_as_new(self, input_: JsonValue) -> None:
        """Begin anew with another input once the orchestrator returns, with an empty history."""
        self._execution.continued = (None if input_ is None else compact(input_),)

    def call_entity(self, entity: EntityId, operation: str, input_: JsonValue = None) -> Task:
        """Let an entity do something: its result, or `FunctionFailed`."""
        request = self._send(entity, operation, input_, signal=False)
        return self._execution.await_response(request.request_id)

    def signal_entity(self, entity: EntityId, operation: str, input_: JsonValue = None) -> None:
        """Tell an entity to do something, without waiting."""
        self._send(entity, operation, input_, signal=True)

    def lock_entities(self, *entities: EntityId) -> Task:
        """Wait until nobody else may use some entities; one lock at a time, else `RuntimeError`."""
        if self._locks:
            raise RuntimeError("Cannot acquire more locks when already holding some locks.")
        self._locks = tuple(sorted(str(entity) for entity in entities))
        number = self._execution.next_number()
        self._lock_id = self._guid(number)
        request = self._request(number, self._locks[0], lockset=self._locks)
        self._execution.ask(
            SendToEntity(number=number, target=self._locks[0], event="op", request=request)
        )
        return self._execution.await_response(self._lock_id)

    def release_locks(self) -> None:
        """Give back the entities that are locked; an orchestrator that ends does so by itself."""
        for target in self._locks:
            number = self._execution.next_number()
            request = EntityRequest(request_id=self._lock_id, parent=self.instance_id)
            action = SendToEntity(number=number, target=target, event="release", request=request)
            self._execution.ask(action)
        self._locks = ()

    def call_http(self, method: str, uri: str) -> Task:
        """Make an HTTP call, and again as long as the answer is 202; the result is the status."""
        outcome = Task()

        def ask() -> None:
            task = self.call_activity(HTTP_ACTIVITY, {"method": method, "uri": uri})
            task.follow(lambda: judge(task))

        def judge(task: Task) -> None:
            if task.failure is not None:
                outcome.fail(task.failure)
            elif task.result == _ACCEPTED:
                self._timer(self._execution.now + _POLL_SECONDS).follow(ask)
            else:
                outcome.complete(task.result)

        ask()
        return outcome

    def _timer(self, fire_at: float) -> Task:
        return Timer(self._execution).set_piece(fire_at)

    def _send(
        self, entity: EntityId, operation: str, argument: JsonValue, *, signal: bool
    ) -> EntityRequest:
        number = self._execution.next_number()
        target = str(entity)
        text = None if argument is None else compact(argument)
        request = self._request(number, target, operation, signal=signal, input_text=text)
        self._execution.ask(SendToEntity(number=number, target=target, event="op", request=request))
        return request

    def _request(
        self,
        number: int,
        target: str,
        operation: str | None = None,
        *,
        signal: bool = False,
        input_text: str | None = None,
        lockset: tuple[str, ...] = (),
    ) -> EntityRequest:
        sent = self._execution.now + number * 1e-6
        previous = self._last_sent.get(target)
        self._last_sent[target] = sent
        return EntityRequest(
            request_id=self._guid(number),
            operation=operation,
            signal=signal,
            input_text=input_text,
            parent=self.instance_id,
            execution=self._execution.run.execution_id,
            sent=sent,
            previous=previous,
            lockset=lockset,
            requested=None if lockset else sent,
        )

    def _guid(self, of: int | str) -> str:
        return str(uuid5(UUID(self._execution.run.execution_id), str(of)))
