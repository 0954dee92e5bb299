"""The command `dashboards`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.cli.conventions import ExitCode
from exporter.cli.dashboards import NAMES
from exporter.cli.main import run
from tests.grafana.committed import FOLDER


def committed(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def test_all_of_them_are_written_as_they_are_committed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "dashboards"
    assert run(["dashboards", "--output", str(folder)], {}) is ExitCode.OK
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert written == {f"durable-functions-{name}.json": committed(name) for name in NAMES}
    assert len(capsys.readouterr().out.splitlines()) == len(NAMES)


def test_one_is_printed_as_it_is_and_several_as_an_array(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["dashboards", "hub"], {}) is ExitCode.OK
    assert capsys.readouterr().out == committed("hub")
    assert run(["dashboards"], {}) is ExitCode.OK
    printed = json.loads(capsys.readouterr().out)
    assert printed == [json.loads(committed(name)) for name in NAMES]


def test_a_list_tells_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboards", "--list", "entities"], {}) is ExitCode.OK
    said = capsys.readouterr().out
    assert "durable-functions-entities" in said
    assert "durable-functions-hub" not in said
    assert "orphaned" in said


def test_one_that_is_not_there_is_said_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["dashboards", "fleet", "flete"], {}) is ExitCode.CONFIGURATION
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "unknown dashboard flete; known: fleet, hub, orchestrator, entities, exporter\n"
    )


def test_a_folder_that_cannot_be_written_to_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file").touch()
    assert run(["dashboards", "--output", str(file)], {}) is ExitCode.CONFIGURATION
    assert capsys.readouterr().err == f"cannot write to {file}: File exists\n"
