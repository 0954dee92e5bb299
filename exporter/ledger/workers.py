"""The languages in which apps are written, as far as the API shows a difference."""

from __future__ import annotations

from enum import StrEnum


class Worker(StrEnum):
    """What runs the functions of an app."""

    DOTNET = "dotnet"
    """.NET within the process of the Functions host."""
    ISOLATED = "isolated"
    """.NET in a process of its own."""
    JAVA = "java"
    JAVASCRIPT = "javascript"
    PYTHON = "python"
    POWERSHELL = "powershell"

    @property
    def loses_calls(self) -> bool:
        """Whether a call of a function that does not exist leaves no trace in a history."""
        return self in _LOSE_CALLS


_LOSE_CALLS = frozenset((Worker.JAVASCRIPT, Worker.PYTHON, Worker.POWERSHELL))
