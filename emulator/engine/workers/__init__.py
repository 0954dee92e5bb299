"""The language of an app, and what it changes in rows, histories and messages."""

from enum import StrEnum

from emulator.engine.workers.conventions import Conventions
from emulator.engine.workers.json_protocol import JavaScript, PowerShell, Python
from emulator.engine.workers.passthrough import Passthrough


class Worker(StrEnum):
    """The language of an app, as in the exporter's setting `worker`."""

    DOTNET = "dotnet"
    ISOLATED = "isolated"
    JAVA = "java"
    JAVASCRIPT = "javascript"
    PYTHON = "python"
    POWERSHELL = "powershell"


_CONVENTIONS: dict[Worker, Conventions] = {
    Worker.DOTNET: Conventions(),
    Worker.ISOLATED: Passthrough(),
    Worker.JAVA: Passthrough(),
    Worker.JAVASCRIPT: JavaScript(),
    Worker.PYTHON: Python(),
    Worker.POWERSHELL: PowerShell(),
}


def conventions_of(worker: Worker) -> Conventions:
    """Return the conventions of a language."""
    return _CONVENTIONS[worker]
