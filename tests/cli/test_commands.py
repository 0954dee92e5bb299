"""The command as users run it."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from emulator import (
    Emulator,
    Fault,
    FaultKind,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
    truth,
)
from exporter import __version__
from exporter.cli.check import check_hub
from exporter.cli.conventions import MEANINGS
from exporter.cli.main import main
from exporter.ledger.status import USUAL
from exporter.metrics import reference
from exporter.settings import load_settings
from tests.cli.process import KEY, START, frozen_emulator, run, serving
from tests.diagnosis.stuck_app import functions

pytestmark = pytest.mark.anyio


def pointing_at(url: str, key_file: Path, name: str = "orders") -> dict[str, str]:
    key_file.write_text(KEY)
    return {
        "DURABLE_EXPORTER_URL": url,
        "DURABLE_EXPORTER_TASK_HUB": "OrdersHub",
        "DURABLE_EXPORTER_KEY_FILE": str(key_file),
        "DURABLE_EXPORTER_NAME": name,
        "DURABLE_EXPORTER_RETRIES__MAX_RETRIES": "0",
    }


class TestServe:
    async def test_it_serves_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        async with running(frozen_emulator()) as url:
            environ = pointing_at(url, tmp_path / "key")
            async with serving(environ=environ) as daemon, httpx.AsyncClient() as client:
                await daemon.until("hub is up")
                metrics = await client.get(f"http://127.0.0.1:{daemon.port}/metrics")
                assert 'durable_functions_up{task_hub="orders"} 1.0' in metrics.text
                ready = await client.get(f"http://127.0.0.1:{daemon.port}/-/ready")
                assert ready.status_code == 200
                daemon.process.send_signal(signal.SIGTERM)
                await daemon.until("stopping")
                assert await daemon.process.wait() == 0

    async def test_it_is_what_is_meant_where_no_command_is_given(self) -> None:
        outcome = await run("--url", "ftp://x")
        assert outcome.code == 2
        assert "--url" in outcome.err or "url" in outcome.err

    @pytest.mark.parametrize(
        "command",
        [
            ("serve", "--listen-address", "127.0.0.1:PORT"),
            ("demo", "--listen-address", "127.0.0.1:PORT"),
            ("emulator", "--app", "empty", "--port", "PORT"),
        ],
        ids=lambda command: command[0],
    )
    async def test_a_taken_port_is_said_in_one_line(
        self, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            outcome = await run(
                *(argument.replace("PORT", str(port)) for argument in command),
                environ=pointing_at("http://127.0.0.1:9", tmp_path / "key"),
            )
        assert outcome.code == 3
        (line,) = outcome.err.splitlines()
        assert line.startswith(
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another address "
        )
        assert line.rpartition(" ")[2] in command


class TestCheck:
    async def test_a_hub_that_answers_passes_every_step(self, tmp_path: Path) -> None:
        async with running(frozen_emulator()) as url:
            outcome = await run("check", environ=pointing_at(url, tmp_path / "key"))
        assert outcome.code == 0
        assert outcome.out.split("\n")[1].split() == ["orders", "ok", "ok", "-", "ok", "ok"]
        assert "all hubs answer" in outcome.out

    async def test_each_failure_is_named_with_its_remedy_all_at_once(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        async with running(frozen_emulator()) as url:
            environ = {
                "DURABLE_EXPORTER_HUBS__GOOD__URL": url,
                "DURABLE_EXPORTER_HUBS__GOOD__TASK_HUB": "OrdersHub",
                "DURABLE_EXPORTER_HUBS__GOOD__KEY": KEY,
                "DURABLE_EXPORTER_RETRIES__MAX_RETRIES": "0",
                "DURABLE_EXPORTER_HUBS__NOKEY__URL": url,
                "DURABLE_EXPORTER_HUBS__NOBODY__URL": f"http://127.0.0.1:{nobody}",
                "DURABLE_EXPORTER_HUBS__NONAME__URL": "https://no-such-host.invalid",
                "DURABLE_EXPORTER_HUBS__WRONGPATH__URL": f"{url}/elsewhere/durabletask",
            }
            outcome = await run("check", environ=environ)
        assert outcome.code == 1
        lines = outcome.out
        assert "nokey: key: 401, and no key is configured" in lines
        assert "key_file must hold the system key" in lines
        assert "nobody: connection: no connection: Connection refused" in lines
        assert "noname: host name: no-such-host.invalid has no address" in lines
        assert "wrongpath: listing: 404" in lines
        assert "4 of 5 hubs failed" in lines
        assert outcome.err == (
            "requesting task hubs by name: OrdersHub (good); an unknown name creates storage in "
            "the app's account (--offline sends no requests)\n"
        )

    async def test_a_stopped_app_is_not_taken_for_a_wrong_key(self, tmp_path: Path) -> None:
        emulator = frozen_emulator()
        emulator.hubs["ordershub"].faults.set(Fault(kind=FaultKind.STOPPED))
        async with running(emulator) as url:
            outcome = await run("check", environ=pointing_at(url, tmp_path / "key"))
        assert outcome.code == 1
        assert "orders: listing: 403, the app is stopped or disabled" in outcome.out
        assert "start the app" in outcome.out

    async def test_a_port_without_tls_is_not_taken_for_a_wrong_certificate(
        self, tmp_path: Path
    ) -> None:
        async with running(frozen_emulator()) as url:
            encrypted = url.replace("http://", "https://")
            outcome = await run("check", environ=pointing_at(encrypted, tmp_path / "key"))
        assert outcome.code == 1
        said = " ".join(outcome.out.split())
        assert "orders: TLS: TLS failed: " in said
        assert "what listens there does not speak TLS" in said

    async def test_an_answer_of_nobody_says_nothing_of_the_key(self, tmp_path: Path) -> None:
        async with running(frozen_emulator()) as url:
            environ = pointing_at(f"{url}/elsewhere/durabletask", tmp_path / "key")
            outcome = await run("check", environ=environ)
        line = next(line for line in outcome.out.splitlines() if line.startswith("orders"))
        assert line.split() == ["orders", "ok", "ok", "-", "-", "failed"]

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (Fault(kind=FaultKind.DROPPED_FILTER), "listing: the answer has rows that the filter"),
            (Fault(kind=FaultKind.FORBIDDEN), "key: 403, the key is of the wrong kind"),
            (Fault(kind=FaultKind.HTML), "listing: the answer is not"),
        ],
        ids=lambda value: value.kind.value if isinstance(value, Fault) else "",
    )
    async def test_what_comes_between_is_told_apart(
        self, tmp_path: Path, fault: Fault, said: str
    ) -> None:
        emulator = frozen_emulator()
        emulator.hubs["ordershub"].faults.set(fault)
        async with running(emulator) as url:
            outcome = await run("check", environ=pointing_at(url, tmp_path / "key"))
        assert outcome.code == 1
        assert f"orders: {said}" in " ".join(outcome.out.split())
        assert "to fix it: " in outcome.out

    async def test_a_filter_by_time_that_is_dropped_is_found_where_all_are_active(self) -> None:
        clock = ManualClock(START)
        hub = TaskHub("OrdersHub", clock, functions=functions)
        hub.engine.start("WaitsForever", "a", None, START)
        clock.set(START + 60.0)
        hub.advance()
        hub.faults.set(Fault(kind=FaultKind.DROPPED_FILTER))
        async with running(Emulator(hub, clock=clock)) as url:
            (settings,) = load_settings({}, {"url": url}).own_hubs
            checked = await check_hub(settings)
        assert checked.failed == "listing"
        assert "createdTimeFrom" in checked.reason

    async def test_what_is_worth_knowing_of_a_hub_that_passes_is_said(self) -> None:
        clock = ManualClock(begun := time.time())
        hub = TaskHub("OrdersHub", clock, functions=functions)
        async with running(Emulator(hub, clock=clock)) as url:
            (settings,) = load_settings({}, {"url": url}).own_hubs
            empty = await check_hub(settings)
            hub.engine.start("Quick", "a", None, begun)
            hub.engine.start("WaitsForever", "b", None, begun)
            clock.set(begun + 10.0)
            hub.advance()
            busy = await check_hub(settings)
            hub.faults.set(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-86_400.0 * 20))
            late = await check_hub(settings)
        assert [note.partition(":")[0] for note in empty.notes] == ["the hub is empty"]
        assert busy.notes == []
        (note,) = late.notes
        assert note.startswith("the app's clock is ")
        assert "behind this machine's" in note


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("emulator", "--port", "99999"), "99999 is not a port: 0 to 65535"),
        (("emulator", "--hub", "1"), "--hub: '1' is no task hub of azure-storage: 3 to 45 letters"),
        (("emulator", "--synthetic", "B=1"), "--synthetic: 'B' is no task hub of azure-storage"),
        (("demo", "--listen-address", "foo"), "--listen-address"),
        (("collect", "--output", "/nowhere/x"), "--output: /nowhere is not a writable folder"),
        (("failures", "--since", "5x"), "argument --since: '5x' is not a duration: write it as "),
    ],
)
def test_an_impossible_option_is_one_line(
    tmp_path: Path,
    arguments: tuple[str, ...],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in pointing_at("http://127.0.0.1:9", tmp_path / "key").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


class TestCollect:
    async def test_the_table_shows_the_truth(self, tmp_path: Path) -> None:
        emulator = frozen_emulator()
        async with running(emulator) as url:
            outcome = await run("collect", environ=pointing_at(url, tmp_path / "key"))
        told = truth(emulator.hubs["ordershub"]).instances
        shown = {
            line.split()[0]: line.split()[1:]
            for line in outcome.out.splitlines()
            if line and not line.startswith("@")
        }
        assert outcome.code == 0
        statuses = [RuntimeStatus(status) for status in USUAL]
        for name in {name for name, _ in told}:
            counts = [str(told.get((name, status), 0)) for status in statuses]
            assert shown[name][:6] == counts

    async def test_json_has_every_sample(self, tmp_path: Path) -> None:
        async with running(frozen_emulator()) as url:
            environ = pointing_at(url, tmp_path / "key")
            outcome = await run("collect", "--format", "json", environ=environ)
        samples = json.loads(outcome.out)["samples"]
        assert {"name", "labels", "value"} == set(samples[0])
        assert {
            "name": "durable_functions_up",
            "labels": {"task_hub": "orders"},
            "value": 1.0,
        } in samples

    async def test_the_textfile_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        output = tmp_path / "durable.prom"
        output.write_text("old")
        async with running(frozen_emulator()) as url:
            environ = pointing_at(url, tmp_path / "key")
            outcome = await run(
                "collect", "--format", "prometheus", "--output", str(output), environ=environ
            )
        assert outcome.code == 0
        assert output.read_text().startswith("# HELP durable_functions_up")
        assert output.stat().st_mode & 0o777 == 0o644
        assert {path.name for path in tmp_path.iterdir()} == {"key", "durable.prom"}

    async def test_a_hub_that_fails_is_said_and_shows_as_not_up(self, tmp_path: Path) -> None:
        async with running(frozen_emulator()) as url:
            environ = pointing_at(url, tmp_path / "key")
            (tmp_path / "key").write_text("wrong")
            outcome = await run("collect", "--format", "prometheus", environ=environ)
        assert outcome.code == 1
        assert 'durable_functions_up{task_hub="orders"} 0.0' in outcome.out
        assert "durable_functions_instances{" not in outcome.out
        assert "hub orders: listInstances: 401" in outcome.err
        assert "to fix it: " in outcome.err
        assert "Traceback" not in outcome.err
        assert len(outcome.err.splitlines()) == 1


class TestOthers:
    def test_the_catalogue_is_the_reference_page(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = {}
        for form in ("markdown", "table", "json"):
            with pytest.raises(SystemExit):
                main(["metrics", "--format", form])
            said[form] = capsys.readouterr().out
        assert said["markdown"] == reference.page()
        assert "durable_functions_instances_over_limit" in said["table"]
        assert len(json.loads(said["json"])) > 40

    async def test_the_version(self) -> None:
        assert (await run("--version")).out.strip() == __version__

    @pytest.mark.parametrize("arguments", [["fly"], ["serve", "--wings"], ["serve", "--set", "x"]])
    def test_a_wrong_command_line_is_a_wrong_configuration(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2

    def test_the_exit_codes_are_documented(self, capsys: pytest.CaptureFixture[str]) -> None:
        documented = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
        with pytest.raises(SystemExit):
            main(["--help"])
        help_text = " ".join(capsys.readouterr().out.split())
        for code, commands, meaning in MEANINGS:
            assert f"| {code} | {commands} | {meaning}" in documented
            assert f"{code} {commands}: {meaning}" in help_text

    def test_an_exit_code_means_one_thing_for_each_command(self) -> None:
        said = [(code, each) for code, which, _ in MEANINGS for each in which.split(", ")]
        assert len(said) == len(set(said))
        only = {code for code, which, _ in MEANINGS if which != "all"}
        assert not {code for code, which, _ in MEANINGS if which == "all"} & (only - {0})
