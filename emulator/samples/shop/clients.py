"""What clients of the shop do: each function does one thing to its hub, at a time."""

from functools import partial
from random import Random

from emulator.json_text import JsonValue, compact
from emulator.samples.schedule import HOUR
from emulator.storage.rows import Entity
from emulator.task_hub import TaskHub

STALLED_ITEM = "sku-1007"

_ITEMS = tuple(f"sku-{1000 + index}" for index in range(20))
# Nobody buys what cannot be paid for.
_ITEMS_FOR_SALE = tuple(item for item in _ITEMS if item != STALLED_ITEM)
_COUNTERS = ("orders", "payments", "refunds", "visits")
_CUSTOMERS = 48
_MONITORS = 3
_MAXIMUM_BACKLOG = 40


def order(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Order one to three things."""
    argument: JsonValue = {"order": 100_000 + number, "lines": random.randint(1, 3)}
    hub.engine.start("ProcessOrder", hub.engine.new_instance_id(), compact(argument), at)


def pay(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Pay for an item."""
    argument: JsonValue = {"payment": number, "item": random.choice(_ITEMS_FOR_SALE)}
    hub.engine.start("PaymentSaga", f"payment-{number:06}", compact(argument), at)


def ask_for_approval(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Ask for an approval; hours later a tenth is withdrawn, and most of the rest approved."""
    instance_id = f"approval-{number:05}"
    hub.engine.start("ApprovalWorkflow", instance_id, compact({"request": number}), at)
    answered = at + random.uniform(0.2 * HOUR, 8 * HOUR)
    withdrawn, approved = random.random() < 0.1, random.random() < 0.85  # noqa: PLR2004
    if withdrawn:
        reason = "withdrawn by the requester"
        hub.engine.at(answered, partial(hub.engine.terminate, instance_id, reason))
    else:
        decision = compact({"approved": approved})
        hub.engine.at(answered, partial(hub.engine.raise_event, instance_id, "Approval", decision))


def deliver_batch(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Deliver a batch of files."""
    instance_id = hub.engine.new_instance_id()
    hub.engine.start("ImportBatch", instance_id, compact({"batch": number}), at)


def order_report(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Order a report."""
    hub.engine.start("NightlyReport", f"nightly-report-{number:04}", None, at)


def start_monitors(hub: TaskHub, at: float) -> None:
    """Start three monitors, which run for ever, each a third of a minute after the last."""
    for number in range(_MONITORS):
        start = partial(hub.engine.start, "CleanupMonitor", f"cleanup-monitor-{number + 1}", None)
        hub.engine.at(at + number * 60 / _MONITORS, start)


def count_something(hub: TaskHub, random: Random, at: float, _number: int) -> None:
    """Count one of a few things."""
    hub.engine.signal("counter", random.choice(_COUNTERS), "add", None, at)


def fill_cart(hub: TaskHub, random: Random, at: float, _number: int) -> None:
    """Put something into a cart, or check out."""
    key = f"customer-{random.randrange(_CUSTOMERS):03}"
    item = compact(random.choice(_ITEMS))
    operation = "check_out" if random.random() < 1 / 6 else "add"
    hub.engine.signal("cart", key, operation, item, at)


def sell(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Sell one piece of each item in turn, but none of what has too many requests waiting."""
    key = _ITEMS[number % len(_ITEMS)]
    stock = hub.get(f"@inventory@{key}")
    if not isinstance(stock, Entity) or len(stock.queue) < _MAXIMUM_BACKLOG:
        hub.engine.signal("inventory", key, "reserve", None, at)
