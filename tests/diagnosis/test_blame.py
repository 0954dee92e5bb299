"""From whoever waits to what holds it in the end."""

from __future__ import annotations

import pytest

from exporter.diagnosis.blame import MOST_HOPS, Blame, End, trace
from exporter.diagnosis.groups import causes_of
from exporter.diagnosis.nodes import Node
from exporter.diagnosis.waits import WaitingOn
from tests.diagnosis.waiting import (
    World,
    entity,
    instance,
    on_activity,
    on_child,
    on_entity,
    on_event,
)
from tests.ledger.world import NOW


def blame_of(world: World, instance_id: str, known: dict[str, Node] | None = None) -> Blame:
    found = world.run(trace(instance_id, {} if known is None else known))
    assert found is not None
    return found[0]


def leaf_of(blame: Blame) -> tuple[str, str]:
    assert blame.leaf is not None
    return blame.leaf.waiting_on.value, blame.leaf.target


def world_of(*rows: object) -> World:
    world = World()
    world.put(*rows)  # type: ignore[arg-type] # rows of instances and entities
    return world


class TestParents:
    def test_a_parent_of_a_child_that_waits_for_an_activity_waits_for_the_activity(self) -> None:
        world = world_of(on_child("parent", "child", at=-9), on_activity("child", -8))
        blame = blame_of(world, "parent")

        assert blame.chain == ("parent", "child")
        assert leaf_of(blame) == ("activity", "Ship")
        assert blame.leaf is not None
        assert blame.leaf.since == NOW - 8
        assert blame.wait is not None
        assert blame.wait.waiting_on is WaitingOn.SUB_ORCHESTRATION
        assert (blame.end, blame.cause, blame.held_by) == (End.LEAF, "child", None)
        assert world.reads == {"parent": 1, "child": 1}

    def test_a_child_that_waits_for_an_event_gives_its_name(self) -> None:
        world = world_of(on_child("parent", "child", at=-9), on_event("child", -8, name="Child"))
        assert leaf_of(blame_of(world, "parent")) == ("external_event", "Child")

    def test_of_several_children_the_first_that_is_not_finished_is_followed(self) -> None:
        world = world_of(
            on_child("parent", "one", "two", at=-9),
            instance("one", at=-8, status="Completed"),
            on_activity("two", -7),
        )
        assert blame_of(world, "parent").chain == ("parent", "two")

    def test_a_child_that_has_finished_without_its_parent_knowing_is_said_so(self) -> None:
        world = world_of(
            on_child("parent", "child", at=-9), instance("child", at=-8, status="Completed")
        )
        blame = blame_of(world, "parent")
        assert (blame.end, leaf_of(blame)) == (End.FINISHED, ("sub_orchestration", "Child"))
        assert blame.chain == ("parent", "child")

    def test_a_child_without_a_row_is_said_to_be_missing(self) -> None:
        blame = blame_of(world_of(on_child("parent", "child", at=-9)), "parent")
        assert (blame.end, leaf_of(blame)) == (End.MISSING, ("sub_orchestration", "Child"))

    def test_a_child_that_cannot_be_read_ends_the_chain(self) -> None:
        world = world_of(on_child("parent", "child", at=-9))
        world.broken.add("child")
        assert blame_of(world, "parent").end is End.UNREAD

    def test_a_child_that_has_not_started_is_what_its_parent_waits_for(self) -> None:
        world = world_of(
            on_child("parent", "child", at=-9), instance("child", at=-8, status="Pending")
        )
        blame = blame_of(world, "parent")
        assert leaf_of(blame) == ("not_started", "Order")

    def test_chains_without_an_end_are_followed_so_far_and_no_further(self) -> None:
        world = world_of(*(on_child(f"p{n}", f"p{n + 1}", at=-9) for n in range(100)))
        blame = blame_of(world, "p0")
        assert blame.end is End.TOO_DEEP
        assert len(world.order) == MOST_HOPS + 1
        assert blame.chain[-1] == f"p{MOST_HOPS}"


class TestLocks:
    def test_a_waiter_is_led_over_the_entity_to_the_holder_and_its_wait(self) -> None:
        world = world_of(
            on_entity("waiter", "@counter@x", at=-5, lock=True),
            entity("@counter@x", "waiter", locked_by="holder"),
            on_activity("holder", -9, activity="CreditAccount"),
        )
        blame = blame_of(world, "waiter")
        assert blame.chain == ("waiter", "@counter@x", "holder")
        assert (blame.held_by, blame.end) == ("holder", End.LEAF)
        assert leaf_of(blame) == ("activity", "CreditAccount")
        assert blame.wait is not None
        assert (blame.wait.waiting_on, blame.wait.target) == (WaitingOn.ENTITY_LOCK, "counter")

    def test_the_locks_that_the_waiter_has_already_are_not_to_blame(self) -> None:
        world = world_of(
            on_entity("waiter", "@counter@a", "@counter@b", at=-5, lock=True),
            entity("@counter@a", locked_by="waiter"),
            entity("@counter@b", "waiter", locked_by="holder"),
            on_event("holder", -9),
        )
        blame = blame_of(world, "waiter")
        assert blame.chain == ("waiter", "@counter@a", "@counter@b", "holder")
        assert blame.held_by == "holder"

    def test_a_holder_behind_a_holder_is_found_and_the_first_one_is_named(self) -> None:
        world = world_of(
            on_entity("waiter", "@counter@a", at=-5),
            entity("@counter@a", "waiter", locked_by="first"),
            on_child("first", "child", at=-7),
            on_entity("child", "@counter@b", at=-6),
            entity("@counter@b", "child", locked_by="second"),
            on_activity("second", -9),
        )
        blame = blame_of(world, "waiter")
        assert (blame.held_by, blame.cause) == ("first", "second")
        assert leaf_of(blame) == ("activity", "Ship")

    @pytest.mark.parametrize("status", ["Completed", None])
    def test_a_lock_of_who_is_not_active_is_orphaned(self, status: str | None) -> None:
        world = world_of(
            on_entity("waiter", "@counter@x", at=-5),
            entity("@counter@x", "waiter", locked_by="gone"),
        )
        if status:
            world.put(instance("gone", at=-9, status=status))
        blame = blame_of(world, "waiter")
        assert (blame.end, blame.held_by) == (End.ORPHANED_LOCK, "gone")
        assert leaf_of(blame) == ("entity", "counter")

    @pytest.mark.parametrize(("broken", "end"), [(False, End.MISSING), (True, End.UNREAD)])
    def test_an_entity_of_which_nothing_is_known_ends_the_chain(
        self, broken: bool, end: End
    ) -> None:
        world = world_of(on_entity("caller", "@counter@x", at=-5))
        world.broken = {"@counter@x"} if broken else set()
        blame = blame_of(world, "caller")
        assert (blame.end, blame.chain) == (end, ("caller", "@counter@x"))
        assert leaf_of(blame) == ("entity", "counter")

    def test_a_holder_that_cannot_be_read_is_named_and_ends_the_chain(self) -> None:
        world = world_of(
            on_entity("caller", "@counter@x", at=-5), entity("@counter@x", locked_by="holder")
        )
        world.broken = {"holder"}
        blame = blame_of(world, "caller")
        assert (blame.end, blame.held_by) == (End.UNREAD, "holder")

    def test_an_entity_that_is_not_locked_is_to_blame_itself(self) -> None:
        world = world_of(
            on_entity("caller", "@counter@x", at=-5), entity("@counter@x", "caller", "other")
        )
        blame = blame_of(world, "caller")
        assert (blame.chain, blame.held_by) == (("caller", "@counter@x"), None)
        assert leaf_of(blame) == ("entity", "counter")
        assert blame.cause == "@counter@x"

    def test_who_waits_for_a_suspended_entity_waits_as_told(self) -> None:
        world = world_of(
            on_entity("caller", "@counter@x", at=-5),
            entity("@counter@x", "caller", at=-7, status="Suspended"),
        )
        blame = blame_of(world, "caller")
        assert leaf_of(blame) == ("suspended", "counter")
        assert blame.leaf is not None
        assert blame.leaf.since == NOW - 7

    def test_an_entity_whose_state_is_too_large_still_tells_who_holds_it(self) -> None:
        world = world_of(
            on_entity("waiter", "@counter@x", at=-5),
            entity("@counter@x", "waiter", locked_by="holder"),
            on_event("holder", -9),
        )
        world.too_large = {"@counter@x"}
        assert blame_of(world, "waiter").held_by == "holder"

    def test_an_orchestration_with_the_id_of_an_entity_is_followed_as_what_it_is(self) -> None:
        world = world_of(on_child("parent", "@counter@x", at=-9), on_activity("@counter@x", -8))
        blame = blame_of(world, "parent")
        assert (blame.chain, leaf_of(blame)) == (("parent", "@counter@x"), ("activity", "Ship"))


class TestCycles:
    def cycle(self) -> World:
        return world_of(
            on_entity("a", "@counter@1", at=-5, lock=True),
            entity("@counter@1", "a", locked_by="b"),
            on_entity("b", "@counter@2", at=-7, lock=True),
            entity("@counter@2", "b", locked_by="a"),
            on_entity("victim", "@counter@1", at=-3),
        )

    def test_those_that_wait_for_each_other_are_said_to(self) -> None:
        blame = blame_of(self.cycle(), "a")
        assert blame.end is End.CYCLE
        assert blame.chain == ("a", "@counter@1", "b", "@counter@2", "a")

    def test_wherever_the_cycle_is_entered_the_cause_is_the_same(self) -> None:
        world = self.cycle()
        blames = [blame_of(world, instance_id) for instance_id in ("a", "b", "victim")]
        assert {blame.cause for blame in blames} == {"a"}
        assert {leaf_of(blame) for blame in blames} == {("entity_lock", "counter")}
        assert {blame.leaf.since for blame in blames if blame.leaf} == {NOW - 7}
        (cause,) = causes_of(blames)
        assert (cause.blocked, cause.end) == (2, End.CYCLE)


class TestCauses:
    def test_five_hundred_waiters_of_one_holder_are_victims_of_one_cause(self) -> None:
        callers = [f"caller-{number:03}" for number in range(500)]
        world = world_of(
            *(on_entity(caller, "@counter@x", at=-300 + n) for n, caller in enumerate(callers)),
            entity("@counter@x", *callers, locked_by="holder"),
            on_activity("holder", -900, activity="CreditAccount"),
        )
        known: dict[str, Node] = {}
        blames = [blame_of(world, instance_id, known) for instance_id in [*callers, "holder"]]
        (cause,) = causes_of(blames)

        assert (cause.cause, cause.orchestrator, cause.blocked) == ("holder", "Order", 500)
        assert (cause.wait.waiting_on.value, cause.wait.target) == ("activity", "CreditAccount")
        assert cause.samples[0] == "caller-000"
        assert len(cause.samples) == 10
        assert (world.reads["@counter@x"], world.reads["holder"]) == (1, 1)

    def test_the_cause_with_the_most_victims_comes_first(self) -> None:
        world = world_of(
            *(on_child(f"parent-{n}", "child", at=-9) for n in range(3)),
            on_activity("child", -8),
            on_activity("alone", -99),
        )
        ids = ["alone", "parent-0", "parent-1", "parent-2", "child"]
        causes = causes_of(blame_of(world, instance_id) for instance_id in ids)
        assert [(cause.cause, cause.blocked) for cause in causes] == [("child", 3), ("alone", 0)]

    def test_who_is_gone_with_a_lock_is_not_given_the_name_of_a_victim(self) -> None:
        world = world_of(
            on_entity("caller", "@counter@x", at=-9, lock=True),
            entity("@counter@x", "caller", locked_by="gone"),
            instance("gone", at=-99, status="Terminated"),
        )
        (cause,) = causes_of([blame_of(world, "caller")])
        assert (cause.cause, cause.orchestrator, cause.blocked) == ("gone", "", 1)

    def test_an_entity_is_not_given_the_name_of_who_waits_for_it(self) -> None:
        world = world_of(on_entity("caller", "@counter@x", at=-9), entity("@counter@x", "caller"))
        (cause,) = causes_of([blame_of(world, "caller")])
        assert (cause.cause, cause.orchestrator, cause.blocked) == ("@counter@x", "", 1)


def test_a_finished_instance_waits_on_nothing() -> None:
    blame = blame_of(world_of(instance("done", at=-9, status="Completed")), "done")
    assert (blame.wait, blame.leaf, blame.end) == (None, None, End.FINISHED)


def test_an_entity_leads_to_who_holds_its_lock() -> None:
    world = world_of(entity("@counter@x", locked_by="holder"), on_activity("holder", -9))
    blame = blame_of(world, "@counter@x")
    assert (blame.chain, blame.held_by) == (("@counter@x", "holder"), "holder")
    assert leaf_of(blame) == ("activity", "Ship")


def test_what_is_known_is_not_asked_again() -> None:
    world = world_of(on_child("parent", "child", at=-9), on_activity("child", -8))
    known: dict[str, Node] = {}
    blame_of(world, "parent", known)
    blame_of(world, "child", known)
    blame_of(world, "parent", known)
    assert world.reads == {"parent": 1, "child": 1}
