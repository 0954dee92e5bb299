"""Recorded timelines, shown again."""

import json
from pathlib import Path

import httpx
import pytest

from emulator import Emulator, Instance, ManualClock, RuntimeStatus, TaskHub, running
from emulator.timelines import Timeline, read_timeline, timeline_hub
from tests.emulator.conftest import NOW, OPTIONS
from tests.emulator.recordings import RECORDINGS

pytestmark = pytest.mark.anyio

FLOW, CRASH = (RECORDINGS / "v3" / name for name in ("flow.json", "crash.json"))


def rows_at(timeline: Timeline, seconds: float) -> dict[str, tuple[str, RuntimeStatus, object]]:
    """Return what the recorded hub showed at a moment, by the recording alone."""
    rows: dict[str, tuple[str, RuntimeStatus, object]] = {}
    for change in timeline.changes:
        if change.at > seconds:
            break
        if change.row is None:
            rows.pop(change.instance_id, None)
        else:
            rows[change.instance_id] = (change.row.name, change.row.status, change.row.output)
    return rows


def rows_of(hub: TaskHub) -> dict[str, tuple[str, RuntimeStatus, object]]:
    hub.advance()
    return {row.instance_id: (row.name, row.status, row.output) for row in hub.instances()}


@pytest.mark.parametrize("path", [FLOW, CRASH])
def test_at_every_moment_the_rows_are_those_that_were_recorded(path: Path) -> None:
    timeline = read_timeline(path)
    clock = ManualClock(NOW)
    hub = timeline_hub("Recorded", clock, timeline)
    for step in range(41):
        seconds = timeline.seconds * step / 40
        clock.set(NOW + seconds)
        assert rows_of(hub) == rows_at(timeline, seconds)
    assert len(hub.finishes) > 500


def test_ages_are_what_they_were() -> None:
    timeline = read_timeline(FLOW)
    clock = ManualClock(NOW)
    hub = timeline_hub("Recorded", clock, timeline)
    first = timeline.changes[0]
    clock.set(NOW + first.at)
    hub.advance()
    shown = hub.get(first.instance_id)
    assert isinstance(shown, Instance)
    assert first.row is not None
    then = timeline.begin + first.at - first.row.created
    assert abs((clock.now() - shown.created) - then) <= 1


async def test_the_host_is_down_when_it_was() -> None:
    timeline = read_timeline(CRASH)
    ((down, up),) = timeline.down
    clock = ManualClock(NOW)
    hub = timeline_hub("Recorded", clock, timeline)
    async with (
        running(Emulator(hub, clock=clock)) as url,
        httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
    ):
        statuses = []
        for seconds in (down - 1, down + 1, up - 1, up + 1):
            clock.set(NOW + seconds)
            statuses.append((await client.get("instances?top=1")).status_code)
    assert statuses == [200, 503, 503, 200]


@pytest.mark.parametrize(
    "content",
    [
        "rubbish",
        "[]",
        "{}",
        json.dumps({"t0": "now", "timeline": []}),
        json.dumps({"t0": 1, "timeline": [[1, "a"]]}),
        json.dumps({"t0": 1, "timeline": [[1, "a", {"name": "x"}]]}),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "timeline.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="is no recorded timeline") as caught:
        read_timeline(path)
    assert "\n" not in str(caught.value)
