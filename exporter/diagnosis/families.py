"""Families of instances: who started whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import msgspec

from exporter.api.wire import HistoryEvent, InstanceRow, InstanceStatus
from exporter.diagnosis.nodes import Absence, Answer, Read
from exporter.diagnosis.timeline import CHILD_COMPLETED, CHILD_CREATED, CHILD_FAILED
from exporter.ledger.status import RuntimeStatus

# Real families are a few generations deep.
MOST_GENERATIONS = 16
MOST_SHOWN = 50
# As long as no result of a child has come, it is active, or its result is under way.
_STATUSES = {
    CHILD_CREATED: RuntimeStatus.RUNNING,
    CHILD_FAILED: RuntimeStatus.FAILED,
    CHILD_COMPLETED: RuntimeStatus.COMPLETED,
}


def head_of(instance_id: str, parent_of: Callable[[str], str | None]) -> str:
    """
    Return the first ancestor of an instance, itself where it has none.

    *parent_of* returns None where the search ends. Of a circle, and of what is deeper than is
    followed, the last one that was reached is returned.
    """
    seen = {instance_id}
    for _ in range(MOST_GENERATIONS):
        parent = parent_of(instance_id)
        if parent is None or parent in seen:
            break
        seen.add(parent)
        instance_id = parent
    return instance_id


class Member(msgspec.Struct, frozen=True):
    """
    An instance of a family, and its children, by status.

    `left_out` counts further children by status. The status of a child that was not read is that
    which the history of its parent shows.
    """

    instance_id: str
    orchestrator: str
    runtime_status: str
    children: list[Member] = []
    left_out: dict[str, int] = {}


@dataclass(slots=True)
class _Tree:
    """A family while it is read: at most so many more are shown, those on the *path* always."""

    path: frozenset[str]
    left: int = MOST_SHOWN
    seen: set[str] = field(default_factory=set)


def family_of(row: InstanceRow) -> Generator[Read, Answer, Member | None]:
    """
    Return the family of an instance from its root, None where it has neither parent nor child.

    Asks for histories: of the ancestors, then of their descendants. A parent that is an entity, or
    that is gone, ends the way up.
    """
    path = [row.instance_id]
    root: InstanceRow = row
    while (parent := root.parent_instance_id) and len(path) < MOST_GENERATIONS:
        if parent in path or parent.startswith("@"):
            break
        answer = yield Read(parent, history=False)
        if isinstance(answer, Absence):
            break
        root = answer
        path.append(parent)
    tree = _Tree(frozenset(path))
    status = str(root.runtime_status)
    member = yield from _member(root.instance_id, root.name or "", status, tree)
    return member if len(path) > 1 or member.children or member.left_out else None


def _member(
    instance_id: str, name: str, status: str, tree: _Tree
) -> Generator[Read, Answer, Member]:
    tree.left -= 1
    tree.seen.add(instance_id)
    answer = yield Read(instance_id)
    if answer is Absence.REFUSED:
        answer = yield Read(instance_id, history=False)
    if isinstance(answer, InstanceStatus):
        name, status = answer.name or name, str(answer.runtime_status)
    events = (answer.history_events if isinstance(answer, InstanceStatus) else None) or ()
    children: list[Member] = []
    left_out: Counter[str] = Counter()
    for child_id, child_name, child_status in _children(events):
        if child_id in tree.seen:
            continue
        if child_id not in tree.path and tree.left <= 0:
            left_out[child_status] += 1
        elif child_id not in tree.path and child_status == RuntimeStatus.COMPLETED:
            # What has completed has no more to tell: its history is not read.
            tree.left -= 1
            children.append(Member(child_id, child_name, child_status))
        else:
            children.append((yield from _member(child_id, child_name, child_status, tree)))
    return Member(instance_id, name, status, children, dict(left_out))


def _children(events: Sequence[HistoryEvent]) -> list[tuple[str, str, str]]:
    """Return id, name and status of the children in a history: those first that are not done."""
    found = [
        (event.instance_id, event.name or event.function_name or "", _STATUSES[event.event_type])
        for event in events
        if event.event_type in _STATUSES and event.instance_id
    ]
    order = list(_STATUSES.values())
    found.sort(key=lambda child: order.index(child[2]))
    return [(child_id, name, status.value) for child_id, name, status in found]
