"""Entities: operations in order, locks, and the state of the message sorter."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from emulator.engine.actions import EntityRequest
from emulator.engine.failures import attempt, failure_of
from emulator.engine.functions import EntityContext, Functions
from emulator.engine.workers.conventions import Conventions
from emulator.json_text import JsonValue, parsed
from emulator.storage.rows import NEVER, Entity, RuntimeStatus
from emulator.times import precise

_WINDOW_SECONDS = 30 * 60
# Minimum time between two removals of older entries.
_CLEANING_SECONDS = 10


class DeliveryOrder:
    """Keeps the messages of one sender to each receiver in order."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def arrival(self, receiver: str, at: float) -> float:
        """Return when a message arrives: not before the one sent before it."""
        self._last[receiver] = max(at, self._last.get(receiver, at))
        return self._last[receiver]


class MessageSorter:
    """The last message to and from each instance within half an hour."""

    def __init__(self) -> None:
        self._received: dict[str, tuple[float, str | None]] = {}
        self._sent: dict[str, float] = {}
        self._received_horizon: float | None = None
        self._sent_horizon: float | None = None

    def receive(self, sender: str, label: float, execution: str | None) -> None:
        """Record an incoming message."""
        horizon = _moved(self._received_horizon, label)
        if horizon != self._received_horizon:
            self._received_horizon = horizon
            self._received = {s: (t, e) for s, (t, e) in self._received.items() if t >= horizon}
        self._received[sender] = (label, execution)

    def send(self, target: str, now: float) -> tuple[float, float | None]:
        """Return the label of an outgoing message, and that of the one before it."""
        previous = self._sent.get(target)
        label = now if previous is None else max(now, previous + 1e-6)
        horizon = _moved(self._sent_horizon, label)
        if horizon != self._sent_horizon:
            self._sent_horizon = horizon
            self._sent = {t: at for t, at in self._sent.items() if at >= horizon}
        self._sent[target] = label
        return label, previous

    def shown(self) -> JsonValue:
        """Return its JSON in the row of the entity."""
        parts: dict[str, JsonValue] = {}
        if self._sent:
            parts["LastSentToInstance"] = {t: precise(at) for t, at in self._sent.items()}
        if self._received and self._received_horizon is not None:
            parts["ReceivedFromInstance"] = {
                sender: {"Last": precise(label)}
                | ({} if execution is None else {"ExecutionId": execution})
                for sender, (label, execution) in self._received.items()
            }
            parts["ReceiveHorizon"] = precise(self._received_horizon)
        if self._sent and self._sent_horizon is not None:
            parts["SendHorizon"] = precise(self._sent_horizon)
        return parts


def _moved(horizon: float | None, label: float) -> float:
    least = label - _WINDOW_SECONDS
    return least if horizon is None or least - horizon > _CLEANING_SECONDS else horizon


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response to an orchestration: an event named after the request."""

    instance_id: str
    execution: str | None
    request_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A request to another entity."""

    target: str
    request: EntityRequest


Effect = Response | Forwarded


class EntityScheduler:
    """One entity: its state, lock holder and queue."""

    def __init__(
        self, instance_id: str, conventions: Conventions, *, made: float | None = None
    ) -> None:
        self._conventions = conventions
        _, self.class_name, self.key = instance_id.split("@", 2)
        self.instance_id = instance_id
        self.exists = False
        # An operation hangs: its batch is never written, and no other runs.
        self.is_stuck = False
        self.state: JsonValue = None
        self.locked_by: str | None = None
        # Some providers show an entity before its first operation, with the time of that row.
        self.status = RuntimeStatus.RUNNING if made is None else RuntimeStatus.PENDING
        self._made = made
        self.output: JsonValue = None
        self.intervened: float | None = None
        self.last_operation = NEVER
        self.delivery = DeliveryOrder()
        self._queue: deque[EntityRequest] = deque()
        self._sorter = MessageSorter()

    def process(
        self,
        requests: list[EntityRequest],
        functions: Functions,
        now: float,
        new_id: Callable[[], str],
    ) -> list[Effect]:
        """Process a batch of requests; those that a lock blocks stay queued."""
        self.last_operation = now
        self.intervened = None
        effects: list[Effect] = []
        for request in requests:
            if request.parent is not None and request.sent is not None and not request.position:
                self._sorter.receive(request.parent, request.sent, request.execution)
            self._queue.append(request)
            effects += self._work(functions, now, new_id)
        return effects

    def intervene(self, status: RuntimeStatus, reason: str | None, now: float) -> None:
        """Suspend, resume or terminate the entity."""
        self.status, self.intervened = status, now
        if reason is not None:
            self.output = parsed(reason)

    def row(self) -> Entity:
        """Return the entity's row."""
        return Entity(
            class_name=self.class_name,
            key=self.key,
            last_operation=self.last_operation,
            state=self.state,
            exists=self.exists,
            locked_by=self.locked_by,
            queue=tuple(self._conventions.queued(request) for request in self._queue),
            sorter=self._sorter.shown(),
            status=self.status,
            output=self.output,
            intervened=self.intervened,
            made=self._made,
            shows_exists=self._conventions.shows_exists,
        )

    def _work(self, functions: Functions, now: float, new_id: Callable[[], str]) -> list[Effect]:
        effects: list[Effect] = []
        while (request := self._next()) is not None:
            if request.sent is None:
                if self.locked_by == request.parent:
                    self.locked_by = None
            elif request.lockset:
                self.locked_by = request.parent
                effects.append(self._grant(request, now))
            else:
                effects += self._operate(request, functions, now, new_id)
        return effects

    def _next(self) -> EntityRequest | None:
        """Take the first request, or that of the lock holder."""
        for request in self._queue:
            if self.locked_by is None or request.parent == self.locked_by:
                self._queue.remove(request)
                return request
        return None

    def _operate(
        self,
        request: EntityRequest,
        functions: Functions,
        now: float,
        new_id: Callable[[], str],
    ) -> list[Effect]:
        context = EntityContext(
            entity_name=self.class_name,
            entity_key=self.key,
            operation_name=request.operation or "",
            input_text=request.input_text,
            exists=self.exists,
            state=self.state,
            keeps_signal_case=self._conventions.keeps_signal_case,
        )
        error = attempt(partial(functions.run_entity, self.class_name, context))
        self.is_stuck = self.is_stuck or context.is_stuck
        effects: list[Effect] = []
        if error is not None:
            text = self._conventions.failure_text(failure_of(error, self.class_name))
        else:
            text = self._conventions.result_text(context.result)
            self.exists, self.state = context.exists, context.state
            effects = [self._signal(*signal, now, new_id()) for signal in context.signals]
        if request.signal or request.parent is None:
            return effects
        answer = Response(
            instance_id=request.parent,
            execution=request.execution,
            request_id=request.request_id,
            text=text,
        )
        return [*effects, answer]

    def _signal(
        self, target: str, operation: str, input_text: str | None, now: float, request_id: str
    ) -> Effect:
        label, previous = self._sorter.send(target, now)
        request = EntityRequest(
            request_id=request_id,
            operation=operation,
            signal=True,
            input_text=input_text,
            parent=self.instance_id,
            sent=label,
            previous=previous,
            requested=label,
        )
        return Forwarded(target=target, request=request)

    def _grant(self, request: EntityRequest, now: float) -> Effect:
        following = request.position + 1
        if following < len(request.lockset):
            target = request.lockset[following]
            self._sorter.send(target, now)
            return Forwarded(target=target, request=replace(request, position=following))
        return Response(
            instance_id=cast("str", request.parent),
            execution=request.execution,
            request_id=request.request_id,
            text=self._conventions.lock_acquired_text(),
        )
