"""Exit codes of the command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command tells the shell; the same for every subcommand."""

    OK = 0
    HUB_FAILED = 1
    CONFIGURATION = 2
    CANNOT_LISTEN = 3
    IN_FLIGHT = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "everything asked for was done",
    ExitCode.HUB_FAILED: "a hub could not be read, or a rehearsed scenario came out otherwise; "
    "of `healthy`: the exporter does not answer; what is wrong was printed",
    ExitCode.CONFIGURATION: "the configuration or the command line is wrong; a line each",
    ExitCode.CANNOT_LISTEN: "the address to listen on is taken or is not one of this machine; "
    "of `drain`: instances are in flight",
    ExitCode.NOT_FOUND: "of `why`: every hub answered, and none has such an instance",
    ExitCode.INTERRUPTED: "interrupted from the keyboard; "
    "a server that is asked to stop ends with 0",
}
