"""
The text of a failure: how it is decoded, and the frames that the framework writes around it.

In every worker language. Patterns bound each run that may backtrack: outputs can be crafted to be
slow.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum

import msgspec

_NAME = r"'([^'\r\n]{1,256})'"
_TYPE = r"([^\W\d][\w.+$]{0,255})(?:`\d{1,2})?(?:\[[^\r\n:]{0,500}\])?"
_ASSEMBLY = r"(?:, [^,\r\n]{1,200}){2,4}"
_OPERATION = r"'[^\r\n]{0,256}?'"
# The isolated SDK's text for a child that failed without details: only the child's row has them.
BY_CHILD = "System.NullReferenceException: Object reference not set to an instance of an object."
_NO_ID = r"(?!.*[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12})"
# Bytes of an output that are read: frames come first, then stack traces.
LOOKED_AT = 64 * 1024
# The host appends this to the message of a failed activity; the message may hold anything.
_SERIALIZED = ' \n {"$type":"'
_JSON_LABEL = "$OutOfProcData$:"


class Category(StrEnum):
    """The kind of a failure, as the label `category`."""

    ACTIVITY = "activity"
    SUB_ORCHESTRATION = "sub_orchestration"
    ENTITY = "entity"
    NON_DETERMINISM = "non_determinism"
    VERSION_MISMATCH = "version_mismatch"
    FUNCTION_MISSING = "function_missing"
    WORKER_LOST = "worker_lost"
    TIMEOUT = "timeout"
    SERIALIZATION = "serialization"
    UNHANDLED = "unhandled"
    UNKNOWN = "unknown"


OWN_FRAME = re.compile(
    rf"Orchestrator function {_NAME} failed:|Function {_NAME} failed with an unhandled exception\."
)
# Isolated workers use it for activities and sub-orchestrations.
TASK_FRAME = re.compile(
    rf"Task {_NAME} \(#\d+\) failed with an unhandled exception[:.]"
    r"|\d+ out of \d+ tasks failed with an exception\."
    # Newer clients give the instance's id, no name.
    r"|(?:\S{1,300} )?Activity task #\d+ failed:"
)
CHILD_FRAME = re.compile(
    rf'(?:The o|O)rchestrator function {_NAME} failed:(?: ")?'
    r"|(?:\S{1,300} )?Sub-orchestration task #\d+ failed:"
)
PLACES = {
    TASK_FRAME: Category.ACTIVITY,
    re.compile(rf'(?:The a|A)ctivity function {_NAME} failed:(?: ")?'): Category.ACTIVITY,
    CHILD_FRAME: Category.SUB_ORCHESTRATION,
    re.compile(
        rf'(?:The e|E)ntity function {_NAME} failed:(?: ")?'
        rf"|(?:Entity o|O)peration {_OPERATION} o[fn] entity '@?([^@'\r\n]{{1,256}})@"
        r"[^\r\n]{0,1000}?' failed(?: with error)?:"
    ): Category.ENTITY,
}
# An entity's exception in process, of a type that the orchestrator lacks.
ENTITY_TYPE_FRAME = re.compile(
    rf"Entity operation threw {_TYPE}"
    rf"|{_TYPE}{_ASSEMBLY} (?:in operation {_OPERATION}|while processing operations):"
)
# Wrappers that do not show what failed.
CARRYING_FRAME = re.compile(
    r"One or more errors occurred\. \("
    r"|Unhandled exception while executing orchestration:"
    r"|Failed to deserialize exception from TaskActivity:"
    r"|Result: [^\r\n]{0,1000}\r?\nException:"
    r"|Exception while executing function: [^\r\n]{0,300}?\s{1,10}---> "
    r"|context\.df\.Task\.all\(\) encountered the below error messages:"
    r"\s{1,10}Name: \w{1,128}\s{1,10}Message:"
)
TYPE_FRAME = re.compile(
    rf"{_TYPE} ?:(?=\s|\Z)"
    rf"|Exception of type '{_TYPE}' was thrown"
    rf"|<class '{_TYPE}'>"
    rf'|\{{\s*+"\$type"\s*+:\s*+"{_TYPE}'
)
# Exceptions of the framework, whose messages are its own; those of others are the app's.
FRAMEWORK_TYPE = re.compile(
    r"(?:Microsoft\.(?:Azure\.(?:WebJobs|Functions)|DurableTask)|DurableTask"
    r"|com\.microsoft\.durabletask)\."
)
# How the host serializes the failure of a durable HTTP call of a JSON-speaking worker.
REFUSED_CALL = re.compile(r'[^\r\n]{1,1000} \n \{"\$type":"System\.Net\.Http\.(\w{1,128}),')

# Causes that the framework itself gives, wherever they happened.
CAUSES = {
    re.compile(r"Non-[Dd]eterministic \w{1,20} detected"): Category.NON_DETERMINISM,
    re.compile(
        rf"The function {_NAME} doesn't exist, is disabled, or is not an? \w{{1,20}} function"
        rf"|(?:\w{{1,30}}: )?No (?:activity|entity) task named {_NAME} was found"
        rf"|Function {_NAME} (?:is not found|does not have an? \w{{1,30}} input binding)\."
    ): Category.FUNCTION_MISSING,
    re.compile(
        r"VersionMismatch:"
        rf"|OrchestratorTaskNotFound:(?: No orchestrator task named {_NAME})?"
        rf"|No orchestration factory registered(?: for \w{{1,30}} type {_NAME})?"
        rf"|(?:\w{{1,100}}: )?(?:An? |Activity function named |Orchestrat\w{{1,5}} )"
        rf"{_NAME}(?: \w{{1,20}})? (?:was not registered|does not exist)"
    ): Category.VERSION_MISMATCH,
    re.compile(
        r"[\w.-]{1,60} exited with code -?\d{1,12} \(0x"
        r"|(?:[\w.]{1,100}\.)?WorkerProcessExitException"
        r"|(?:Worker|Language worker) was unable to load (?:function|entry point)"
        r"|Did not find (?:any )?initialized (?:language )?workers"
    ): Category.WORKER_LOST,
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
        rf"|Failed to deserialize input for \w{{1,30}} function {_NAME}"
    ): Category.SERIALIZATION,
}
# An orchestration of an isolated app that ends by a cancelled task: an event that never came.
CANCELLED = re.compile(r"One or more errors occurred\. \(A task was canceled\.\)")
# An isolated worker's text for a call that failed without details: the function is missing.
WITHOUT_DETAILS = re.compile(
    r"Exception of type 'DurableTask\.Core\.Exceptions\.TaskFailedException' was thrown\."
)
# The same in an exception of the orchestrator's own.
UNREADABLE_TYPE = re.compile(r"json|serializ|DataConverter|MismatchedInput", re.IGNORECASE)
UNREADABLE = re.compile(
    r"Path '[^'\r\n]{0,300}', line \d+, position \d+"
    r"|LineNumber: \d+ \| BytePositionInLine: \d+"
    r"|(?:Self referencing loop|A possible object cycle was) detected"
    r"|The JSON value could not be converted to "
    r"|is not JSON serializable|does not expose a `to_json` function"
    r"|the JSON object must be str, bytes or bytearray"
    r"|(?:Expecting [^\r\n]{1,80}|Extra data|Unterminated string[^\r\n]{0,40}): line \d+ column \d+"
    r"|Unexpected token [^\r\n]{0,60} JSON|Unexpected end of JSON input"
    r"|[^\r\n]{1,80} (?:in|after) JSON at position \d+|\" is not valid JSON"
    r"|Do not know how to serialize a BigInt|Converting circular structure to JSON"
)
LATE_TYPE = re.compile(r"TaskCanceledException|time(?:d_?)?out", re.IGNORECASE)

_WHOLE_TYPE = re.compile(_TYPE)
_SEPARATOR = re.compile(r"[.+$]")
_FUNCTION_LABEL = re.compile(rf"{_NO_ID}[^\W\d_][\w.-]{{0,127}}")
_TYPE_LABEL = re.compile(
    rf"{_NO_ID}(?!.*\d{{4}})(?=[^\W\da-z])\w{{0,110}}?"
    r"(?:Exception|Error|Failure|Fault|Timeout|Interrupt|Exit|Warning|Throwable|Iteration)\d{0,3}"
)
# A name within a namespace is a type's, whatever it ends in.
_SPACED_LABEL = re.compile(rf"{_NO_ID}(?!.*\d{{4}})(?=[^\W\da-z_])\w{{1,128}}")
_CARRIER_LABEL = re.compile(
    r"(?:Composite)?TaskFail\w+|(?:Sub)?OrchestrationFail\w+"
    r"|FunctionFailedException|FunctionInvocationException|EntityOperationFailedException"
    r"|RpcException"
)


def function_label(name: str) -> str:
    """Return a function's name as a label, empty where it does not look like one."""
    # The framework's name for the activity of its HTTP calls.
    name = name.removeprefix("BuiltIn::")
    return name if _FUNCTION_LABEL.fullmatch(name) else ""


def type_label(full_name: str, *, is_type: bool = False) -> str:
    """
    Return the last part of a type's name as a label, empty where it does not look like one.

    With *is_type* any name within a namespace is accepted.
    """
    *spaces, name = _SEPARATOR.split(full_name)
    if is_carrier(full_name):
        return ""
    if _TYPE_LABEL.fullmatch(name):
        return name
    return name if is_type and spaces and _SPACED_LABEL.fullmatch(name) else ""


def type_of_name(full_name: str) -> str:
    """Return the label of the full name of a type, generics included."""
    match = _WHOLE_TYPE.fullmatch(full_name)
    return type_label(match[1], is_type=True) if match else ""


def is_carrier(full_name: str) -> bool:
    """Return whether exceptions of a type merely carry another failure."""
    return _CARRIER_LABEL.fullmatch(_SEPARATOR.split(full_name)[-1]) is not None


def captured(match: re.Match[str]) -> str:
    """Return the first group of a match that is not empty."""
    return next(filter(None, match.groups()), "")


# Not possessive as a whole: before 3.11.5, Python then takes a part of an escape for all of it.
_STRING = re.compile(r'"([^"\\]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\]*+)*)')
_DECODER = json.JSONDecoder(strict=False)
_MESSAGE = re.compile(
    r'\{\s*+(?:"\$type"\s*+:\s*+"[^"]{0,500}"\s*+,\s*+)?"message"\s*+:\s*+(?=")', re.IGNORECASE
)
_DETAILS = re.compile(r'"\s*+,\s*+"details"\s*+:\s*+(?=")', re.IGNORECASE)
_JSON_SPEAKING = re.compile(
    r"Orchestrator function '[^'\r\n]{1,256}' failed: {1,2}"
    r"(?:Activity|Orchestrator) function '[^'\r\n]{1,256}' failed:"
)
_ELSEWHERE = re.compile(
    r"Microsoft\.DurableTask\.|com\.microsoft\.durabletask\."
    r"|Orchestrator function '[^'\r\n]{1,256}' failed: The (?:activity|orchestrator) function '"
)
_REMOTE_TYPE = re.compile(r'"RemoteStackTrace":"([^\W\d]\w{0,127}):')


def text_of(output: msgspec.Raw) -> tuple[str, bool]:
    """
    Return the text of a failure in an output: a string, one inside a string (MSSQL), an object.

    The second value is True for an object, which the host writes where no worker described the
    failure.
    """
    text = bytes(memoryview(output)[:LOOKED_AT]).decode("utf-8", "replace").lstrip()
    for _ in range(2):
        if text.startswith('"'):
            text, _ = _string_at(text, 0)
    if not text.startswith("{"):
        return text, False
    described = _text_of_object(text)
    return (text, False) if described is None else (described, True)


def remote_type(text: str) -> str:
    """Return the type of an activity's error as its own process reported it, or an empty text."""
    begin = text.rfind(_SERIALIZED)
    found = _REMOTE_TYPE.search(text, begin) if begin >= 0 else None
    return found[1] if found else ""


def loses_calls(text: str, *, is_described: bool) -> bool | None:
    """
    Return whether the failing worker may lose a call: JavaScript, Python, PowerShell.

    None where the text may be any worker's.
    """
    if is_described or _ELSEWHERE.match(text):
        return False
    return True if _JSON_SPEAKING.match(text) or _JSON_LABEL in text else None


def _text_of_object(text: str) -> str | None:
    """Return message and details of a failure as an isolated worker's host describes it."""
    found = _MESSAGE.match(text)
    if found is None:
        return None
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
