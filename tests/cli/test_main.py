"""The command line: every command has a module, and only that is imported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

from exporter import __version__
from exporter.cli import check, main, serve
from exporter.settings.sources import OWN_OPTIONS

MODULES = [import_module(f"exporter.cli.{name}") for name in main.COMMANDS]
# What takes long to import, and which commands are to do without.
NOT_FOR = {
    "--version": {"pydantic", "httpx", "anyio", "uvicorn", "jinja2", "rich", "structlog"},
    "metrics": {"pydantic", "httpx", "anyio", "uvicorn", "jinja2", "structlog"},
    "check": {"emulator", "uvicorn", "jinja2"},
    "serve": {"emulator"},
    "emulator": {"exporter.collector", "exporter.web.app"},
}


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that a process has imported at its end."""
    command = [sys.executable, "-X", "importtime", "-m", "exporter", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run([command, "--help"], {})
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert main.COMMANDS[command][1:] in said


@pytest.mark.parametrize("command", NOT_FOR)
def test_a_command_imports_nothing_large_that_it_does_not_need(command: str) -> None:
    arguments = [command] if command in ("--version", "metrics") else [command, "--help"]
    imported = imported_by(*arguments)
    assert "exporter.cli.main" in imported
    assert not NOT_FOR[command] & imported


def test_options_without_a_command_are_those_of_serve() -> None:
    options = main.parse(["--listen-address", "127.0.0.1:0"])
    assert options.command is serve
    assert options.listen_address == "127.0.0.1:0"
    assert main.parse([]).command is serve


def test_an_unknown_command_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(["server"], {})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(command in said for command in main.COMMANDS)


def test_an_unknown_option_is_refused_with_those_that_the_command_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(["check", "--task-hup", "OrdersHub"], {})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "unrecognized arguments: --task-hup OrdersHub" in said
    assert "--task-hub" in said


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(["check", "--key", "secret"], {})
    assert ended.value.code == 2
    assert "unrecognized arguments: --key secret; did you mean --key-file?" in (
        capsys.readouterr().err
    )


def test_a_command_may_stand_after_its_options() -> None:
    options = main.parse(["--url", "http://127.0.0.1:9", "--set=limits.idle=1m", "check"])
    assert options.command is check
    assert options.url == "http://127.0.0.1:9"
    assert main.parse(["--name", "check"]).command is serve


@pytest.mark.parametrize("word", ["version", "-V", "--version"])
def test_the_version_has_three_names(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run([word], {})
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_lists_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(words, {})
    assert ended.value.code == 0
    assert "  stuck " in capsys.readouterr().out


def test_the_help_of_a_command_has_its_own_options_first_and_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main.run(["help", "drain"], {})
    said = capsys.readouterr().out
    places = [said.index(each) for each in ("ORCHESTRATOR", "--wait", "\nconfiguration:", "--url")]
    assert places == sorted(places)
    assert "example:\n  durable-exporter drain PaymentSaga --wait" in said


@pytest.mark.parametrize(("name", "command"), list(zip(main.COMMANDS, MODULES, strict=True)))
def test_the_example_of_a_command_is_one_that_it_takes(name: str, command: ModuleType) -> None:
    words = command.EXAMPLE.split(" > ")[0].split()
    assert words[0] == name
    main.parse(words)


def test_the_most_used_settings_have_an_option_each_by_which_problems_name_them() -> None:
    options = vars(main.parse(["check"]))
    assert set(OWN_OPTIONS) <= set(options)


def test_the_help_gives_every_command_a_line_that_no_terminal_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main.run(["--help"], {})
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for command, summary in main.COMMANDS.items():
        (line,) = (line for line in lines if line.startswith(f"  {command} "))
        assert line.split()[1] == summary.split()[0]
