"""The functions of the recordings."""

from collections.abc import Mapping
from datetime import timedelta

from emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from emulator.engine.functions import ActivityContext, EntityContext, Functions, Steps
from emulator.json_text import JsonValue

functions = Functions()

_BIG = 300
_ATTEMPTS = 4
_LOCKED = EntityId("Counter", "locked")


@functions.orchestrator
def BigOutput(_context: OrchestrationContext) -> JsonValue:
    """Return a long text."""
    return "o" * _BIG


@functions.orchestrator
def FanOut(context: OrchestrationContext) -> Steps:
    """Run as many activities at once as the input says."""
    number = context.get_input()
    count = number if isinstance(number, int) else 1
    yield context.task_all([context.call_activity("SayHello", str(i)) for i in range(count)])
    return count


@functions.orchestrator
def Retry(context: OrchestrationContext) -> Steps:
    """Retry a failing activity; the input is the seconds between attempts."""
    pause = context.get_input()
    options = RetryOptions(float(pause) if isinstance(pause, int) else 1.0, _ATTEMPTS)
    yield context.call_activity_with_retry("Charge", options, {"id": 7})
    return None


@functions.orchestrator
def CallsFailingEntity(context: OrchestrationContext) -> Steps:
    """Call a failing operation."""
    yield context.call_entity(EntityId("Counter", str(context.get_input())), "explode")
    return None


@functions.orchestrator
def WaitsForever(context: OrchestrationContext) -> Steps:
    """Wait for the event `Never`."""
    yield context.wait_for_external_event("Never")
    return None


@functions.orchestrator
def SignalsEntity(context: OrchestrationContext) -> JsonValue:
    """Signal a counter to add 5."""
    context.signal_entity(EntityId("Counter", str(context.get_input())), "add", 5)
    return None


@functions.orchestrator
def FailsItself(_context: OrchestrationContext) -> JsonValue:
    """Fail."""
    raise ValueError("The order has no lines")


@functions.orchestrator
def Nondeterministic(context: OrchestrationContext) -> Steps:
    """Differ in a replay, which orchestrators must not."""
    if context.is_replaying:
        yield context.call_sub_orchestrator("HelloSequence")
    else:
        yield context.call_activity("SayHello", "once")
    return None


@functions.orchestrator
def Parent(context: OrchestrationContext) -> Steps:
    """Run the orchestrator that the input names, and expect text from it."""
    child_id = f"{context.instance_id}:child"
    result = yield context.call_sub_orchestrator(str(context.get_input()), instance_id=child_id)
    if isinstance(result, list | Mapping):
        first = "[" if isinstance(result, list) else "{"
        raise ValueError(  # noqa: TRY004 - the real one reads JSON
            f"Unexpected character encountered while parsing value: {first}. "
            "Path '', line 1, position 1."
        )
    return result


@functions.orchestrator
def CallsEntity(context: OrchestrationContext) -> Steps:
    """Ask a counter for its value."""
    return (yield context.call_entity(EntityId("Counter", str(context.get_input())), "get"))


@functions.orchestrator
def TwoEvents(context: OrchestrationContext) -> Steps:
    """Wait for two events."""
    events = [context.wait_for_external_event(name) for name in ("First", "Second")]
    return (yield context.task_all(events))


@functions.orchestrator
def Progress(context: OrchestrationContext) -> Steps:
    """Set a custom status, then wait for the event `Continue`."""
    status: JsonValue = {"stage": "loading", "done": 3, "total": 10, "note": 'žluťoučký <b>&"'}
    context.set_custom_status(status)
    yield context.wait_for_external_event("Continue")
    return None


@functions.orchestrator
def FanOutSlow(context: OrchestrationContext) -> Steps:
    """Run three activities, two of which hang."""
    names = ("SayHello", "Slow", "Slow")
    yield context.task_all([context.call_activity(name, "Prague") for name in names])
    return None


@functions.orchestrator
def HoldsLock(context: OrchestrationContext) -> Steps:
    """Hold the lock of a counter until the event `Release`."""
    yield context.lock_entities(_LOCKED)
    value = yield context.call_entity(_LOCKED, "get")
    context.set_custom_status("inside the lock")
    yield context.wait_for_external_event("Release")
    return value


@functions.orchestrator
def SlowActivity(context: OrchestrationContext) -> Steps:
    """Wait for an activity that hangs."""
    yield context.call_activity("Slow")
    return None


@functions.orchestrator
def Eternal(context: OrchestrationContext) -> Steps:
    """Continue as new every five seconds; the input counts."""
    yield context.call_activity("SayHello", "again")
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=5))
    number = context.get_input()
    context.continue_as_new((number if isinstance(number, int) else 0) + 1)
    return None


@functions.orchestrator
def LongTimer(context: OrchestrationContext) -> Steps:
    """Sleep for twenty days."""
    yield context.create_timer(context.current_utc_datetime + timedelta(days=20))
    return "woke"


@functions.orchestrator
def ShortTimer(context: OrchestrationContext) -> Steps:
    """Sleep for the seconds of the input."""
    seconds = context.get_input()
    pause = timedelta(seconds=seconds if isinstance(seconds, int) else 1)
    yield context.create_timer(context.current_utc_datetime + pause)
    return "woke"


@functions.orchestrator
def Approval(context: OrchestrationContext) -> Steps:
    """Wait for the event `Approval`, for at most three days."""
    context.set_custom_status("waiting for a manager")
    decision = context.wait_for_external_event("Approval")
    deadline = context.create_timer(context.current_utc_datetime + timedelta(hours=72))
    winner = yield context.task_any([decision, deadline])
    if winner is not decision:
        return "nobody answered"
    deadline.cancel()
    return decision.result


@functions.orchestrator
def ParentAuto(context: OrchestrationContext) -> Steps:
    """Run two orchestrations with generated ids; one waits forever."""
    names = ("WaitsForever", "HelloSequence")
    return (yield context.task_all([context.call_sub_orchestrator(name) for name in names]))


@functions.orchestrator
def OrderSaga(context: OrchestrationContext) -> Steps:
    """Run a failing activity."""
    return (yield context.call_activity("Charge", context.get_input()))


@functions.orchestrator
def HelloSequence(context: OrchestrationContext) -> Steps:
    """Run three activities in sequence."""
    greetings: list[JsonValue] = []
    for city in ("Tokyo", "Seattle", "London"):
        greetings.append((yield context.call_activity("SayHello", city)))  # noqa: PERF401
    context.set_custom_status({"stage": "done", "percent": 100})
    return greetings


@functions.orchestrator
def CallsHttp(context: OrchestrationContext) -> Steps:
    """Call the URI of the input and return the status."""
    return (yield context.call_http("GET", str(context.get_input())))


@functions.activity
def SayHello(city: JsonValue, _context: ActivityContext) -> JsonValue:
    """Greet a city."""
    return f"Hello {city}!"


@functions.activity
def Slow(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Hang."""
    context.never_returns()
    return None


@functions.activity
def Charge(order: JsonValue, _context: ActivityContext) -> JsonValue:
    """Decline a card."""
    number = order.get("id") if isinstance(order, Mapping) else order
    raise RuntimeError(f"Card declined for order {number}")


@functions.entity
def Profile(context: EntityContext) -> None:
    """Store what is `set`."""
    if context.operation_name == "set":
        context.set_state(context.get_input())
    elif context.operation_name == "delete":
        context.destruct_on_exit()


@functions.entity
def Counter(context: EntityContext) -> None:
    """Count: `add`, `get`, `delete`, `forward` to another counter, `explode`."""
    state = context.get_state(lambda: 0)
    value = state if isinstance(state, int) else 0
    operand = context.get_input()
    match context.operation_name:
        case "add":
            context.set_state(value + (operand if isinstance(operand, int) else 0))
        case "get":
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case "forward":
            context.signal_entity("@counter@downstream", "add", 1)
        case "explode":
            raise RuntimeError("the entity refuses")
        case _:
            pass
