"""The shop's traffic, and its instances in trouble."""

from functools import partial
from itertools import count
from random import Random

from emulator.json_text import JsonValue, compact
from emulator.samples.schedule import DAY, FOREVER, HOUR, MINUTE, Client, Schedule, every, poisson
from emulator.storage.rows import Entity
from emulator.task_hub import TaskHub

STALLED_ITEM = "sku-1007"

_ITEMS = tuple(f"sku-{1000 + index}" for index in range(20))
# Payments for the stalled item would block.
_ITEMS_FOR_SALE = tuple(item for item in _ITEMS if item != STALLED_ITEM)
_COUNTERS = ("orders", "payments", "refunds", "visits")
_CUSTOMERS = 48
_MONITORS = 3
_MAXIMUM_BACKLOG = 40

_STUCK_TRANSFERS = 4
_WAITING_PAYMENTS = 6
# The past's share of the rate, which keeps a new hub small.
PAST_SHARE = 0.1


def order(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Start an order of one to three lines."""
    argument: JsonValue = {"order": 100_000 + number, "lines": random.randint(1, 3)}
    hub.engine.start("ProcessOrder", hub.engine.new_instance_id(), compact(argument), at)


def pay(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Start a payment."""
    argument: JsonValue = {"payment": number, "item": random.choice(_ITEMS_FOR_SALE)}
    hub.engine.start("PaymentSaga", f"payment-{number:06}", compact(argument), at)


def ask_for_approval(hub: TaskHub, random: Random, at: float, number: int) -> None:
    """Start an approval; hours later 10 % are terminated, the rest decided."""
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
    """Start an import."""
    instance_id = hub.engine.new_instance_id()
    hub.engine.start("ImportBatch", instance_id, compact({"batch": number}), at)


def order_report(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Start a report."""
    hub.engine.start("NightlyReport", f"nightly-report-{number:04}", None, at)


def start_monitors(hub: TaskHub, at: float) -> None:
    """Start three eternal monitors, 20 s apart."""
    for number in range(_MONITORS):
        start = partial(hub.engine.start, "CleanupMonitor", f"cleanup-monitor-{number + 1}", None)
        hub.engine.at(at + number * 60 / _MONITORS, start)


def count_something(hub: TaskHub, random: Random, at: float, _number: int) -> None:
    """Signal a counter."""
    hub.engine.signal("counter", random.choice(_COUNTERS), "add", None, at)


def fill_cart(hub: TaskHub, random: Random, at: float, _number: int) -> None:
    """Signal a cart."""
    key = f"customer-{random.randrange(_CUSTOMERS):03}"
    item = compact(random.choice(_ITEMS))
    operation = "check_out" if random.random() < 1 / 6 else "add"
    hub.engine.signal("cart", key, operation, item, at)


def sell(hub: TaskHub, _random: Random, at: float, number: int) -> None:
    """Reserve each item in turn, except for one with a backlog."""
    key = _ITEMS[number % len(_ITEMS)]
    stock = hub.get(f"@inventory@{key}")
    if not isinstance(stock, Entity) or len(stock.queue) < _MAXIMUM_BACKLOG:
        hub.engine.signal("inventory", key, "reserve", None, at)


def start_troubled(hub: TaskHub, now: float) -> None:
    """Start one or a few of each kind; the oldest began three hours ago."""
    _suspended_report(hub, now - 3 * HOUR)
    _unanswered_approvals(hub, now - 2 * HOUR)
    _transfer_to_a_closed_bank(hub, now - 100 * MINUTE)
    _report_without_its_last_row(hub, now - 50 * MINUTE)
    _monitor_without_its_timer(hub, now - 40 * MINUTE)
    _payment_that_holds_a_lock(hub, now - 35 * MINUTE)
    _transfers_without_their_start(hub, now - 25 * MINUTE)


def _suspended_report(hub: TaskHub, at: float) -> None:
    """Start one that is suspended during an activity."""
    instance_id = "nightly-report-suspended"
    _start(hub, "NightlyReport", instance_id, None, at)
    suspend = partial(hub.engine.suspend, instance_id, "maintenance window")
    hub.engine.at(at + MINUTE, suspend)


def _unanswered_approvals(hub: TaskHub, at: float) -> None:
    """Start two that wait for an event which does not arrive."""
    for number in (90_001, 90_002):
        _start(hub, "ApprovalWorkflow", f"approval-{number}", {"request": number}, at)


def _transfer_to_a_closed_bank(hub: TaskHub, at: float) -> None:
    """Start one that waits ever longer between retries."""
    _start(hub, "TransferFunds", "transfer-retried", {"amount": 250, "bank": "closed"}, at)


def _report_without_its_last_row(hub: TaskHub, at: float) -> None:
    """Start one that is Completed in the history, Running in the row."""
    instance_id = "nightly-report-row-lost"
    _start(hub, "NightlyReport", instance_id, None, at)
    hub.engine.at(at + MINUTE, lambda _: hub.engine.lose_row_writes(instance_id))


def _monitor_without_its_timer(hub: TaskHub, at: float) -> None:
    """Start one that waits for an overdue timer."""
    instance_id = "cleanup-monitor-timer-lost"
    _start(hub, "CleanupMonitor", instance_id, None, at)
    _lose_messages(hub, instance_id, at + MINUTE / 2)


def _payment_that_holds_a_lock(hub: TaskHub, at: float) -> None:
    """Start one that holds a lock while the bank hangs, and others that wait for it."""
    stalled: JsonValue = {"payment": 900_000, "item": STALLED_ITEM, "bank": "silent"}
    _start(hub, "PaymentSaga", "payment-stalled", stalled, at)
    for number in range(1, _WAITING_PAYMENTS + 1):
        waiting: JsonValue = {"payment": 900_000 + number, "item": STALLED_ITEM}
        _start(hub, "PaymentSaga", f"payment-waiting-{number}", waiting, at + number * MINUTE)


def _transfers_without_their_start(hub: TaskHub, at: float) -> None:
    """Start some that stay Pending, as their start message is lost."""
    for number in range(_STUCK_TRANSFERS):
        instance_id = f"transfer-{number:04}"
        started = at + 7 * number
        _start(hub, "TransferFunds", instance_id, {"amount": 100 * (number + 1)}, started)
        _lose_messages(hub, instance_id, started)


def _start(hub: TaskHub, name: str, instance_id: str, argument: JsonValue, at: float) -> None:
    text = None if argument is None else compact(argument)
    hub.engine.at(at, partial(hub.engine.start, name, instance_id, text))


def _lose_messages(hub: TaskHub, instance_id: str, at: float) -> None:
    hub.engine.at(at, lambda _: hub.engine.lose_messages(instance_id))


# Shares of the rate.
_SHARES: tuple[tuple[Client, float], ...] = (
    (order, 0.7),
    (pay, 0.2),
    (ask_for_approval, 0.05),
    (deliver_batch, 0.05),
)


def start_traffic(
    hub: TaskHub,
    *,
    seed: int,
    rate: float,
    history: float = DAY,
    retention: float = DAY,
    past: float = PAST_SHARE,
    begin: float = 0.0,
    end: float = FOREVER,
) -> None:
    """
    Add the shop's traffic to a hub, with a past.

    `rate` top-level orchestrations start per second, from `begin` to `end` seconds from now, and a
    share `past` of it in the `history` seconds before. Ended ones are purged after `retention`
    seconds.
    """
    now = hub.clock.now() + begin
    schedule = Schedule(hub, seed)
    for client, share in _SHARES:
        numbers = count(1)
        often = rate * share
        schedule.add(client, now - history, poisson(often * past), numbers, end=now)
        schedule.add(client, now, poisson(often), numbers, end=now - begin + end)
    _add_routine(hub, schedule, now - history, now, now - begin + end)
    if not begin:
        start_troubled(hub, now)
    schedule.purge(now, retention=retention)
    hub.advance()


def _add_routine(hub: TaskHub, schedule: Schedule, past: float, now: float, end: float) -> None:
    reports = count(1)
    schedule.add(order_report, past, every(HOUR), reports, end=now)
    schedule.add(order_report, now, every(10 * MINUTE), reports, end=end)
    # What replaces its own rows needs no long past.
    start_monitors(hub, now - 2 * MINUTE)
    schedule.add(count_something, now - 10 * MINUTE, poisson(0.5), end=end)
    schedule.add(fill_cart, now - HOUR, poisson(0.2), end=end)
    schedule.add(sell, now - 20 * MINUTE, every(3.0), end=end)
