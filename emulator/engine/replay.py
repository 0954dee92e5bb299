"""One run of an orchestrator over the history of its instance."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from emulator.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    SendToEntity,
    is_same,
    mismatch,
)
from emulator.engine.context import OrchestrationContext
from emulator.engine.execution import Execution, Run, Task
from emulator.engine.failures import Failure, FunctionFailed, NonDeterministic, attempt, failure_of
from emulator.engine.functions import Functions
from emulator.engine.orchestration import Identities
from emulator.engine.workers.conventions import Call, Conventions, Ending, RecordedFailure
from emulator.json_text import JsonValue, parsed, transported
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import RuntimeStatus

_SCHEDULED = frozenset(
    (
        EventKind.TASK_SCHEDULED,
        EventKind.SUB_ORCHESTRATION_CREATED,
        EventKind.TIMER_CREATED,
        EventKind.EVENT_SENT,
    )
)
# Maximum of nested `finally` blocks that yield tasks.
_CLEAN_UPS = 20
_NON_DETERMINISTIC = "DurableTask.Core.Exceptions.NonDeterministicOrchestrationException"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a generation ended; `next_input` is that of the next one."""

    status: RuntimeStatus
    ending: Ending
    failure: Failure | None = None
    next_input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of a turn: new actions, custom status, and the end if it is one."""

    actions: Sequence[Action]
    custom_status: JsonValue
    outcome: Outcome | None


class Replay:
    """Feeds a history to an orchestrator, event by event."""

    def __init__(
        self, run: Run, functions: Functions, conventions: Conventions, identities: Identities
    ) -> None:
        self._run = run
        self._functions = functions
        self._conventions = conventions
        self._execution = Execution(
            run,
            schedules_on_yield=conventions.schedules_on_yield,
            keeps_child_id=conventions.plain_child_ids,
            can_call=self._can_call,
            child_id=partial(identities.child_id, run, plain=conventions.plain_child_ids),
        )
        self._context = OrchestrationContext(self._execution)
        self._generator: Generator[object, object, JsonValue] | None = None
        self._awaited: Task | None = None
        self._outcome: Outcome | None = None
        self._is_stopped = False
        self._held: list[Event] | None = None
        self._set_aside: dict[int, Action] = {}

    def turn(self, history: Sequence[Event]) -> Turn:
        """Replay a history, and return the result of its last turn."""
        turns = [
            i for i, event in enumerate(history) if event.kind is EventKind.ORCHESTRATOR_STARTED
        ]
        newest = turns[-1]
        try:
            for index, event in enumerate(history):
                self._execution.replaying = index < newest
                self._read(event)
        except NonDeterministic as error:
            failure = Failure(
                message=str(error), exception_type=_NON_DETERMINISTIC, function=self._run.name
            )
            ending = self._conventions.orchestrator_failed(self._run.name, failure)
            # In-process, the message does not name the orchestrator.
            is_text = ending.failure_details is None
            ending = Ending(output=str(error), result=str(error)) if is_text else ending
            self._stop(Outcome(status=RuntimeStatus.FAILED, ending=ending, failure=failure))
        # DurableTask.Core: an orchestrator ends once every open task has its result.
        has_ended = self._is_stopped or not self._execution.has_open_tasks
        turn = Turn(
            actions=tuple(self._execution.unconfirmed.values()),
            custom_status=self._execution.custom_status,
            outcome=self._outcome if has_ended else None,
        )
        self._close()
        return turn

    def _close(self) -> None:
        """Close the orchestrator where it waits; what its clean-up yields is dropped."""
        if self._generator is None:
            return
        for _ in range(_CLEAN_UPS):
            if not isinstance(attempt(self._generator.close), RuntimeError):
                return

    def _read(self, event: Event) -> None:
        if event.kind is EventKind.ORCHESTRATOR_STARTED:
            self._execution.now = event.timestamp
        elif event.kind is EventKind.EXECUTION_SUSPENDED:
            self._suspend()
        elif event.kind is EventKind.EXECUTION_RESUMED:
            self._resume()
        elif event.kind is EventKind.EXECUTION_TERMINATED:
            self._terminate(cast("str | None", event.fields["Input"]))
        elif event.kind in _SCHEDULED:
            self._confirm(event)
        elif self._held is not None:
            self._held.append(event)
        else:
            self._apply(event)

    def _suspend(self) -> None:
        """Hold back what arrives, and the actions of the same turn."""
        if self._held is None:
            self._held, self._set_aside = [], self._execution.unconfirmed
            self._execution.unconfirmed = {}

    def _resume(self) -> None:
        held, self._held = self._held or [], None
        self._execution.unconfirmed = self._set_aside | self._execution.unconfirmed
        self._set_aside = {}
        for late in held:
            self._apply(late)

    def _stop(self, outcome: Outcome) -> None:
        """End here, whatever the orchestrator returned and is open."""
        if not self._is_stopped:
            self._is_stopped, self._outcome = True, outcome

    def _terminate(self, reason: str | None) -> None:
        ending = Ending(output=parsed(reason), result=parsed(reason))
        self._stop(Outcome(status=RuntimeStatus.TERMINATED, ending=ending))

    def _can_call(self, action: Action) -> bool:
        if not self._conventions.drops_missing:
            return True
        match action:
            case CallActivity():
                return self._functions.has_activity(action.name)
            case CallSubOrchestrator():
                return self._functions.has_orchestrator(action.name)
            case SendToEntity():
                return self._functions.has_entity(action.target.split("@", 2)[1])
            case _:
                return True

    def _apply(self, event: Event) -> None:
        if self._is_stopped:
            return
        if event.kind is EventKind.EXECUTION_STARTED:
            self._begin()
        elif event.kind is EventKind.EVENT_RAISED:
            self._raise_event(event.fields)
        elif event.task is not None:
            self._answer(event, event.task)
        self._proceed()

    def _begin(self) -> None:
        run = partial(self._functions.run_orchestrator, self._run.name, self._context)
        result = attempt(run)
        if isinstance(result, Exception):
            self._fail(result)
        elif isinstance(result, Generator):
            self._generator = result
            self._step(None)
        else:
            self._return(result)

    def _proceed(self) -> None:
        while self._outcome is None and self._awaited is not None and self._awaited.is_completed:
            awaited, self._awaited = self._awaited, None
            self._step(awaited)

    def _step(self, awaited: Task | None) -> None:
        generator = self._generator
        if generator is None:
            return
        if awaited is not None and awaited.failure is not None:
            yielded = attempt(partial(generator.throw, FunctionFailed(awaited.failure)))
        else:
            yielded = attempt(partial(generator.send, awaited and awaited.result))
        if isinstance(yielded, Task):
            yielded.start()
            self._awaited = yielded
        elif isinstance(yielded, StopIteration):
            self._return(yielded.value)
        elif isinstance(yielded, Exception):
            self._fail(yielded)
        else:
            what = type(yielded).__name__
            self._fail(TypeError(f"An orchestrator yields tasks, not {what}"))

    def _return(self, value: JsonValue) -> None:
        result = attempt(partial(transported, value))
        if self._execution.continued is not None:
            (next_input,) = self._execution.continued
            nothing = Ending(output=None, result=None)
            status = RuntimeStatus.CONTINUED_AS_NEW
            self._end(Outcome(status=status, ending=nothing, next_input=next_input))
        elif isinstance(result, Exception):
            self._fail(result)
        else:
            ending = Ending(output=result, result=result)
            self._end(Outcome(status=RuntimeStatus.COMPLETED, ending=ending))

    def _fail(self, error: Exception) -> None:
        failure = failure_of(error, self._run.name)
        ending = self._conventions.orchestrator_failed(self._run.name, failure)
        self._end(Outcome(status=RuntimeStatus.FAILED, ending=ending, failure=failure))

    def _end(self, outcome: Outcome) -> None:
        self._context.release_locks()
        self._outcome = outcome

    def _answer(self, event: Event, number: int) -> None:
        task = self._execution.close(number)
        if task is None:
            return
        is_activity = event.kind is EventKind.TASK_FAILED
        if not is_activity and event.kind is not EventKind.SUB_ORCHESTRATION_FAILED:
            # A copy: the orchestrator may change it, and the history is replayed.
            task.complete(transported(event.fields.get("Result")))
            return
        call = Call(name=self._execution.name_of(number), number=number, is_activity=is_activity)
        details = event.fields["Details"]
        recorded = RecordedFailure(
            reason=str(event.fields["Reason"]),
            details=None if details is None else str(details),
            failure_details=event.fields["FailureDetails"],
        )
        task.fail(self._conventions.received(call, recorded))

    def _raise_event(self, fields: Mapping[str, JsonValue]) -> None:
        name = str(fields["Name"])
        text = cast("str | None", fields["Input"])
        waiting = self._execution.response(name)
        if waiting is None:
            self._execution.raise_event(name, parsed(text))
        else:
            task, sent = waiting
            self._conventions.read_response(text or "", sent.request, sent.target, task)

    def _confirm(self, event: Event) -> None:
        action = self._execution.unconfirmed.get(event.task if event.task is not None else -1)
        if action is not None and is_same(event, action):
            del self._execution.unconfirmed[action.number]
        elif not self._is_stopped:
            raise NonDeterministic(mismatch(event, action))
