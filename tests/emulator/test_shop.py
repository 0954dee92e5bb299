"""Each orchestrator and each entity of the shop does what its docstring says."""

from collections import Counter
from itertools import pairwise

import pytest

from emulator import Entity, Instance, ManualClock, RuntimeStatus, TaskHub
from emulator.json_text import JsonValue, compact
from emulator.samples import shop
from emulator.storage.history import Event, EventKind
from tests.emulator.conftest import NOW
from tests.emulator.hubs import instance_of, move, status_of

MINUTE = 60.0
HOUR = 3600.0


@pytest.fixture
def hub(clock: ManualClock) -> TaskHub:
    return TaskHub("OrdersHub", clock, functions=shop.functions)


def start(hub: TaskHub, name: str, argument: JsonValue = None, instance_id: str = "it") -> None:
    hub.engine.start(name, instance_id, compact(argument), hub.clock.now())


def run(
    hub: TaskHub, name: str, argument: JsonValue = None, seconds: float = 10 * MINUTE
) -> Instance:
    start(hub, name, argument)
    move(hub, seconds)
    return instance_of(hub, "it")


def signal(hub: TaskHub, class_name: str, operation: str, argument: JsonValue = None) -> Entity:
    hub.engine.signal(class_name, "it", operation, compact(argument), hub.clock.now())
    move(hub, 1)
    row = hub.get(f"@{class_name}@it")
    assert isinstance(row, Entity)
    return row


def events(row: Instance, kind: EventKind) -> list[Event]:
    return [event for event in row.history if event.kind is kind]


def activities(row: Instance) -> list[str]:
    return [str(event.fields["Name"]) for event in events(row, EventKind.TASK_SCHEDULED)]


def rows_with(hub: TaskHub, name: str, count: int, argument: JsonValue = None) -> list[Instance]:
    for number in range(count):
        start(hub, name, argument, f"{number}")
    move(hub, 10 * MINUTE)
    return [instance_of(hub, f"{number}") for number in range(count)]


class TestProcessOrder:
    def test_it_reserves_all_lines_at_once_then_charges_then_ships(self, hub: TaskHub) -> None:
        row = run(hub, "ProcessOrder", {"order": 7, "lines": 3})
        assert row.output == {"order": 7, "parcel": "DHL-7"}
        assert activities(row) == [*["ReserveStock"] * 3, "ChargeCard", "ShipParcel"]
        kinds = [event.kind for event in row.history if event.task is not None]
        assert kinds[:3] == [EventKind.TASK_SCHEDULED] * 3

    def test_a_few_cards_are_declined(self, hub: TaskHub) -> None:
        statuses = Counter(row.status for row in rows_with(hub, "ProcessOrder", 400))
        assert statuses.keys() == {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED}
        assert 4 <= statuses[RuntimeStatus.FAILED] <= 24

    def test_a_busy_carrier_is_tried_again_ever_later(self, hub: TaskHub) -> None:
        retried = [
            row
            for row in rows_with(hub, "ProcessOrder", 200)
            if activities(row).count("ShipParcel") > 1
        ]
        assert retried
        for row in retried:
            assert row.status is RuntimeStatus.COMPLETED
            assert len(events(row, EventKind.TIMER_FIRED)) == len(
                events(row, EventKind.TASK_FAILED)
            )


class TestPaymentSaga:
    def test_it_holds_the_item_while_money_moves(self, hub: TaskHub) -> None:
        start(hub, "PaymentSaga", {"payment": 1, "item": "sku-1", "bank": "silent"})
        move(hub, HOUR)
        item = hub.entity("inventory", "sku-1")
        assert item is not None
        assert item.locked_by == "it"
        assert status_of(hub, "it") is RuntimeStatus.RUNNING

    def test_the_next_one_waits_for_the_item(self, hub: TaskHub) -> None:
        for number in range(3):
            start(hub, "PaymentSaga", {"payment": 1, "item": "sku-1"}, f"{number}")
        move(hub, 1)
        item = hub.entity("inventory", "sku-1")
        assert item is not None
        assert item.locked_by is not None
        assert len(item.queue) == 2
        move(hub, MINUTE)
        item = hub.entity("inventory", "sku-1")
        assert item is not None
        assert item.locked_by is None
        assert item.queue == ()
        assert all(status_of(hub, f"{number}").terminal for number in range(3))

    def test_it_settles(self, hub: TaskHub) -> None:
        settled = next(
            row
            for row in rows_with(hub, "PaymentSaga", 5, {"payment": 3, "item": "sku-1"})
            if row.status is RuntimeStatus.COMPLETED
        )
        assert settled.output == {"payment": 3, "settled": True}
        assert settled.custom_status == {"stage": "settled"}
        assert activities(settled) == ["DebitAccount", "CreditAccount", "SendReceipt"]

    def test_a_refused_credit_gives_back_the_money_and_the_item(self, hub: TaskHub) -> None:
        row = run(hub, "PaymentSaga", {"payment": 3, "item": "sku-1", "bank": "closed"})
        assert row.status is RuntimeStatus.FAILED
        assert "payment-000003: account closed" in str(row.output)
        assert row.custom_status == {"stage": "compensating"}
        assert activities(row) == ["DebitAccount", "CreditAccount", "RefundAccount"]
        item = hub.entity("inventory", "sku-1")
        assert item is not None
        assert item.locked_by is None
        assert item.state == {"left": 200}

    def test_some_credits_are_refused(self, hub: TaskHub) -> None:
        for number in range(200):
            start(hub, "PaymentSaga", {"payment": number, "item": f"sku-{number}"}, f"{number}")
        move(hub, 10 * MINUTE)
        failed = sum(status_of(hub, f"{n}") is RuntimeStatus.FAILED for n in range(200))
        assert 6 <= failed <= 30


class TestTransferFunds:
    def test_it_books(self, hub: TaskHub) -> None:
        assert run(hub, "TransferFunds", {"amount": 5}).output == {"amount": 5, "booked": True}

    def test_a_closed_bank_is_tried_for_days_at_ever_longer_intervals(self, hub: TaskHub) -> None:
        row = run(hub, "TransferFunds", {"amount": 5, "bank": "closed"}, 24 * HOUR)
        assert row.status is RuntimeStatus.RUNNING
        attempts = [event.timestamp for event in events(row, EventKind.TASK_SCHEDULED)]
        waits = [later - earlier for earlier, later in pairwise(attempts)]
        assert waits[0] == pytest.approx(300, abs=10)
        assert all(later > 1.9 * wait for wait, later in pairwise(waits))
        move(hub, 10 * 24 * HOUR)
        assert status_of(hub, "it") is RuntimeStatus.FAILED


class TestApprovalWorkflow:
    def test_the_event_decides(self, hub: TaskHub) -> None:
        for approved in (True, False):
            instance_id = f"{approved}"
            start(hub, "ApprovalWorkflow", instance_id=instance_id)
            move(hub, MINUTE)
            assert instance_of(hub, instance_id).custom_status == "waiting for a manager"
            decision = compact({"approved": approved})
            hub.engine.raise_event(instance_id, "Approval", decision, hub.clock.now())
            move(hub, MINUTE)
            assert instance_of(hub, instance_id).custom_status == "decided"
            assert instance_of(hub, instance_id).output == {"approved": approved}

    def test_a_reminder_after_a_day_and_no_after_three(self, hub: TaskHub) -> None:
        row = run(hub, "ApprovalWorkflow", seconds=25 * HOUR)
        assert row.custom_status == "waiting for a manager, reminded"
        assert activities(row) == ["NotifyManager", "NotifyManager"]
        move(hub, 46 * HOUR)
        assert status_of(hub, "it") is RuntimeStatus.RUNNING
        move(hub, 2 * HOUR)
        assert instance_of(hub, "it").output == {"approved": False}

    def test_an_answer_after_the_reminder_counts(self, hub: TaskHub) -> None:
        run(hub, "ApprovalWorkflow", seconds=25 * HOUR)
        hub.engine.raise_event("it", "Approval", '{"approved":true}', hub.clock.now())
        move(hub, MINUTE)
        assert instance_of(hub, "it").output == {"approved": True}


def test_a_report_runs_one_activity_for_minutes(hub: TaskHub) -> None:
    row = run(hub, "NightlyReport", seconds=3 * MINUTE)
    assert row.status is RuntimeStatus.RUNNING
    assert activities(row) == ["RenderReport"]
    move(hub, 7 * MINUTE)
    assert 240 < instance_of(hub, "it").updated - NOW < 541


class TestImportBatch:
    def test_each_file_is_an_orchestration(self, hub: TaskHub) -> None:
        row = run(hub, "ImportBatch", {"batch": 1, "files": 30})
        files = [file for file in hub.instances() if file.name == "ImportFile"]
        assert len(files) == 30
        assert row.output == {
            "files": 30,
            "rows": sum(file.output for file in files if isinstance(file.output, int)),
        }
        assert len({round(file.created, 3) for file in files}) == 1

    def test_files_that_have_not_changed_are_not_read(self, hub: TaskHub) -> None:
        run(hub, "ImportBatch", {"batch": 1, "files": 30})
        files = [file for file in hub.instances() if file.name == "ImportFile"]
        unread = [file for file in files if not activities(file)]
        assert 5 < len(unread) < 25
        assert {file.output for file in unread} == {0}


def test_a_monitor_goes_round_every_minute(hub: TaskHub) -> None:
    row = run(hub, "CleanupMonitor", seconds=HOUR - 1)
    assert row.status is RuntimeStatus.RUNNING
    assert row.input == {"round": 59}
    assert 0 < hub.clock.now() - row.created < MINUTE


class TestEntities:
    def test_a_counter_counts(self, hub: TaskHub) -> None:
        assert signal(hub, "counter", "add").state == 1
        assert signal(hub, "counter", "add", 5).state == 6
        assert not signal(hub, "counter", "reset").exists

    def test_a_cart_is_filled_and_checked_out(self, hub: TaskHub) -> None:
        signal(hub, "cart", "add", "sku-1")
        assert signal(hub, "cart", "add", "sku-2").state == ["sku-1", "sku-2"]
        assert not signal(hub, "cart", "check_out").exists

    def test_stock_goes_down_and_up_and_never_out(self, hub: TaskHub) -> None:
        assert signal(hub, "inventory", "reserve").state == {"left": 199}
        assert signal(hub, "inventory", "release").state == {"left": 200}
        for _ in range(200):
            hub.engine.signal("inventory", "it", "reserve", None, hub.clock.now())
        assert signal(hub, "inventory", "reserve").state == {"left": 199}

    def test_what_they_do_not_know_they_leave(self, hub: TaskHub) -> None:
        signal(hub, "counter", "add")
        assert signal(hub, "counter", "fly").state == 1


@pytest.mark.parametrize("argument", [None, 5, "x", [], {"order": "x"}])
@pytest.mark.parametrize("name", sorted(shop.functions.orchestrators))
def test_whatever_they_are_given_they_run(hub: TaskHub, name: str, argument: JsonValue) -> None:
    # An eternal one has had many rounds after an hour, an approval no answer after three days.
    row = run(hub, name, argument, HOUR if name == "CleanupMonitor" else 4 * 24 * HOUR)
    assert row.status in {RuntimeStatus.COMPLETED, RuntimeStatus.RUNNING} or "bank" in str(
        row.output
    )
