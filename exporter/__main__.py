"""Run the command, by its own name or as `python -m exporter`."""

import os
import signal
import sys

_FIRST_PROCESS = 1


def main() -> None:
    """Run the command and exit with its code."""
    if os.getpid() == _FIRST_PROCESS:
        # The kernel keeps from the first process of a container what it does not handle, and to
        # load the command takes seconds on a tenth of a core: as long it could not be stopped.
        signal.signal(signal.SIGTERM, _stop)
    from exporter.cli.main import main as run  # noqa: PLC0415 - only now, see above

    run()


def _stop(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
