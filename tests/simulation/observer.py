"""
An observer with unlimited memory of every answer that the exporter received.

It knows which finish each row shows, by a serial that the exporter never sees, and so which
finishes are observable and how often each counts: once. It shares no code with the ledger.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow
from tests.simulation.world import Finish, Row, World

# How exactly first contact is known at first, in seconds: `Date` has whole ones.
CONTACT_KNOWN_TO = 4.0

Pair = tuple[str, str]


class Found(Enum):
    """How a row was found."""

    ACTIVE = auto()
    BASELINE = auto()
    RECENT = auto()
    FAILED = auto()
    CENSUS = auto()
    READ = auto()


class Exempt(Enum):
    """Why a finish whose row was received does not count."""

    HISTORY = "it finished before or during first contact"
    EQUAL = "its row equals an earlier one, and nothing active was seen between them"


@dataclass(slots=True)
class Memory:
    """
    What has been received, up to some moment; `last` is the latest answer about each id.

    First contact is from the first page to the first complete list of what is finished; `mark` is
    the start of the latest active sweep after which there was such a list. Finishes and lives are
    kept by their serials.
    """

    contact_began: float | None = None
    contact_ended: float | None = None
    active_lists: int = 0
    contact: float | None = None
    horizon: float | None = None
    mark: float | None = None
    last: dict[str, Row] = field(default_factory=dict)
    equals: set[tuple[str, ...]] = field(default_factory=set)
    counted: dict[int, Pair] = field(default_factory=dict)
    exempt: dict[int, Exempt] = field(default_factory=dict)
    continued: Counter[str] = field(default_factory=Counter)
    reopened: Counter[str] = field(default_factory=Counter)
    vanished: Counter[str] = field(default_factory=Counter)
    started: dict[int, tuple[str, float]] = field(default_factory=dict)

    def copy(self) -> Memory:
        """Return a memory that goes its own way."""
        twin = copy.copy(self)
        for name in ("last", "equals", "counted", "exempt", "started"):
            setattr(twin, name, copy.copy(getattr(self, name)))
        for name in ("continued", "reopened", "vanished"):
            setattr(twin, name, Counter(getattr(self, name)))
        return twin

    @property
    def starts(self) -> Counter[str]:
        """How many lives were seen first; what began before first contact is none."""
        contact = self.contact or 0.0
        return Counter(name for name, created in self.started.values() if created >= contact)

    def doubtful_starts(self, name: str) -> int:
        """
        Return how many lives of an orchestrator began within seconds of first contact.

        Whether they are starts depends on when that was, which is known for certain only once
        several answers have told the server's time.
        """
        contact = self.contact or 0.0
        return sum(
            1
            for orchestrator, created in self.started.values()
            if orchestrator == name and abs(created - contact) <= CONTACT_KNOWN_TO
        )

    def received(self, serial: int) -> bool:
        """Tell whether a row has shown this finish."""
        return serial in self.counted or serial in self.exempt


class Observer:
    """
    Receives what the exporter receives, row by row, in the order in which it does.

    *history* is when the exporter says that first contact was, and up to when a finish is history;
    whether it says so rightly is checked elsewhere.
    """

    def __init__(
        self,
        world: World,
        history: Callable[[], tuple[float | None, float | None]],
        *,
        horizon_rises: bool = False,
    ) -> None:
        self._world = world
        self._history = history
        self._horizon_rises = horizon_rises
        self.now = Memory()
        self.durable = Memory()
        self.kept = 0

    def keep(self) -> None:
        """All that was received so far is kept by the exporter, whatever happens to it."""
        self._learn_history()
        self.durable = self.now.copy()
        self.kept += 1

    def lose(self) -> None:
        """What was received since the last `keep` died with the exporter."""
        self.now = self.durable.copy()

    def has_answered(self, began: float) -> None:
        """Note that a list of the active instances begins, which was asked for at *began*."""
        self.now.active_lists += 1
        if self.now.contact_began is None:
            self.now.contact_began = began

    def has_covered(self, mark: float) -> None:
        """Note that what is finished was listed to the end, for an active sweep from *mark* on."""
        if self.now.mark is None:
            self.now.contact_ended = self._world.now
        self.now.mark = mark

    def receive(self, rows: Iterable[InstanceRow], found: Found) -> None:
        """Note rows of a page, or of a read."""
        for row in rows:
            assert isinstance(row, Row)
            if row.instance_id[:1] == "@":
                continue
            if row.finish:
                self._receive_finish(row, found)
            elif row.runtime_status != "Unknown":
                self._receive_active(row)

    def is_gone(self, instance_id: str) -> None:
        """Note that a read and a list agree that an instance is no longer stored."""
        last = self.now.last.pop(instance_id, None)
        if last is not None and not last.finish:
            self.now.vanished[last.name or ""] += 1

    def _receive_finish(self, row: Row, found: Found) -> None:
        memory = self.now
        before = memory.last.get(row.instance_id)
        memory.last[row.instance_id] = row
        if memory.received(row.finish):
            return
        was_active = before is not None and not before.finish
        looks = _looks(row)
        is_equal = looks in memory.equals
        memory.equals.add(looks)
        finish = self._world.finishes[row.finish]
        self._learn_history()
        if was_active:
            memory.counted[row.finish] = (finish.name, finish.status)
        elif is_equal:
            memory.exempt[row.finish] = Exempt.EQUAL
        elif self._is_history(finish, found):
            memory.exempt[row.finish] = Exempt.HISTORY
        else:
            memory.counted[row.finish] = (finish.name, finish.status)
            self._start_again(row, before)

    def _is_history(self, finish: Finish, found: Found) -> bool:
        """
        Tell whether a finish that was not seen active happened before or during first contact.

        What the cycle of first contact lists did; where its list failed, a later one tells by the
        second.
        """
        memory = self.now
        if memory.horizon is None or finish.second < memory.horizon:
            return True
        is_first = memory.active_lists == 1 or finish.second == memory.horizon
        return found is Found.BASELINE and is_first

    def _receive_active(self, row: Row) -> None:
        memory, name = self.now, row.name or ""
        before = memory.last.get(row.instance_id)
        memory.last[row.instance_id] = row
        if before is not None and not before.finish:
            if before.created_time != row.created_time:
                memory.continued[name] += 1
        else:
            self._start_again(row, before)

    def _start_again(self, row: Row, before: Row | None) -> None:
        """Note a life that goes on after it had failed, or one that starts."""
        if (
            before is not None
            and before.runtime_status == "Failed"
            and before.created_time == row.created_time
        ):
            self.now.reopened[row.name or ""] += 1
        else:
            self._start(row)

    def _start(self, row: Row) -> None:
        """Note a life that is seen for the first time, unless it was seen before."""
        if row.life not in self.now.started:
            created = parse_time(row.created_time) or 0.0
            self.now.started[row.life] = (row.name or "", created)

    def _learn_history(self) -> None:
        is_settled = self.now.horizon is not None and self.now.mark is not None
        if not is_settled or self._horizon_rises:
            self.now.contact, self.now.horizon = self._history()


def _looks(row: Row) -> tuple[str, ...]:
    return (
        row.instance_id,
        row.name or "",
        str(row.runtime_status),
        row.created_time or "",
        row.last_updated_time or "",
    )
