"""The errors of pydantic in plain words: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

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
    """Return what an error means, without what was given: that may be a secret."""
    words = _WORDS.get(error["type"])
    if words is None:
        return f"cannot be used ({error['msg']}): correct it"
    return words(error.get("ctx", {}))
