"""`record` and `emulator --replay`: what is in the file, and that it shows the same again."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from emulator import Emulator, Fault, FaultKind, ManualClock, running, sample_emulator
from emulator.operations import Operation
from tests.cli.process import KEY, emulator_at, run
from tests.cli.terminal import CTRL_C, at_terminal

pytestmark = pytest.mark.anyio

# Far from how long anything has waited by then, however slow the machine is.
LIMITS = ("--set", "limits.idle=5m", "--set", "limits.pending=1h")
SHORT = ("--for", "2s", *LIMITS)
SHOWN = ("durable_functions_instances", "durable_functions_stalled_instances",
    "durable_functions_entities_locked", "durable_functions_unresolved_failures")  # fmt: skip


def shop() -> Emulator:
    """Return a shop of ten minutes, whose time stands still at the present."""
    clock = ManualClock(time.time())
    return sample_emulator(clock=clock, seed=7, system_key=KEY, history=600.0)


def lines_of(path: Path) -> list[dict[str, object]]:
    text = path.read_bytes()
    content = gzip.decompress(text) if path.suffix == ".gz" else text
    return [json.loads(line) for line in content.splitlines()]


async def shown_by(url: str, *options: str) -> tuple[Mapping[str, float], list[object]]:
    """Return the numbers of `collect`, and the rows of `stuck` without their times."""
    environ = {"DURABLE_EXPORTER_KEY": KEY, "DURABLE_EXPORTER_NAME": "orders"}
    limit = (*LIMITS, "--set", "retries.max_retries=0")
    collected = await run(
        "collect", "--format", "json", "--url", url, *limit, *options, environ=environ
    )
    stuck = await run("stuck", "--format", "json", "--url", url, *limit, *options, environ=environ)
    assert (collected.code, collected.err, stuck.code, stuck.err) == (0, "", 0, "")
    samples = {
        f"{each['name']}{sorted(each['labels'].items())}": each["value"]
        for each in json.loads(collected.out)["samples"]
        if each["name"] in SHOWN
    }
    rows = [
        {key: value for key, value in row.items() if not key.endswith("time") and key != "since"}
        for row in json.loads(stuck.out)
    ]
    return samples, sorted(rows, key=str)


def shape_of(row: object) -> str:
    """Return what is told of an instance beside ids."""
    assert isinstance(row, dict)
    ids = {"instance_id": "", "held_by": row["held_by"] is not None, "chain": len(row["chain"])}
    return str({**row, **ids})


async def test_a_replay_shows_what_the_hub_showed(tmp_path: Path) -> None:
    path = tmp_path / "hub.rec"
    async with running(shop()) as url:
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        told = await run("record", str(path), "--url", url, *SHORT, environ=environ)
        there = await shown_by(url)
    assert told.code == 0, told.err
    async with emulator_at("--replay", str(path)) as url:
        again = await shown_by(url)
    samples, rows = there
    assert len(samples) > 20
    assert any(row["held_by"] for row in rows if isinstance(row, dict))
    assert again == there


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


async def test_hashed_ids_are_the_same_everywhere_and_show_the_same_numbers(tmp_path: Path) -> None:
    emulator = shop()
    path = tmp_path / "hub.rec.gz"
    async with running(emulator) as url:
        environ = {"DURABLE_EXPORTER_KEY": KEY}
        options = ("--hash-ids", "--url", url, *SHORT)
        told = await run("record", str(path), *options, environ=environ)
        samples, rows = await shown_by(url)
    assert told.code == 0, told.err
    text = gzip.decompress(path.read_bytes()).decode()
    ids = [each.instance_id for each in emulator.own_hub.instances()]
    assert [each for each in ids if each in text] == []
    async with emulator_at("--replay", str(path)) as url:
        numbers, hashed = await shown_by(url)
    assert numbers == samples
    assert sorted(map(shape_of, hashed)) == sorted(map(shape_of, rows))


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
        clock=ManualClock(time.time()), seed=7, system_key=KEY, history=86_400.0, rate=0.5
    )
    async with running(emulator) as url:
        options = ("--for", "1h", "--max-size", "1", "--url", url)
        told = await run("record", str(path), *options, environ={"DURABLE_EXPORTER_KEY": KEY})
    assert told.code == 0
    assert "--max-size is reached" in told.err
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
        (("record", "{here}/taken", "--url", "http://127.0.0.1:9"), "exists already"),
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
