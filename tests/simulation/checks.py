"""What must be true of the exporter's counters, whatever happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from exporter.ledger.snapshot import CountersView
from tests.simulation.observer import Exempt, Found, Memory
from tests.simulation.server import Traffic
from tests.simulation.world import BEGIN, Instance, World

SHARE_THAT_MAY_BE_READ = 0.05

Labels = tuple[str, ...]


class Miscounted(AssertionError):
    """The exporter shows what the world and the observer contradict."""


def due(memory: Memory) -> dict[str, Counter[Labels]]:
    """Return what counters must show by family, zeros left out, if *memory* is what is known."""
    return {
        "finished": Counter(memory.counted.values()),
        "created": Counter({(name,): count for name, count in memory.starts.items()}),
        "continued": Counter({(name,): count for name, count in memory.continued.items()}),
        "reopened": Counter({(): sum(memory.reopened.values())}),
        "vanished": Counter({(): sum(memory.vanished.values())}),
    }


def check_published(counters: CountersView, memory: Memory, *, exactly: bool) -> None:
    """Check that nothing is shown twice, nor more than was kept; *exactly*: nor less."""
    for family, expected in due(memory).items():
        shown: Mapping[Labels, int] = counters[family]
        for labels in {*shown, *expected}:
            much = shown.get(labels, 0)
            if family == "created":
                much = _without_doubt(much, expected[labels], memory, labels[0])
            if much > expected[labels] or (exactly and much < expected[labels]):
                raise Miscounted(f"{family}{labels}: shown {much}, observed {expected[labels]}")
    if exactly:
        _check_durations(counters)


def _without_doubt(much: int, expected: int, memory: Memory, name: str) -> int:
    """
    Return how many starts are shown, were it not for those of which nobody can be sure.
    """
    doubtful = memory.doubtful_starts(name)
    if much > expected:
        return max(expected, much - doubtful)
    return min(expected, much + doubtful)


def _check_durations(counters: CountersView) -> None:
    for labels, durations in counters.durations.items():
        if durations.cumulative[-1] != counters["finished"][*labels, "Completed"]:
            raise Miscounted(f"durations{labels}: {durations.cumulative[-1]} of them")


def check_not_fallen(served: Mapping[Labels, int], counters: CountersView) -> None:
    """Check that a restart shows no less than was served before."""
    for labels, much in served.items():
        shown = counters["finished"].get(labels, 0)
        if shown < much:
            raise Miscounted(f"finished{labels}: fell from {much} to {shown}")


def check_promise(
    world: World, memory: Memory, *, mark: float, overlap: float, began: float
) -> None:
    """
    Check that a list of what is finished, made from *began* on, found all that it is to find.

    That is what was created since the *mark* before it less the *overlap*.
    """
    for row in world.finished_rows():
        is_due = row.created >= mark - overlap and row.since <= began
        if is_due and not memory.received(row.finish):
            raise Miscounted(f"not found though created since the mark: {_told(row)}")


def check_reads(traffic: Traffic, memory: Memory) -> None:
    """Check that a list that ended in doubt was read once more, before an id was read for it."""
    is_clear = traffic.doubtful_ends == 1 and traffic.cuts[Found.ACTIVE] == 1
    known = sum(1 for row in memory.last.values() if not row.finish)
    if is_clear and traffic.needless_reads > SHARE_THAT_MAY_BE_READ * known:
        raise Miscounted(f"{traffic.needless_reads} of {known} ids read for a list that was cut")


def missing(world: World, memory: Memory, *, created_from: float) -> list[Instance]:
    """
    Return the stored finishes that should have been found, and were not.

    Those are what was created lately enough, what had been seen active, and what is Failed.
    """
    return [
        row
        for row in world.finished_rows()
        if row.instance_id[:1] != "@"
        and not memory.received(row.finish)
        and (
            row.created >= created_from
            or row.status == "Failed"
            or ((last := memory.last.get(row.instance_id)) is not None and not last.finish)
        )
    ]


def check_truth(world: World, memory: Memory, lost: list[Instance]) -> None:
    """Check at the end, when all is quiet, that what the observer knows is the world's truth."""
    if lost:
        raise Miscounted(f"never found: {'; '.join(map(_told, lost))}")
    for serial, reason in memory.exempt.items():
        finish = world.finishes[serial]
        is_history = finish.second < (memory.horizon or 0) or finish.at <= (
            memory.contact_ended or world.now
        )
        if reason is Exempt.HISTORY and not is_history:
            raise Miscounted(f"taken for history: {finish}")
    for instance_id, row in memory.last.items():
        if not row.finish and world.get(instance_id) is None:
            raise Miscounted(f"still thought to be active: {row}")


def check_contact(memory: Memory, latency: float) -> None:
    """Check that history ends at first contact, by the server's clock."""
    if memory.horizon is None or memory.contact_began is None:
        return
    late = memory.horizon - memory.contact_began
    if not -(3 + latency) <= late <= 0:
        raise Miscounted(f"history ends {late:.2f} s after first contact began")


def _told(row: Instance) -> str:
    shown = row.shown
    return (
        f"{row.instance_id} {row.name} {row.status}, created {shown.created_time},"
        f" updated {shown.last_updated_time}, shown so since {row.since - BEGIN:.2f}"
    )
