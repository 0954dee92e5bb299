"""The app of the isolated .NET recording, function by function."""

from collections.abc import Callable, Generator, Mapping, Sequence
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

HOUR = 3600.0
DAY = 24 * HOUR
NO_LINES = ("The order has no lines", "System.ArgumentException")
MULTILINE = (
    'Import of 2026-11-23T10:00:00Z failed:\n  line 17: "price" is missing\n'
    "  line 99: bad VAT id CZ12345678\r\nsee https://example.org/run/9b2f3f0e-8f43-4a5e-9f6f-0a8bb7c9d111"
)
NOT_TEXT = "The JSON value could not be converted to System.String. Path: $ | LineNumber: 0 | {}"
NOT_A_NUMBER = "The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | {}"
DESERIALIZE = (
    "Failed to deserialize input for activity function 'TakesNumber' into type 'System.Int32'."
    " Activity inputs must be JSON-serializable values. Pass concrete data transfer objects instead"
    " of interfaces or dependency-injected services, and ensure the input matches the target type."
    " The original error was: {}"
)
AGGREGATE = (
    "One or more errors occurred. (no answer from a) (b is closed)",
    "System.AggregateException",
)
CANCELLED = "One or more errors occurred. (A task was canceled.)"


def after(context: OrchestrationContext, seconds: float) -> Any:  # noqa: ANN401 - a timer
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


def caused(message: str, exception_type: str, cause: Failure | None = None) -> Failure:
    """Return an inner exception: it has not been thrown, so it has no trace."""
    return Failure(message=message, exception_type=exception_type, cause=cause, has_trace=False)


NOT_THROWN = caused(
    "inner text",
    "System.InvalidOperationException",
    caused("disk full on /dev/sdb1", "System.IO.IOException"),
)


def not_text(what: str, place: str) -> FunctionFailed:
    cause = Failure(
        message=f"Cannot get the value of a token type '{what}' as a string.",
        exception_type="System.InvalidOperationException",
    )
    return thrown(NOT_TEXT.format(place), "System.Text.Json.JsonException", cause=cause)


def when_all(tasks: Sequence[Any]) -> Generator[Any, Any, None]:
    """Wait for all, as Task.WhenAll does also after a failure, and raise the first one."""
    failed: FunctionFailed | None = None
    for task in tasks:
        try:
            yield task
        except FunctionFailed as error:
            failed = failed or error
    if failed is not None:
        raise failed


# --- activities


# Those that were called at once ended in this order.
QUICKEST = ("w4", "w2", "w3", "w1", "w0", "quick2", "quick")


def activity(name: str, body: Callable[[JsonValue], JsonValue], seconds: float = 0.03) -> None:
    def run(argument: JsonValue, context: ActivityContext) -> JsonValue:
        order = QUICKEST.index(argument) if argument in QUICKEST else 0
        context.takes(float(str(argument)) if name == "Slow" else seconds + order * 0.01)
        return body(argument)

    functions.activity(run, name=name)


def throwing(error: Callable[[JsonValue], FunctionFailed]) -> Callable[[JsonValue], JsonValue]:
    def body(argument: JsonValue) -> JsonValue:
        raise error(argument)

    return body


def nested(argument: JsonValue) -> FunctionFailed:
    if not isinstance(argument, str):
        return not_text("StartObject", "BytePositionInLine: 1.")
    disk = caused("disk full on /dev/sdb1", "System.IO.IOException")
    inner = caused(f"inner {argument}", "System.InvalidOperationException", disk)
    return thrown(f"outer {argument}", "LedgerUnavailableException", cause=inner)


def declined(order: JsonValue) -> FunctionFailed:
    number = order.get("id") if isinstance(order, Mapping) else None
    return thrown(f"Card declined for order {number}", "System.InvalidOperationException")


def unread(argument: JsonValue) -> FunctionFailed:
    place = NOT_A_NUMBER.format(f"BytePositionInLine: {len(str(argument)) + 2}.")
    token = "Cannot get the value of a token type 'String' as a number."
    inner = Failure(message=token, exception_type="System.InvalidOperationException")
    cause = Failure(message=place, exception_type="System.Text.Json.JsonException", cause=inner)
    message = DESERIALIZE.format(place)
    return thrown(message, "System.InvalidOperationException", cause=cause)


def ledger(argument: JsonValue) -> FunctionFailed:
    message = (
        f"Ledger 10.2.3.4:5432 did not answer within 00:00:30 for posting {argument}\n"
        "   at Ledger.Post() in ledger.cs:line 42"
    )
    return thrown(message, "System.TimeoutException")


activity("SayHello", lambda name: f"Hello {name}!")
activity("Charge", throwing(declined))
activity("Slow", lambda _: "slept")
for _name in ("PrintLabel", "Refund"):
    activity(_name, lambda it: it, HOUR)
activity("TimesOut", lambda _: "x", 60)
activity("BigOut", lambda _: "b" * 70_000)
for _name, _error in {
    "PostLedger": ledger,
    "Nested": nested,
    "TakesNumber": unread,
    "OldPlain": lambda it: thrown(f"No stock left for {it}", "StockException"),
    "OldNested": lambda it: thrown(f"outer {it}", "LedgerUnavailableException"),
    "OldMultiline": lambda it: thrown(f"first line {it}", "StockException"),
    "OldUserPlain": lambda it: thrown(f"No stock left for {it}", "(unknown)"),
    "OldUserColon": lambda it: thrown("no stock left", f"Order {it}"),
    "JavaQuery": lambda _: thrown("Invalid column name 'status'.", "SQLServerException"),
    "Aggregate": lambda _: thrown(
        *AGGREGATE, cause=caused("no answer from a", "System.TimeoutException")
    ),
    "Cancels": lambda _: thrown(
        "A task was canceled.", "System.Threading.Tasks.TaskCanceledException"
    ),
    "EmptyMessage": lambda _: thrown("", "StockException"),
    "HugeActivity": lambda _: thrown("huge " + "y" * 80_000, "StockException"),
}.items():
    activity(_name, throwing(_error))


def _http(request: JsonValue, context: ActivityContext) -> JsonValue:
    uri = str(request["uri"]) if isinstance(request, Mapping) else ""
    none = uri.endswith("/none") and ":9/" not in uri
    return 404 if none else BUILT_IN_HTTP(request, context)


BUILT_IN_HTTP = functions.activities["BuiltIn::HttpActivity"]
functions.activity(_http, name="BuiltIn::HttpActivity")

# --- orchestrators

orchestrator = functions.orchestrator


def calls(name: str, function: str, argument: JsonValue = None) -> None:
    """Add an orchestrator that runs an activity, on its own input if none is given."""

    def run(context: OrchestrationContext) -> Steps:
        given = context.get_input() if argument is None else argument
        return (yield context.call_activity(function, given))

    functions.orchestrator(run, name=name)


def waits(name: str, *events: str) -> None:
    """Add an orchestrator that waits for events, one after another."""

    def run(context: OrchestrationContext) -> Steps:
        for event in events:
            yield context.wait_for_external_event(event)

    functions.orchestrator(run, name=name)


def fails(name: str, error: Callable[[], FunctionFailed]) -> None:
    """Add an orchestrator that throws."""

    def run(_context: OrchestrationContext) -> JsonValue:
        raise error()

    functions.orchestrator(run, name=name)


calls("OrderSaga", "Charge")
calls("SlowActivity", "Slow", HOUR)
calls("CallsUnknownActivity", "NoSuchActivity", 1)
waits("WaitsForever", "Never")
waits("TwoEvents", "First", "Second")
fails("FailsItself", lambda: thrown(*NO_LINES))
fails(
    "FailsItselfNested",
    lambda: thrown("outer text", "LedgerUnavailableException", cause=NOT_THROWN),
)
fails("FailsHuge", lambda: thrown("x" * 80_000, "System.Exception"))
fails("FailsMultiline", lambda: thrown(MULTILINE, "System.FormatException"))
fails(
    "AggregatesItself",
    lambda: thrown(*AGGREGATE, cause=caused("no answer from a", "System.TimeoutException")),
)
fails("CustomNamed", lambda: thrown("sku A-1", "Contoso.Orders.OutOfStock"))
fails(
    "GenericExc",
    lambda: thrown(
        "sku A-1",
        "Contoso.Orders.Oops`1[[System.String, System.Private.CoreLib, Version=10.0.0.0,"
        " Culture=neutral, PublicKeyToken=7cec85d7bea7798e]]",
    ),
)
fails(
    "ColonMessage",
    lambda: thrown(
        "Task 'Charge' (#0) failed with an unhandled exception: not really", "StockException"
    ),
)
fails(
    "BreaksWorker",
    lambda: thrown(
        "System.InvalidOperationException: Unable to resolve service for type 'IClock' while"
        " attempting to activate 'Orchestrators'.\n   at Microsoft.Extensions.DependencyInjection"
        ".ActivatorUtilities.CreateInstance()",
        leaves_worker=True,
    ),
)


@orchestrator
def HelloSequence(context: OrchestrationContext) -> Steps:
    greetings: list[JsonValue] = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("SayHello", city)))  # noqa: PERF401
    context.set_custom_status({"stage": "done", "percent": 100})
    return greetings


@orchestrator
def FanOut(context: OrchestrationContext) -> Steps:
    count = int(str(context.get_input()))
    yield from when_all([context.call_activity("SayHello", f"w{i}") for i in range(count)])
    return count


@orchestrator
def FanOutSlow(context: OrchestrationContext) -> Steps:
    hello = partial(context.call_activity, "SayHello")
    yield from when_all([hello("quick"), hello("quick2"), context.call_activity("Slow", HOUR)])


@orchestrator
def Approval(context: OrchestrationContext) -> Steps:
    context.set_custom_status("waiting for a manager")
    timer = after(context, 3 * DAY)
    yield context.task_any([context.wait_for_external_event("Approval"), timer])


def event_or_cancelled(seconds: float, message: str) -> Callable[[OrchestrationContext], Steps]:
    """Return an orchestrator that waits for an event so long, as the SDK does it."""

    def run(context: OrchestrationContext) -> Steps:
        timer = after(context, seconds)
        event = context.wait_for_external_event("Approval")
        yield context.task_any([event, timer])
        if not event.is_completed:
            raise thrown(message, leaves_worker=True)

    return run


functions.orchestrator(event_or_cancelled(3 * DAY, CANCELLED), name="ApprovalBuiltIn")
functions.orchestrator(event_or_cancelled(2, CANCELLED), name="EventTimeout")
functions.orchestrator(
    event_or_cancelled(
        2,
        f"System.AggregateException: {CANCELLED}\n"
        " ---> System.Threading.Tasks.TaskCanceledException: A task was canceled.\n"
        "   at System.Threading.Tasks.Task.GetExceptions(Boolean includeTaskCanceledExceptions)\n\n"
        "   --- End of inner exception stack trace ---\n   at System.Threading.Tasks.Task",
    ),
    name="EventTimeoutOld",
)


@orchestrator
def LongTimer(context: OrchestrationContext) -> Steps:
    yield after(context, 20 * DAY)


@orchestrator
def ShortTimer(context: OrchestrationContext) -> Steps:
    yield after(context, float(str(context.get_input())))
    return "woke"


@orchestrator
def Retry(context: OrchestrationContext) -> Steps:
    options = RetryOptions(float(str(context.get_input())), 4)
    yield context.call_activity_with_retry("Charge", options, {"id": 7})


@orchestrator
def RetryHandler(context: OrchestrationContext) -> Steps:
    options = RetryOptions(float(str(context.get_input())), 4)
    yield context.call_activity_with_retry("Charge", options, {"id": 8})


@orchestrator
def Eternal(context: OrchestrationContext) -> Steps:
    number = int(str(context.get_input()))
    yield context.call_activity("SayHello", f"round {number}")
    yield after(context, 5)
    context.continue_as_new(number + 1)


@orchestrator
def Parent(context: OrchestrationContext) -> Steps:
    name, child = str(context.get_input()), f"{context.instance_id}:child"
    result = yield context.call_sub_orchestrator(name, None, child)
    if isinstance(result, list):
        raise not_text("StartArray", "BytePositionInLine: 1.")
    return result


def parent_of(name: str, *children: str, argument: JsonValue = None) -> None:
    """Add an orchestrator that runs others under ids that are made for them."""

    def run(context: OrchestrationContext) -> Steps:
        started = [context.call_sub_orchestrator(child, argument) for child in children]
        yield from when_all(started)

    functions.orchestrator(run, name=name)


parent_of("ParentAuto", "WaitsForever", "HelloSequence")
parent_of("ParentAutoFails", "OrderSaga", argument={"id": 5})
parent_of("CallsUnknownSub", "NoSuchSub")
parent_of("GrandFails", "MiddleFails")
parent_of("MiddleFails", "FailsNested")
parent_of("ParentOfBroken", "BreaksWorker")
parent_of("ParentOfTimeout", "EventTimeout")


@orchestrator
def Progress(context: OrchestrationContext) -> Steps:
    context.set_custom_status(
        {"stage": "loading", "done": 3, "total": 10, "note": 'žluťoučký <b>&"'}
    )
    yield context.wait_for_external_event("Go")


@orchestrator
def CallsHttp(context: OrchestrationContext) -> Steps:
    return (yield context.call_http("GET", str(context.get_input())))


PollsHttp = orchestrator(CallsHttp, name="PollsHttp")


def counter(key: str) -> EntityId:
    return EntityId("Counter", key)


@orchestrator
def HoldsLock(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("locked"))
    yield context.call_entity(counter("locked"), "get")
    context.set_custom_status("inside the lock")
    yield context.wait_for_external_event("Release")


@orchestrator
def LockThenWait(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("locked"))
    context.release_locks()
    yield context.wait_for_external_event("Release")


@orchestrator
def CallsEntity(context: OrchestrationContext) -> Steps:
    return (yield context.call_entity(counter(str(context.get_input())), "get"))


@orchestrator
def SignalsEntity(context: OrchestrationContext) -> JsonValue:
    context.signal_entity(counter(str(context.get_input())), "add", 5)
    return None


@orchestrator
def CallsFailingEntity(context: OrchestrationContext) -> Steps:
    yield context.call_entity(counter(str(context.get_input())), "explode")


@orchestrator
def CallsUnknownEntity(context: OrchestrationContext) -> Steps:
    yield context.call_entity(EntityId("NoSuchEntity", str(context.get_input())), "get")


@orchestrator
def Nondeterministic(context: OrchestrationContext) -> Steps:
    if context.is_replaying:
        yield context.call_sub_orchestrator("HelloSequence")
    else:
        yield context.call_activity("SayHello", "first")
    yield context.call_activity("SayHello", "second")


@orchestrator
def Onboarding(context: OrchestrationContext) -> Steps:
    child = context.call_sub_orchestrator
    yield from when_all(
        [
            child("ShipParcel", "p1", f"{context.instance_id}-ship"),
            child("SignContract", "p2", f"{context.instance_id}-sign"),
            context.call_activity("SayHello", "i1"),
        ]
    )


@orchestrator
def ShipParcel(context: OrchestrationContext) -> Steps:
    yield context.call_activity("SayHello", "a")
    yield context.call_activity("PrintLabel", "b")


@orchestrator
def SignContract(context: OrchestrationContext) -> Steps:
    yield context.call_activity("SayHello", "a")
    yield context.wait_for_external_event("Signed")


@orchestrator
def RaceTimerWon(context: OrchestrationContext) -> Steps:
    work = context.call_activity("PrintLabel", "slow")
    yield context.task_any([work, after(context, 2)])
    context.set_custom_status("escalated")
    yield work


@orchestrator
def Reminders(context: OrchestrationContext) -> Steps:
    for i in range(3):
        event = context.wait_for_external_event("Answer")
        timer = after(context, 1 if i < 2 else DAY)
        yield context.task_any([event, timer])
        yield context.call_activity("SayHello", f"reminder {i}")


@orchestrator
def CancelledTimer(context: OrchestrationContext) -> Steps:
    timer = after(context, 2 * DAY)
    yield context.task_any([context.wait_for_external_event("Step1"), timer])
    timer.cancel()
    yield context.wait_for_external_event("Step2")


@orchestrator
def SubRetry(context: OrchestrationContext) -> Steps:
    options, child = RetryOptions(1800, 5, 2), f"{context.instance_id}-run"
    yield context.call_sub_orchestrator_with_retry("LedgerRun", options, "x", child)


@orchestrator
def LedgerRun(context: OrchestrationContext) -> Steps:
    yield context.call_activity("PostLedger", context.instance_id)


@orchestrator
def Compensating(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("PostLedger", "L-77")
    except FunctionFailed:
        yield context.call_activity("Refund", "L-77")


@orchestrator
def GrandParent(context: OrchestrationContext) -> Steps:
    yield context.call_sub_orchestrator("MiddleParent", None, f"{context.instance_id}.m")


@orchestrator
def MiddleParent(context: OrchestrationContext) -> Steps:
    yield context.call_sub_orchestrator("LocksAccount", None, f"{context.instance_id}.leaf")


@orchestrator
def LocksAccount(context: OrchestrationContext) -> Steps:
    alice, bob = EntityId("Account", "alice"), EntityId("Account", "bob")
    yield context.lock_entities(bob, alice)
    yield context.call_entity(alice, "add", -5)
    yield context.call_entity(bob, "add", 5)
    yield context.wait_for_external_event("Commit")


@orchestrator
def SignalThenWait(context: OrchestrationContext) -> Steps:
    context.signal_entity(EntityId("Account", "carol"), "add", 1)
    yield context.wait_for_external_event("Reply")


@orchestrator
def FailsTwice(context: OrchestrationContext) -> Steps:
    call = context.call_activity
    yield from when_all([call("PostLedger", "A"), call("Nested", "B"), call("SayHello", "C")])


@orchestrator
def FailsNested(context: OrchestrationContext) -> Steps:
    yield context.call_activity("Nested", context.instance_id)


@orchestrator
def FailsBy(context: OrchestrationContext) -> Steps:
    yield context.call_activity(str(context.get_input()), context.instance_id)


def as_cause(error: FunctionFailed) -> Failure:
    """Return a failed task as the cause of another exception, with what caused the task's."""
    task = error.failure.message.partition(": ")[0]
    nothing = "Exception of type 'DurableTask.Core.Exceptions.TaskFailedException' was thrown."
    return Failure(
        message=error.failure.message,
        exception_type=error.failure.exception_type,
        cause=Failure(
            message=f"{task}: {nothing}",
            exception_type="DurableTask.Core.Exceptions.TaskFailedException",
        ),
    )


@orchestrator
def Wraps(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 9})
    except FunctionFailed as error:
        cause = as_cause(error)
        raise thrown(
            "billing is not possible", "LedgerUnavailableException", cause=cause
        ) from error


@orchestrator
def Rethrows(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 9})
    except FunctionFailed as error:
        message, cause = f"Order 9 failed: {error}", as_cause(error)
        raise thrown(message, "System.InvalidOperationException", cause=cause) from error


@orchestrator
def CatchesThenFails(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 9})
    except FunctionFailed:
        yield context.call_activity("SayHello", "x")
    raise thrown("nothing left in aisle 5", "StockException")


@orchestrator
def DrainsEvents(context: OrchestrationContext) -> Steps:
    number = int(str(context.get_input()))
    yield context.wait_for_external_event("Item")
    context.continue_as_new(number + 1)


@orchestrator
def WaitsThenWorks(context: OrchestrationContext) -> Steps:
    yield context.wait_for_external_event("Go")
    yield context.call_activity("PrintLabel", "x")


@orchestrator
def IllegalAwait(context: OrchestrationContext) -> Steps:
    """Wait for ever, as the real one does that awaits something else than a task."""
    yield context.wait_for_external_event("Nothing")


@orchestrator
def SubRetryExhausted(context: OrchestrationContext) -> Steps:
    options = RetryOptions(1, 2)
    yield context.call_sub_orchestrator_with_retry("FailsItself", options, "x")


@orchestrator
def CallEntityOrTimer(context: OrchestrationContext) -> Steps:
    timer = after(context, 5 * HOUR)
    yield context.task_any([timer, context.call_entity(counter("locked"), "get")])


@orchestrator
def CallsSlowEntity(context: OrchestrationContext) -> Steps:
    return (yield context.call_entity(EntityId("SlowEntity", "one"), str(context.get_input())))


@orchestrator
def CallsOp(context: OrchestrationContext) -> Steps:
    class_name, key, operation = str(context.get_input()).split(":")
    return (yield context.call_entity(EntityId(class_name, key), operation))


@orchestrator
def LocksBig(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(EntityId("Profile", "big"), counter("free"))
    yield context.wait_for_external_event("Release")


@orchestrator
def LockThenActivity(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("act"))
    yield context.call_activity("PrintLabel", "x")


@orchestrator
def ReleasedThenWaits(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("rel"))
    yield context.call_entity(counter("rel"), "add", 1)
    context.release_locks()
    yield context.wait_for_external_event("Later")


@orchestrator
def FailsHoldingLock(context: OrchestrationContext) -> Steps:
    yield context.lock_entities(counter("fl"))
    raise thrown("inside the lock", "StockException")


@orchestrator
def MixedWaits(context: OrchestrationContext) -> Steps:
    yield from when_all(
        [
            context.call_activity("PrintLabel", "x"),
            context.wait_for_external_event("E1"),
            context.call_sub_orchestrator("WaitsForever"),
            context.call_entity(counter("locked"), "get"),
        ]
    )


@orchestrator
def BigCalls(context: OrchestrationContext) -> Steps:
    output = yield context.call_activity("BigOut", "i" * 70_000)
    context.set_custom_status("big done")
    return output + output


@orchestrator
def Catch2(context: OrchestrationContext) -> Steps:
    try:
        yield context.call_activity("Charge", {"id": 1})
    except FunctionFailed:
        yield context.call_activity("Nested", {"id": 1})


@orchestrator
def TypedEvent(context: OrchestrationContext) -> Steps:
    value = yield context.wait_for_external_event("Num")
    place = NOT_A_NUMBER.format(f"BytePositionInLine: {len(value) + 2}.")
    raise thrown(place, leaves_worker=True)


@orchestrator
def WhenAllFails(context: OrchestrationContext) -> Steps:
    failed: list[FunctionFailed] = []
    for task in (context.call_activity("PostLedger", "A"), context.call_activity("Nested", "B")):
        try:
            yield task
        except FunctionFailed as error:
            failed.append(error)
    message = " ".join(f"({error})" for error in failed)
    raise thrown(
        f"One or more errors occurred. {message}",
        "System.AggregateException",
        cause=as_cause(failed[0]),
    )


# --- entities


def _counter(context: EntityContext) -> None:
    value, operand = int(str(context.get_state(lambda: 0))), context.get_input()
    match context.operation_name:
        case "add":
            context.set_state(value + int(str(operand)))
        case "get":
            context.set_state(value)
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case "explode":
            raise thrown("the entity refuses", "System.InvalidOperationException")
        case "forward":
            context.set_state(value)
            context.signal_entity("@counter@downstream", "add", 1)
        case operation:
            what = f"No suitable method found for entity operation 'counter/{operation}'."
            raise thrown(what, "System.NotSupportedException")


for _name in ("Counter", "Account"):
    functions.entity(_counter, name=_name)


@functions.entity
def Profile(context: EntityContext) -> None:
    empty: dict[str, JsonValue] = {"Name": None, "Tags": None, "Blob": None}
    if context.operation_name == "set":  # whose fields are spelled in other letters
        context.set_state(empty)
    elif context.operation_name == "big":
        context.set_state({**empty, "Blob": "e" * 90_000})


@functions.entity
def BrokenEntity(_context: EntityContext) -> None:
    raise thrown("cannot build BrokenEntity", "System.InvalidOperationException")


@functions.entity
def SlowEntity(context: EntityContext) -> None:
    if context.operation_name == "slow":
        context.never_returns()
    else:
        context.set_state(0)
        context.set_result(0)


@functions.entity
def Starter(context: EntityContext) -> None:
    context.set_state(int(str(context.get_state(lambda: 0))) + 1)
