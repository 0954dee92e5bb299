"""Instances in trouble, of each kind one or a few: what an exporter and a diagnosis are for."""

from functools import partial

from emulator.json_text import JsonValue, compact
from emulator.samples.schedule import HOUR, MINUTE
from emulator.samples.shop.clients import STALLED_ITEM
from emulator.task_hub import TaskHub

_STUCK_TRANSFERS = 4
_WAITING_PAYMENTS = 6


def move_in(hub: TaskHub, now: float) -> None:
    """Let all of them live by now; the oldest began three hours ago."""
    _suspended_report(hub, now - 3 * HOUR)
    _unanswered_approvals(hub, now - 2 * HOUR)
    _transfer_to_a_closed_bank(hub, now - 100 * MINUTE)
    _report_without_its_last_row(hub, now - 50 * MINUTE)
    _monitor_without_its_timer(hub, now - 40 * MINUTE)
    _payment_that_holds_a_lock(hub, now - 35 * MINUTE)
    _transfers_without_their_start(hub, now - 25 * MINUTE)


def _suspended_report(hub: TaskHub, at: float) -> None:
    """Be suspended in the middle of an activity."""
    instance_id = "nightly-report-suspended"
    _start(hub, "NightlyReport", instance_id, None, at)
    suspend = partial(hub.engine.suspend, instance_id, "maintenance window")
    hub.engine.at(at + MINUTE, suspend)


def _unanswered_approvals(hub: TaskHub, at: float) -> None:
    """Wait for an event that does not come."""
    for number in (90_001, 90_002):
        _start(hub, "ApprovalWorkflow", f"approval-{number}", {"request": number}, at)


def _transfer_to_a_closed_bank(hub: TaskHub, at: float) -> None:
    """Fail and wait, ever longer, for the next attempt."""
    _start(hub, "TransferFunds", "transfer-retried", {"amount": 250, "bank": "closed"}, at)


def _report_without_its_last_row(hub: TaskHub, at: float) -> None:
    """Be complete in the history while the row says Running."""
    instance_id = "nightly-report-row-lost"
    _start(hub, "NightlyReport", instance_id, None, at)
    hub.engine.at(at + MINUTE, lambda _: hub.engine.lose_row_writes(instance_id))


def _monitor_without_its_timer(hub: TaskHub, at: float) -> None:
    """Wait for a timer that was due long ago."""
    instance_id = "cleanup-monitor-timer-lost"
    _start(hub, "CleanupMonitor", instance_id, None, at)
    _lose_messages(hub, instance_id, at + MINUTE / 2)


def _payment_that_holds_a_lock(hub: TaskHub, at: float) -> None:
    """Hold an item while the bank does not answer; others wait for the same item."""
    stalled: JsonValue = {"payment": 900_000, "item": STALLED_ITEM, "bank": "silent"}
    _start(hub, "PaymentSaga", "payment-stalled", stalled, at)
    for number in range(1, _WAITING_PAYMENTS + 1):
        waiting: JsonValue = {"payment": 900_000 + number, "item": STALLED_ITEM}
        _start(hub, "PaymentSaga", f"payment-waiting-{number}", waiting, at + number * MINUTE)


def _transfers_without_their_start(hub: TaskHub, at: float) -> None:
    """Stay Pending, as the message that starts them is lost."""
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
