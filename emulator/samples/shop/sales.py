"""
Orders and payments.

Wherever a `bank` is among the arguments, `closed` refuses and `silent` never answers.
"""

from emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from emulator.engine.failures import FunctionFailed
from emulator.engine.functions import ActivityContext, Functions, Steps
from emulator.json_text import JsonValue
from emulator.samples.shop.arguments import number, text

functions = Functions()

_CARRIER = RetryOptions(first_retry_interval=2.0, max_number_of_attempts=5, backoff=2.0)
_BANK = RetryOptions(first_retry_interval=300.0, max_number_of_attempts=10, backoff=2.0)
_LONGEST_SHIPPING = 40.0
_DECLINED = ("Card declined", "Insufficient funds", "The issuer did not answer within 30 s")


@functions.orchestrator
def ProcessOrder(context: OrchestrationContext) -> Steps:
    """Reserve all lines of an order at once, charge the card, and ship the parcel."""
    order = context.get_input()
    lines = range(number(order, "lines", 1))
    yield context.task_all([context.call_activity("ReserveStock", line) for line in lines])
    yield context.call_activity("ChargeCard", order)
    parcel = yield context.call_activity_with_retry("ShipParcel", _CARRIER, order)
    return {"order": number(order, "order"), "parcel": parcel}


@functions.orchestrator
def PaymentSaga(context: OrchestrationContext) -> Steps:
    """Hold an item while money moves; if the credit fails, give back the money and the item."""
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
    """Book a transfer, trying again after ever longer waits, from five minutes to a day."""
    return (yield context.call_activity_with_retry("BookTransfer", _BANK, context.get_input()))


@functions.activity
def ReserveStock(_line: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.2 to 3 s."""
    context.takes(context.random.uniform(0.2, 3))
    return {"reserved": True}


@functions.activity
def ChargeCard(order: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 0.3 to 4 s; 3 % are declined."""
    context.takes(context.random.uniform(0.3, 4))
    if context.random.random() < 0.03:  # noqa: PLR2004 - see the docstring
        why = context.random.choice(_DECLINED)
        raise RuntimeError(f"{why} for order {number(order, 'order')}")
    return {"charged": True}


@functions.activity
def ShipParcel(order: JsonValue, context: ActivityContext) -> JsonValue:
    """Take 8 s on average; the carrier is busy 5 % of the time."""
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
    """Take 0.5 to 5 s; 8 % are refused."""
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
    """Take 1 to 3 s."""
    context.takes(context.random.uniform(1, 3))
    bank = text(transfer, "bank")
    if bank == "silent":
        context.never_returns()
    elif bank == "closed":
        raise RuntimeError("The bank is closed")
    return {"amount": number(transfer, "amount"), "booked": True}
