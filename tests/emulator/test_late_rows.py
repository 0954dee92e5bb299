"""Rows of sub-orchestrations come as late, and in as odd a state, as those that were recorded."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import BUSY, Crash, Functions, ManualClock, OrchestrationContext, Pace, Steps
from emulator.storage.history import EventKind
from emulator.storage.rows import RuntimeStatus
from emulator.task_hub import TaskHub
from emulator.times import parse
from tests.emulator.hubs import instance_of, move, set_clock
from tests.emulator.recordings import RECORDINGS

START = 1_800_000_000.0
SAMPLES_PER_SECOND = 4
CHILDREN = 100
DOWN_SECONDS = 50.0
LATE_SECONDS = 250.0

functions = Functions()


@functions.orchestrator
def FanSub(context: OrchestrationContext) -> Steps:  # noqa: N802 - as it was recorded
    """Start children that do nothing, all at once."""
    yield context.task_all([context.call_sub_orchestrator("Nothing") for _ in range(CHILDREN)])
    return CHILDREN


@functions.orchestrator
def Nothing(_context: OrchestrationContext) -> int:  # noqa: N802 - as it was recorded
    """Return."""
    return 1


@dataclass(frozen=True)
class Sight:
    """A row when it was seen first; seconds after what it shows in whole seconds."""

    name: str
    after_created: float
    after_updated: float
    terminal: bool

    @property
    def minutes_late(self) -> bool:
        return self.after_created > LATE_SECONDS


def seconds(text: str) -> float:
    time = parse(text, 0)
    assert time is not None
    return time


@cache
def recorded_sights(file: str) -> Sequence[Sight]:
    recording = json.loads((RECORDINGS / "v3" / f"{file}.json").read_text("utf-8"))
    first: dict[str, Sight] = {}
    for since, instance_id, row in recording["timeline"]:
        if row is not None and instance_id not in first:
            now = recording["t0"] + since
            first[instance_id] = Sight(
                row["name"],
                now - seconds(row["createdTime"]),
                now - seconds(row["lastUpdatedTime"]),
                RuntimeStatus(row["runtimeStatus"]).terminal,
            )
    return tuple(first.values())


def sights(hub: TaskHub, until: float, away: Sequence[Crash] = ()) -> Iterator[Sight]:
    """
    Look at a hub as often as the recording did; yield each row when it is seen first.

    Nobody can look while the host is away.
    """
    seen: set[str] = set()
    while (now := hub.clock.now()) < until:
        is_up = all(not crash.at <= now < crash.at + crash.down for crash in away)
        for row in hub.instances() if is_up else ():
            if row.instance_id not in seen:
                seen.add(row.instance_id)
                yield Sight(
                    row.name, now - int(row.created), now - int(row.updated), row.status.terminal
                )
        move(hub, 1 / SAMPLES_PER_SECOND)


def two_fan_outs(seed: int, *, crashes: Sequence[Crash] = (), pace: Pace = BUSY) -> TaskHub:
    clock = ManualClock(START)
    hub = TaskHub("Hub", clock, functions=functions, seed=seed, pace=pace, crashes=crashes)
    for number in range(2):
        hub.engine.start("FanSub", f"fansub-{number}", None, START)
    return hub


def children(found: Sequence[Sight]) -> list[Sight]:
    return [sight for sight in found if sight.name == "Nothing"]


class TestBusyHub:
    def test_children_that_were_recorded_were_first_seen_finished_and_late(self) -> None:
        found = children(recorded_sights("flow"))
        assert len(found) > 500
        assert all(sight.terminal for sight in found)
        assert 1 < median(sight.after_created for sight in found) < 2

    @settings(max_examples=2, deadline=None)
    @given(st.integers(0, 10**6))
    def test_so_are_those_of_the_emulator(self, seed: int) -> None:
        found = children([*sights(two_fan_outs(seed), START + 15)])
        assert len(found) == 2 * CHILDREN
        assert all(sight.terminal for sight in found)
        assert 1 < median(sight.after_created for sight in found) < 8
        assert max(sight.after_created for sight in found) < 15

    def test_a_quiet_hub_has_them_at_once(self) -> None:
        found = children([*sights(two_fan_outs(1, pace=Pace()), START + 5)])
        assert max(sight.after_created for sight in found) < 1.5


def around_a_crash(seed: int, after: float) -> list[Sight]:
    crashes = [Crash(at=START + after, down=DOWN_SECONDS)]
    return children([*sights(two_fan_outs(seed, crashes=crashes), START + 320, away=crashes)])


class TestCrash:
    """Two fan-outs of a hundred children each, in the middle of which the host goes away."""

    def test_what_was_recorded_came_in_three_waves(self) -> None:
        found = children(recorded_sights("crash"))
        late = [sight for sight in found if sight.after_created > DOWN_SECONDS]
        assert len(found) == 200
        assert 0.4 < len(late) / len(found) < 0.6
        assert 0.02 < sum(sight.minutes_late for sight in found) / len(found) < 0.1
        assert all(sight.terminal for sight in found)

    @settings(max_examples=3, deadline=None)
    @given(st.integers(0, 10**6), st.floats(3, 5))
    def test_so_do_those_of_the_emulator(self, seed: int, after: float) -> None:
        found = around_a_crash(seed, after)
        late = [sight for sight in found if sight.after_created > DOWN_SECONDS]
        assert len(found) == 2 * CHILDREN
        assert 0.3 < len(late) / len(found) < 0.9
        assert 0.02 < sum(sight.minutes_late for sight in found) / len(found) < 0.3
        assert all(sight.terminal for sight in found)

    def test_some_come_five_minutes_after_their_own_last_update(self) -> None:
        found = [sight for seed in range(10) for sight in around_a_crash(seed, 4.0)]
        stale = [sight for sight in found if sight.after_updated > LATE_SECONDS]
        assert 0 < len(stale) < len(found) / 50
        assert all(sight.minutes_late and sight.terminal for sight in stale)
        assert max(sight.after_updated for sight in stale) < 302

    @pytest.mark.parametrize("seed", range(2))
    def test_the_parents_end_once_the_last_child_has(self, seed: int) -> None:
        hub = two_fan_outs(seed, crashes=[Crash(at=START + 4, down=DOWN_SECONDS)])
        set_clock(hub, START + 250)
        assert RuntimeStatus.RUNNING in {instance_of(hub, f"fansub-{n}").status for n in range(2)}
        set_clock(hub, START + 320)
        for number in range(2):
            parent = instance_of(hub, f"fansub-{number}")
            assert parent.status is RuntimeStatus.COMPLETED
            assert parent.updated > START + 300

    def test_the_history_of_a_row_that_is_cut_off_is_there_at_once(self) -> None:
        hub = two_fan_outs(0)
        move(hub, 2)
        hub.engine.lose_row_writes("fansub-0")
        move(hub, 60)
        row = instance_of(hub, "fansub-0")
        assert row.status is RuntimeStatus.RUNNING
        assert row.updated < START + 3
        assert row.history[-1].kind is EventKind.EXECUTION_COMPLETED
