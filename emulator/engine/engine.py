"""
Runs the functions of an app for one hub: messages in, turns, rows and messages out.

Everything happens on a timeline, in the order of time, however rarely somebody looks; what is left
to chance comes from the seed. So the same calls at the same times give the same rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from emulator.api import ExtensionVersion
from emulator.backends.backend import Traits
from emulator.clock import Happening, Timeline
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

# Between two events that one turn writes: a float tells about a quarter of a microsecond.
_TICK = 2e-6


class Engine:
    """
    The engine of one hub.

    Without functions nobody serves the hub: what is started stays Pending, and messages wait in its
    queues for ever.
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
        self._timeline = Timeline()
        self._orchestrations: dict[str, Orchestration] = {}
        self._checkpoints = Checkpoints(rows, self._timeline, self.host, self._is_current)
        self._entities: dict[str, EntityScheduler] = {}
        self._requests: dict[str, list[EntityRequest]] = {}

    def advance(self, now: float) -> None:
        """Let happen whatever is due by now."""
        self._timeline.advance(now)

    def at(self, time: float, happening: Happening) -> None:
        """Let something happen at a time, in order with all else."""
        self._timeline.add(time, happening)

    def new_instance_id(self) -> str:
        """Return an id for an instance that was not given one."""
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
        Start an instance; one of the same id that has ended is replaced.

        *begin* is when it is to begin, now unless given; until then it is Pending, and nothing
        shows that it is scheduled.
        """
        if input_text is not None and self._version is ExtensionVersion.V2:
            input_text = compact(parsed(input_text))  # v2 stores what it understood
        run = Run(
            instance_id=instance_id,
            execution_id=self._identities.execution_id(instance_id),
            name=name,
            input_text=input_text,
        )
        life = Orchestration(run=run, created=now, version=version)
        self._orchestrations[instance_id] = life
        self._rows.put(self._pending_row(life, now), at=now)
        started = history.execution_started(now, name, input_text)
        self._send(life, started, max(begin or now, now) + self._chance(self._pace.start))

    def raise_event(self, instance_id: str, name: str, input_text: str, now: float) -> None:
        """Send an external event."""
        arrives = now + self._chance(self._pace.message)
        self._tell(instance_id, history.event_raised(arrives, name, input_text), arrives)

    def suspend(self, instance_id: str, reason: str | None, now: float) -> None:
        """Ask an instance, or an entity, to pause."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_suspended(arrives, reason), arrives)

    def resume(self, instance_id: str, reason: str | None, now: float) -> None:
        """Ask an instance, or an entity, to go on."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_resumed(arrives, reason), arrives)

    def terminate(self, instance_id: str, reason: str | None, now: float) -> None:
        """Ask an instance, or an entity, to end; what it started goes on."""
        arrives = now + self._chance(self._pace.message)
        self._control(instance_id, history.execution_terminated(arrives, reason), arrives)

    def rewind(self, instance_id: str, reason: str | None, now: float) -> None:
        """Take a failed instance, and the failed ones that it waited for, back to before."""
        life = self._orchestrations.get(instance_id)
        if life is None or life.status is not RuntimeStatus.FAILED:
            return
        past = rewound(life.history)
        life.history[:] = past.history
        life.status = RuntimeStatus.PENDING
        life.rewinds += 1
        life.inbox.clear()
        self._rows.put(life.row(now), at=now)
        for child_id in past.failed_children:
            self.rewind(child_id, reason, now)
        if not past.failed_children:
            arrives = now + self._chance(self._pace.message)
            self._send(life, history.generic_event(arrives, reason), arrives)

    def signal(
        self, class_name: str, key: str, operation: str, input_text: str | None, now: float
    ) -> None:
        """Tell an entity to do something, as a client."""
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
        """Drop an instance or an entity: its history is deleted, its messages go nowhere."""
        self._orchestrations.pop(instance_id, None)
        self._entities.pop(instance_id, None)
        self._requests.pop(instance_id, None)

    def lose_messages(self, instance_id: str) -> None:
        """Lose what is under way to an instance now: its start, the end of a timer, an answer."""
        life = self._orchestrations.get(instance_id)
        if life is not None:
            # Messages go to the object that they were sent to, if it is still the current one.
            self._orchestrations[instance_id] = replace(life, awake=False)

    def lose_row_writes(self, instance_id: str) -> None:
        """From now on write only the history of an instance: its worker dies before the row."""
        life = self._orchestrations.get(instance_id)
        if life is not None:
            life.loses_row_writes = True

    def _control(self, instance_id: str, event: Event, at: float) -> None:
        if instance_id in self._orchestrations:
            self._tell(instance_id, event, at)
        elif instance_id in self._entities:
            self._timeline.add(at, partial(self._intervene, instance_id, event))

    def _intervene(self, instance_id: str, event: Event, at: float) -> None:
        entity = self._entities.get(instance_id)
        if entity is None:
            return
        entity.intervene(status_after(entity.status, [event]), reason_of(event), at)
        self._rows.put(entity.row(), at=at)
        self._serve(instance_id, at)

    def _tell(self, instance_id: str, event: Event, at: float) -> None:
        life = self._orchestrations.get(instance_id)
        if life is not None:
            self._send(life, event, at)

    def _send(self, life: Orchestration, event: Event, at: float) -> None:
        self._timeline.add(at, partial(self._arrive, life, event))

    def _arrive(self, life: Orchestration, event: Event, at: float) -> None:
        if not self._is_current(life) or life.status.terminal:
            return
        life.inbox.append(event)
        if not life.awake and self._serves(life):
            life.awake = True
            self._timeline.add(max(at, life.busy_until), partial(self._turn, life))

    def _pending_row(self, life: Orchestration, now: float) -> Instance:
        return life.row(NEVER if self._traits.never_updated else now)

    def _serves(self, life: Orchestration) -> bool:
        # An app leaves alone what is newer than itself, and samples have no version (recorded).
        return self.functions is not None and life.version is None

    def _is_current(self, life: Orchestration) -> bool:
        return self._orchestrations.get(life.run.instance_id) is life

    def _turn(self, life: Orchestration, at: float) -> None:
        if self.functions is None or not self._is_current(life):
            return
        later = self.host.delayed_until(at)
        if later is not None:
            self._timeline.add(later, partial(self._turn, life))
            return
        life.awake = False
        news, life.inbox = life.inbox, []
        if not life.history and all(e.kind is not EventKind.EXECUTION_STARTED for e in news):
            life.inbox = news  # what came before the start waits for it
            return
        # What the instance is started by comes first, whatever overtook it.
        news.sort(key=lambda event: event.kind is not EventKind.EXECUTION_STARTED)
        life.history += [history.orchestrator_started(at), *news]
        turn = Replay(life.run, self.functions, self._conventions, self._identities).turn(
            life.history
        )
        end = at + self._chance(self._pace.turn)
        life.status = status_after(life.status, news)
        if turn.custom_status is not None:
            life.custom_status = turn.custom_status
        output = last_reason(news, self._reasons)
        for index, action in enumerate(turn.actions):
            self._do(life, action, end + index * _TICK)
        end += len(turn.actions) * _TICK
        life.busy_until = end
        if turn.outcome is not None:
            if turn.outcome.status is RuntimeStatus.CONTINUED_AS_NEW:
                self._continue(life, turn.outcome, end)
                return
            output = self._finish(life, turn.outcome, end)
        # A column that a checkpoint has nothing for keeps what it had (recorded).
        life.output = life.output if output is None else output
        self._checkpoints.write(life, at, end)

    def _continue(self, life: Orchestration, outcome: Outcome, at: float) -> None:
        """Begin a new generation of the same life, with an empty history."""
        life.run = replace(
            life.run,
            execution_id=self._identities.execution_id(life.run.instance_id),
            input_text=outcome.next_input,
        )
        if not self._traits.continued_keeps_created:
            life.created = at
        life.history.clear()
        life.inbox = [event for event in life.inbox if event.kind in INTERVENTIONS]
        started = history.execution_started(at, life.run.name, outcome.next_input, generation=None)
        self._send(life, started, at)

    def _finish(self, life: Orchestration, outcome: Outcome, at: float) -> JsonValue:
        life.status, ending = outcome.status, outcome.ending
        life.history.append(
            history.execution_completed(at, outcome.status, ending.result, ending.failure_details)
        )
        if life.parent is not None:
            self._report(life.parent, outcome, at)
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
        life = self._orchestrations.get(instance_id)
        if life is not None and execution_id in (None, life.run.execution_id):
            self._timeline.add(at, partial(self._arrive_in, life, life.run.execution_id, event))

    def _arrive_in(self, life: Orchestration, execution_id: str, event: Event, at: float) -> None:
        # A new generation does not get what the last one waited for.
        if life.run.execution_id == execution_id:
            self._arrive(life, event, at)

    def _do(self, life: Orchestration, action: Action, at: float) -> None:
        if isinstance(action, CallActivity):
            self._call_activity(life, action, at)
        elif isinstance(action, CallSubOrchestrator):
            self._call_sub_orchestrator(life, action, at)
        elif isinstance(action, SetTimer):
            self._set_timer(life, action, at)
        else:
            self._send_to_entity(life, action, at)

    def _call_activity(self, life: Orchestration, action: CallActivity, at: float) -> None:
        before = life.runs[action.name.casefold()]
        life.runs[action.name.casefold()] += 1
        tags: JsonValue = {} if self._conventions.empty_tags else None
        life.history.append(history.task_scheduled(at, action.number, action.name, tags))
        again = f"/{life.rewinds}" if life.rewinds else ""
        chance = Random(f"{self._seed}/{life.run.execution_id}/{action.number}{again}")
        context = ActivityContext(life.run.instance_id, chance, runs_before=before)
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
        self._answer(life.run.instance_id, life.run.execution_id, event, done)

    def _call_sub_orchestrator(
        self, life: Orchestration, action: CallSubOrchestrator, at: float
    ) -> None:
        life.history.append(
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
            instance_id=life.run.instance_id,
            execution_id=life.run.execution_id,
            task=action.number,
        )
        run = Run(
            instance_id=action.instance_id,
            execution_id=self._child_execution_id(action.instance_id),
            name=action.name,
            input_text=action.input_text,
            parent_id=life.run.instance_id,
        )
        child = Orchestration(run=run, created=at, parent=parent)
        if self._traits.children_shown_at_once:
            self._timeline.add(at, partial(self._show_child, child))
        arrives = at + self._chance(self._pace.sub_start)
        self._timeline.add(arrives, partial(self._start_child, child))

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
            return  # a second start of what still runs is thrown away, and its parent waits on
        if existing is not child and at < existing.busy_until:  # its end is not yet written
            self._timeline.add(existing.busy_until, partial(self._start_child, child))
            return
        self._orchestrations[child.run.instance_id] = child
        started = history.execution_started(
            child.created, child.run.name, child.run.input_text, generation=None
        )
        self._arrive(child, started, at)

    def _set_timer(self, life: Orchestration, action: SetTimer, at: float) -> None:
        life.history.append(history.timer_created(at, action.fire_at, action.number))
        fired = history.timer_fired(at + _TICK, action.fire_at, action.number)
        due = max(at, action.fire_at) + self._chance(self._pace.message)
        self._answer(life.run.instance_id, life.run.execution_id, fired, due)

    def _send_to_entity(self, life: Orchestration, action: SendToEntity, at: float) -> None:
        request = action.request
        if self._version is ExtensionVersion.V2:
            request = replace(request, requested=None)
        text = self._conventions.request_text(request)
        life.history.append(
            history.event_sent(at, action.target, action.event, text, action.number)
        )
        arrives = at + self._chance(self._pace.message)
        self._ask_entity(action.target, request, life.queues.arrival(action.target, arrives))

    def _ask_entity(self, target: str, request: EntityRequest, at: float) -> None:
        self._timeline.add(at, partial(self._queue_request, target, request))

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
            self._timeline.add(later, partial(self._serve, target))
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
            self._carry(entity, effect, at + self._chance(self._pace.message))

    def _carry(self, entity: EntityScheduler, effect: Effect, at: float) -> None:
        if isinstance(effect, Response):
            event = history.event_raised(at, effect.request_id, effect.text)
            self._answer(effect.instance_id, effect.execution, event, at)
        else:
            arrives = entity.queues.arrival(effect.target, at)
            self._ask_entity(effect.target, effect.request, arrives)

    def _chance(self, seconds: Range) -> float:
        return self._random.uniform(*seconds)
