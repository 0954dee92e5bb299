"""What is written of an instance after a turn: its history, and a moment later its row."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from emulator.engine.orchestration import Orchestration
from emulator.engine.pace import INVISIBLE_SECONDS, Host
from emulator.engine.timeline import Timeline
from emulator.storage.rows import Instance, Row


class Rows(Protocol):
    """Where the engine shows what it does."""

    def get(self, instance_id: str) -> Row | None:
        """Return the row of an instance."""
        ...

    def put(self, row: Row, *, at: float | None = None) -> None:
        """Insert or replace a row at a time."""
        ...

    def remove(self, instance_id: str) -> None:
        """Delete a row."""
        ...


class Checkpoints:
    """Writes rows when their turns end; where the host dies between history and row, late."""

    def __init__(
        self,
        rows: Rows,
        timeline: Timeline,
        host: Host,
        is_current: Callable[[Orchestration], bool],
    ) -> None:
        self._rows = rows
        self._timeline = timeline
        self._host = host
        self._is_current = is_current

    def write(self, life: Orchestration, begin: float, end: float) -> None:
        """Write what a turn has come to that lasted from *begin* to *end*."""
        row = life.row(end)
        if not life.loses_row_writes and not self._host.cut_off(begin, end):
            self._timeline.add(end, partial(self._show, life, row))
            return
        self._timeline.add(end, partial(self._show_history, life, row))
        if not life.loses_row_writes:
            self._timeline.add(end + INVISIBLE_SECONDS, partial(self._show_late, life, row))

    def _show_history(self, life: Orchestration, row: Instance, at: float) -> None:
        shown = self._rows.get(row.instance_id)
        if isinstance(shown, Instance) and shown.created == row.created:
            self._show(life, replace(shown, history=row.history), at)

    def _show_late(self, life: Orchestration, row: Row, at: float) -> None:
        shown = self._rows.get(row.instance_id)
        if shown is None or shown.updated < row.updated:  # else a later turn has been quicker
            self._show(life, row, at)

    def _show(self, life: Orchestration, row: Row, at: float) -> None:
        if self._is_current(life):
            self._rows.put(row, at=at)
