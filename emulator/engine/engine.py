"""
Runs the functions of an app for one hub: messages in, turns, rows and messages out.

Everything happens in the order of time, and chance comes from the seed: the same calls at the same
times give the same rows, however often the hub is read.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from emulator.api import ExtensionVersion
from emulator.backends.backend import Traits
from emulator.clock import Callback, EventQueue
from emulator.engine.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    EntityRequest,
    SendToEntity,
    SetTimer,
)
from emulator.engine.entities import Effect, EntityScheduler, Response
from emulator.engine.execution import Run
from emulator.engine.functions import ActivityContext, Disturbances, Functions, run_activity
from emulator.engine.orchestration import (
    INTERVENTIONS,
    Checkpoints,
    Identities,
    Orchestration,
    Parent,
    Rows,
    last_reason,
    reason_of,
    rewound,
    status_after,
)
from emulator.engine.pace import Crash, Host, Pace, Range
from emulator.engine.replay import Outcome, Replay
from emulator.engine.workers import Worker, conventions_of
from emulator.json_text import JsonValue, compact, parsed
from emulator.storage import history
from emulator.storage.history import Event, EventKind
from emulator.storage.rows import NEVER, Instance, RuntimeStatus

# Between two events of a turn; a float resolves a quarter of a microsecond.
_TICK = 2e-6


class Engine:
    """
    The engine of one hub.

    Without functions, nothing serves the hub: instances stay Pending, and messages stay queued.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        functions: Functions | None,
        seed: int | str = 0,
        pace: Pace | None = None,
        crashes: Sequence[Crash] = (),
        version: ExtensionVersion = ExtensionVersion.V3,
        identities: Identities | None = None,
        traits: Traits | None = None,
        worker: Worker = Worker.DOTNET,
    ) -> None:
        self.functions = functions
        self._conventions = conventions_of(worker)
        self._rows = rows
        self._seed = seed
        self._random = Random(f"engine/{seed}")
        self._pace = pace or Pace()
        self.host = Host(crashes, Random(f"host/{seed}"))
        self._version = version
        self.disturbances = Disturbances()
        self._traits = traits or Traits()
        terminated = (EventKind.EXECUTION_TERMINATED,)
        self._reasons = frozenset(INTERVENTIONS if self._traits.reasons_in_output else terminated)
        self._identities = identities or Identities(seed, version)
        self._events = EventQueue()
        self._orchestrations: dict[str, Orchestration] = {}
        self._checkpoints = Checkpoints(rows, self._events, self.host, self._is_current)
        self._entities: dict[str, EntityScheduler] = {}
        self._requests: dict[str, list[EntityRequest]] = {}

    def advance(self, now: float) -> None:
        """Run what is due by now."""
        self._events.advance(now)

    def at(self, time: float, callback: Callback) -> None:
        """Run a callback at a time."""
        self._events.add(time, callback)

    def new_instance_id(self) -> str:
        """Return a new instance id."""
        return self._identities.instance_id()

    def start(
        self,
        name: str,
        instance_id: str,
        input_text: str | None,
        now: float,
        *,
        version: str | None = None,
        begin: float | None = None,
    ) -> None:
        """
        Start an instance, replacing an ended one of the same id.

        Until *begin*, now by default, it is Pending, without a sign of its schedule.
        """
        if input_text is not None and self._version is ExtensionVersion.V2:
            input_text = compact(parsed(input_text))  # v2 stores what it parsed
        run = Run(
            instance_id=instance_id,
            execution_id=self._identities.execution_id(instance_id),
            name=name,
            input_text=input_text,
        )
        instance = Orchestration(run=run, created=now, version=version)
        self._orchestrations[instance_id] = instance
        self._rows.put(self._pending_row(instance, now), at=now)
        started = history.execution_started(now, name, input_text)
        self._send(instance, started, max(begin or now, now) + self._chance(self._pace.start))

    def raise_event(self, instance_id: str, name: str, input_text: str, now: float) -> None:
        """Send an external event."""
        arrives = now + self._chance(self._pace.message)
        self._send_to(instance_id, history.event_raised(arrives, name, input_text), arrives)

    def suspend(self, instance_id: str, reason: str | None, now: float) -> None:
        """Suspend an instance or entity."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_suspended(arrives, reason), arrives)

    def resume(self, instance_id: str, reason: str | None, now: float) -> None:
        """Resume an instance or entity."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_resumed(arrives, reason), arrives)

    def terminate(self, instance_id: str, reason: str | None, now: float) -> None:
        """Terminate an instance or entity, but not what it started."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_terminated(arrives, reason), arrives)

    def rewind(self, instance_id: str, reason: str | None, now: float) -> None:
        """Rewind a failed instance, and the failed children that it waited for."""
        instance = self._orchestrations.get(instance_id)
        if instance is None or instance.status is not RuntimeStatus.FAILED:
            return
        past = rewound(instance.history)
        instance.history[:] = past.history
        instance.status = RuntimeStatus.PENDING
        instance.rewinds += 1
        instance.inbox.clear()
        self._rows.put(instance.row(now), at=now)
        for child_id in past.failed_children:
            self.rewind(child_id, reason, now)
        if not past.failed_children:
            arrives = now + self._chance(self._pace.message)
            self._send(instance, history.generic_event(arrives, reason), arrives)

    def signal(
        self, class_name: str, key: str, operation: str, input_text: str | None, now: float
    ) -> None:
        """Signal an entity, as a client."""
        request = EntityRequest(
            request_id=self._identities.request_id(),
            operation=operation,
            signal=True,
            input_text=input_text,
            sent=now,
            requested=now,
        )
        self._ask_entity(
            f"@{class_name.lower()}@{key}", request, now + self._chance(self._pace.message)
        )

    def forget(self, instance_id: str) -> None:
        """Delete an instance or entity, with its history and messages."""
        self._orchestrations.pop(instance_id, None)
        self._entities.pop(instance_id, None)
        self._requests.pop(instance_id, None)

    def lose_messages(self, instance_id: str) -> None:
        """Lose the messages in transit to an instance: its start, a timer, a result."""
        instance = self._orchestrations.get(instance_id)
        if instance is not None:
            # Messages go to the object that they were sent to, unless it was replaced.
            self._orchestrations[instance_id] = replace(instance, awake=False)

    def lose_row_writes(self, instance_id: str) -> None:
        """Write only the history of an instance from now on, not its row."""
        instance = self._orchestrations.get(instance_id)
        if instance is not None:
            instance.loses_row_writes = True

    def _control(self, instance_id: str, event: Event, at: float) -> None:
        if instance_id in self._orchestrations:
            self._send_to(instance_id, event, at)
        elif instance_id in self._entities:
            self._events.add(at, partial(self._intervene, instance_id, event))

    def _intervene(self, instance_id: str, event: Event, at: float) -> None:
        entity = self._entities.get(instance_id)
        if entity is None:
            return
        entity.intervene(status_after(entity.status, [event]), reason_of(event), at)
        self._rows.put(entity.row(), at=at)
        self._serve(instance_id, at)

    def _send_to(self, instance_id: str, event: Event, at: float) -> None:
        instance = self._orchestrations.get(instance_id)
        if instance is not None:
            self._send(instance, event, at)

    def _send(self, instance: Orchestration, event: Event, at: float) -> None:
        self._events.add(at, partial(self._arrive, instance, event))

    def _arrive(self, instance: Orchestration, event: Event, at: float) -> None:
        if not self._is_current(instance) or instance.status.terminal:
            return
        instance.inbox.append(event)
        if not instance.awake and self._serves(instance):
            instance.awake = True
            self._events.add(max(at, instance.busy_until), partial(self._turn, instance))

    def _pending_row(self, instance: Orchestration, now: float) -> Instance:
        return instance.row(NEVER if self._traits.never_updated else now)

    def _serves(self, instance: Orchestration) -> bool:
        # An app leaves versioned instances to newer ones; samples have no version (recorded).
        return self.functions is not None and instance.version is None

    def _is_current(self, instance: Orchestration) -> bool:
        return self._orchestrations.get(instance.run.instance_id) is instance

    def _turn(self, instance: Orchestration, at: float) -> None:
        if self.functions is None or not self._is_current(instance):
            return
        later = self.host.delayed_until(at)
        if later is not None:
            self._events.add(later, partial(self._turn, instance))
            return
        instance.awake = False
        news, instance.inbox = instance.inbox, []
        if not instance.history and all(e.kind is not EventKind.EXECUTION_STARTED for e in news):
            instance.inbox = news  # messages before the start wait for it
            return
        # The start comes first, even if overtaken.
        news.sort(key=lambda event: event.kind is not EventKind.EXECUTION_STARTED)
        instance.history += [history.orchestrator_started(at), *news]
        turn = Replay(instance.run, self.functions, self._conventions, self._identities).turn(
            instance.history
        )
        end = at + self._chance(self._pace.turn)
        instance.status = status_after(instance.status, news)
        if turn.custom_status is not None:
            instance.custom_status = turn.custom_status
        output = last_reason(news, self._reasons)
        for index, action in enumerate(turn.actions):
            self._perform(instance, action, end + index * _TICK)
        end += len(turn.actions) * _TICK
        instance.busy_until = end
        if turn.outcome is not None:
            if turn.outcome.status is RuntimeStatus.CONTINUED_AS_NEW:
                self._continue(instance, turn.outcome, end)
                return
            output = self._finish(instance, turn.outcome, end)
        # A checkpoint without a value leaves the column as it is (recorded).
        instance.output = instance.output if output is None else output
        self._checkpoints.write(instance, at, end)

    def _continue(self, instance: Orchestration, outcome: Outcome, at: float) -> None:
        """Start a new generation, with an empty history."""
        instance.run = replace(
            instance.run,
            execution_id=self._identities.execution_id(instance.run.instance_id),
            input_text=outcome.next_input,
        )
        if not self._traits.continued_keeps_created:
            instance.created = at
        instance.history.clear()
        instance.inbox = [event for event in instance.inbox if event.kind in INTERVENTIONS]
        started = history.execution_started(
            at, instance.run.name, outcome.next_input, generation=None
        )
        self._send(instance, started, at)

    def _finish(self, instance: Orchestration, outcome: Outcome, at: float) -> JsonValue:
        instance.status, ending = outcome.status, outcome.ending
        instance.history.append(
            history.execution_completed(at, outcome.status, ending.result, ending.failure_details)
        )
        if instance.parent is not None:
            self._report(instance.parent, outcome, at)
        return ending.output

    def _report(self, parent: Parent, outcome: Outcome, at: float) -> None:
        arrives = at + self._chance(self._pace.message)
        if outcome.status is RuntimeStatus.COMPLETED:
            result = outcome.ending.result
            event = history.sub_orchestration_completed(arrives, parent.task, result)
        else:
            recorded = self._conventions.child_failed(outcome.ending, outcome.failure)
            event = history.sub_orchestration_failed(
                arrives, parent.task, recorded.reason, recorded.details, recorded.failure_details
            )
        self._answer(parent.instance_id, parent.execution_id, event, arrives)

    def _answer(self, instance_id: str, execution_id: str | None, event: Event, at: float) -> None:
        instance = self._orchestrations.get(instance_id)
        if instance is not None and execution_id in (None, instance.run.execution_id):
            self._events.add(
                at, partial(self._arrive_in, instance, instance.run.execution_id, event)
            )

    def _arrive_in(
        self, instance: Orchestration, execution_id: str, event: Event, at: float
    ) -> None:
        # A new generation does not get the results of the last one.
        if instance.run.execution_id == execution_id:
            self._arrive(instance, event, at)

    def _perform(self, instance: Orchestration, action: Action, at: float) -> None:
        if isinstance(action, CallActivity):
            self._call_activity(instance, action, at)
        elif isinstance(action, CallSubOrchestrator):
            self._call_sub_orchestrator(instance, action, at)
        elif isinstance(action, SetTimer):
            self._set_timer(instance, action, at)
        else:
            self._send_to_entity(instance, action, at)

    def _call_activity(self, instance: Orchestration, action: CallActivity, at: float) -> None:
        before = instance.runs[action.name.casefold()]
        instance.runs[action.name.casefold()] += 1
        tags: JsonValue = {} if self._conventions.empty_tags else None
        instance.history.append(history.task_scheduled(at, action.number, action.name, tags))
        again = f"/{instance.rewinds}" if instance.rewinds else ""
        chance = Random(f"{self._seed}/{instance.run.execution_id}/{action.number}{again}")
        context = ActivityContext(instance.run.instance_id, chance, runs_before=before)
        functions = self.functions or Functions()
        result, failure = run_activity(action, context, functions, self.disturbances)
        if context.seconds is None:
            return
        done = at + self._chance(self._pace.message) + context.seconds
        if failure is None:
            event = history.task_completed(done, action.number, result)
        else:
            recorded = self._conventions.activity_failed(action.name, failure)
            event = history.task_failed(
                done, action.number, recorded.reason, recorded.details, recorded.failure_details
            )
        self._answer(instance.run.instance_id, instance.run.execution_id, event, done)

    def _call_sub_orchestrator(
        self, instance: Orchestration, action: CallSubOrchestrator, at: float
    ) -> None:
        instance.history.append(
            history.sub_orchestration_created(
                at,
                action.number,
                action.name,
                action.instance_id,
                action.input_text if self._conventions.keeps_child_inputs else None,
                span_id=self._identities.span_id(),
                tags={} if self._conventions.empty_tags else None,
            )
        )
        parent = Parent(
            instance_id=instance.run.instance_id,
            execution_id=instance.run.execution_id,
            task=action.number,
        )
        run = Run(
            instance_id=action.instance_id,
            execution_id=self._child_execution_id(action.instance_id),
            name=action.name,
            input_text=action.input_text,
            parent_id=instance.run.instance_id,
        )
        child = Orchestration(run=run, created=at, parent=parent)
        if self._traits.children_shown_at_once:
            self._events.add(at, partial(self._show_child, child))
        arrives = at + self._chance(self._pace.sub_start)
        self._events.add(arrives, partial(self._start_child, child))

    def _child_execution_id(self, instance_id: str) -> str:
        execution_id = self._identities.execution_id(instance_id)
        return execution_id.replace("-", "") if self._conventions.plain_child_ids else execution_id

    def _show_child(self, child: Orchestration, at: float) -> None:
        existing = self._orchestrations.get(child.run.instance_id)
        if existing is None or existing.status.terminal:
            self._orchestrations[child.run.instance_id] = child
            self._rows.put(self._pending_row(child, at), at=at)

    def _start_child(self, child: Orchestration, at: float) -> None:
        existing = self._orchestrations.get(child.run.instance_id, child)
        if existing is not child and not existing.status.terminal:
            return  # a second start of a running instance is dropped; its parent keeps waiting
        if existing is not child and at < existing.busy_until:  # its end is not yet written
            self._events.add(existing.busy_until, partial(self._start_child, child))
            return
        self._orchestrations[child.run.instance_id] = child
        started = history.execution_started(
            child.created, child.run.name, child.run.input_text, generation=None
        )
        self._arrive(child, started, at)

    def _set_timer(self, instance: Orchestration, action: SetTimer, at: float) -> None:
        instance.history.append(history.timer_created(at, action.fire_at, action.number))
        fired = history.timer_fired(at + _TICK, action.fire_at, action.number)
        due = max(at, action.fire_at) + self._chance(self._pace.message)
        self._answer(instance.run.instance_id, instance.run.execution_id, fired, due)

    def _send_to_entity(self, instance: Orchestration, action: SendToEntity, at: float) -> None:
        request = action.request
        if self._version is ExtensionVersion.V2:
            request = replace(request, requested=None)
        text = self._conventions.request_text(request)
        instance.history.append(
            history.event_sent(at, action.target, action.event, text, action.number)
        )
        arrives = at + self._chance(self._pace.message)
        self._ask_entity(action.target, request, instance.delivery.arrival(action.target, arrives))

    def _ask_entity(self, target: str, request: EntityRequest, at: float) -> None:
        self._events.add(at, partial(self._queue_request, target, request))

    def _queue_request(self, target: str, request: EntityRequest, at: float) -> None:
        self._requests.setdefault(target, []).append(request)
        if self._traits.children_shown_at_once and target not in self._entities:
            self._entities[target] = EntityScheduler(target, self._conventions, made=at)
            self._rows.put(self._entities[target].row(), at=at)
        self._serve(target, at)

    def _serve(self, target: str, at: float) -> None:
        if self.functions is None or not self._requests.get(target):
            return
        later = self.host.delayed_until(at)
        if later is not None:
            self._events.add(later, partial(self._serve, target))
            return
        entity = self._entities.setdefault(target, EntityScheduler(target, self._conventions))
        if entity.status is RuntimeStatus.SUSPENDED or entity.is_stuck:
            return
        entity.status = RuntimeStatus.RUNNING
        effects = entity.process(
            self._requests.pop(target), self.functions, at, self._identities.request_id
        )
        if self._entities[target].is_stuck:  # by an operation of this batch
            return
        self._rows.put(entity.row(), at=at)
        for effect in effects:
            self._deliver(entity, effect, at + self._chance(self._pace.message))

    def _deliver(self, entity: EntityScheduler, effect: Effect, at: float) -> None:
        if isinstance(effect, Response):
            event = history.event_raised(at, effect.request_id, effect.text)
            self._answer(effect.instance_id, effect.execution, event, at)
        else:
            arrives = entity.delivery.arrival(effect.target, at)
            self._ask_entity(effect.target, effect.request, arrives)

    def _chance(self, seconds: Range) -> float:
        return self._random.uniform(*seconds)
