"""The functions of an app, found by name in any letter case, and how activities run."""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from emulator.engine.actions import CallActivity
from emulator.engine.context import HTTP_ACTIVITY, OrchestrationContext
from emulator.engine.execution import Task
from emulator.engine.failures import (
    Failure,
    FunctionFailed,
    FunctionMissing,
    attempt,
    connection_refused,
    failure_of,
)
from emulator.json_text import JsonValue, compact, parsed, transported

# An activity's duration unless it sets one.
_USUAL_SECONDS = (0.02, 0.1)
_REFUSING_PORT = 9
_ANSWERS_OF_202 = 3


@dataclass(slots=True, kw_only=True)
class EntityContext:
    """
    One operation of an entity, with the names of the Python library for Durable Functions.

    Changes count only if the function does not raise. `entity_name` is the class in lower case;
    `operation_name` may be empty; `signals` are target, operation and input.
    """

    entity_name: str
    entity_key: str
    operation_name: str
    input_text: str | None
    exists: bool
    state: JsonValue
    keeps_signal_case: bool = False
    result: JsonValue = None
    signals: list[tuple[str, str, str | None]] = field(default_factory=list)
    is_stuck: bool = False

    def get_input(self) -> JsonValue:
        """Return the operation's input."""
        return parsed(self.input_text)

    def get_state(self, initializer: Callable[[], JsonValue] = lambda: None) -> JsonValue:
        """Return a copy of the state, or the initial one."""
        return transported(self.state) if self.exists else initializer()

    def set_state(self, state: JsonValue) -> None:
        """Store a JSON state; the entity then exists."""
        self.exists, self.state = True, transported(state)

    def set_result(self, result: JsonValue) -> None:
        """Set the result for the caller."""
        self.result = transported(result)

    def destruct_on_exit(self) -> None:
        """Delete the entity."""
        self.exists, self.state = False, None

    def never_returns(self) -> None:
        """Hang: nothing of the batch is written, and later requests wait."""
        self.is_stuck = True

    def signal_entity(self, target: str, operation: str, input_: JsonValue = None) -> None:
        """Signal an entity by its id `@class@key`; `ValueError` for another form."""
        class_name, separator, key = target.removeprefix("@").partition("@")
        if not (target.startswith("@") and class_name and separator):
            raise ValueError(f"The id of an entity is of the form @class@key, not {target}")
        text = None if input_ is None else compact(input_)
        spelled = class_name if self.keeps_signal_case else class_name.lower()
        self.signals.append((f"@{spelled}@{key}", operation, text))


Steps: TypeAlias = Generator[Task, Any, Any]
"""An orchestrator: yields tasks, receives their values, returns its output."""
Orchestrator: TypeAlias = Callable[[OrchestrationContext], "Steps | JsonValue"]
Activity: TypeAlias = "Callable[[JsonValue, ActivityContext], JsonValue]"
EntityFunction: TypeAlias = Callable[[EntityContext], None]


class ActivityContext:
    """
    One run of an activity, which executes at once and sets its duration.

    `random` is seeded per run. `runs_before` counts earlier runs of the activity by the instance.
    """

    def __init__(self, instance_id: str, random: Random, *, runs_before: int = 0) -> None:
        self.instance_id = instance_id
        self.random = random
        self.runs_before = runs_before
        self.seconds: float | None = random.uniform(*_USUAL_SECONDS)

    def takes(self, seconds: float) -> None:
        """Set the duration in seconds; `ValueError` unless it is finite and not negative."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"An activity takes some seconds, not {seconds}")
        self.seconds = seconds

    def never_returns(self) -> None:
        """Hang: the result never arrives."""
        self.seconds = None


class Functions:
    """
    The functions of an app, named after the Python functions unless a name is given.

    Durable HTTP calls are the activity `BuiltIn::HttpActivity`; nothing leaves the process.
    """

    def __init__(self) -> None:
        self._orchestrators: dict[str, tuple[str, Orchestrator]] = {}
        self._activities: dict[str, tuple[str, Activity]] = {}
        self._entities: dict[str, tuple[str, EntityFunction]] = {}
        self.activity(_http, name=HTTP_ACTIVITY)

    @property
    def orchestrators(self) -> Mapping[str, Orchestrator]:
        """The orchestrators by name, in order of definition."""
        return dict(self._orchestrators.values())

    @property
    def activities(self) -> Mapping[str, Activity]:
        """The activities by name, in order of definition."""
        return dict(self._activities.values())

    @property
    def entities(self) -> Mapping[str, EntityFunction]:
        """The entity classes by name, in order of definition."""
        return dict(self._entities.values())

    def orchestrator(self, function: Orchestrator, *, name: str | None = None) -> Orchestrator:
        """Add an orchestrator; usable as a decorator."""
        known_as = name or function.__name__
        self._orchestrators[known_as.casefold()] = (known_as, function)
        return function

    def activity(self, function: Activity, *, name: str | None = None) -> Activity:
        """Add an activity; usable as a decorator."""
        known_as = name or function.__name__
        self._activities[known_as.casefold()] = (known_as, function)
        return function

    def entity(self, function: EntityFunction, *, name: str | None = None) -> EntityFunction:
        """Add an entity class; usable as a decorator."""
        known_as = name or function.__name__
        self._entities[known_as.casefold()] = (known_as, function)
        return function

    def include(self, other: "Functions") -> None:
        """Add all functions of another app, replacing those of the same name."""
        for name, orchestrator in other.orchestrators.items():
            self.orchestrator(orchestrator, name=name)
        for name, activity in other.activities.items():
            self.activity(activity, name=name)
        for name, entity in other.entities.items():
            self.entity(entity, name=name)

    def has_orchestrator(self, name: str) -> bool:
        """Return whether there is an orchestrator of a name."""
        return name.casefold() in self._orchestrators

    def has_activity(self, name: str) -> bool:
        """Return whether there is an activity of a name."""
        return name.casefold() in self._activities

    def has_entity(self, name: str) -> bool:
        """Return whether there is an entity class of a name."""
        return name.casefold() in self._entities

    def run_orchestrator(self, name: str, context: OrchestrationContext) -> "Steps | JsonValue":
        """
        Start an orchestrator.

        Raises `FunctionMissing`, and what the function raises.
        """
        found = self._orchestrators.get(name.casefold())
        if found is None:
            known = tuple(self.orchestrators)
            raise FunctionMissing(unknown_orchestrator(name, known), known)
        return found[1](context)

    def run_activity(self, name: str, argument: JsonValue, context: ActivityContext) -> JsonValue:
        """
        Run an activity.

        Raises `FunctionMissing`, and what the function raises.
        """
        found = self._activities.get(name.casefold())
        if found is None:
            known = tuple(each for each in self.activities if each != HTTP_ACTIVITY)
            what = (
                f"The function '{name}' doesn't exist, is disabled, or is not an activity function."
            )
            raise FunctionMissing(what, known)
        return found[1](argument, context)

    def run_entity(self, name: str, context: EntityContext) -> None:
        """
        Run an operation of an entity.

        Raises `FunctionMissing`, and what the function raises.
        """
        found = self._entities.get(name.casefold())
        if found is None:
            known = tuple(self.entities)
            raise FunctionMissing(unknown_entity(name, known), known)
        found[1](context)


def _http(argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Answer a durable HTTP call as docs/emulator.md says."""
    uri = urlsplit(str(argument["uri"]) if isinstance(argument, Mapping) else "")
    if uri.port == _REFUSING_PORT:
        raise FunctionFailed(connection_refused(uri.netloc))
    always = uri.path.endswith("/always202")
    still_working = uri.path.endswith("202") and context.runs_before < _ANSWERS_OF_202
    return 202 if always or still_working else 200


def unknown_orchestrator(name: str, known: tuple[str, ...]) -> str:
    """Return the error message for a missing orchestrator."""
    return _unknown(name, "an orchestrator", "orchestrator", known)


def unknown_entity(name: str, known: tuple[str, ...]) -> str:
    """Return the error message for a missing entity class."""
    return _unknown(name, "an entity", "entity", known)


def _unknown(name: str, a_kind: str, kind: str, known: tuple[str, ...]) -> str:
    names = ", ".join(f"'{each}'" for each in known)
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not {a_kind} function. "
        f"Additional info: The following are the known {kind} functions: {names}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """A share of the calls, above 0 and at most 1, fails with `error`, or hangs without one."""

    share: float
    error: str | None


class Disturbances:
    """The disturbances of a hub, by activity in any letter case."""

    def __init__(self) -> None:
        self._by_name: dict[str, Disturbance] = {}

    def begin(self, activity: str, disturbance: Disturbance) -> None:
        """Disturb an activity from now on."""
        self._by_name[activity.casefold()] = disturbance

    def end(self, activity: str) -> None:
        """Stop disturbing an activity."""
        self._by_name.pop(activity.casefold(), None)

    def strike(self, activity: str, random: Random) -> Disturbance | None:
        """Return the disturbance of a call, if any."""
        disturbance = self._by_name.get(activity.casefold())
        if disturbance is None or random.random() >= disturbance.share:
            return None
        return disturbance


def run_activity(
    action: CallActivity, context: ActivityContext, functions: Functions, disturbances: Disturbances
) -> tuple[JsonValue, Failure | None]:
    """Return the result or failure of an activity; the context has its duration."""
    disturbed = disturbances.strike(action.name, context.random)

    def run() -> JsonValue:
        if disturbed is not None and disturbed.error is not None:
            raise RuntimeError(disturbed.error)
        argument = transported(action.argument)
        return transported(functions.run_activity(action.name, argument, context))

    result = attempt(run)
    if disturbed is not None and disturbed.error is None:
        context.never_returns()
    if isinstance(result, Exception):
        return None, failure_of(result, action.name)
    return result, None
