"""A shop: orders, payments, approvals, reports, imports, stock."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from emulator.engine.failures import FunctionFailed
from emulator.engine.functions import ActivityContext, EntityContext, Functions, Steps
from emulator.json_text import JsonValue

functions = Functions()

_CARRIER = RetryOptions(first_retry_interval=2.0, max_number_of_attempts=5, backoff=2.0)
_BANK = RetryOptions(first_retry_interval=300.0, max_number_of_attempts=10, backoff=2.0)
_LONGEST_SHIPPING = 40.0
_DECLINED = ("Card declined", "Insufficient funds", "The issuer did not answer within 30 s")
_REMINDER = timedelta(hours=24)
_DEADLINE = timedelta(hours=72)
_CLEANING_PERIOD = timedelta(minutes=1)
_FULL_SHELF = 200


def number(argument: JsonValue, name: str, default: int = 0) -> int:
    """Return an integer argument, which a caller may omit or mistype."""
    value = argument.get(name) if isinstance(argument, Mapping) else None
    return value if isinstance(value, int) else default


def text(argument: JsonValue, name: str, default: str = "") -> str:
    """Return a text argument, which a caller may omit or mistype."""
    value = argument.get(name) if isinstance(argument, Mapping) else None
    return value if isinstance(value, str) else default


@functions.orchestrator
def ProcessOrder(context: OrchestrationContext) -> Steps:
    """Reserve the lines of an order at once, charge the card, ship the parcel."""
    order = context.get_input()
    lines = range(number(order, "lines", 1))
    yield context.task_all([context.call_activity("ReserveStock", line) for line in lines])
    yield context.call_activity("ChargeCard", order)
    parcel = yield context.call_activity_with_retry("ShipParcel", _CARRIER, order)
    return {"order": number(order, "order"), "parcel": parcel}


@functions.orchestrator
def PaymentSaga(context: OrchestrationContext) -> Steps:
    """Lock an item while money moves; compensate if the credit fails."""
    payment = context.get_input()
    item = EntityId("inventory", text(payment, "item", "sku-1000"))
    yield context.lock_entities(item)
    yield context.call_entity(item, "reserve")
    context.set_custom_status({"stage": "paying"})
    yield context.call_activity("DebitAccount", payment)
    try:
        yield context.call_activity("CreditAccount", payment)
    except FunctionFailed:
        context.set_custom_status({"stage": "compensating"})
        yield context.call_activity("RefundAccount", payment)
        yield context.call_entity(item, "release")
        raise
    context.release_locks()
    yield context.call_activity("SendReceipt", payment)
    context.set_custom_status({"stage": "settled"})
    return {"payment": number(payment, "payment"), "settled": True}


@functions.orchestrator
def TransferFunds(context: OrchestrationContext) -> Steps:
    """Book a transfer, with retries after five minutes to a day."""
    return (yield context.call_activity_with_retry("BookTransfer", _BANK, context.get_input()))


@functions.activity
def ReserveStock(_line: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 3 s."""
    context.takes(context.random.uniform(0.2, 3))
    return {"reserved": True}


@functions.activity
def ChargeCard(order: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.3 to 4 s; 3 % fail."""
    context.takes(context.random.uniform(0.3, 4))
    if context.random.random() < 0.03:  # noqa: PLR2004 - see the docstring
        why = context.random.choice(_DECLINED)
        raise RuntimeError(f"{why} for order {number(order, 'order')}")
    return {"charged": True}


@functions.activity
def ShipParcel(order: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 8 s on average; 5 % fail."""
    if context.random.random() < 0.05:  # noqa: PLR2004 - see the docstring
        raise RuntimeError("The carrier is busy")
    context.takes(min(_LONGEST_SHIPPING, context.random.expovariate(1 / 8)))
    return f"DHL-{number(order, 'order')}"


@functions.activity
def DebitAccount(_payment: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 2 s."""
    context.takes(context.random.uniform(0.2, 2))
    return None


@functions.activity
def CreditAccount(payment: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.5 to 5 s; 8 % fail, all for the bank `closed`; the bank `silent` hangs."""
    context.takes(context.random.uniform(0.5, 5))
    bank = text(payment, "bank")
    if bank == "silent":
        context.never_returns()
    elif bank == "closed" or context.random.random() < 0.08:  # noqa: PLR2004 - see the docstring
        name = f"payment-{number(payment, 'payment'):06}"
        raise RuntimeError(f"The bank refused the credit of {name}: account closed")
    return None


@functions.activity
def RefundAccount(_payment: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 2 s."""
    context.takes(context.random.uniform(0.2, 2))
    return None


@functions.activity
def SendReceipt(_payment: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.1 to 1 s."""
    context.takes(context.random.uniform(0.1, 1))
    return None


@functions.activity
def BookTransfer(transfer: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 1 to 3 s; the bank `closed` fails, `silent` hangs."""
    context.takes(context.random.uniform(1, 3))
    bank = text(transfer, "bank")
    if bank == "silent":
        context.never_returns()
    elif bank == "closed":
        raise RuntimeError("The bank is closed")
    return {"amount": number(transfer, "amount"), "booked": True}


@functions.orchestrator
def ApprovalWorkflow(context: OrchestrationContext) -> Steps:
    """Wait for a manager's decision: a reminder after a day, rejection after three."""
    yield context.call_activity("NotifyManager", "please approve")
    context.set_custom_status("waiting for a manager")
    asked = context.current_utc_datetime
    decision = context.wait_for_external_event("Approval")
    reminder = context.create_timer(asked + _REMINDER)
    deadline = context.create_timer(asked + _DEADLINE)
    first = yield context.task_any([decision, reminder])
    if first is reminder:
        yield context.call_activity("NotifyManager", "please do not forget")
        context.set_custom_status("waiting for a manager, reminded")
        yield context.task_any([decision, deadline])
    for timer in (reminder, deadline):
        timer.cancel()
    approved = decision.is_completed and decision.result == {"approved": True}
    context.set_custom_status("decided")
    yield context.call_activity("PublishDecision", approved)
    return {"approved": approved}


@functions.orchestrator
def NightlyReport(context: OrchestrationContext) -> Steps:
    """Run an activity of minutes."""
    return (yield context.call_activity("RenderReport"))


@functions.orchestrator
def ImportBatch(context: OrchestrationContext) -> Steps:
    """Import the files of a batch at once, each in a sub-orchestration."""
    files = yield context.call_activity("ListFiles", context.get_input())
    rows = yield context.task_all(
        [context.call_sub_orchestrator("ImportFile", file) for file in files]
    )
    return {"files": len(files), "rows": sum(rows)}


@functions.orchestrator
def ImportFile(context: OrchestrationContext) -> Steps:
    """Return the number of rows of a file, 0 for an unchanged one."""
    file = context.get_input()
    if not number(file, "changed", default=1):
        return 0
    return (yield context.call_activity("ParseFile", file))


@functions.orchestrator
def CleanupMonitor(context: OrchestrationContext) -> Steps:
    """Delete expired files every minute, forever; the input counts the rounds."""
    began = context.current_utc_datetime
    yield context.call_activity("DeleteExpiredFiles")
    yield context.create_timer(began + _CLEANING_PERIOD)
    context.continue_as_new({"round": number(context.get_input(), "round") + 1})
    return None


@functions.activity
def NotifyManager(_message: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 1 s."""
    context.takes(context.random.uniform(0.2, 1))
    return None


@functions.activity
def PublishDecision(_approved: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 1 s."""
    context.takes(context.random.uniform(0.2, 1))
    return None


@functions.activity
def RenderReport(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 4 to 9 minutes."""
    context.takes(context.random.uniform(240, 540))
    return {"pages": context.random.randint(180, 240)}


@functions.activity
def ListFiles(batch: JsonValue, context: ActivityContext) -> JsonValue:
    """Return the files of a batch, 4 to 12 by default; about half have changed."""
    context.takes(context.random.uniform(0.2, 1))
    count = number(batch, "files") or context.random.randint(4, 12)
    folder = f"{number(batch, 'batch'):04}"
    return [
        {"file": f"{folder}/{index:04}.csv", "changed": bool(context.random.randrange(2))}
        for index in range(count)
    ]


@functions.activity
def ParseFile(_file: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.1 to 6 s."""
    context.takes(context.random.uniform(0.1, 6))
    return context.random.randint(10, 5000)


@functions.activity
def DeleteExpiredFiles(_argument: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 2 s."""
    context.takes(context.random.uniform(0.2, 2))
    return {"deleted": context.random.randint(0, 9)}


@functions.entity
def counter(context: EntityContext) -> None:
    """Count: `add`, `get`, `reset`."""
    state = context.get_state(lambda: 0)
    value = state if isinstance(state, int) else 0
    operand = context.get_input()
    match context.operation_name:
        case "add":
            context.set_state(value + (operand if isinstance(operand, int) else 1))
        case "get":
            context.set_result(value)
        case "reset":
            context.destruct_on_exit()
        case _:
            pass


@functions.entity
def cart(context: EntityContext) -> None:
    """Keep items: `add`, `get`, `check_out`, which deletes the cart."""
    items = context.get_state(list)
    items = items if isinstance(items, Sequence) else []
    match context.operation_name:
        case "add":
            context.set_state([*items, context.get_input()])
        case "get":
            context.set_result(items)
        case "check_out":
            context.set_result(items)
            context.destruct_on_exit()
        case _:
            pass


@functions.entity
def inventory(context: EntityContext) -> None:
    """Keep the stock of an item: `reserve`, `release`, `get`; refilled when sold out."""
    left = _left(context.get_state())
    match context.operation_name:
        case "reserve":
            left = (left or _FULL_SHELF) - 1
        case "release":
            left += 1
        case _:
            pass
    context.set_state({"left": left})
    context.set_result(left)


def _left(state: JsonValue) -> int:
    return number(state, "left", _FULL_SHELF)
