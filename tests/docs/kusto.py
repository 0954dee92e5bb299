"""Queries of Application Insights, as far as their form tells whether they can run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.docs.words import words

_TABLES = words(
    "traces requests dependencies exceptions customEvents customMetrics performanceCounters"
)
_OPERATORS = words(
    "where extend summarize project order sort top take join distinct render mv-expand parse"
    " count union"
)
_PAIRS = (("(", ")"), ("[", "]"))


def problems_of(text: str) -> Iterator[str]:
    """Yield what is wrong: an unknown table or operator, or a bracket that is left open."""
    bare = re.sub(r"//.*", "", text)
    bare = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", '""', bare)
    for opening, closing in _PAIRS:
        if bare.count(opening) != bare.count(closing):
            yield f"{opening} and {closing} do not match"
    table, *steps = (step.strip() for step in bare.split("\n|"))
    if table not in _TABLES:
        yield f"{table}: not a table of Application Insights"
    for step in steps:
        if (operator := step.split(maxsplit=1)[0]) not in _OPERATORS:
            yield f"{operator}: not an operator"
