"""One run of an orchestrator over the history of its instance: what it asks for next."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from emulator.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    SendToEntity,
    recorded_as,
)
from emulator.engine.context import HTTP_ACTIVITY, OrchestrationContext
from emulator.engine.entity_messages import read_response
from emulator.engine.execution import Execution, Run
from emulator.engine.failures import (
    Failure,
    FunctionFailed,
    NonDeterministic,
    failure_of,
    read_failure,
    uncaught,
)
from emulator.engine.functions import Functions
from emulator.engine.tasks import Task
from emulator.engine.user_code import attempt
from emulator.json_text import JsonValue, parsed, transported
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import RuntimeStatus

_SCHEDULED = {
    EventKind.TASK_SCHEDULED: "an activity task",
    EventKind.SUB_ORCHESTRATION_CREATED: "a sub-orchestration",
    EventKind.TIMER_CREATED: "a timer",
    EventKind.EVENT_SENT: "an event",
}
_PRODUCED = {
    EventKind.TASK_SCHEDULED: "ScheduleTaskOrchestratorAction",
    EventKind.SUB_ORCHESTRATION_CREATED: "CreateSubOrchestrationAction",
    EventKind.TIMER_CREATED: "CreateTimerOrchestratorAction",
    EventKind.EVENT_SENT: "SendEventOrchestratorAction",
}
# How many nested clean-ups that yield tasks an orchestrator may have.
_CLEAN_UPS = 20
_KINDS = {
    EventKind.TASK_FAILED: "activity",
    EventKind.SUB_ORCHESTRATION_FAILED: "orchestrator",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended; `continued` is the next run's input if it is not the end."""

    status: RuntimeStatus
    result: JsonValue = None
    failure: Failure | None = None
    next_input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a turn came to: what is asked for, the custom status, and the end if it is one."""

    actions: Sequence[Action]
    custom_status: JsonValue
    outcome: Outcome | None


class Replay:
    """Feeds a history to an orchestrator, event by event."""

    def __init__(self, run: Run, functions: Functions) -> None:
        self._run = run
        self._functions = functions
        self._execution = Execution(run)
        self._context = OrchestrationContext(self._execution)
        self._generator: Generator[object, object, JsonValue] | None = None
        self._awaited: Task | None = None
        self._outcome: Outcome | None = None
        self._is_stopped = False
        self._held: list[Event] | None = None
        self._set_aside: dict[int, Action] = {}

    def turn(self, history: Sequence[Event]) -> Turn:
        """Go through a history whose last turn is new, and return what that comes to."""
        turns = [
            i for i, event in enumerate(history) if event.kind is EventKind.ORCHESTRATOR_STARTED
        ]
        newest = turns[-1]
        try:
            for index, event in enumerate(history):
                self._execution.replaying = index < newest
                self._feed(event)
        except NonDeterministic as error:
            failure = Failure(message=str(error), function=self._run.name)
            self._stop(RuntimeStatus.FAILED, str(error), failure)
        # DurableTask.Core's rule: a return or a throw counts once every open task has its result.
        has_ended = self._is_stopped or not self._execution.has_open_tasks
        turn = Turn(
            actions=tuple(self._execution.asked.values()),
            custom_status=self._execution.custom_status,
            outcome=self._outcome if has_ended else None,
        )
        self._leave()
        return turn

    def _leave(self) -> None:
        """Close the orchestrator where it waits; what it yields in a clean-up is for no one."""
        if self._generator is None:
            return
        for _ in range(_CLEAN_UPS):
            if not isinstance(attempt(self._generator.close), RuntimeError):
                return

    def _feed(self, event: Event) -> None:
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
            self._take(event)

    def _suspend(self) -> None:
        """Hold back what comes, and what was asked for in the same turn."""
        if self._held is None:
            self._held, self._set_aside = [], self._execution.asked
            self._execution.asked = {}

    def _resume(self) -> None:
        held, self._held = self._held or [], None
        self._execution.asked = self._set_aside | self._execution.asked
        self._set_aside = {}
        for late in held:
            self._take(late)

    def _stop(self, status: RuntimeStatus, result: JsonValue, failure: Failure | None) -> None:
        """End here, whatever the orchestrator returned and whatever is still open."""
        if not self._is_stopped:
            self._is_stopped = True
            self._outcome = Outcome(status=status, result=result, failure=failure)

    def _terminate(self, reason: str | None) -> None:
        self._stop(RuntimeStatus.TERMINATED, parsed(reason), None)

    def _take(self, event: Event) -> None:
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
            status = RuntimeStatus.CONTINUED_AS_NEW
            self._end(Outcome(status=status, next_input=next_input))
        elif isinstance(result, Exception):
            self._fail(result)
        else:
            self._end(Outcome(status=RuntimeStatus.COMPLETED, result=result))

    def _fail(self, error: Exception) -> None:
        failure = failure_of(error, self._run.name)
        text = f"Orchestrator function '{self._run.name}' failed: {failure.message}"
        self._end(Outcome(status=RuntimeStatus.FAILED, result=text, failure=failure))

    def _end(self, outcome: Outcome) -> None:
        self._context.release_locks()
        self._outcome = outcome

    def _answer(self, event: Event, number: int) -> None:
        task = self._execution.close(number)
        if task is None:
            return
        name = self._execution.name_of(number)
        kind = _KINDS.get(event.kind)
        if kind is None:
            # A copy, since the orchestrator may change it and is run again on the same history.
            task.complete(transported(event.fields.get("Result")))
            return
        failure = read_failure(str(event.fields["Details"]))
        task.fail(failure if name == HTTP_ACTIVITY else uncaught(kind, name, failure))

    def _raise_event(self, fields: Mapping[str, JsonValue]) -> None:
        name = str(fields["Name"])
        text = cast("str | None", fields["Input"])
        response = self._execution.response(name)
        if response is None:
            self._execution.raise_event(name, parsed(text))
        else:
            read_response(text or "", response)

    def _confirm(self, event: Event) -> None:
        action = self._execution.asked.get(event.task if event.task is not None else -1)
        if action is not None and _same(event, action):
            del self._execution.asked[action.number]
        elif not self._is_stopped:
            raise NonDeterministic(_not_the_same(event, action))


def _same(event: Event, action: Action) -> bool:
    name = str(event.fields.get("Name", ""))
    return recorded_as(action) is event.kind and _name(action).casefold() == name.casefold()


def _name(action: Action) -> str:
    if isinstance(action, CallActivity | CallSubOrchestrator):
        return action.name
    return action.event if isinstance(action, SendToEntity) else ""


def _not_the_same(event: Event, action: Action | None) -> str:
    named = f" named '{event.fields['Name']}'" if "Name" in event.fields else ""
    return (
        "Non-Deterministic workflow detected: A previous execution of this orchestration "
        f"scheduled {_SCHEDULED[event.kind]} with sequence number {event.task}{named}, but "
        f"{_instead(event, action)}. Was a change made to the orchestrator code after this "
        "instance had already started running?"
    )


def _instead(event: Event, action: Action | None) -> str:
    if action is None:
        return "the current replay execution hasn't (yet?) scheduled this task"
    replay = "the current orchestration replay instead"
    if recorded_as(action) is not event.kind:
        return (
            f"{replay} produced a {_PRODUCED[recorded_as(action)]} action with this sequence number"
        )
    what = f"{_SCHEDULED[event.kind]} named '{_name(action)}'"
    return f"{replay} scheduled {what} with this sequence number"
