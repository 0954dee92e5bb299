"""The app of the JavaScript recording, function by function."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from emulator import (
    ActivityContext,
    EntityContext,
    EntityId,
    FunctionFailed,
    Functions,
    OrchestrationContext,
    RetryOptions,
    Steps,
)
from emulator.engine.failures import Failure
from emulator.json_text import JsonValue
from tests.emulator.apps.throwing import thrown

functions = Functions()

NEVER_SECONDS = 3600
DECLINED = "Card declined for order {}"
MULTILINE = "first line\nsecond line: more\n\nthird after an empty one"


def in_seconds(context: OrchestrationContext, seconds: float) -> Any:  # noqa: ANN401 - a timer
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


def slow(context: OrchestrationContext, seconds: int = NEVER_SECONDS) -> Any:  # noqa: ANN401
    return context.call_activity("Slow", seconds)


def counter(key: object) -> EntityId:
    return EntityId("Counter", str(key))


# --- activities


@functions.activity
def SayHello(name: JsonValue, _context: ActivityContext) -> JsonValue:
    return f"Hello {name}!"


@functions.activity
def Charge(order: JsonValue, context: ActivityContext) -> JsonValue:
    context.takes(0.11)  # in the recorded fan-outs and pairs the others were quicker
    raise thrown(DECLINED.format(order["id"] if isinstance(order, Mapping) else None))


@functions.activity
def Slow(seconds: JsonValue, context: ActivityContext) -> JsonValue:
    context.takes(float(str(seconds)))
    return "slept"


def _throws(
    message: str, error_type: str = "Error", properties: Mapping[str, JsonValue] | None = None
) -> Callable[..., JsonValue]:
    def activity(_argument: JsonValue, context: ActivityContext) -> JsonValue:
        context.takes(0.03)
        raise thrown(message, error_type, properties=properties)

    return activity


for _name, _activity in {
    "ChargeTyped": _throws("Cannot read properties of undefined (reading 'total')", "TypeError"),
    "ChargeCustom": _throws("insufficient funds", "PaymentError"),
    "ChargeMultiline": _throws(MULTILINE),
    "ChargeString": _throws("just a string"),
    "ChargeObject": _throws('{"code":42,"reason":"object thrown"}'),
    "ChargeProps": _throws(
        "amount out of range", "RangeError", properties={"amount": 12, "currency": "CZK"}
    ),
    "ChargeBig": _throws("B" * 300),
    "ChargeColon": _throws("Payment: declined by bank"),
    "ChargeNamed": _throws("ValidationError: amount is not a number"),
    "ChargeAxios": _throws("connect ECONNREFUSED 127.0.0.1:9", "AxiosError"),
    "ChargeJson": _throws("Expected property name or '}' in JSON at position 1", "SyntaxError"),
    "ChargeSecret": _throws("cannot open [Hidden Credential]"),
}.items():
    functions.activity(_activity, name=_name)


def _http(request: JsonValue, context: ActivityContext) -> JsonValue:
    uri = str(request["uri"]) if isinstance(request, Mapping) else ""
    if uri.endswith("/never"):
        context.never_returns()
    return 500 if uri.endswith("/error500") else BUILT_IN_HTTP(request, context)


BUILT_IN_HTTP = functions.activities["BuiltIn::HttpActivity"]
functions.activity(_http, name="BuiltIn::HttpActivity")

# --- orchestrators


@functions.orchestrator
def HelloSequence(context: OrchestrationContext) -> Steps:
    greetings: list[JsonValue] = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("SayHello", city)))  # noqa: PERF401
    context.set_custom_status({"stage": "done", "percent": 100})
    return greetings


@functions.orchestrator
def FanOut(context: OrchestrationContext) -> Steps:
    count = int(str(context.get_input()))
    yield context.task_all([context.call_activity("SayHello", f"w{i}") for i in range(count)])
    return count


@functions.orchestrator
def FanOutSlow(context: OrchestrationContext) -> Steps:
    hello = partial(context.call_activity, "SayHello")
    yield context.task_all([hello("quick"), slow(context), hello("quick too")])


@functions.orchestrator
def FanOutFails(context: OrchestrationContext) -> Steps:
    yield context.task_all(
        [
            context.call_activity("SayHello", "quick"),
            context.call_activity("Charge", {"id": 9}),
            slow(context, 3),
        ]
    )


@functions.orchestrator
def WaitsForever(context: OrchestrationContext) -> Steps:
    return (yield context.wait_for_external_event("Never"))


@functions.orchestrator
def TwoEvents(context: OrchestrationContext) -> Steps:
    yield context.wait_for_external_event("First")
    yield context.wait_for_external_event("Second")


@functions.orchestrator
def Approval(context: OrchestrationContext) -> Steps:
    context.set_custom_status("waiting for a manager")
    timer = in_seconds(context, 72 * 3600)
    event = context.wait_for_external_event("Approval")
    yield context.task_any([event, timer])


@functions.orchestrator
def ApprovalThenSlow(context: OrchestrationContext) -> Steps:
    timer = in_seconds(context, 72 * 3600)
    event = context.wait_for_external_event("Approval")
    winner = yield context.task_any([event, timer])
    if winner is event:
        timer.cancel()
    yield slow(context)


@functions.orchestrator
def TimedOutThenEvent(context: OrchestrationContext) -> Steps:
    timer = in_seconds(context, 2)
    yield context.task_any([context.wait_for_external_event("Approval"), timer])
    yield context.wait_for_external_event("Escalation")


@functions.orchestrator
def ActivityDeadline(context: OrchestrationContext) -> Steps:
    timer = in_seconds(context, 3600)
    yield context.task_any([slow(context), timer])


@functions.orchestrator
def DeadlinePassed(context: OrchestrationContext) -> Steps:
    timer = in_seconds(context, 2)
    yield context.task_any([slow(context), timer])
    yield slow(context, 3601)


@functions.orchestrator
def LongTimer(context: OrchestrationContext) -> Steps:
    yield in_seconds(context, 20 * 86_400)


@functions.orchestrator
def HourTimer(context: OrchestrationContext) -> Steps:
    yield in_seconds(context, 3600)


@functions.orchestrator
def ShortTimer(context: OrchestrationContext) -> Steps:
    yield in_seconds(context, float(str(context.get_input())))
    return "woke"


@functions.orchestrator
def SlowActivity(context: OrchestrationContext) -> Steps:
    yield slow(context)


@functions.orchestrator
def Retry(context: OrchestrationContext) -> Steps:
    options = RetryOptions(float(str(context.get_input())), 4)
    return (yield context.call_activity_with_retry("Charge", options, {"id": 7}))


@functions.orchestrator
def RetrySub(context: OrchestrationContext) -> Steps:
    options = RetryOptions(float(str(context.get_input())), 4)
    child = f"{context.instance_id}:child"
    return (yield context.call_sub_orchestrator_with_retry("FailsItself", options, None, child))


@functions.orchestrator
def Eternal(context: OrchestrationContext) -> Steps:
    number = int(str(context.get_input()))
    yield context.call_activity("SayHello", f"round {number}")
    yield in_seconds(context, 5)
    context.continue_as_new(number + 1)


@functions.orchestrator
def Parent(context: OrchestrationContext) -> Steps:
    name, child = str(context.get_input()), f"{context.instance_id}:child"
    return (yield context.call_sub_orchestrator(name, None, child))


@functions.orchestrator
def ParentAuto(context: OrchestrationContext) -> Steps:
    return (yield context.call_sub_orchestrator("WaitsForever"))


@functions.orchestrator
def ParentAutoAll(context: OrchestrationContext) -> Steps:
    names = ("WaitsForever", "HelloSequence")
    return (yield context.task_all([context.call_sub_orchestrator(name) for name in names]))


@functions.orchestrator
def Grandparent(context: OrchestrationContext) -> Steps:
    child = f"{context.instance_id}:parent"
    return (yield context.call_sub_orchestrator("Parent", context.get_input(), child))


@functions.orchestrator
def ParentCatches(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_sub_orchestrator("FailsItself", None, f"{context.instance_id}:child")
    except FunctionFailed as error:
        context.set_custom_status(str(error)[:60])
    yield context.wait_for_external_event("Repair")


def _fails(message: str, error_type: str = "Error") -> Callable[[OrchestrationContext], JsonValue]:
    def orchestrator(_context: OrchestrationContext) -> JsonValue:
        raise thrown(message, error_type)

    return orchestrator


for _name, _message in {
    "FailsItself": "The order has no lines",
    "FailsTyped": "Cannot read properties of undefined (reading 'lines')",
    "FailsCustom": "insufficient funds",
    "FailsMultiline": MULTILINE,
    "FailsBig": "M" * 300,
    "FailsColon": "Payment: declined by bank",
    "FailsNamed": "ValidationError: amount is not a number",
    "FailsJson": "Expected property name or '}' in JSON at position 1",
    "FailsTimeout": "Timeout of 30s exceeded",
    # What the worker makes of errors that are none, or have no text.
    **dict.fromkeys(
        ("FailsString", "FailsObject", "FailsEmpty"),
        "One or more errors occurred. (Result: Failure\nException: false\n\n"
        '$OutOfProcData$:{"isDone":false,"actions":[[]],"schemaVersion":3}\nStack: )',
    ),
    "FailsCircular": "One or more errors occurred. (Result: Failure\n"
    "Exception: Converting circular structure to JSON\n"
    "    --> starting at object with constructor 'Object'\n"
    "    --- property 'a' closes the circle\nStack: TypeError: Converting circular structure to"
    " JSON\n    --> starting at object with constructor 'Object'\n"
    "    --- property 'a' closes the circle\n    at JSON.stringify (<anonymous>)\n"
    "    at toRpcTypedData (/_/azure-functions.js:1601:29)",
    "YieldsPromise": "Durable Functions programming constraint violation: Orchestration yielded"
    " data of type object. Only Task types can be yielded. Please check your yield statements to"
    " make sure you only yield Task types resulting from calling Durable Functions APIs.",
}.items():
    functions.orchestrator(_fails(_message), name=_name)


@functions.orchestrator
def FailsUndefined(context: OrchestrationContext) -> Steps:
    """Wait for ever, as after `throw undefined`."""
    yield context.call_activity("NoSuchActivity")


@functions.orchestrator
def FailsAfterActivity(context: OrchestrationContext) -> Steps:
    yield context.call_activity("SayHello", "x")
    raise thrown("after an activity")


@functions.orchestrator
def RunsActivity(context: OrchestrationContext) -> Steps:
    return (yield context.call_activity(str(context.get_input()), {"id": 1001}))


@functions.orchestrator
def CatchesActivity(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 3})
    except FunctionFailed as error:
        context.set_custom_status({"caught": str(error)[:100], "name": "Error", "ctor": "Error"})
    yield context.wait_for_external_event("Repair")


@functions.orchestrator
def WrapsActivity(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 3})
    except FunctionFailed as error:
        raise thrown(f"could not bill: {error}") from error


@functions.orchestrator
def Progress(context: OrchestrationContext) -> Steps:
    context.set_custom_status(
        {"stage": "loading", "done": 3, "total": 10, "note": 'žluťoučký <b>&"'}
    )
    yield context.wait_for_external_event("Go")


@functions.orchestrator
def CallsHttp(context: OrchestrationContext) -> Steps:
    return (yield context.call_http("GET", str(context.get_input())))


@functions.orchestrator
def Nondeterministic(context: OrchestrationContext) -> Steps:
    if context.is_replaying:
        yield context.call_sub_orchestrator("HelloSequence")
    else:
        yield context.call_activity("SayHello", "first")
    yield context.call_activity("SayHello", "second")


def _changed(name: str) -> Callable[[Callable[..., Steps]], None]:
    """Register an orchestrator whose code is another one from its second turn on."""

    def register(steps: Callable[..., Steps]) -> None:
        def orchestrator(context: OrchestrationContext) -> Steps:
            # The first instances ran in a worker that forgot between turns.
            return steps(
                context, is_changed=context.is_replaying and context.instance_id[-1] == "2"
            )

        functions.orchestrator(orchestrator, name=name)

    return register


@_changed("NondeterministicName")
def _name_changed(context: OrchestrationContext, *, is_changed: bool) -> Steps:
    yield context.call_activity("Pass" if is_changed else "SayHello", "x")
    yield context.call_activity("SayHello", "second")


@functions.activity
def Pass(value: JsonValue, _context: ActivityContext) -> JsonValue:
    return value


@_changed("NondeterministicKind")
def _kind_changed(context: OrchestrationContext, *, is_changed: bool) -> Steps:
    yield in_seconds(context, 60) if is_changed else context.call_activity("SayHello", "x")
    yield context.call_activity("SayHello", "second")


@_changed("NondeterministicMissing")
def _call_gone(context: OrchestrationContext, *, is_changed: bool) -> Steps:
    if not is_changed:
        yield context.call_activity("SayHello", "x")
    yield context.wait_for_external_event("Never")


@_changed("NondeterministicSub")
def _child_gone(context: OrchestrationContext, *, is_changed: bool) -> Steps:
    if is_changed:
        yield context.call_activity("SayHello", "x")
    else:
        yield context.call_sub_orchestrator("HelloSequence")
    yield context.wait_for_external_event("Never")


@_changed("NondeterministicThrow")
def _throws_instead(context: OrchestrationContext, *, is_changed: bool) -> Steps:
    if not is_changed:
        yield context.call_activity("SayHello", "x")
    raise thrown("on replay")


@functions.orchestrator
def EventAndActivity(context: OrchestrationContext) -> Steps:
    yield context.task_all([context.wait_for_external_event("Go"), slow(context)])


@functions.orchestrator
def EventOrActivity(context: OrchestrationContext) -> Steps:
    yield context.task_any([context.wait_for_external_event("Go"), slow(context)])


@functions.orchestrator
def EventAndDone(context: OrchestrationContext) -> Steps:
    hello = context.call_activity("SayHello", "x")
    yield context.task_all([context.wait_for_external_event("Go"), hello])


@functions.orchestrator
def AnyOfTwoSubs(context: OrchestrationContext) -> Steps:
    call = context.call_sub_orchestrator
    quick = call("HelloSequence", None, f"{context.instance_id}:quick")
    never = call("WaitsForever", None, f"{context.instance_id}:never")
    yield context.task_any([quick, never])
    yield slow(context)


@functions.orchestrator
def RetryAfterSuccess(context: OrchestrationContext) -> Steps:
    yield context.call_activity("SayHello", "x")
    yield context.call_activity_with_retry("ChargeTyped", RetryOptions(600, 4), {"id": 7})


@functions.orchestrator
def RetryAllPair(context: OrchestrationContext) -> Steps:
    call = context.call_activity_with_retry
    pair = [
        call("Charge", RetryOptions(600, 4), {"id": 7}),
        call("ChargeTyped", RetryOptions(900, 4), {"id": 8}),
    ]
    yield context.task_all(pair)


@functions.orchestrator
def RetryAndSlow(context: OrchestrationContext) -> Steps:
    charge = context.call_activity_with_retry("Charge", RetryOptions(600, 4), {"id": 7})
    yield context.task_all([charge, slow(context)])


@functions.orchestrator
def CallsEntityOp(context: OrchestrationContext) -> Steps:
    call: Any = context.get_input()
    return (yield context.call_entity(counter(call["key"]), call["op"], call.get("input")))


@functions.orchestrator
def HoldsLockSlow(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("busy"))
    yield slow(context)


@functions.orchestrator
def CallsWithCatch(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_entity(counter("steps"), "explode")
    except FunctionFailed as error:
        context.set_custom_status({"m": str(error)})
    yield context.wait_for_external_event("Go")


@functions.orchestrator
def ContinuesWaiting(context: OrchestrationContext) -> Steps:
    number = context.get_input() or 0
    if isinstance(number, int) and number < 3:
        yield context.call_activity("SayHello", f"n{number}")
        context.continue_as_new(number + 1)
        return
    yield context.wait_for_external_event("Next")


@functions.orchestrator
def HoldsLock(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("locked"))
    yield context.call_entity(counter("locked"), "get")
    context.set_custom_status("inside the lock")
    yield context.wait_for_external_event("Release")


@functions.orchestrator
def LocksTwo(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("second"), counter("locked"))
    yield context.wait_for_external_event("Release")


@functions.orchestrator
def CallsEntity(context: OrchestrationContext) -> Steps:
    return (yield context.call_entity(counter(context.get_input()), "get"))


@functions.orchestrator
def SignalsEntity(context: OrchestrationContext) -> JsonValue:
    context.signal_entity(counter(context.get_input()), "add", 5)
    return "sent"


@functions.orchestrator
def SignalsThenWaits(context: OrchestrationContext) -> Steps:
    context.signal_entity(counter(context.get_input()), "add", 5)
    yield context.wait_for_external_event("Go")


@functions.orchestrator
def CallsFailingEntity(context: OrchestrationContext) -> Steps:
    yield context.call_entity(counter("steps"), str(context.get_input()))


@functions.orchestrator
def CallsMissingEntity(context: OrchestrationContext) -> Steps:
    yield context.call_entity(EntityId("NoSuchEntity", "x"), "get")


# --- entities


@functions.entity
def Counter(context: EntityContext) -> None:
    value, operand = int(str(context.get_state(lambda: 0))), context.get_input()
    match context.operation_name:
        case "add":
            context.set_state(value + int(str(operand)))
        case "get":
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case "explode" | "explodeTyped":
            raise thrown("the entity refuses")
        case "explodeString":
            raise FunctionFailed(
                Failure(message="the entity refuses as a string", error_type="string")
            )
        case "forward":
            context.signal_entity("@Counter@downstream", "add", 1)
        case "sleep":
            context.never_returns()


@functions.entity
def Profile(context: EntityContext) -> None:
    if context.operation_name == "set":
        context.set_state(context.get_input())
    elif context.operation_name == "big":
        context.set_state({"blob": "e" * 300})
