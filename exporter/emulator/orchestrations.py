"""Sample orchestrations: each function plans a life that begins at a time."""

from collections.abc import Callable, Iterable
from random import Random
from uuid import UUID

from exporter.emulator.lives import Change, Life, activity_error, appearing

# Given its source of chance, the time and its number, plans what a new instance will do.
Planner = Callable[[Random, float, int], Iterable[Change]]

MINUTE = 60.0
HOUR = 3600.0

_DECLINED = ("Card declined", "Insufficient funds", "The issuer did not answer within 30 s")


def process_order(random: Random, at: float, number: int) -> Iterable[Change]:
    """Take seconds to a minute; a few percent fail when the card is charged."""
    order = 100_000 + number
    life = _started("ProcessOrder", _guid(random).hex, at, random, {"order": order})
    life.activity("ReserveStock", random.uniform(0.2, 3), {"reserved": True})
    if _happens(random, 0.03):
        error = f"{random.choice(_DECLINED)} for order {order}"
        life.failing_activity("ChargeCard", random.uniform(0.3, 4), error)
        life.fail(activity_error("ChargeCard", error))
        return life.changes
    life.activity("ChargeCard", random.uniform(0.3, 4), {"charged": True})
    life.activity("ShipParcel", min(50.0, random.expovariate(1 / 8)), f"DHL-{order}")
    life.complete({"order": order, "shipped": True})
    return life.changes


def payment_saga(random: Random, at: float, number: int) -> Iterable[Change]:
    """Take money from one account to another; about 8 % fail and give it back."""
    payment = f"payment-{number:06}"
    life = _started("PaymentSaga", payment, at, random, {"payment": number})
    life.activity("DebitAccount", random.uniform(0.2, 2))
    if _happens(random, 0.08):
        error = f"The bank refused the credit of {payment}: account closed"
        life.failing_activity("CreditAccount", random.uniform(0.5, 5), error)
        life.custom_status = {"stage": "compensating"}
        life.activity("RefundAccount", random.uniform(0.2, 2))
        life.fail(activity_error("CreditAccount", error))
        return life.changes
    life.activity("CreditAccount", random.uniform(0.5, 5))
    life.activity("SendReceipt", random.uniform(0.1, 1))
    life.complete({"payment": number, "settled": True})
    return life.changes


def approval_workflow(random: Random, at: float, number: int) -> Iterable[Change]:
    """Wait for a manager for hours, at most three days; some are withdrawn instead."""
    life = _started("ApprovalWorkflow", f"approval-{number:05}", at, random, {"request": number})
    life.activity("NotifyManager", random.uniform(0.2, 1))
    life.custom_status = "waiting for a manager"
    life.set_timer(72 * HOUR)
    wait = random.uniform(0.2 * HOUR, 8 * HOUR)
    if _happens(random, 0.1):
        life.now += wait
        life.terminate("withdrawn by the requester")
        return life.changes
    approved = _happens(random, 0.85)
    life.receive_event("Approval", {"approved": approved}, wait)
    life.custom_status = "decided"
    life.activity("PublishDecision", random.uniform(0.2, 1))
    life.complete({"approved": approved})
    return life.changes


def nightly_report(random: Random, at: float, number: int) -> Iterable[Change]:
    """Run one activity for several minutes."""
    life = _started("NightlyReport", f"nightly-report-{number:04}", at, random, None)
    life.activity("RenderReport", random.uniform(4 * MINUTE, 9 * MINUTE), {"pages": 212})
    life.complete({"report": number})
    return life.changes


def import_batch(random: Random, at: float, number: int) -> Iterable[Change]:
    """Fan out to the files of a batch, whose rows come late and often already finished."""
    life = _started("ImportBatch", _guid(random).hex, at, random, {"batch": number})
    life.activity("ListFiles", random.uniform(0.2, 1))
    execution = _guid(random)
    files = [
        _import_file(random, f"{execution}:{index}", life.now, index)
        for index in range(random.randint(4, 12))
    ]
    life.sub_orchestrations(files)
    life.complete({"files": len(files)})
    late = [
        change
        for file in files
        for change in appearing(file.changes, file.created + random.uniform(0.2, 8))
    ]
    return [*life.changes, *late]


def cleanup_monitor(random: Random, at: float, number: int) -> Iterable[Change]:
    """Be one generation of an eternal orchestration, which sleeps until the next one."""
    # Three monitors take turns, each one every minute.
    life = Life("CleanupMonitor", f"cleanup-monitor-{number % 3 + 1}", at)
    life.begin()
    life.activity("DeleteExpiredFiles", random.uniform(0.2, 2), {"deleted": random.randint(0, 9)})
    life.set_timer(MINUTE - (life.now - at))
    return life.changes


def stuck_transfer(_random: Random, at: float, number: int) -> Iterable[Change]:
    """Stay Pending for ever."""
    life = Life("TransferFunds", f"transfer-{number:04}", at, {"amount": 100 * (number + 1)})
    life.wait_in_queue(0)
    return life.changes


def suspended_report(random: Random, at: float, _number: int) -> Iterable[Change]:
    """Be suspended in the middle of its activity."""
    life = _started("NightlyReport", "nightly-report-suspended", at, random, None)
    life.schedule("RenderReport")
    life.now += MINUTE
    life.suspend("maintenance window")
    return life.changes


def lock_holder(random: Random, at: float, _number: int) -> Iterable[Change]:
    """Hold the lock of an entity while an activity does not come back."""
    life = _started("PaymentSaga", LOCK_HOLDER, at, random, {"payment": 0})
    life.lock_entity(LOCKED_CLASS, LOCKED_KEY, str(_guid(random)))
    life.custom_status = {"stage": "holds the stock"}
    life.schedule("CreditAccount")
    return life.changes


LOCK_HOLDER = "payment-stalled"
LOCKED_KEY = "sku-1007"
LOCKED_CLASS = "inventory"


def _import_file(random: Random, instance_id: str, at: float, index: int) -> Life:
    life = Life("ImportFile", instance_id, at, {"file": index})
    life.begin()
    life.activity("ParseFile", random.uniform(0.1, 6), {"rows": random.randint(10, 5000)})
    life.complete({"file": index})
    return life


def _started(
    name: str, instance_id: str, at: float, random: Random, argument: dict[str, int] | None
) -> Life:
    life = Life(name, instance_id, at, argument)
    life.wait_in_queue(random.uniform(0.05, 1.5))
    life.begin()
    return life


def _happens(random: Random, probability: float) -> bool:
    return random.random() < probability


def _guid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
