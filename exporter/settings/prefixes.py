"""Beginnings of instance ids, by which a hub can be listed."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator

from exporter.settings.problems import shown_name
from exporter.settings.shown import Shown
from exporter.settings.values import Names

GUID = "guid"
_HEX_DIGITS = tuple("0123456789abcdef")
_WILDCARDS = frozenset("%_[")
_LONGEST = 100


def _check(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    expanded = [
        prefix
        for given in prefixes
        for prefix in (_HEX_DIGITS if given.lower() == GUID else (given,))
    ]
    for prefix in expanded:
        # What MSSQL takes for wildcards, or cuts, would list other ids (reference 6.2).
        if _WILDCARDS & set(prefix) or len(prefix) > _LONGEST:
            raise ValueError(
                f"has {shown_name(prefix)!r}: give prefixes of at most {_LONGEST} characters "
                "without %, _ and ["
            )
        if prefix.startswith("@"):
            raise ValueError(f"has {shown_name(prefix)!r}, which entities begin with: leave it out")
    for shorter, longer in pairwise(sorted(expanded)):
        if longer.startswith(shorter):
            raise ValueError(
                f"has {shown_name(longer)!r}, which begins with {shown_name(shorter)!r}: "
                "keep the shorter one alone"
            )
    return tuple(expanded)


IdPrefixes = Annotated[Names, AfterValidator(_check), Shown("list of prefixes, or `guid`")]
