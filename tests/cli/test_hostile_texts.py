"""No text of an app controls a terminal or forges a line, in any command or the log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from emulator import ManualClock, TaskHub
from emulator.storage.history import task_scheduled
from emulator.storage.rows import Instance, RuntimeStatus
from exporter.api.errors import ApiError, ErrorKind
from exporter.api.wire import HistoryEvent
from exporter.cli import terminal
from exporter.cli.configured import say_failure
from exporter.cli.logs import set_up_logging
from exporter.cli.process import outcome_of
from exporter.cli.terminal import console, printable, printable_lines
from exporter.cli.why import _timeline
from exporter.settings import Problem, SettingsError
from exporter.web.steps import steps_of
from tests.cli.asked import ask, serving_hub, settings_for
from tests.cli.process import run

pytestmark = pytest.mark.anyio

ESC, CSI, OVERRIDE, ISOLATE = "\x1b[2J", "\x9b31m", "\u202e", "\u2066"
STEERS = f"{ESC}{CSI}{OVERRIDE}{ISOLATE}\x07\x00\u2028"
FORGED = "\n2026-01-01 [error] all is lost\r"
HOSTILE = f"[bold]Order{STEERS}{FORGED}"
SIGNS = set("\x1b\x9b\u202e\u2066\x07\x00\u2028\r")


def steers(text: str) -> set[str]:
    return SIGNS & set(text)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    now = float(int(time.time()))
    hub = TaskHub("OrdersHub", ManualClock(now))
    for number, status in enumerate(RuntimeStatus):
        hub.put(
            Instance(
                instance_id=f"{number}{HOSTILE}",
                name=HOSTILE,
                status=status,
                created=now - 7200,
                updated=now - 3600,
                output=f"The activity function '{HOSTILE}' failed: \"{HOSTILE}\". {HOSTILE}",
                history=(task_scheduled(now - 3600, 1, HOSTILE),),
            )
        )
    async with serving_hub(hub) as url:
        yield url


COMMANDS = [
    ("stuck", "--all"),
    ("stuck", "--all", "--format", "json"),
    ("failures",),
    ("failures", "--format", "json"),
    ("estimate",),
    ("estimate", "--format", "json"),
    ("drain", HOSTILE),
    ("drain", "Else"),
    ("drain", HOSTILE, "--format", "json"),
    *(("why", f"{number}{HOSTILE}") for number in range(len(RuntimeStatus))),
    ("why", f"0{HOSTILE}", "--format", "json"),
    ("why", f"nobody{HOSTILE}"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda each: " ".join(each)[:12])
async def test_no_command_prints_what_steers(
    url: str, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    told = await ask(capfd, settings_for(orders=url), *arguments)
    said = told.out + told.err
    assert said
    assert not steers(said)
    assert not [line for line in said.splitlines() if line.startswith("2026-01-01 [error]")]
    if "json" in arguments:
        json.loads(told.out)


@pytest.mark.parametrize("arguments", [("check",), ("collect",), ("collect", "--format", "json")])
async def test_nor_does_one_that_is_a_process_of_its_own(
    url: str, arguments: tuple[str, ...]
) -> None:
    told = await run(*arguments, "--url", url)
    assert told.code == 0, told.err
    assert not steers(told.out + told.err)


def test_no_step_of_a_history_does(capsys: pytest.CaptureFixture[str]) -> None:
    event = HistoryEvent(HOSTILE, name=HOSTILE, reason=HOSTILE, instance_id=HOSTILE)
    console().print(_timeline(list(steps_of([event], 0.0))))
    assert not steers(capsys.readouterr().out)


def test_only_one_module_writes_to_the_terminal_what_others_say() -> None:
    for path in Path(terminal.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("terminal.py", "emulator.py"):
            assert "rich.markup" not in text, path
            assert "file=sys.stderr" not in text, path


@pytest.fixture
def _log_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.usefixtures("_log_restored")
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_event_is_one_line_whatever_its_values(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("info", log_format)
    log = structlog.get_logger("exporter.test").bind(hub="orders")
    log.warning("instance failed", instance_id=HOSTILE, orchestrator=[HOSTILE], error=HOSTILE)
    logging.getLogger("library").warning("odd answer %s", HOSTILE)
    printed = capsys.readouterr().err
    assert not steers(printed)
    assert len(printed.splitlines()) == 2


def fail_with(message: str) -> None:
    raise ValueError(message)


@pytest.mark.usefixtures("_log_restored")
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_message_of_an_exception_forges_no_line(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("info", log_format)
    try:
        fail_with(HOSTILE)
    except ValueError:
        structlog.get_logger("exporter.test").exception("sweep crashed")
    printed = capsys.readouterr().err
    assert "ValueError" in printed
    assert not steers(printed)
    assert not [line for line in printed.splitlines() if line.startswith("2026-01-01 [error]")]


def test_what_is_wrong_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise SettingsError([Problem("url", HOSTILE), Problem("key", HOSTILE)])

    outcome_of(fail)  # type: ignore[arg-type] # it never returns
    error = ApiError(HOSTILE, hub="orders", operation="list", kind=ErrorKind.PROTOCOL, hint=HOSTILE)
    say_failure(error)
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 3
    assert not steers(printed)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße 東京 é 🚀", "Straße 東京 é 🚀"),
        ("a\tb\nc", "a b c"),
        ("a\x1b[31mb", "a\N{REPLACEMENT CHARACTER}[31mb"),
        ("a\u200fb", "a\N{REPLACEMENT CHARACTER}b"),
        ("\udcff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_can_be_printed_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_text_of_lines_keeps_them() -> None:
    assert printable_lines("at A\r\n\tat B\x1b\n") == "at A\n    at B\N{REPLACEMENT CHARACTER}\n"
