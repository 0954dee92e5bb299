"""
Why an instance failed, as labels read from its output, from outside in.

A failure text is a nest of frames in the framework's own words ("The activity function 'A' failed:
...") around a message of the app. Only frames are read, each where the previous one ends, so
nothing inside a message passes for one.

- The outermost place counts: it is what failed from this orchestrator's point of view.
- A cause that the framework itself gives overrides the place, which then still names the function:
  changed code, a missing function, a time limit, unreadable input. Any other fault inside an
  activity, its own time-outs included, is the activity's.
- `Task 'N'` (.NET isolated, Java) is an activity or a sub-orchestration. With another place inside
  it is a sub-orchestration; alone, one only if N is known as an orchestrator.
- An isolated app's parent may fail in its SDK's own words, without the child that failed: then the
  child's row has the reason.
- In process, and in Python and JavaScript, an entity's exception looks like the orchestrator's own:
  it is unhandled. The type of the orchestrator's own error is missing, too.
- An error type is the last segment of its name, without generics and assembly. Any message may
  begin with a word and a colon, so only what ends like an exception's name, or is in a namespace,
  is a type. Types that merely carry another failure are not. What follows a type is a message,
  unless the type is the framework's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

import msgspec

from exporter.ledger.failure_text import (
    BY_CHILD,
    CANCELLED,
    CARRYING_FRAME,
    CAUSES,
    CHILD_FRAME,
    ENTITY_TYPE_FRAME,
    FRAMEWORK_TYPE,
    LATE_TYPE,
    OWN_FRAME,
    PLACES,
    REFUSED_CALL,
    TASK_FRAME,
    TYPE_FRAME,
    UNREADABLE,
    UNREADABLE_TYPE,
    WITHOUT_DETAILS,
    Category,
    captured,
    function_label,
    is_carrier,
    loses_calls,
    remote_type,
    text_of,
    type_label,
)

__all__ = ["Category", "Doubt", "FailureReading", "FailureReason", "read_failure"]

_MESSAGE_LOOKED_AT = 2048
_MOST_FRAMES = 16
# Of a longer failure an isolated worker's host stores the message alone.
_LONGEST_TYPED = 30_720
_SPACE = re.compile(r"\s*+")
_CANCELLED_TYPE = "TaskCanceledException"
# What old JavaScript SDKs put before a failure that they pass on.
_PASSED_ON = "Error"


class FailureReason(msgspec.Struct, frozen=True, gc=False):
    """
    Why an instance failed, fit for labels: no part of a message.

    `failed_function` is the activity, sub-orchestrator, entity class (in lower case) or missing
    function; empty if unknown, or if the orchestrator itself failed. `error_type` is empty if
    unknown. Both have at most 128 characters.
    """

    category: Category
    failed_function: str
    error_type: str


class Doubt(Enum):
    """What a failure's own row leaves open."""

    NONE = "nothing"
    TASK = "whether the failed function is an orchestrator"
    CHILD = "which child failed, and why"


@dataclass(frozen=True, slots=True)
class FailureReading:
    """
    What the row of a failed instance shows.

    `reason` holds unless what is in `doubt` says otherwise. `loses_calls` is whether the text is of
    a worker that may lose a call without a trace, None where it may be of any; `has_details`
    whether the history may hold an error type that the row lacks.
    """

    reason: FailureReason
    doubt: Doubt = Doubt.NONE
    loses_calls: bool | None = None
    has_details: bool = False

    def with_known(self, is_orchestrator: Callable[[str], bool]) -> FailureReason:
        """Return the reason, given which names are orchestrators."""
        reason = self.reason
        if self.doubt is Doubt.TASK and is_orchestrator(reason.failed_function):
            return FailureReason(
                Category.SUB_ORCHESTRATION, reason.failed_function, reason.error_type
            )
        return reason


def read_failure(orchestrator: str, output: msgspec.Raw) -> FailureReading:
    """Return what the *output* of an instance of *orchestrator* shows; never raises."""
    text, is_described = text_of(output)
    reader = _Reader(text, is_bare=not is_described and len(text) > _LONGEST_TYPED)
    reader.read()
    reason = reader.reason(orchestrator)
    doubt = Doubt.TASK if reader.is_task and reason.category is Category.ACTIVITY else Doubt.NONE
    if text == BY_CHILD:
        doubt = Doubt.CHILD
    has_details = (
        not (is_described or OWN_FRAME.match(text) or reason.error_type)
        and reason.category in _WITH_DETAILS
    )
    lost = loses_calls(text, is_described=is_described)
    return FailureReading(reason, doubt, lost, has_details)


def reason_by_child(child: str, reason: FailureReason) -> FailureReason:
    """Return why a parent failed, by the orchestrator *child* and *reason* of its child."""
    name = function_label(child)
    if reason.category in _CAUSED:
        return FailureReason(reason.category, reason.failed_function or name, reason.error_type)
    return FailureReason(Category.SUB_ORCHESTRATION, name, reason.error_type)


_WITH_DETAILS = (
    Category.ACTIVITY,
    Category.SUB_ORCHESTRATION,
    Category.SERIALIZATION,
    Category.UNHANDLED,
)
_CAUSED = frozenset(CAUSES.values())
# Categories that name a missing function, even the orchestrator itself.
_ABSENT = (Category.FUNCTION_MISSING, Category.VERSION_MISMATCH)
# What hosts and workers throw as exceptions of any type.
_THROWN = (Category.WORKER_LOST, Category.VERSION_MISMATCH)


@dataclass(slots=True)
class _Reader:
    """What was learned of a text up to a position in it."""

    text: str
    # Whether it is too long to have a type.
    is_bare: bool = False
    position: int = 0
    own: bool = False
    place: Category | None = None
    name: str = ""
    is_task: bool = False
    cause: Category | None = None
    cause_name: str = ""
    error_type: str = ""
    wrapper_type: str = ""
    # Whether a message of an app begins here, in which a type would be a word.
    is_message: bool = False

    def read(self) -> None:
        """Read the frames, up to a cause or the message."""
        self._skip_space()
        if match := OWN_FRAME.match(self.text, self.position):
            self.own = self.is_message = True
            self._go_on(match)
        for _ in range(_MOST_FRAMES):
            if self._cause() or not (self._place() or self._carrier() or self._type()):
                return

    def reason(self, orchestrator: str) -> FailureReason:
        """Return what the frames add up to."""
        if "NonDetermin" in self.error_type:
            self.cause = Category.NON_DETERMINISM
        if self.place is not None and (told := type_label(remote_type(self.text))):
            self.error_type = told
        category = self.cause or self.place or self._of_own_exception()
        if self.place is None:
            self.error_type = self.error_type or self.wrapper_type
        if category in _ABSENT:
            return FailureReason(category, self.cause_name or self.name, self.error_type)
        other = "" if self.cause_name == orchestrator else self.cause_name
        return FailureReason(category, self.name or other, self.error_type)

    def _cause(self) -> bool:
        if self._cause_of(_CAUSED):
            return True
        if self.place is None and CANCELLED.match(self.text, self.position):
            self.cause, self.error_type = Category.TIMEOUT, _CANCELLED_TYPE
        elif self.is_task and WITHOUT_DETAILS.match(self.text, self.position):
            # Nor has a refused HTTP call any, but its function exists.
            is_missing = self.name != "HttpActivity"
            self.cause = Category.FUNCTION_MISSING if is_missing else None
            self.cause_name = self.name
            return True
        elif self.own and self.place is None:
            self._refused_call()
        return self.cause is not None

    def _cause_of(self, categories: Collection[Category]) -> bool:
        for pattern, category in CAUSES.items():
            if category not in categories:
                continue
            if match := pattern.match(self.text, self.position):
                self.cause, self.cause_name = category, function_label(captured(match))
                return True
        return False

    def _refused_call(self) -> None:
        """Read place and type of a durable HTTP call of a JSON-speaking worker."""
        if match := REFUSED_CALL.match(self.text, self.position):
            self.place, self.name = Category.ACTIVITY, "HttpActivity"
            self.error_type = type_label(match[1])

    def _place(self) -> bool:
        for pattern, category in PLACES.items():
            if match := pattern.match(self.text, self.position):
                self._enter(category, captured(match), is_task=pattern is TASK_FRAME)
                self.is_message = pattern is CHILD_FRAME
                self._go_on(match)
                return True
        return False

    def _enter(self, category: Category, name: str, *, is_task: bool = False) -> None:
        self.error_type = ""
        if self.place is None:
            name = name.lower() if category is Category.ENTITY else name
            self.place, self.name = category, function_label(name)
            self.is_task = is_task
        elif self.is_task:
            self.place, self.is_task = Category.SUB_ORCHESTRATION, False

    def _carrier(self) -> bool:
        if match := ENTITY_TYPE_FRAME.match(self.text, self.position):
            self._enter(Category.ENTITY, "")
            self.error_type = type_label(captured(match))
        elif match := CARRYING_FRAME.match(self.text, self.position):
            self.wrapper_type = self.error_type or self.wrapper_type
            self.error_type = ""
        if match:
            self._go_on(match)
        return match is not None

    def _type(self) -> bool:
        """Read a type; return whether another frame may follow."""
        match = TYPE_FRAME.match(self.text, self.position)
        name = captured(match) if match else ""
        if match is None or (self.is_bare and self.place is None and not self.own):
            return False
        is_passed_on = name == _PASSED_ON and self.is_message
        if self.is_message and not is_passed_on and "." not in name:
            return False
        label = type_label(name, is_type=not self.own)
        if not (label or "." in name or is_carrier(name)):
            return False
        self._go_on(match)
        # A second type in a row belongs to the message of the first.
        self.error_type = self.error_type or ("" if is_passed_on else label)
        self.own = True
        leads_on = is_carrier(name) or FRAMEWORK_TYPE.match(name) is not None or is_passed_on
        if leads_on or CARRYING_FRAME.match(self.text, self.position):
            return True
        self._cause_of(_THROWN)
        return False

    def _of_own_exception(self) -> Category:
        if LATE_TYPE.search(self.error_type):
            return Category.TIMEOUT
        if UNREADABLE_TYPE.search(self.error_type):
            return Category.SERIALIZATION
        if not self.own:
            is_text = self.is_bare and self.position < len(self.text)
            return Category.UNHANDLED if is_text else Category.UNKNOWN
        end = self.position + _MESSAGE_LOOKED_AT
        unreadable = UNREADABLE.search(self.text, self.position, end)
        return Category.SERIALIZATION if unreadable else Category.UNHANDLED

    def _go_on(self, match: re.Match[str]) -> None:
        self.position = match.end()
        self._skip_space()

    def _skip_space(self) -> None:
        space = _SPACE.match(self.text, self.position)
        self.position = space.end() if space else self.position
