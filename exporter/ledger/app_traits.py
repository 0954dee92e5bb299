"""What the rows of a hub show of its app: the worker's language, and how it calls functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from exporter.api.wire import InstanceRow
from exporter.ledger.failure_text import loses_calls, text_of
from exporter.ledger.records import ChangedKeys, Records
from exporter.ledger.status import RuntimeStatus

_MOST_NAMES = 1000


class Worker(StrEnum):
    """The language worker of an app, as far as the API shows a difference."""

    DOTNET = "dotnet"
    """.NET within the process of the Functions host."""
    ISOLATED = "isolated"
    """.NET in a process of its own."""
    JAVA = "java"
    JAVASCRIPT = "javascript"
    PYTHON = "python"
    POWERSHELL = "powershell"

    @property
    def loses_calls(self) -> bool:
        """Whether a call of a missing function leaves no trace in a history."""
        return self in _LOSE_CALLS


_LOSE_CALLS = frozenset((Worker.JAVASCRIPT, Worker.PYTHON, Worker.POWERSHELL))


class AppTraits:
    """
    Observed traits of an app.

    `gets_events` maps orchestrators to whether an instance received an external event, as far as
    histories were read. Where the worker loses calls, `completed` holds the id of one completed
    instance of each. `called` are the labels of orchestrators that others call: none where rows
    name no parents.
    """

    def __init__(
        self,
        worker: Worker | None,
        gets_events: Mapping[str, bool] = MappingProxyType({}),
        called: Iterable[str] = (),
    ) -> None:
        """*worker* is the configured language, if any; the rest was saved."""
        self._worker = worker
        self._seen_losing = False
        self._seen_at = ""
        self.gets_events = dict(gets_events)
        self.completed: dict[str, str] = {}
        self.called = dict.fromkeys(called, True)
        self._answers_changed: ChangedKeys[str] = ChangedKeys()
        self._called_changed: ChangedKeys[str] = ChangedKeys()

    @property
    def loses_calls(self) -> bool:
        """Whether a call may leave no trace: as configured, else as the last failure shows."""
        return self._seen_losing if self._worker is None else self._worker.loses_calls

    def note_finish(self, row: InstanceRow, status: RuntimeStatus) -> None:
        """Learn from the row of a finished instance."""
        if status is RuntimeStatus.FAILED and self._worker is None:
            self._note_failure(row)
        elif status is RuntimeStatus.COMPLETED and self.loses_calls:
            name = row.name or ""
            if name in self.completed or len(self.completed) < _MOST_NAMES:
                self.completed[name] = row.instance_id

    def _note_failure(self, row: InstanceRow) -> None:
        at = row.last_updated_time or ""
        if at < self._seen_at:
            return
        text, is_described = text_of(row.output)
        seen = loses_calls(text, is_described=is_described)
        if seen is not None:
            self._seen_losing, self._seen_at = seen, at

    def note_called(self, label: str) -> None:
        """Note that an orchestrator is called by others."""
        if label not in self.called:
            self.called[label] = True
            self._called_changed.add(label)

    def note_events(self, name: str, *, gets_events: bool) -> None:
        """Note whether an orchestrator gets events."""
        self.gets_events[name] = gets_events
        self._answers_changed.add(name)

    @property
    def records(self) -> tuple[Records[str, bool], Records[str, bool]]:
        """Everything to save."""
        answers, called = self.gets_events, self.called
        return (
            Records("gets_events", self._answers_changed, answers.keys, answers.get),
            Records("called", self._called_changed, called.keys, called.get),
        )
