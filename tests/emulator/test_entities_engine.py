"""What entities do with what they are told: order, state, locks, failures, interventions."""

from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import pytest

from emulator import (
    Emulator,
    EntityContext,
    EntityId,
    FunctionFailed,
    Functions,
    Keys,
    ManualClock,
    OrchestrationContext,
    RuntimeStatus,
    Steps,
    TaskHub,
    running,
)
from emulator.json_text import JsonValue
from emulator.samples import recorded
from emulator.storage.history import EventKind
from tests.emulator.conftest import OPTIONS
from tests.emulator.hubs import (
    SETTLING_SECONDS,
    entity_of,
    events,
    instance_of,
    move,
    run,
    signal,
    start,
    status_of,
    tell,
)

COUNTER = EntityId("Counter", "x")
LOCKED = EntityId("Counter", "locked")
LOG = EntityId("Log", "x")


@pytest.fixture
def app() -> Functions:
    app = Functions()
    app.include(recorded.functions)

    @app.entity
    def Log(context: EntityContext) -> None:  # noqa: N802
        lines = context.get_state(list)
        assert isinstance(lines, list)
        lines.append([context.operation_name, context.get_input()])
        if context.operation_name == "spoil":
            raise RuntimeError("spoilt")
        context.set_state(lines)
        context.set_result(len(lines))

    @app.orchestrator
    def Holds(context: OrchestrationContext) -> Steps:  # noqa: N802
        wanted = context.get_input()
        assert isinstance(wanted, list)
        yield context.lock_entities(*(EntityId("Counter", str(key)) for key in wanted))
        context.set_custom_status("inside")
        outcome = yield context.wait_for_external_event("Go")
        if outcome == "fail":
            raise ValueError("inside the lock")
        if outcome == "again":
            context.continue_as_new(wanted)
        return outcome

    return app


@pytest.fixture
def hub(clock: ManualClock, app: Functions) -> TaskHub:
    return TaskHub("RecHub", clock, functions=app)


class TestOrderAndState:
    def test_signals_of_a_client_are_taken_in_their_order(self, hub: TaskHub) -> None:
        for number in range(20):
            signal(hub, LOG, "note", number)
        assert entity_of(hub, LOG).state == [["note", number] for number in range(20)]

    def test_calls_and_signals_of_an_orchestration_are_taken_in_their_order(
        self, hub: TaskHub, app: Functions
    ) -> None:
        @app.orchestrator
        def Writes(context: OrchestrationContext) -> Steps:  # noqa: N802
            counts = []
            for number in range(5):
                context.signal_entity(LOG, "signal", number)
                counts.append((yield context.call_entity(LOG, "call", number)))
            return counts

        assert run(hub, "Writes").output == [2, 4, 6, 8, 10]
        lines = entity_of(hub, LOG).state
        assert lines == [[kind, n] for n in range(5) for kind in ("signal", "call")]

    def test_many_at_once_lose_nothing(self, hub: TaskHub) -> None:
        for number in range(50):
            start(hub, "SignalsEntity", "x", f"{number}")
        move(hub, SETTLING_SECONDS)
        assert entity_of(hub, COUNTER).state == 250

    def test_an_operation_that_fails_changes_nothing(self, hub: TaskHub) -> None:
        signal(hub, LOG, "note", 1)
        before = entity_of(hub, LOG)
        after = signal(hub, LOG, "spoil", 2)
        assert (after.state, after.exists) == (before.state, True)
        assert after.last_operation > before.last_operation

    def test_its_caller_is_told_why_and_may_go_on(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Calls(context: OrchestrationContext) -> Steps:  # noqa: N802
            try:
                yield context.call_entity(LOG, "spoil")
            except FunctionFailed as failure:
                return str(failure)

        assert run(hub, "Calls").output == "spoilt"
        assert run(hub, "CallsFailingEntity", "x").status is RuntimeStatus.FAILED

    def test_a_state_is_kept_as_it_was_set(self, hub: TaskHub, app: Functions) -> None:
        shared: list[JsonValue] = []

        @app.entity
        def Shares(context: EntityContext) -> None:  # noqa: N802
            context.set_state(shared)
            shared.append(1)

        assert signal(hub, EntityId("Shares", "x"), "any").state == []

    @pytest.mark.parametrize("state", [object(), {1, 2}, b"bytes"])
    def test_a_state_that_is_no_json_is_a_failure(
        self, hub: TaskHub, app: Functions, state: JsonValue
    ) -> None:
        @app.entity
        def Odd(context: EntityContext) -> None:  # noqa: N802
            context.set_state(state)

        assert not signal(hub, EntityId("Odd", "x"), "any").exists

    def test_a_deleted_one_begins_anew(self, hub: TaskHub) -> None:
        signal(hub, COUNTER, "add", 7)
        deleted = signal(hub, COUNTER, "delete")
        assert (deleted.exists, deleted.state, deleted.custom_status) == (False, None, {})
        assert signal(hub, COUNTER, "add", 1).state == 1

    def test_a_purged_one_begins_anew(self, hub: TaskHub) -> None:
        signal(hub, COUNTER, "add", 7)
        assert hub.purge(str(COUNTER))
        assert hub.get(str(COUNTER)) is None
        assert signal(hub, COUNTER, "add", 1).state == 1

    def test_classes_are_the_same_in_any_letter_case_and_keys_are_not(self, hub: TaskHub) -> None:
        for name, key in (("Counter", "k"), ("COUNTER", "k"), ("counter", "K")):
            signal(hub, EntityId(name, key), "add", 1)
        states = {entity.instance_id: entity.state for entity in hub.entities()}
        assert states == {"@counter@k": 2, "@counter@K": 1}

    @pytest.mark.parametrize("key", ["", "a@b", "@", "$", "x" * 3000, "žluť", "a b"])
    def test_a_key_may_be_any_text(self, hub: TaskHub, key: str) -> None:
        row = signal(hub, EntityId("Counter", key), "add", 2)
        assert (row.class_name, row.key, row.state) == ("counter", key, 2)


class TestSignalsBetweenEntities:
    def test_one_tells_another(self, hub: TaskHub) -> None:
        for _ in range(3):
            signal(hub, COUNTER, "forward")
        assert entity_of(hub, EntityId("Counter", "downstream")).state == 3

    @pytest.mark.parametrize("target", ["@Counter@other", "@counter@other"])
    def test_the_class_is_found_in_any_letter_case(
        self, hub: TaskHub, app: Functions, target: str
    ) -> None:
        @app.entity
        def Tells(context: EntityContext) -> None:  # noqa: N802
            context.signal_entity(target, "add", 4)

        signal(hub, EntityId("Tells", "x"), "any")
        assert entity_of(hub, EntityId("Counter", "other")).state == 4

    @pytest.mark.parametrize("target", ["", "counter", "@counter", "counter@x", "@@"])
    def test_what_is_no_id_fails_the_operation(
        self, hub: TaskHub, app: Functions, target: str
    ) -> None:
        @app.entity
        def Tells(context: EntityContext) -> None:  # noqa: N802
            context.set_state("told")
            context.signal_entity(target, "add", 4)

        assert not signal(hub, EntityId("Tells", "x"), "any").exists
        assert len([*hub.entities()]) == 1

    def test_one_of_an_unknown_class_does_nothing(self, hub: TaskHub, app: Functions) -> None:
        @app.entity
        def Tells(context: EntityContext) -> None:  # noqa: N802
            context.signal_entity("@nosuch@x", "add", 4)

        signal(hub, EntityId("Tells", "x"), "any")
        assert not entity_of(hub, EntityId("nosuch", "x")).exists


class TestLocks:
    def test_others_wait_until_the_holder_ends(self, hub: TaskHub) -> None:
        run(hub, "HoldsLock", instance_id="holder")
        run(hub, "CallsEntity", "locked", instance_id="caller")
        run(hub, "HoldsLock", instance_id="second")
        signal(hub, LOCKED, "add", 3)
        locked = entity_of(hub, LOCKED)
        assert locked.custom_status == {"queueSize": 3, "lockedBy": "holder"}
        assert status_of(hub, "caller") is RuntimeStatus.RUNNING
        tell(hub, "Release", instance_id="holder")
        # The call was first, then the lock, and the signal waits for its holder.
        assert instance_of(hub, "caller").output == 0
        assert entity_of(hub, LOCKED).custom_status == {"queueSize": 1, "lockedBy": "second"}
        tell(hub, "Release", instance_id="second")
        assert entity_of(hub, LOCKED).custom_status == {"entityExists": True}
        assert entity_of(hub, LOCKED).state == 3

    def test_the_holder_may_use_what_it_has_locked(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Moves(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.lock_entities(COUNTER, LOCKED)
            for entity, amount in ((COUNTER, -5), (LOCKED, 5)):
                value = yield context.call_entity(entity, "get")
                context.signal_entity(entity, "add", amount - value)
            return (yield context.call_entity(LOCKED, "get"))

        assert run(hub, "Moves").output == 5
        assert entity_of(hub, COUNTER).state == -5

    @pytest.mark.parametrize("outcome", ["done", "fail"])
    def test_several_are_released_together_however_it_ends(
        self, hub: TaskHub, outcome: str
    ) -> None:
        run(hub, "Holds", ["b", "a"])
        run(hub, "Holds", ["c", "b"], instance_id="second")
        holders = {key: entity_of(hub, EntityId("Counter", key)).locked_by for key in "ab"}
        assert holders == {"a": "it", "b": "it"}
        assert instance_of(hub, "second").custom_status is None
        row = tell(hub, "Go", outcome)
        assert row.status == ("Failed" if outcome == "fail" else "Completed")
        assert instance_of(hub, "second").custom_status == "inside"
        holders = {key: entity_of(hub, EntityId("Counter", key)).locked_by for key in "abc"}
        assert holders == {"a": None, "b": "second", "c": "second"}

    def test_they_are_taken_in_one_order_so_nobody_waits_for_ever(self, hub: TaskHub) -> None:
        for number in range(6):
            wanted: list[JsonValue] = ["a", "b", "c"]
            wanted = wanted if number % 2 else wanted[::-1]
            start(hub, "Holds", wanted, f"{number}")
            hub.engine.raise_event(f"{number}", "Go", "1", hub.clock.now())
        move(hub, 60)
        assert {row.status for row in hub.instances()} == {RuntimeStatus.COMPLETED}

    def test_a_new_generation_has_to_lock_again(self, hub: TaskHub) -> None:
        run(hub, "Holds", ["a"])
        start(hub, "Holds", ["a"], "second")
        move(hub, SETTLING_SECONDS)
        tell(hub, "Go", "again")
        assert entity_of(hub, EntityId("Counter", "a")).locked_by == "second"
        tell(hub, "Go", "done", "second")
        assert entity_of(hub, EntityId("Counter", "a")).locked_by == "it"

    def test_one_lock_at_a_time(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Greedy(context: OrchestrationContext) -> Steps:  # noqa: N802
            yield context.lock_entities(COUNTER)
            yield context.lock_entities(LOCKED)

        row = run(hub, "Greedy")
        assert row.status is RuntimeStatus.FAILED
        assert "Cannot acquire more locks" in str(row.output)
        assert entity_of(hub, COUNTER).locked_by is None
        assert hub.get(str(LOCKED)) is None

    def test_locks_may_follow_each_other(self, hub: TaskHub, app: Functions) -> None:
        @app.orchestrator
        def Patient(context: OrchestrationContext) -> Steps:  # noqa: N802
            for entity in (COUNTER, LOCKED, COUNTER):
                yield context.lock_entities(entity)
                context.signal_entity(entity, "add", 1)
                context.release_locks()

        assert run(hub, "Patient").status is RuntimeStatus.COMPLETED
        assert (entity_of(hub, COUNTER).state, entity_of(hub, LOCKED).state) == (2, 1)

    def test_a_terminated_holder_never_gives_back(self, hub: TaskHub) -> None:
        run(hub, "HoldsLock")
        hub.engine.terminate("it", "enough", hub.clock.now())
        move(hub, SETTLING_SECONDS)
        assert entity_of(hub, LOCKED).locked_by == "it"

    def test_a_lock_request_and_its_release_stand_in_the_history(self, hub: TaskHub) -> None:
        run(hub, "HoldsLock")
        row = tell(hub, "Release")
        sent = [
            (e.fields["InstanceId"], e.fields["Name"]) for e in events(row, EventKind.EVENT_SENT)
        ]
        assert sent == [("@counter@locked", name) for name in ("op", "op", "release")]


@pytest.fixture
async def client(hub: TaskHub, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(Emulator(hub, clock=clock, keys=Keys(system="k"))) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        yield client


@pytest.mark.anyio
class TestThroughTheApi:
    async def test_a_suspended_one_keeps_what_comes_until_it_goes_on(
        self, client: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        signal(hub, COUNTER, "add", 1)
        assert (await client.post("instances/@counter@x/suspend?reason=r")).status_code == 202
        move(hub, SETTLING_SECONDS)
        row = entity_of(hub, COUNTER)
        assert (row.status, row.output) == ("Suspended", "r")
        assert (await client.post("instances/@counter@x/suspend")).status_code == 500
        assert (await client.post("entities/Counter/x?op=add", json=5)).status_code == 202
        move(hub, SETTLING_SECONDS)
        assert (await client.get("entities/Counter/x")).json() == 1
        assert (await client.post("instances/@counter@x/resume")).status_code == 202
        move(hub, SETTLING_SECONDS)
        assert (await client.get("entities/Counter/x")).json() == 6
        assert entity_of(hub, COUNTER).status is RuntimeStatus.RUNNING

    async def test_a_terminated_one_is_gone_for_operations_and_keeps_its_state(
        self, client: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        signal(hub, COUNTER, "add", 1)
        assert (await client.post("instances/@counter@x/terminate?reason=r")).status_code == 202
        move(hub, SETTLING_SECONDS)
        assert entity_of(hub, COUNTER).status is RuntimeStatus.TERMINATED
        for operation in ("terminate", "suspend", "resume"):
            answer = await client.post(f"instances/@counter@x/{operation}")
            assert answer.status_code == 410
        assert (await client.get("entities/Counter/x")).json() == 1

    async def test_no_orchestration_it_is_not_rewound_or_started_again(
        self, client: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        before = signal(hub, COUNTER, "add", 1)
        for operation, status in (("rewind", 412), ("restart", 400), ("raiseEvent/E", 202)):
            answer = await client.post(f"instances/@counter@x/{operation}", json=1)
            assert answer.status_code == status
        move(hub, SETTLING_SECONDS)
        assert entity_of(hub, COUNTER) == before

    async def test_its_row_is_younger_with_every_batch(
        self, client: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        created = []
        for _ in range(3):
            signal(hub, COUNTER, "add", 1)
            created.append((await client.get("instances/@counter@x")).json()["createdTime"])
        assert all(before < after for before, after in pairwise(created))
