from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import (
    BUSY,
    Entity,
    ExtensionVersion,
    Finish,
    ManualClock,
    RuntimeStatus,
    Start,
    TaskHub,
    Truth,
    finishes_between,
    sample_emulator,
    start_traffic,
    truth,
)
from emulator.samples import shop
from emulator.storage.history import EventKind
from emulator.storage.table import InstanceQuery
from tests.emulator.conftest import NOW
from tests.emulator.hubs import instance, instance_of, move, rows, set_clock

HOUR = 3600.0
MINUTE = 60.0
RATE = 0.2


def busy_hub(
    seed: int = 7,
    *,
    history: float = HOUR,
    retention: float = HOUR,
    version: ExtensionVersion = ExtensionVersion.V3,
) -> TaskHub:
    hub = TaskHub(
        "OrdersHub",
        ManualClock(NOW),
        functions=shop.functions,
        seed=seed,
        pace=BUSY,
        version=version,
    )
    start_traffic(hub, seed=seed, rate=RATE, history=history, retention=retention)
    return hub


class TestRepeatability:
    @settings(max_examples=4, deadline=None)
    @given(st.lists(st.floats(0, 100), max_size=12))
    def test_rows_depend_on_seed_and_time_alone(self, pauses: list[float]) -> None:
        often, once = busy_hub(history=10 * MINUTE), busy_hub(history=10 * MINUTE)
        for pause in pauses:
            move(often, pause)
        set_clock(once, often.clock.now())
        assert rows(often) == rows(once)
        assert often.starts == once.starts
        assert often.finishes == once.finishes

    def test_another_seed_is_another_population(self) -> None:
        assert rows(busy_hub(1)) != rows(busy_hub(2))

    def test_nothing_happens_while_the_clock_stands(self) -> None:
        hub = busy_hub()
        before = rows(hub)
        hub.advance()
        assert rows(hub) == before

    def test_going_back_in_time_changes_nothing(self) -> None:
        hub = busy_hub()
        before = rows(hub)
        set_clock(hub, NOW - HOUR)
        assert rows(hub) == before


@pytest.fixture(scope="module")
def day() -> TaskHub:
    """A hub after a day of history and two hours of life."""
    hub = busy_hub(history=24 * HOUR, retention=48 * HOUR)
    move(hub, 2 * HOUR)
    return hub


class TestPopulation:
    def test_every_kind_of_orchestration_is_there(self, day: TaskHub) -> None:
        assert {name for name, _ in truth(day).instances} == set(shop.functions.orchestrators)

    def test_the_rate_is_that_of_top_level_starts(self, day: TaskHub) -> None:
        by_rate = ("ProcessOrder", "PaymentSaga", "ApprovalWorkflow", "ImportBatch")
        starts = [start.created for start in day.starts if start.name in by_rate]
        present = sum(NOW <= created < NOW + 2 * HOUR for created in starts)
        past = sum(NOW - 24 * HOUR <= created < NOW for created in starts)
        assert present == pytest.approx(RATE * 2 * HOUR, rel=0.1)
        assert past == pytest.approx(RATE / 10 * 24 * HOUR, rel=0.1)

    def test_some_fail_and_payments_most(self, day: TaskHub) -> None:
        finishes = Counter((finish.name, finish.status) for finish in day.finishes)

        def failed(name: str) -> float:
            failures = finishes[name, RuntimeStatus.FAILED]
            return failures / (failures + finishes[name, RuntimeStatus.COMPLETED])

        assert 0.02 < failed("ProcessOrder") < 0.04
        assert 0.05 < failed("PaymentSaga") < 0.11
        assert failed("ImportFile") == failed("ImportBatch") == failed("NightlyReport") == 0

    def test_some_fail_with_the_sentence_of_the_real_one(self, day: TaskHub) -> None:
        outputs = [str(row.output) for row in day.instances() if row.status is RuntimeStatus.FAILED]
        assert any(
            output.startswith(
                "Orchestrator function 'ProcessOrder' failed: "
                "The activity function 'ChargeCard' failed: \""
            )
            for output in outputs
        )

    def test_monitors_continue_as_new(self, day: TaskHub) -> None:
        monitors = [instance_of(day, f"cleanup-monitor-{number}") for number in (1, 2, 3)]
        assert all(truth(day).at - row.created <= 65 for row in monitors)

    def test_files_appear_late_and_often_finished(self, day: TaskHub) -> None:
        files = {s.instance_id: s for s in day.starts if s.name == "ImportFile"}
        born_finished = [
            finish
            for finish in day.finishes
            if finish.name == "ImportFile" and finish.visible == files[finish.instance_id].visible
        ]
        assert all(start.visible > start.created for start in files.values())
        assert len(files) / 4 < len(born_finished) < 3 * len(files) / 4

    def test_some_are_terminated_and_one_is_suspended(self, day: TaskHub) -> None:
        statuses = Counter(row.status for row in day.instances())
        assert statuses[RuntimeStatus.TERMINATED] > 0
        assert statuses[RuntimeStatus.SUSPENDED] == 1

    def test_carts_come_and_go(self, day: TaskHub) -> None:
        carts = [entity for entity in day.entities() if entity.class_name == "cart"]
        assert {cart.exists for cart in carts} == {True, False}
        assert truth(day).entities["cart"] == sum(cart.exists for cart in carts)

    def test_counters_count(self, day: TaskHub) -> None:
        counters = [entity for entity in day.entities() if entity.class_name == "counter"]
        assert len(counters) == 4
        assert all(isinstance(counter.state, int) and counter.state > 100 for counter in counters)


class TestResidents:
    """Each is in the same trouble two hours later."""

    def test_transfers_are_pending(self, day: TaskHub) -> None:
        stuck = ("TransferFunds", RuntimeStatus.PENDING)
        assert truth(day).instances[stuck] == 4
        assert truth(day).at - truth(day).oldest_created[stuck] > 2 * HOUR

    def test_approvals_wait_for_an_event(self, day: TaskHub) -> None:
        row = instance_of(day, "approval-90001")
        assert row.status is RuntimeStatus.RUNNING
        assert row.custom_status == "waiting for a manager"
        assert truth(day).at - row.updated > 3 * HOUR

    def test_a_transfer_waits_between_attempts(self, day: TaskHub) -> None:
        row = instance_of(day, "transfer-retried")
        assert row.status is RuntimeStatus.RUNNING
        assert sum(event.kind is EventKind.TASK_FAILED for event in row.history) > 4
        assert row.history[-1].kind is EventKind.TIMER_CREATED

    def test_a_report_is_suspended(self, day: TaskHub) -> None:
        row = instance_of(day, "nightly-report-suspended")
        assert row.status is RuntimeStatus.SUSPENDED
        assert row.output == "maintenance window"

    def test_a_monitor_waits_for_a_timer_that_was_due_long_ago(self, day: TaskHub) -> None:
        row = instance_of(day, "cleanup-monitor-timer-lost")
        assert row.status is RuntimeStatus.RUNNING
        assert row.history[-1].kind is EventKind.TIMER_CREATED
        assert truth(day).at - row.updated > 2 * HOUR

    def test_a_report_has_ended_in_its_history_but_not_in_its_row(self, day: TaskHub) -> None:
        row = instance_of(day, "nightly-report-row-lost")
        assert row.status is RuntimeStatus.RUNNING
        assert row.output is None
        assert row.history[-1].kind is EventKind.EXECUTION_COMPLETED
        assert row.history[-1].timestamp > row.updated

    def test_a_payment_holds_a_lock_and_requests_pile_up(self, day: TaskHub) -> None:
        (locked,) = [entity for entity in day.entities() if len(entity.queue) > 1]
        assert locked.locked_by == "payment-stalled"
        holder = instance_of(day, "payment-stalled")
        assert holder.status is RuntimeStatus.RUNNING
        assert holder.history[-1].kind is EventKind.TASK_SCHEDULED
        assert len(locked.queue) == 40

    def test_payments_wait_for_that_lock(self, day: TaskHub) -> None:
        locked = day.entity("inventory", "sku-1007")
        assert isinstance(locked, Entity)
        waiting = {f"payment-waiting-{number}" for number in range(1, 7)}
        parents = {request.get("parent") for request in locked.queue if isinstance(request, dict)}
        assert parents == {*waiting, None}
        for instance_id in waiting:
            row = instance_of(day, instance_id)
            assert row.status is RuntimeStatus.RUNNING
            assert row.history[-1].kind is EventKind.EVENT_SENT

    def test_they_can_be_helped(self) -> None:
        hub = busy_hub()
        for instance_id in ("transfer-0000", "cleanup-monitor-timer-lost", "payment-stalled"):
            hub.engine.terminate(instance_id, "tidying up", hub.clock.now())
        move(hub, MINUTE)
        assert instance_of(hub, "payment-stalled").status is RuntimeStatus.TERMINATED
        assert instance_of(hub, "cleanup-monitor-timer-lost").status is RuntimeStatus.TERMINATED


def test_what_finished_long_ago_is_purged() -> None:
    hub = busy_hub(history=HOUR / 2, retention=HOUR / 4)
    move(hub, HOUR / 2)
    finished = [row for row in hub.instances() if row.status.terminal]
    assert min(row.updated for row in finished) >= hub.clock.now() - HOUR / 4 - 300


def test_the_log_goes_back_a_week(hub: TaskHub) -> None:
    days = {
        days: Start("Old", f"{days}", NOW - days * 24 * HOUR, NOW - days * 24 * HOUR)
        for days in (6, 8)
    }
    hub.starts += days.values()
    start_traffic(hub, seed=1, rate=RATE, history=0)
    assert days[6] in hub.starts
    assert days[8] not in hub.starts


def test_every_row_says_what_it_logged(day: TaskHub) -> None:
    finished = {row.instance_id: row for row in day.instances() if row.status.terminal}
    logged = {finish.instance_id: finish for finish in day.finishes}
    assert logged == {
        i: Finish(r.name, i, r.status, r.created, r.updated, logged[i].visible)
        for i, r in finished.items()
    }


def test_every_row_that_ran_has_a_history(day: TaskHub) -> None:
    assert all(row.history or row.status is RuntimeStatus.PENDING for row in day.instances())


def test_v2_has_the_same_traffic() -> None:
    orders = [
        [
            start.created
            for start in busy_hub(history=10 * MINUTE, version=version).starts
            if start.name == "PaymentSaga"
        ]
        for version in ExtensionVersion
    ]
    assert orders[0] == orders[1]


class TestTruth:
    def test_it_counts_what_is_there(self, hub: TaskHub) -> None:
        hub.put(instance("a", created=10.9, updated=20.9))
        hub.put(instance("b", created=11.2, updated=15.5))
        running = ("ProcessOrder", RuntimeStatus.RUNNING)
        assert truth(hub) == Truth(
            at=NOW,
            instances={running: 2},
            oldest_created={running: 10},
            oldest_updated={running: 15},
            entities={},
        )

    def test_finishes_are_counted_from_one_time_to_another(self, hub: TaskHub) -> None:
        for second in (10.0, 20.0, 30.0):
            hub.put(instance(f"{second}", RuntimeStatus.FAILED, updated=second))
        assert finishes_between(hub, 10.0, 30.0) == {("ProcessOrder", RuntimeStatus.FAILED): 2}


def test_sample_hubs_differ(clock: ManualClock) -> None:
    emulator = sample_emulator(
        clock=clock, seed=1, hub_names=("OrdersHub", "BillingHub"), history=HOUR
    )
    first, second = emulator.hubs["ordershub"], emulator.hubs["billinghub"]
    assert rows(first) != rows(second)
    assert first.list_instances(InstanceQuery()).token
