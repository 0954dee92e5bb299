"""Logging follows its settings while the exporter runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from exporter.cli.logs import ON_COMMAND_LINE, set_up_logging, warn_about_options


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


def test_a_logger_that_there_is_follows_another_level(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", "json")
    log = structlog.get_logger("exporter.test").bind(hub="orders")
    log.info("too little")
    set_up_logging("debug", "console")
    log.debug("enough")
    set_up_logging("error", "json")
    log.warning("too little again")
    printed = capsys.readouterr().err
    assert "enough" in printed
    assert "hub=orders" in printed
    assert "too little" not in printed


def test_an_event_is_one_object_a_line_with_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", "json")
    structlog.get_logger("exporter.test").warning("an event", number=3)
    (line,) = capsys.readouterr().err.splitlines()
    assert '"event": "an event"' in line
    assert '"level": "warning"' in line
    assert '"number": 3' in line


def test_a_secret_on_the_command_line_is_warned_of_by_its_setting_alone() -> None:
    with capture_logs() as logs:
        warn_about_options(["key", "hubs.key.url", "hubs.a.key", "headers.x-team", "key_file"])
    assert [entry["option"] for entry in logs] == [
        "--set key", "--set hubs.a.key", "--set headers.x-team",
    ]  # fmt: skip
    assert {entry["event"] for entry in logs} == {ON_COMMAND_LINE}
