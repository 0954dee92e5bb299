"""
Why an instance failed, as labels: what its output says, read from outside in.

A failure text is a nest of frames in the framework's own words ("The activity function 'A'
failed: ...") around a message of the app. Only frames are read, each where the one before it
ends, so that nothing further inside a message passes for one.

- The outermost place counts: it is what failed from this orchestrator's point of view.
- A cause that the framework itself gives wins over the place, which then still names the function:
  code that changed, a missing function, a time limit, an input that nobody can read. Any other
  fault inside an activity, a time-out of its own among them, is the activity's.
- `Task 'N'` (.NET isolated, Java) is an activity or a sub-orchestration. With another place inside
  it is a sub-orchestration; alone it counts as an activity.
- In process, and in Python and JavaScript, nothing tells an entity's exception from the
  orchestrator's own: it is unhandled.
- An error type is the last segment of its name, without generics and assembly. Any message may
  begin with a word and a colon, so only what ends as the names of exceptions do is one. Types that
  merely carry another failure are none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

# How much of an output is looked at, in bytes: frames stand at its start, stack traces after them.
LOOKED_AT = 64 * 1024
_MESSAGE_LOOKED_AT = 2048
_MOST_FRAMES = 16


class Category(StrEnum):
    """What kind of thing went wrong; the values of the label `category`."""

    ACTIVITY = "activity"
    SUB_ORCHESTRATION = "sub_orchestration"
    ENTITY = "entity"
    NON_DETERMINISM = "non_determinism"
    FUNCTION_MISSING = "function_missing"
    TIMEOUT = "timeout"
    SERIALIZATION = "serialization"
    UNHANDLED = "unhandled"
    UNKNOWN = "unknown"


class FailureReason(msgspec.Struct, frozen=True, gc=False):
    """
    Why an instance failed, fit for labels: nothing of a message is in it.

    `failed_function` is the activity, sub-orchestrator, entity (its class, in lower case) or
    missing function; it is empty where none is known or the orchestrator itself failed.
    `error_type` is empty where no type is known. Both have at most 128 characters.
    """

    category: Category
    failed_function: str
    error_type: str


# Patterns bound every run that they may have to give back: outputs can be made to be slow.
_NAME = r"'([^'\r\n]{1,256})'"
_TYPE = r"([^\W\d][\w.+$]{0,255})(?:`\d{1,2})?(?:\[[^\r\n:]{0,500}\])?"
_ASSEMBLY = r"(?:, [^,\r\n]{1,200}){2,4}"
_OPERATION = r"'[^\r\n]{0,256}?'"

_SPACE = re.compile(r"\s*+")
_OWN_FRAME = re.compile(
    rf"Orchestrator function {_NAME} failed:|Function {_NAME} failed with an unhandled exception\."
)
_TASK_FRAME = re.compile(
    rf"Task {_NAME} \(#\d+\) failed with an unhandled exception[:.]"
    r"|\d+ out of \d+ tasks failed with an exception\."
    # Newer clients give no names, but the instance's id.
    r"|(?:\S{1,300} )?Activity task #\d+ failed:"
)
_PLACES = {
    _TASK_FRAME: Category.ACTIVITY,
    re.compile(rf'(?:The a|A)ctivity function {_NAME} failed:(?: ")?'): Category.ACTIVITY,
    re.compile(
        rf'(?:The o|O)rchestrator function {_NAME} failed:(?: ")?'
        r"|(?:\S{1,300} )?Sub-orchestration task #\d+ failed:"
    ): Category.SUB_ORCHESTRATION,
    re.compile(
        rf'(?:The e|E)ntity function {_NAME} failed:(?: ")?'
        rf"|(?:Entity o|O)peration {_OPERATION} o[fn] entity '@?([^@'\r\n]{{1,256}})@"
        r"[^\r\n]{0,1000}?' failed(?: with error)?:"
    ): Category.ENTITY,
}
# How an entity's exception comes in process if it is of a type that the orchestrator lacks.
_ENTITY_TYPE_FRAME = re.compile(
    rf"Entity operation threw {_TYPE}"
    rf"|{_TYPE}{_ASSEMBLY} (?:in operation {_OPERATION}|while processing operations):"
)
# What stands around a failure and does not say what failed.
_CARRYING_FRAME = re.compile(
    r"One or more errors occurred\. \("
    r"|Unhandled exception while executing orchestration:"
    r"|Failed to deserialize exception from TaskActivity:"
    r"|Result: [^\r\n]{0,1000}\r?\nException:"
    r"|Exception while executing function: [^\r\n]{0,300}?\s{1,10}---> "
    r"|context\.df\.Task\.all\(\) encountered the below error messages:"
    r"\s{1,10}Name: \w{1,128}\s{1,10}Message:"
)
_TYPE_FRAME = re.compile(
    rf"{_TYPE}:(?=\s|\Z)"
    rf"|Exception of type '{_TYPE}' was thrown"
    rf"|<class '{_TYPE}'>"
    rf'|\{{\s*+"\$type"\s*+:\s*+"{_TYPE}'
)

# What the framework itself gives as the cause, wherever it happened.
_CAUSES = {
    re.compile(r"Non-[Dd]eterministic \w{1,20} detected"): Category.NON_DETERMINISM,
    re.compile(
        rf"The function {_NAME} doesn't exist, is disabled, or is not an? \w{{1,20}} function"
        rf"|(?:\w{{1,30}}: )?No \w{{1,20}} task named {_NAME} was found"
        rf"|Activity function named {_NAME} was not registered"
    ): Category.FUNCTION_MISSING,
    re.compile(
        r"Timeout value of \S{1,30} (?:was )?exceeded by function:? "
        r"'?(?:Functions\.)?([\w-]{1,128})"
        r"|Event [^\r\n]{1,300}? not received in (?:\d+\.)?\d\d:\d\d:\d\d"
        r"|Timeout of \S{1,30} expired while waiting for an event"
        r"|(?:The operation|A task) was cancell?ed\. Reached user specified timeout: "
    ): Category.TIMEOUT,
    re.compile(
        r"Exception binding parameter '"
        rf"|Error converting \d+ input parameters? for Function {_NAME}"
    ): Category.SERIALIZATION,
}
# What says as much of an exception that is the orchestrator's own.
_UNREADABLE_TYPE = re.compile(r"json|serializ|DataConverter|MismatchedInput", re.IGNORECASE)
_UNREADABLE = re.compile(
    r"Path '[^'\r\n]{0,300}', line \d+, position \d+"
    r"|LineNumber: \d+ \| BytePositionInLine: \d+"
    r"|(?:Self referencing loop|A possible object cycle was) detected"
    r"|The JSON value could not be converted to "
    r"|is not JSON serializable"
    r"|Expecting value: line \d+ column \d+"
    r"|Unexpected token [^\r\n]{0,60} JSON|Unexpected end of JSON input"
    r"|Converting circular structure to JSON"
)
_LATE_TYPE = re.compile(r"TaskCanceledException|time(?:d_?)?out", re.IGNORECASE)

_SEPARATOR = re.compile(r"[.+$]")
_NO_ID = r"(?!.*[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12})"
_FUNCTION_LABEL = re.compile(rf"{_NO_ID}[^\W\d_][\w.-]{{0,127}}")
_TYPE_LABEL = re.compile(
    rf"{_NO_ID}(?!.*\d{{4}})(?=[^\W\da-z])\w{{0,110}}?"
    r"(?:Exception|Error|Failure|Fault|Timeout|Interrupt|Exit|Warning|Throwable|Iteration)\d{0,3}"
)
_CARRIER_LABEL = re.compile(
    r"(?:Composite)?TaskFail\w+|(?:Sub)?OrchestrationFail\w+"
    r"|FunctionFailedException|FunctionInvocationException|EntityOperationFailedException"
)

_STRING = re.compile(r'"((?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+)')
_DECODER = json.JSONDecoder(strict=False)
_MESSAGE = re.compile(
    r'\{\s*+(?:"\$type"\s*+:\s*+"[^"]{0,500}"\s*+,\s*+)?"message"\s*+:\s*+(?=")', re.IGNORECASE
)
_DETAILS = re.compile(r'"\s*+,\s*+"details"\s*+:\s*+(?=")', re.IGNORECASE)


def reason_of(orchestrator: str, output: msgspec.Raw) -> FailureReason:
    """
    Return why an instance of *orchestrator* failed, given the raw JSON of its *output*.

    Nothing is raised, whatever *output* holds. Of a large one only the start is decoded.
    """
    reading = _Reading(_text_of(output))
    reading.read()
    return reading.reason(orchestrator)


@dataclass(slots=True)
class _Reading:
    """What was learnt of a text up to a position in it."""

    text: str
    position: int = 0
    own: bool = False
    place: Category | None = None
    name: str = ""
    may_be_parent: bool = False
    cause: Category | None = None
    cause_name: str = ""
    error_type: str = ""

    def read(self) -> None:
        """Go through the frames, up to a cause or to the message."""
        self._skip_space()
        if match := _OWN_FRAME.match(self.text, self.position):
            self.own = True
            self._go_on(match)
        for _ in range(_MOST_FRAMES):
            if self._cause() or not (self._place() or self._carrier() or self._type()):
                return

    def reason(self, orchestrator: str) -> FailureReason:
        """Return what the frames come to."""
        if "NonDetermin" in self.error_type:
            self.cause = Category.NON_DETERMINISM
        category = self.cause or self.place or self._of_own_exception()
        if category is Category.FUNCTION_MISSING:
            return FailureReason(category, self.cause_name, self.error_type)
        other = "" if self.cause_name == orchestrator else self.cause_name
        return FailureReason(category, self.name or other, self.error_type)

    def _cause(self) -> bool:
        for pattern, category in _CAUSES.items():
            if match := pattern.match(self.text, self.position):
                self.cause, self.cause_name = category, _function_label(_captured(match))
                return True
        return False

    def _place(self) -> bool:
        for pattern, category in _PLACES.items():
            if match := pattern.match(self.text, self.position):
                self._enter(category, _captured(match), may_be_parent=pattern is _TASK_FRAME)
                self._go_on(match)
                return True
        return False

    def _enter(self, category: Category, name: str, *, may_be_parent: bool = False) -> None:
        self.error_type = ""
        if self.place is None:
            name = name.lower() if category is Category.ENTITY else name
            self.place, self.name = category, _function_label(name)
            self.may_be_parent = may_be_parent
        elif self.may_be_parent:
            self.place, self.may_be_parent = Category.SUB_ORCHESTRATION, False

    def _carrier(self) -> bool:
        if match := _ENTITY_TYPE_FRAME.match(self.text, self.position):
            self._enter(Category.ENTITY, "")
            self.error_type = _type_label(_captured(match))
        elif match := _CARRYING_FRAME.match(self.text, self.position):
            self.error_type = ""
        if match:
            self._go_on(match)
        return match is not None

    def _type(self) -> bool:
        match = _TYPE_FRAME.match(self.text, self.position)
        name = _captured(match) if match else ""
        label = _type_label(name)
        if match is None or not (label or "." in name or _CARRIER_LABEL.fullmatch(name)):
            return False
        # A second type in a row stands in the message of the first.
        self.error_type = self.error_type or label
        self.own = True
        self._go_on(match)
        return True

    def _of_own_exception(self) -> Category:
        if _LATE_TYPE.search(self.error_type):
            return Category.TIMEOUT
        if _UNREADABLE_TYPE.search(self.error_type):
            return Category.SERIALIZATION
        if not self.own:
            return Category.UNKNOWN
        end = self.position + _MESSAGE_LOOKED_AT
        unreadable = _UNREADABLE.search(self.text, self.position, end)
        return Category.SERIALIZATION if unreadable else Category.UNHANDLED

    def _go_on(self, match: re.Match[str]) -> None:
        self.position = match.end()
        self._skip_space()

    def _skip_space(self) -> None:
        space = _SPACE.match(self.text, self.position)
        self.position = space.end() if space else self.position


def _captured(match: re.Match[str]) -> str:
    return next(filter(None, match.groups()), "")


def _function_label(name: str) -> str:
    # So the framework names the activity behind its own HTTP calls.
    name = name.removeprefix("BuiltIn::")
    return name if _FUNCTION_LABEL.fullmatch(name) else ""


def _type_label(full_name: str) -> str:
    name = _SEPARATOR.split(full_name)[-1]
    return name if _TYPE_LABEL.fullmatch(name) and not _CARRIER_LABEL.fullmatch(name) else ""


def _text_of(output: msgspec.Raw) -> str:
    """Return the failure text in an output: a string, one inside a string (MSSQL), an object."""
    text = bytes(memoryview(output)[:LOOKED_AT]).decode("utf-8", "replace").lstrip()
    for _ in range(2):
        if text.startswith('"'):
            text, _ = _string_at(text, 0)
    return _text_of_object(text) if text.startswith("{") else text


def _text_of_object(text: str) -> str:
    """Return message and details of a failure that an isolated worker's host describes."""
    found = _MESSAGE.match(text)
    if found is None:
        return text
    message, end = _string_at(text, found.end())
    more = _DETAILS.match(text, end)
    return f"{message} {_string_at(text, more.end())[0]}" if more else message


def _string_at(text: str, position: int) -> tuple[str, int]:
    """Return the JSON string at a position, as far as it goes, and where its content ends."""
    match = _STRING.match(text, position)
    if match is None:
        return "", position
    content: str = _DECODER.decode(f'"{match[1]}"')
    return content, match.end()
