"""`record` and `emulator --replay`: the content of the file, and that it replays the same."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator import (
    Emulator,
    Fault,
    FaultKind,
    ManualClock,
    RealClock,
    running,
    sample_emulator,
)
from emulator.api import Operation
from emulator.http.server import running_app
from emulator.recordings import read_recording, replay_app
from exporter.settings import load_settings
from tests.cli.asked import ask
from tests.cli.process import KEY, emulator_at, run
from tests.cli.terminal import CTRL_C, at_terminal

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.anyio

# Nobody comes over them while a test runs: traffic is at most ten minutes old, residents older.
LIMITS = ("--set", "limits.idle=15m", "--set", "limits.pending=15m")
SHORT = ("--for", "2s", "--set", "max_histories_per_sweep=500", *LIMITS)
SHOWN = ("durable_functions_instances", "durable_functions_stalled_instances",
    "durable_functions_entities_locked", "durable_functions_unresolved_failures")  # fmt: skip


def shop() -> Emulator:
    """Return a shop with ten minutes of traffic and a stopped clock."""
    clock = ManualClock(time.time())
    return sample_emulator(clock=clock, seed=7, system_key=KEY, history=600.0)


def lines_of(path: Path) -> list[dict[str, object]]:
    text = path.read_bytes()
    content = gzip.decompress(text) if path.suffix == ".gz" else text
    return [json.loads(line) for line in content.splitlines()]


async def numbers_of(url: str) -> Mapping[str, object]:
    """Return the numbers of a hub that do not depend on the time."""
    environ = {"DURABLE_EXPORTER_KEY": KEY, "DURABLE_EXPORTER_NAME": "orders"}
    told = await run("collect", "--format", "json", *LIMITS, "--url", url, environ=environ)
    assert (told.code, told.err) == (0, "")
    return {
        f"{each['name']}{each['labels']}": each["value"]
        for each in json.loads(told.out)["samples"]
        if each["name"] in SHOWN
    }


async def stalled_in(capfd: Capture, url: str) -> list[dict[str, object]]:
    """Return the stalled instances of a hub without their times."""
    options = dict(each.split("=") for each in LIMITS[1::2])
    settings = load_settings({}, {"url": url, "key": KEY, "name": "orders", **options})
    told = await ask(capfd, settings, "stuck", "--format", "json")
    assert (told.code, told.err) == (0, "")
    rows = [
        {key: of for key, of in row.items() if not key.endswith("time") and key != "since"}
        for row in json.loads(told.out)
    ]
    return sorted(rows, key=str)


async def test_a_replay_shows_what_the_hub_showed(capfd: Capture, tmp_path: Path) -> None:
    path = tmp_path / "hub.rec"
    async with running(shop()) as url:
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        told = await run("record", str(path), "--url", url, *SHORT, environ=environ)
        numbers, stalled = await numbers_of(url), await stalled_in(capfd, url)
    assert told.code == 0, told.err
    assert len(numbers) > 20
    assert any(row["held_by"] == "payment-stalled" for row in stalled)
    async with emulator_at("--replay", str(path)) as url:
        assert await numbers_of(url) == numbers
        assert await stalled_in(capfd, url) == stalled


async def test_a_replay_answers_what_check_and_estimate_ask(tmp_path: Path) -> None:
    path = tmp_path / "hub.rec"
    # Older than what `estimate` lists, but not than what polling lists at first contact.
    clock = ManualClock(time.time())
    hub = sample_emulator(clock=clock, seed=7, system_key=KEY, history=87_000.0, rate=0.02)
    async with running(hub) as url:
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        told = await run("record", str(path), "--url", url, *SHORT, environ=environ)
    assert told.code == 0, told.err
    async with emulator_at("--replay", str(path)) as url:
        checked = await run("check", "--url", url)
        forecast = await run("estimate", "--url", url, *LIMITS)
    assert (checked.code, checked.err) == (0, "")
    assert (forecast.code, forecast.err) == (0, "")


async def test_no_key_no_input_and_no_output_is_in_it(tmp_path: Path) -> None:
    emulator = shop()
    path = tmp_path / "hub.rec"
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    async with running(emulator) as url:
        # Also an answer that shows what was sent.
        page = Fault(kind=FaultKind.HTML, operations=[Operation.LIST_ENTITIES])
        emulator.own_hub.faults.set(page)
        options = ("--url", f"{url}", "--key-file", str(key_file), *SHORT)
        told = await run("record", str(path), *options)
    assert told.code == 0, told.err
    text = path.read_text()
    assert KEY not in text
    assert "OrdersHub" not in text
    for instance in emulator.own_hub.instances():
        for data in (instance.output, instance.input):
            shown = json.dumps(data)
            assert data is None or len(shown) < 12 or shown[1:-1] not in text
    assert '"output":"redacted"' in text
    assert path.stat().st_mode & 0o777 == 0o600


async def test_hashed_ids_are_the_same_everywhere(capfd: Capture, tmp_path: Path) -> None:
    emulator = shop()
    path = tmp_path / "hub.rec.gz"
    async with running(emulator) as url:
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        options = ("--hash-ids", "--url", url, *SHORT)
        told = await run("record", str(path), *options, environ=environ)
        stalled = await stalled_in(capfd, url)
    assert told.code == 0, told.err
    text = gzip.decompress(path.read_bytes()).decode()
    ids = [each.instance_id for each in emulator.own_hub.instances()]
    assert [each for each in ids if each in text] == []
    app = replay_app(read_recording(path), RealClock())
    async with running_app(app, "127.0.0.1", 0) as url:
        hashed = await stalled_in(capfd, url)
    assert sorted(map(shape_of, hashed)) == sorted(map(shape_of, stalled))


def shape_of(row: dict[str, object]) -> str:
    """Return the facts of an instance without ids and times."""
    kept = ("orchestrator", "runtime_status", "waiting_on", "target")
    chain = row["chain"]
    assert isinstance(chain, list)
    return str([*(row[each] for each in kept), row["held_by"] is not None, len(chain)])


async def test_errors_are_recorded_and_given_again(tmp_path: Path) -> None:
    emulator = shop()
    path = tmp_path / "hub.rec"
    async with running(emulator) as url:
        emulator.own_hub.faults.set(Fault(kind=FaultKind.STOPPED))
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        told = await run("record", str(path), "--url", url, *SHORT, environ=environ)
    assert (told.code, "failed)" in told.err) == (0, True)
    assert {line.get("status") for line in lines_of(path)[1:]} == {403}
    async with emulator_at("--replay", str(path)) as url:
        stuck = await run("stuck", "--url", url)
    assert stuck.code == 1
    assert "the app is stopped or disabled" in stuck.err


async def test_it_ends_before_it_is_too_large_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "hub.rec"
    emulator = sample_emulator(
        clock=ManualClock(time.time()), seed=7, system_key=KEY, history=40_000.0, rate=0.5
    )
    async with running(emulator) as url:
        options = ("--for", "2m", "--max-size", "1", "--url", url)
        told = await run("record", str(path), *options, environ={"DURABLE_EXPORTER_KEY": KEY})
    assert told.code == 0
    assert "--max-size reached" in told.err
    assert path.stat().st_size <= 1 << 20


async def test_ctrl_c_ends_it_early_and_keeps_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "hub.rec"
    emulator = sample_emulator(clock=ManualClock(time.time()), seed=7, history=600.0)
    async with running(emulator) as url, at_terminal("record", str(path), "--url", url) as seen:
        await seen.until("Ctrl-C ends it earlier")
        seen.press(CTRL_C)
        code = await seen.end()
    assert code == 0
    assert "Traceback" not in seen.seen
    assert lines_of(path)[0]["format"] == "durable-exporter recording 1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("record", "{here}/taken", "--url", "http://127.0.0.1:9"), "exists: choose a new file"),
        (("record", "{here}/no/file", "--url", "http://127.0.0.1:9"), "cannot write"),
        (("emulator", "--replay", "{here}/no"), "cannot read"),
        (("emulator", "--replay", "{here}/taken"), "is no recording"),
    ],
)
async def test_a_wrong_file_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "taken").write_text('{"format": "something else"}\n')
    told = await run(*(each.format(here=tmp_path) for each in arguments))
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


async def test_of_several_hubs_one_is_to_be_chosen(tmp_path: Path) -> None:
    environ = {f"DURABLE_EXPORTER_HUBS__{name}__URL": f"http://{name}.invalid" for name in "AB"}
    environ["DURABLE_EXPORTER_ALLOW_INSECURE"] = "true"
    told = await run("record", str(tmp_path / "hub.rec"), environ=environ)
    assert told.code == 2
    assert "choose one hub to record; configured: a, b" in told.err
