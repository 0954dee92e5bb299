"""
What was learnt of the orchestrators of a hub: how they wait.

In JavaScript, Python and PowerShell a call of a function that does not exist leaves no trace, and
looks as a wait for an event does. Where nothing has happened since an instance was started, and its
orchestrator was never seen to get an event, the former is what has to be looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from msgspec.structs import replace

from exporter.api.wire import InstanceStatus
from exporter.diagnosis.classify import gets_events
from exporter.diagnosis.nodes import Answer, Orchestration, Read
from exporter.diagnosis.waits import WaitingOn
from exporter.ledger.app_traits import AppTraits

_MOST_ANSWERS = 1000


@dataclass(slots=True)
class HubKnowledge:
    """
    What is known of the orchestrators of a hub, by name.

    `loses_calls` tells that its worker loses calls. `answers` tell whether an orchestrator gets
    events, `completed` has the id of a completed instance, whose history may be read to learn it.
    `version` grows with whatever may change a wait. `alone` tells, by orchestrator and target,
    whether its instances wait for nothing beside a child or an entity of that name. What is learnt
    of events is `noted`.
    """

    loses_calls: bool = False
    answers: dict[str, bool] = field(default_factory=dict)
    completed: dict[str, str] = field(default_factory=dict)
    version: int = 0
    alone: dict[tuple[str, str], bool] = field(default_factory=dict)
    noted: Callable[..., None] = lambda _name, **_answer: None

    def take(self, traits: AppTraits) -> None:
        """Take what rows tell of the app; what is learnt of histories goes there, too."""
        if self.loses_calls != traits.loses_calls or self.answers is not traits.gets_events:
            self.loses_calls, self.answers = traits.loses_calls, traits.gets_events
            self.version += 1
        if traits.completed.keys() - self.answers.keys() - self.completed.keys():
            self.version += 1
        self.completed = traits.completed
        self.noted = traits.note_events

    def waits_alone(self, node: Orchestration) -> bool:
        """Tell whether what rows of others tell of an instance is all that it waits on."""
        return all(self.alone.get((node.name, wait.target)) for wait in node.reading.waits)

    def learn_waits(self, node: Orchestration) -> None:
        """Note what an instance whose history was read waits on beside children and entities."""
        waits = node.reading.waits
        leading = [wait for wait in waits if wait.child_id is not None or wait.entity_ids]
        is_alone = len(leading) == len(waits) and not node.reading.older
        for wait in leading:
            key = (node.name, wait.target)
            if key in self.alone or len(self.alone) < _MOST_ANSWERS:
                self.alone[key] = is_alone and self.alone.get(key, True)

    def learn(self, name: str, *, gets_events: bool) -> None:
        """Note whether an orchestrator gets events; who got one does so for good."""
        is_known = name in self.answers or len(self.answers) < _MOST_ANSWERS
        if is_known and self.answers.get(name) not in (True, gets_events):
            self.answers[name] = gets_events
            self.version += 1
            self.noted(name, gets_events=gets_events)


def without_step(
    node: Orchestration, knowledge: HubKnowledge
) -> Generator[Read, Answer, Orchestration]:
    """Return *node*, waiting on no step where it may have lost a call."""
    reading = node.reading
    if reading.gets_events:
        knowledge.learn(node.name, gets_events=True)
    if not (knowledge.loses_calls and reading.has_no_step and reading.waits):
        return node
    wait = reading.waits[0]
    if wait.waiting_on is not WaitingOn.EXTERNAL_EVENT:
        return node
    if node.name not in knowledge.answers and node.name in knowledge.completed:
        answer = yield Read(knowledge.completed.pop(node.name))
        if isinstance(answer, InstanceStatus) and answer.name == node.name:
            found = gets_events(answer.history_events or ())
            knowledge.learn(node.name, gets_events=found)
    if knowledge.answers.get(node.name):
        return node
    waits = (replace(wait, waiting_on=WaitingOn.NO_STEP),)
    return replace(node, reading=replace(reading, waits=waits))
