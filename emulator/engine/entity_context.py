"""What an entity function is given for one operation."""

from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.json_text import JsonValue, compact, parsed, transported


@dataclass(slots=True, kw_only=True)
class EntityContext:
    """
    What an entity function is given for one operation.

    The names are those of the Python library for Durable Functions. What it does counts only if it
    does not raise. `entity_name` is the class in lower case; `operation_name` is empty if nothing
    was said; `signals` are target, operation and input of what it sends.
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
        """Return what the operation is given."""
        return parsed(self.input_text)

    def get_state(self, initializer: Callable[[], JsonValue] = lambda: None) -> JsonValue:
        """Return a copy of the state, and what an entity without one begins with."""
        return parsed(compact(self.state)) if self.exists else initializer()

    def set_state(self, state: JsonValue) -> None:
        """Keep a state, JSON; with it the entity exists."""
        self.exists, self.state = True, transported(state)

    def set_result(self, result: JsonValue) -> None:
        """Answer the caller."""
        self.result = transported(result)

    def destruct_on_exit(self) -> None:
        """Forget the state: the entity exists no longer."""
        self.exists, self.state = False, None

    def never_returns(self) -> None:
        """Say that the operation never ends: nothing of its batch shows, and all others wait."""
        self.is_stuck = True

    def signal_entity(self, target: str, operation: str, input_: JsonValue = None) -> None:
        """Tell another entity, by its id `@class@key`, to do something; else `ValueError`."""
        class_name, separator, key = target.removeprefix("@").partition("@")
        if not (target.startswith("@") and class_name and separator):
            raise ValueError(f"The id of an entity is of the form @class@key, not {target}")
        text = None if input_ is None else compact(input_)
        spelled = class_name if self.keeps_signal_case else class_name.lower()
        self.signals.append((f"@{spelled}@{key}", operation, text))
