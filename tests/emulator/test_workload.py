from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.emulator import (
    Finish,
    Instance,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    Truth,
    Workload,
    finishes_between,
    sample_emulator,
    truth,
)
from exporter.emulator.storage.queries import InstanceQuery
from exporter.emulator.storage.rows import Row
from tests.emulator.conftest import NOW
from tests.emulator.rows import instance

HOUR = 3600.0


def busy_hub(seed: int = 7, *, history: float = HOUR, retention: float = HOUR) -> TaskHub:
    workload = Workload(seed, 0.2, start=NOW, history=history, retention=retention)
    return TaskHub("OrdersHub", ManualClock(NOW), driver=workload)


def set_clock(hub: TaskHub, now: float) -> None:
    assert isinstance(hub.clock, ManualClock)
    hub.clock.set(now)
    hub.advance()


def move(hub: TaskHub, seconds: float) -> None:
    set_clock(hub, hub.clock.now() + seconds)


def rows(hub: TaskHub) -> list[Row]:
    return [*hub.instances(), *hub.entities()]


class TestRepeatability:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.floats(0, 900), max_size=30))
    def test_rows_depend_on_seed_and_time_alone(self, pauses: list[float]) -> None:
        often, once = busy_hub(), busy_hub()
        for pause in pauses:
            move(often, pause)
        set_clock(once, often.clock.now())
        assert rows(often) == rows(once)
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
    hub = busy_hub(history=24 * HOUR, retention=24 * HOUR)
    move(hub, 2 * HOUR)
    return hub


class TestPopulation:
    def test_every_kind_of_orchestration_is_there(self, day: TaskHub) -> None:
        assert {name for name, _ in truth(day).instances} == {
            "ProcessOrder",
            "ApprovalWorkflow",
            "PaymentSaga",
            "NightlyReport",
            "CleanupMonitor",
            "ImportBatch",
            "ImportFile",
            "TransferFunds",
        }

    def test_some_fail_with_the_sentence_of_the_real_one(self, day: TaskHub) -> None:
        outputs = [str(row.output) for row in day.instances() if row.status is RuntimeStatus.FAILED]
        assert any(
            output.startswith(
                "Orchestrator function 'ProcessOrder' failed: "
                "The activity function 'ChargeCard' failed: \""
            )
            for output in outputs
        )

    def test_transfers_are_stuck_pending_for_long(self, day: TaskHub) -> None:
        stuck = ("TransferFunds", RuntimeStatus.PENDING)
        assert truth(day).instances[stuck] == 4
        assert truth(day).at - truth(day).oldest_created[stuck] > 2 * HOUR

    def test_some_approvals_are_idle_for_more_than_an_hour(self, day: TaskHub) -> None:
        waiting = ("ApprovalWorkflow", RuntimeStatus.RUNNING)
        assert truth(day).at - truth(day).oldest_updated[waiting] > HOUR

    def test_monitors_continue_as_new(self, day: TaskHub) -> None:
        monitors = [row for row in day.instances() if row.name == "CleanupMonitor"]
        assert len(monitors) == 3
        assert all(truth(day).at - row.created <= 60 for row in monitors)

    def test_files_appear_late_and_often_finished(self, day: TaskHub) -> None:
        files = {s.instance_id: s for s in day.starts if s.name == "ImportFile"}
        born_finished = [
            finish
            for finish in day.finishes
            if finish.name == "ImportFile" and finish.visible == files[finish.instance_id].visible
        ]
        assert all(start.visible > start.created for start in files.values())
        assert len(files) / 4 < len(born_finished) < len(files)

    def test_some_are_terminated_and_one_is_suspended(self, day: TaskHub) -> None:
        statuses = Counter(row.status for row in day.instances())
        assert statuses[RuntimeStatus.TERMINATED] > 0
        assert statuses[RuntimeStatus.SUSPENDED] == 1

    def test_an_active_instance_holds_a_lock_and_requests_pile_up(self, day: TaskHub) -> None:
        (locked,) = [entity for entity in day.entities() if entity.locked_by]
        holder = day.get(locked.locked_by or "")
        assert (holder and holder.status) == RuntimeStatus.RUNNING
        assert len(locked.queue) > 10

    def test_carts_come_and_go(self, day: TaskHub) -> None:
        carts = [entity for entity in day.entities() if entity.class_name == "cart"]
        assert {cart.exists for cart in carts} == {True, False}
        assert truth(day).entities["cart"] == sum(cart.exists for cart in carts)


def test_what_finished_long_ago_is_purged() -> None:
    hub = busy_hub(history=4 * HOUR, retention=HOUR)
    move(hub, 6 * HOUR)
    finished = [row for row in hub.instances() if row.status.terminal]
    assert min(row.updated for row in finished) >= hub.clock.now() - HOUR - 300


def test_every_row_says_what_it_logged() -> None:
    hub = busy_hub(retention=24 * HOUR)
    move(hub, HOUR)
    finished = {row.instance_id: row for row in hub.instances() if row.status.terminal}
    logged = {finish.instance_id: finish for finish in hub.finishes}
    assert logged == {
        i: Finish(r.name, i, r.status, r.created, r.updated, logged[i].visible)
        for i, r in finished.items()
    }


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
    assert first.list_instances(InstanceQuery()).next_key is not None


def test_rows_of_the_workload_have_a_history() -> None:
    assert all(
        row.history or row.status is RuntimeStatus.PENDING
        for row in busy_hub().instances()
        if isinstance(row, Instance)
    )
