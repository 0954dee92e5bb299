"""Recorded timelines: every change of every row of a real hub, replayed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from emulator.clock import Clock
from emulator.faults import Fault, FaultKind
from emulator.storage.rows import Instance, RuntimeStatus
from emulator.task_hub import TaskHub
from emulator.times import parse


@dataclass(frozen=True, slots=True)
class Change:
    """The look of a row from `at` on, in seconds since the begin; `None` if deleted."""

    at: float
    instance_id: str
    row: Instance | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    The changes of a hub.

    `begin` is in seconds since the epoch; `down` has the spans without answers, in seconds since
    `begin`.
    """

    begin: float
    changes: Sequence[Change]
    down: Sequence[tuple[float, float]] = ()

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.changes[-1].at if self.changes else 0.0


def read_timeline(path: Path) -> Timeline:
    """
    Read a timeline: JSON with `t0`, `timeline` and an optional `down`.

    Raises `OSError`, and `ValueError` for other content.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        return Timeline(
            begin=float(content["t0"]),
            changes=[_change(*entry) for entry in content["timeline"]],
            down=[(float(begin), float(end)) for begin, end in content.get("down", ())],
        )
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no recorded timeline: {error}") from error


def replay_timeline(hub: TaskHub, timeline: Timeline, begin: float) -> None:
    """
    Replay a timeline on a hub, from a time on.

    Times in rows are shifted, so that ages stay. While the recorded host was down, requests get
    503.
    """
    later = begin - timeline.begin
    for change in timeline.changes:
        hub.engine.at(begin + change.at, partial(_apply, hub, change, later))
    for down, up in timeline.down:
        hub.engine.at(begin + down, partial(_fail, hub))
        hub.engine.at(begin + up, partial(_recover, hub))


def timeline_hub(name: str, clock: Clock, timeline: Timeline) -> TaskHub:
    """Return a hub that replays a timeline from now on."""
    hub = TaskHub(name, clock)
    replay_timeline(hub, timeline, clock.now())
    return hub


def _change(at: float, instance_id: str, row: Mapping[str, Any] | None) -> Change:
    return Change(float(at), str(instance_id), None if row is None else _row(row))


def _row(row: Mapping[str, Any]) -> Instance:
    return Instance(
        instance_id=row["instanceId"],
        name=row["name"],
        status=RuntimeStatus(row["runtimeStatus"]),
        created=_seconds(row["createdTime"]),
        updated=_seconds(row["lastUpdatedTime"]),
        input=row["input"],
        custom_status=row["customStatus"],
        output=row["output"],
    )


def _seconds(text: str) -> float:
    seconds = parse(text, 0)
    if seconds is None:
        raise ValueError(f"{text!r} is no time")
    return seconds


def _apply(hub: TaskHub, change: Change, later: float, at: float) -> None:
    row = change.row
    if row is None:
        hub.purge(change.instance_id)
    else:
        hub.put(_moved(row, later), at=at)


def _moved(row: Instance, later: float) -> Instance:
    # Whole seconds, as recorded.
    whole = round(later)
    return replace(row, created=row.created + whole, updated=row.updated + whole)


def _fail(hub: TaskHub, _at: float) -> None:
    hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))


def _recover(hub: TaskHub, _at: float) -> None:
    hub.faults.clear()
