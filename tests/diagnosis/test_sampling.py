"""Which instances are read, how often, and what the samples add up to."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter.diagnosis.sampling import Sampler
from exporter.diagnosis.view import Coverage, DiagnosisView, Views
from exporter.ledger.over_limit import find_over_limit
from exporter.ledger.tracked import TrackedInstance
from tests.diagnosis.surveying import limits
from tests.diagnosis.waiting import (
    SWEEP,
    World,
    entity,
    instance,
    on_activity,
    on_child,
    on_entity,
    on_event,
)
from tests.ledger.world import NOW, shown

# Everything below was touched an hour ago or longer; the limits are ten minutes.
HOUR = -3600.0


def sampler(reads: int = 30, most_samples: int = 5000) -> Sampler:
    return Sampler(limits(age=None), reads, most_samples)


def cycle(world: World, sampling: Sampler, at: float = 0.0) -> int:
    """Let the hub be sampled once; return how many reads that took."""
    before = len(world.order)
    sample(world, sampling, world.tracked(), at)
    return len(world.order) - before


def look(sampling: Sampler, tracked: dict[str, TrackedInstance], at: float = 0.0) -> None:
    found = find_over_limit(tracked, SWEEP, NOW + at, sampling.limits_of)
    for _ in sampling.look(tracked, found):
        pass


def sample(
    world: World,
    sampling: Sampler,
    tracked: dict[str, TrackedInstance],
    at: float = 0.0,
    most: float = float("inf"),
) -> None:
    """Let *tracked* be sampled; at most so many reads are made, then nobody answers."""
    look(sampling, tracked, at)
    world.run(sampling.cycle(tracked, NOW + at), until=lambda made: made >= most)


def view(sampling: Sampler, at: float = 0.0, targets: int = 50) -> DiagnosisView:
    return Views(targets).of(sampling, NOW + at, str)


def stalled_world(count: int, orchestrators: int = 1) -> World:
    """Return a world of many that wait for an activity, spread over orchestrators."""
    world = World()
    for number in range(count):
        name = f"Order{number % orchestrators}"
        world.put(on_activity(f"i{number:05}", HOUR - number, name=name))
    return world


class TestBudget:
    def test_of_ten_thousand_stalled_no_more_are_read_than_the_budget_allows(self) -> None:
        world, sampling = stalled_world(10_000, orchestrators=7), sampler(reads=50)
        for number in range(1, 4):
            assert cycle(world, sampling) == 50
            assert len(sampling.samples) == 50 * number
        assert set(world.reads.values()) == {1}

    def test_how_many_of_them_are_known_is_visible(self) -> None:
        world, sampling = stalled_world(10_000, orchestrators=2), sampler(reads=50)
        cycle(world, sampling)
        seen = view(sampling)
        assert seen.coverage == {
            "Order0": Coverage(over=5000, known=25),
            "Order1": Coverage(over=5000, known=25),
        }
        assert sum(seen.stalled.values()) == 50

    def test_the_oldest_of_every_orchestrator_comes_first(self) -> None:
        world = stalled_world(1000)
        for number in range(20):
            world.put(on_activity(f"rare-{number}", HOUR + number, name=f"Rare{number}"))
            world.put(on_activity(f"rarer-{number}", HOUR + 60 + number, name=f"Rare{number}"))
        sampling = sampler(reads=21)
        cycle(world, sampling)
        assert set(world.order) == {"i00999", *(f"rare-{number}" for number in range(20))}
        assert world.order[0] == "i00999"

    def test_an_orchestrator_with_many_samples_waits_for_one_with_none(self) -> None:
        world, sampling = stalled_world(500), sampler(reads=5)
        cycle(world, sampling)
        world.put(*(on_activity(f"new-{n}", -700.0 - n, name="New") for n in range(3)))
        cycle(world, sampling)
        assert world.order[5:8] == ["new-2", "new-1", "new-0"]

    def test_a_chain_that_the_budget_cuts_is_gone_on_with_and_not_begun_again(self) -> None:
        world = World()
        world.put(*(on_child(f"p{n}", f"p{n + 1}", at=HOUR) for n in range(5)))
        world.put(on_activity("p5", HOUR))
        sampling = sampler(reads=2)
        for _ in range(3):
            cycle(world, sampling)
        assert set(world.reads.values()) == {1}
        assert sampling.samples["p0"].blame.chain[-1] == "p5"

    def test_whoever_stops_asking_keeps_what_was_read(self) -> None:
        world, sampling = stalled_world(100), sampler(reads=50)
        sample(world, sampling, world.tracked(), most=10)
        assert len(sampling.samples) >= 9
        assert cycle(world, sampling) == 50
        assert max(world.reads.values()) <= 2


class TestMemory:
    def test_a_stuck_instance_costs_one_read_in_all(self) -> None:
        world, sampling = stalled_world(10), sampler()
        world.put(on_child("parent", "i00003", at=HOUR))
        for number in range(5):
            cycle(world, sampling, at=number * 30.0)
        assert set(world.reads.values()) == {1}
        assert len(world.reads) == 11

    def test_a_sample_stays_counted_until_it_moves_also_without_budget(self) -> None:
        world = stalled_world(10)
        sampling = sampler(reads=10)
        cycle(world, sampling)
        sampling.reads = 0
        cycle(world, sampling, at=30.0)
        assert sum(view(sampling).stalled.values()) == 10
        world.put(on_activity("i00004", -1.0, name="Order0"))
        cycle(world, sampling, at=60.0)
        assert sum(view(sampling).stalled.values()) == 9

    def test_one_that_has_moved_and_is_stuck_again_is_read_again(self) -> None:
        world, sampling = stalled_world(1), sampler()
        cycle(world, sampling)
        world.put(on_event("i00000", at=-100.0))
        cycle(world, sampling)
        assert not sampling.samples
        cycle(world, sampling, at=700.0)
        assert world.reads["i00000"] == 2
        assert set(view(sampling, at=700.0).waiting) == {("Order", "external_event", "")}

    def test_a_chain_whose_end_has_moved_is_followed_anew(self) -> None:
        world, sampling = World(), sampler()
        world.put(on_child("parent", "child", at=HOUR), on_activity("child", HOUR))
        cycle(world, sampling)
        world.put(on_activity("child", -5.0, activity="Bill"))
        cycle(world, sampling, at=30.0)
        assert view(sampling).stalled == {("Parent", "activity", "Bill"): 1}
        assert world.reads == {"parent": 1, "child": 2}

    def test_while_the_end_moves_and_no_budget_is_left_the_last_word_stands(self) -> None:
        world = World()
        world.put(on_child("parent", "child", at=HOUR), on_activity("child", HOUR))
        sampling = sampler()
        cycle(world, sampling)
        sampling.reads = 0
        world.put(on_activity("child", -5.0, activity="Bill"))
        cycle(world, sampling, at=30.0)
        assert view(sampling).stalled == {("Parent", "activity", "Ship"): 1}

    def test_a_row_that_was_read_within_the_second_of_its_update_is_read_again(self) -> None:
        world, sampling = World(), Sampler(limits(idle=0.5, age=None))
        world.put(on_activity("quick", -1.0))
        cycle(world, sampling)
        cycle(world, sampling, at=5.0)
        cycle(world, sampling, at=10.0)
        assert world.reads["quick"] == 2

    def test_an_entity_is_read_again_when_its_holder_has_gone(self) -> None:
        world, sampling = World(), sampler()
        world.put(
            on_entity("waiter", "@counter@x", at=HOUR),
            entity("@counter@x", "waiter", locked_by="holder"),
            on_activity("holder", HOUR),
        )
        cycle(world, sampling)
        del world.rows["holder"]
        world.put(entity("@counter@x", "waiter", locked_by="next"), on_event("next", HOUR))
        cycle(world, sampling, at=30.0)
        assert sampling.samples["waiter"].blame.chain == ("waiter", "@counter@x", "next")

    def test_an_entity_that_was_not_locked_is_read_again_after_a_while(self) -> None:
        world, sampling = World(), sampler()
        world.put(on_entity("caller", "@counter@x", at=HOUR), entity("@counter@x", "caller"))
        cycle(world, sampling)
        cycle(world, sampling, at=200.0)
        assert world.reads["@counter@x"] == 1
        world.put(entity("@counter@x", "caller", locked_by="holder"), on_event("holder", HOUR))
        cycle(world, sampling, at=400.0)
        assert sampling.samples["caller"].blame.held_by == "holder"

    def test_no_more_samples_are_kept_than_there_is_room_for(self) -> None:
        world, sampling = stalled_world(300), sampler(reads=100, most_samples=40)
        for _ in range(3):
            cycle(world, sampling)
        assert len(sampling.samples) == 40
        assert len(world.order) == 40

    def test_a_new_orchestrator_finds_room_at_the_expense_of_the_one_that_has_most(self) -> None:
        world, sampling = stalled_world(300), sampler(reads=100, most_samples=40)
        cycle(world, sampling)
        world.put(*(on_activity(f"new-{n:02}", -700.0 - n, name="New") for n in range(30)))
        for _ in range(3):
            cycle(world, sampling)
        names = Counter(sample.orchestrator for sample in sampling.samples.values())
        assert names == {"Order0": 20, "New": 20}
        assert len(world.order) == 40 + 20
        assert "i00299" in sampling.samples


class TestTrouble:
    def test_one_that_cannot_be_read_is_unknown_and_tried_again_after_a_while(self) -> None:
        world, sampling = stalled_world(1), sampler()
        world.broken.add("i00000")
        cycle(world, sampling)
        cycle(world, sampling, at=30.0)
        assert world.reads["i00000"] == 1
        assert view(sampling).stalled == {("Order0", "unknown", ""): 1}
        world.broken.clear()
        cycle(world, sampling, at=400.0)
        assert view(sampling).stalled == {("Order0", "activity", "Ship"): 1}

    def test_one_that_is_gone_is_not_counted_nor_asked_for_again_at_once(self) -> None:
        world, sampling = stalled_world(2), sampler()
        tracked = world.tracked()
        del world.rows["i00000"]
        for _ in range(3):
            sample(world, sampling, tracked)
        assert set(sampling.samples) == {"i00001"}
        assert world.reads["i00000"] == 1

    def test_one_that_has_moved_since_it_was_listed_is_not_counted(self) -> None:
        world, sampling = stalled_world(2), sampler()
        tracked = world.tracked()
        world.put(on_activity("i00000", -1.0), instance("i00001", at=-1.0, status="Completed"))
        sample(world, sampling, tracked)
        assert not sampling.samples

    def test_one_that_ends_while_others_are_read_is_left_out(self) -> None:
        world, sampling = stalled_world(3), sampler()
        tracked = world.tracked()
        look(sampling, tracked)
        wanted = sampling.cycle(tracked, NOW)
        read = next(wanted)
        del tracked["i00001"]
        assert read.instance_id == "i00002"
        next_read = wanted.send(world.answer(read))
        assert next_read.instance_id == "i00000"

    def test_those_that_the_last_sweep_did_not_show_are_left_out(self) -> None:
        world, sampling = stalled_world(2), sampler()
        tracked = world.tracked()
        tracked["i00000"].sweep = SWEEP - 1
        sample(world, sampling, tracked)
        assert set(sampling.samples) == {"i00001"}


class TestQueues:
    def queue(self, count: int, *, sent: float | None = None) -> World:
        callers = [f"caller-{number:03}" for number in range(count)]
        world = World()
        world.put(
            *(on_entity(caller, "@counter@x", at=HOUR) for caller in callers),
            entity("@counter@x", *callers, at=HOUR if sent is None else sent, locked_by="holder"),
            on_activity("holder", HOUR - 60, activity="CreditAccount"),
        )
        return world

    def test_of_five_hundred_callers_the_queue_tells_what_all_of_them_wait_on(self) -> None:
        world, sampling = self.queue(500), sampler(reads=30)
        made = cycle(world, sampling)
        seen = view(sampling)
        assert made == 4
        assert seen.stalled == {
            ("Caller", "activity", "CreditAccount"): 500,
            ("Order", "activity", "CreditAccount"): 1,
        }
        (cause,) = seen.causes
        assert (cause.cause, cause.blocked) == ("holder", 500)
        assert all(
            s.blame.held_by == "holder" for i, s in sampling.samples.items() if i != "holder"
        )
        assert cycle(world, sampling, at=30.0) == 0

    def test_those_that_have_done_something_since_are_read(self) -> None:
        world, sampling = self.queue(5, sent=HOUR - 100), sampler(reads=30)
        cycle(world, sampling)
        assert {i for i in world.reads if i.startswith("caller")} == {
            f"caller-{number:03}" for number in range(5)
        }

    def test_who_stands_in_a_queue_and_is_not_beyond_a_limit_is_not_counted(self) -> None:
        world, sampling = self.queue(5), sampler(reads=30)
        world.put(on_entity("caller-004", "@counter@x", at=-5.0))
        cycle(world, sampling)
        assert "caller-004" not in sampling.samples
        assert len(sampling.samples) == 5

    def test_who_stood_in_a_queue_an_hour_ago_takes_no_memory(self) -> None:
        sampling = sampler(reads=30)
        for hour in range(5):
            at = 3600.0 * hour
            callers = [f"caller-{hour}-{number:02}" for number in range(50)]
            world = World()
            world.put(
                *(on_entity(caller, "@counter@x", at=HOUR + at) for caller in callers),
                entity("@counter@x", *callers, at=HOUR + at, locked_by="holder"),
                on_activity("holder", HOUR - 60),
            )
            cycle(world, sampling, at)
            assert set(callers) <= set(sampling.samples)
        assert set(sampling._memory.senders()) == set(callers)


class TestView:
    def test_what_has_not_started_is_counted_without_a_read(self) -> None:
        world, sampling = World(), sampler(reads=5)
        for number in range(100):
            world.put(instance(f"i{number}", at=HOUR - number, status="Pending"))
        assert cycle(world, sampling) == 0
        seen = view(sampling)
        assert seen.stalled == {("Order", "not_started", ""): 100}
        assert seen.stalled_since == {("Order", "not_started", ""): NOW + HOUR - 99}
        assert seen.coverage == {"Order": Coverage(100, 100)}

    def test_each_that_has_not_started_is_told_its_own_time(self) -> None:
        world, sampling = World(), sampler()
        for number in range(3):
            world.put(instance(f"i{number}", at=HOUR - number, status="Pending"))
        cycle(world, sampling)
        seen = Views(50).of(sampling, NOW, str, world.tracked()).blames
        times = {each: blame.wait.since for each, blame in seen.items() if blame.wait is not None}
        assert times == {f"i{n}": NOW + HOUR - n for n in range(3)}

    def test_a_timer_becomes_overdue_without_another_read(self) -> None:
        world, sampling = World(), sampler()
        row = instance("sleeper", at=HOUR, name="Sleeper")
        assert row.history_events is not None
        row.history_events.append(
            type(row.history_events[0])(
                "TimerCreated", timestamp=shown(HOUR), fire_at=shown(1000.0)
            )
        )
        world.put(row)
        cycle(world, sampling)
        assert view(sampling, at=0.0).waiting == {("Sleeper", "timer", ""): 1}
        assert view(sampling, at=0.0).overdue_timers == {}
        late = view(sampling, at=1100.0)
        assert late.stalled == {("Sleeper", "timer_overdue", ""): 1}
        assert late.overdue_timers == {"Sleeper": NOW + 1000.0}
        assert late.stalled_since == {("Sleeper", "timer_overdue", ""): NOW + 1000.0}
        assert world.reads["sleeper"] == 1

    def test_target_names_are_capped_and_keep_their_place(self) -> None:
        world, sampling = World(), sampler()
        for number in range(5):
            world.put(on_activity(f"i{number}", HOUR - number, activity=f"Act{number}"))
        cycle(world, sampling)
        views = Views(2)
        first = views.of(sampling, NOW, str).stalled
        assert sum(first.values()) == 5
        assert len(first) == 3
        assert first["Order", "activity", "_other"] == 3
        assert views.of(sampling, NOW, str).stalled == first

    def test_orchestrators_that_share_a_label_share_their_sums(self) -> None:
        world, sampling = stalled_world(10, orchestrators=5), sampler()
        cycle(world, sampling)
        seen = Views(50).of(sampling, NOW, lambda _: "_other")
        assert seen.stalled == {("_other", "activity", "Ship"): 10}
        assert seen.coverage == {"_other": Coverage(10, 10)}

    def test_the_oldest_wait_of_those_that_wait_alike_is_shown(self) -> None:
        world, sampling = stalled_world(10), sampler()
        cycle(world, sampling)
        since = view(sampling).stalled_since["Order0", "activity", "Ship"]
        assert since == pytest.approx(NOW + HOUR - 9, abs=1)
