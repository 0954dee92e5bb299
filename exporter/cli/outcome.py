"""How a command ends that cannot do what it was asked for."""

from __future__ import annotations

from collections.abc import Callable

from exporter.cli.exit_codes import ExitCode
from exporter.cli.terminal import say
from exporter.settings import SettingsError
from exporter.web.sockets import CannotListen


def outcome_of(work: Callable[[], ExitCode]) -> ExitCode:
    """Do *work* and return its exit code; what is wrong with what was asked for is printed."""
    try:
        return work()
    except SettingsError as error:
        for problem in error.problems:
            say(problem)
        return ExitCode.CONFIGURATION
    except CannotListen as error:
        say(error)
        return ExitCode.CANNOT_LISTEN
