"""
Problems of a configuration, as messages.

* SettingsError    fix the configuration as its problems say, and restart
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

# Names of settings, hubs and orchestrators. Keys, hashes and passwords are longer than the short
# form, and mix digits with letters.
_NAME = re.compile(r"[\w .:@*?-]{1,15}|[A-Za-z_.-]{1,60}[0-9]{0,4}")


def shown_name(name: object) -> str:
    """Return a key of a file for a message, `...` if it may be a secret in a wrong place."""
    text = str(name)
    return text if _NAME.fullmatch(text) else "..."


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: where it was set, what is wrong and how to fix it."""

    location: str
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class SettingsError(Exception):
    """The configuration is invalid; `problems` are all its errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


Context = Mapping[str, Any]

_WORDS: Mapping[str, Callable[[Context], str]] = {
    "value_error": lambda context: str(context["error"]),
    "bool_type": lambda _: "is not true or false: write one of them",
    "bool_parsing": lambda _: "is not true or false: write one of them",
    "int_type": lambda _: "is not a whole number: write it in digits",
    "int_parsing": lambda _: "is not a whole number: write it in digits",
    "int_parsing_size": lambda _: "is too large a number: lower it",
    "int_from_float": lambda _: "is not a whole number: write it in digits",
    "greater_than_equal": lambda context: f"is too small: give at least {context['ge']}",
    "less_than_equal": lambda context: f"is too large: give at most {context['le']}",
    "literal_error": lambda context: f"is not known: give one of {context['expected']}",
    "string_type": lambda _: "is not text: put it in quotes",
    "path_type": lambda _: "is not a path: write it as text",
    "dict_type": lambda _: "is not a mapping: write it as names with values",
    "model_type": lambda _: "is not a group of settings: set each of them below it",
}


def in_words(error: ErrorDetails) -> str:
    """Return the message for an error, without the value, which may be a secret."""
    words = _WORDS.get(error["type"])
    if words is None:
        return f"cannot be used ({error['msg']}): correct it"
    return words(error.get("ctx", {}))
