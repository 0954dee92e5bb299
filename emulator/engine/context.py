"""The orchestration context, with the names of the Python library for Durable Functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid5

from emulator.engine.actions import (
    CallActivity,
    CallSubOrchestrator,
    EntityRequest,
    SendToEntity,
    SetTimer,
)
from emulator.engine.execution import AllOf, AnyOf, Execution, Task
from emulator.json_text import JsonValue, compact, parsed, transported
from emulator.times import EPOCH

HTTP_ACTIVITY = "BuiltIn::HttpActivity"

# The storage provider splits longer timers (reference 3.5).
_LONGEST_TIMER = timedelta(days=6)
_TIMER_PIECE = timedelta(days=3)
_POLL_SECONDS = 3
# A century, which `datetime` can hold.
_LONGEST_RETRY_SECONDS = 3.2e9
_ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class EntityId:
    """An entity's class, in any letter case, and key."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"@{self.name.lower()}@{self.key}"


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """
    Attempts and the seconds between them: each wait is `backoff` times the last.

    `ValueError` for less than one attempt or a wait of 0 seconds or less.
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
        """Return the seconds to wait after an attempt, 0 after the last."""
        if attempt >= self.max_number_of_attempts:
            return 0.0
        try:
            wait = self.first_retry_interval * self.backoff ** (attempt - 1)
        except OverflowError:
            return _LONGEST_RETRY_SECONDS
        return min(wait, _LONGEST_RETRY_SECONDS)


class Timer(Task):
    """A timer, in one piece or several; a cancelled one still fires, without effect."""

    def __init__(self, execution: Execution, fire_at: datetime) -> None:
        super().__init__()
        self._execution = execution
        self._fire_at = fire_at
        self._pieces: list[int] = []
        self._is_cancelled = False

    def start(self) -> None:
        """Schedule the first piece, unless it is."""
        if not self._pieces:
            self._set_piece()

    def cancel(self) -> None:
        """Stop waiting for it, so that the instance can end; not in the history."""
        self._is_cancelled = True
        self._execution.abandon(self._pieces)

    def _set_piece(self) -> None:
        if self._is_cancelled:
            return
        now = EPOCH + timedelta(seconds=self._execution.now)
        is_long = self._fire_at - now > _LONGEST_TIMER
        piece = ((now + _TIMER_PIECE if is_long else self._fire_at) - EPOCH) / timedelta(seconds=1)
        number = self._execution.next_number()
        self._pieces.append(number)
        task = self._execution.schedule(SetTimer(number=number, fire_at=piece))
        task.follow(self._set_piece if is_long else lambda: self.complete(None))


class OrchestrationContext:
    """
    The context of one run of an orchestrator.

    Methods return tasks to `yield`, or for `task_all` and `task_any`. An orchestrator runs from its
    beginning for every turn, so it must be deterministic.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._last_sent: dict[str, float] = {}
        self._locks: tuple[str, ...] = ()
        self._lock_id = ""
        self._guids = 0

    @property
    def instance_id(self) -> str:
        """The instance id."""
        return self._execution.run.instance_id

    @property
    def name(self) -> str:
        """The name that the orchestrator was started with."""
        return self._execution.run.name

    @property
    def parent_instance_id(self) -> str | None:
        """The id of the parent, if there is one."""
        return self._execution.run.parent_id

    @property
    def is_replaying(self) -> bool:
        """Whether this part of the orchestrator ran before."""
        return self._execution.replaying

    @property
    def current_utc_datetime(self) -> datetime:
        """The time of this turn, the same in every replay."""
        return EPOCH + timedelta(seconds=self._execution.now)

    def get_input(self) -> JsonValue:
        """Return the input."""
        return parsed(self._execution.run.input_text)

    def new_uuid(self) -> str:
        """Return a GUID, the same in every replay."""
        self._guids += 1
        return self._guid(f"guid {self._guids}")

    def set_custom_status(self, status: JsonValue) -> None:
        """Set the custom status."""
        self._execution.custom_status = transported(status)

    def call_activity(self, name: str, input_: JsonValue = None) -> Task:
        """Run an activity; `FunctionFailed` if it fails."""
        argument = transported(input_)
        return self._execution.defer(lambda: self._call_activity(name, argument))

    def call_activity_with_retry(
        self, name: str, retry_options: RetryOptions, input_: JsonValue = None
    ) -> Task:
        """Run an activity, with retries."""
        argument = transported(input_)
        return self._execution.defer(
            lambda: self._retry(lambda: self._call_activity(name, argument), retry_options)
        )

    def call_sub_orchestrator(
        self, name: str, input_: JsonValue = None, instance_id: str | None = None
    ) -> Task:
        """Run a sub-orchestration."""
        text = None if input_ is None else compact(input_)

        def call() -> Task:
            number = self._execution.next_number()
            child_id = instance_id or self._execution.child_id(number, name)
            return self._call_sub_orchestrator(number, name, text, child_id)

        return self._execution.defer(call)

    def call_sub_orchestrator_with_retry(
        self,
        name: str,
        retry_options: RetryOptions,
        input_: JsonValue = None,
        instance_id: str | None = None,
    ) -> Task:
        """Run a sub-orchestration, with retries."""
        text = None if input_ is None else compact(input_)
        child_id = instance_id

        def attempt() -> Task:
            nonlocal child_id
            number = self._execution.next_number()
            this_id = child_id or self._execution.child_id(number, name)
            if self._execution.keeps_child_id:
                child_id = this_id
            return self._call_sub_orchestrator(number, name, text, this_id)

        return self._execution.defer(lambda: self._retry(attempt, retry_options))

    def create_timer(self, fire_at: datetime) -> Timer:
        """Wait until a time."""
        timer = Timer(self._execution, fire_at)
        if not self._execution.schedules_on_yield:
            timer.start()
        return timer

    def wait_for_external_event(self, name: str) -> Task:
        """Wait for an event, also an earlier one, by name in any letter case."""
        return self._execution.await_event(name)

    def task_all(self, tasks: Sequence[Task]) -> Task:
        """Wait for all tasks."""
        return AllOf(tasks)

    def task_any(self, tasks: Sequence[Task]) -> Task:
        """Wait for the first task; the result is that task."""
        return AnyOf(tasks)

    def continue_as_new(self, input_: JsonValue) -> None:
        """Restart with another input and an empty history once the orchestrator returns."""
        self._execution.continued = (None if input_ is None else compact(input_),)

    def call_entity(self, entity: EntityId, operation: str, input_: JsonValue = None) -> Task:
        """Call an operation of an entity; `FunctionFailed` if it fails."""
        text = None if input_ is None else compact(input_)
        return self._execution.defer(
            lambda: self._execution.send(self._message(entity, operation, text, signal=False))
        )

    def signal_entity(self, entity: EntityId, operation: str, input_: JsonValue = None) -> None:
        """Signal an entity, without waiting."""
        text = None if input_ is None else compact(input_)
        self._execution.schedule(self._message(entity, operation, text, signal=True))

    def lock_entities(self, *entities: EntityId) -> Task:
        """Lock entities; `RuntimeError` while others are locked."""
        if self._locks:
            raise RuntimeError("Cannot acquire more locks when already holding some locks.")
        self._locks = tuple(sorted(str(entity) for entity in entities))
        return self._execution.defer(self._lock)

    def release_locks(self) -> None:
        """Release the locked entities; the end of an orchestrator does so too."""
        for target in self._locks:
            number = self._execution.next_number()
            request = EntityRequest(request_id=self._lock_id, parent=self.instance_id)
            action = SendToEntity(number=number, target=target, event="release", request=request)
            self._execution.schedule(action)
        self._locks = ()

    def call_http(self, method: str, uri: str) -> Task:
        """Make an HTTP call, polling while the status is 202; the result is the status."""
        return self._execution.defer(lambda: self._poll({"method": method, "uri": uri}))

    def _poll(self, request: dict[str, str]) -> Task:
        outcome = Task()
        after = parse_qs(urlsplit(request["uri"]).query).get("after", [str(_POLL_SECONDS)])[0]

        def call() -> None:
            task = self._call_activity(HTTP_ACTIVITY, dict(request))
            task.follow(lambda: judge(task))

        def judge(task: Task) -> None:
            if task.failure is not None:
                outcome.fail(task.failure)
            elif task.result == _ACCEPTED:
                self._timer(self._execution.now + float(after)).follow(call)
            else:
                outcome.complete(task.result)

        call()
        return outcome

    def _retry(self, call: Callable[[], Task], retry_options: RetryOptions) -> Task:
        outcome = Task()

        def attempt(number: int) -> None:
            task = call()
            task.follow(lambda: judge(task, number))

        def judge(task: Task, number: int) -> None:
            failure = task.failure
            if failure is None:
                outcome.complete(task.result)
                return
            # The real one sets a timer after the last attempt too, which fires at once.
            pause = self._timer(self._execution.now + retry_options.wait_after(number))
            if number < retry_options.max_number_of_attempts:
                pause.follow(lambda: attempt(number + 1))
            else:
                pause.follow(lambda: outcome.fail(failure))

        attempt(1)
        return outcome

    def _call_activity(self, name: str, argument: JsonValue) -> Task:
        number = self._execution.next_number()
        return self._execution.schedule(CallActivity(number=number, name=name, argument=argument))

    def _call_sub_orchestrator(
        self, number: int, name: str, text: str | None, child_id: str
    ) -> Task:
        return self._execution.schedule(
            CallSubOrchestrator(number=number, name=name, instance_id=child_id, input_text=text)
        )

    def _timer(self, fire_at: float) -> Task:
        number = self._execution.next_number()
        return self._execution.schedule(SetTimer(number=number, fire_at=fire_at))

    def _lock(self) -> Task:
        number = self._execution.next_number()
        self._lock_id = self._guid(number)
        request = self._request(number, self._locks[0], lockset=self._locks)
        return self._execution.send(
            SendToEntity(number=number, target=self._locks[0], event="op", request=request)
        )

    def _message(
        self, entity: EntityId, operation: str, text: str | None, *, signal: bool
    ) -> SendToEntity:
        number = self._execution.next_number()
        target = str(entity)
        request = self._request(number, target, operation, signal=signal, input_text=text)
        return SendToEntity(number=number, target=target, event="op", request=request)

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
