"""
What is wrong with a configuration, in plain lines.

* SettingsError    change the configuration as its problems say, and start anew
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What settings, hubs and orchestrators are called. Keys, hashes and passwords are longer than any
# short name, and have digits among their letters.
_NAME = re.compile(r"[\w .:@*?-]{1,15}|[A-Za-z_.-]{1,60}[0-9]{0,4}")


def shown_name(name: object) -> str:
    """Return a key of a file for a message, `...` where it may be a secret in a wrong place."""
    text = str(name)
    return text if _NAME.fullmatch(text) else "..."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it was said, and what to do about it."""

    location: str
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class SettingsError(Exception):
    """The configuration cannot be used; `problems` is everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
