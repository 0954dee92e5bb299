"""Which mutants of an alert its cases find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from exporter.alerts.prometheus import Document
from tests.alerts.cases import Tried
from tests.alerts.promtool_rules import findings

# Most mutants are found by short cases, so that few are tried on those that take hours.
LONG = 3600.0
_TAG = re.compile(r"__(m\d+)\b")
# Where a rule cannot be evaluated, `promtool` gives up the case, and with it all other rules.
_FAILS = re.compile(r"rule: \w+?__(m\d+), time: .*, err: ")


def found_mutants(shipped: Tried, mutants: Mapping[str, Document], folder: Path) -> set[str]:
    """Return the titles of the *mutants* that are found, and `shipped` if the rule itself is."""
    short = [case for case in shipped.cases if case.lasts <= LONG]
    long = [case for case in shipped.cases if case.lasts > LONG]
    found: set[str] = set()
    for cases in (short, long):
        left = {title: rule for title, rule in mutants.items() if title not in found}
        if cases:
            found |= _found_by(replace(shipped, cases=cases), left, folder)
    return found


def _found_by(shipped: Tried, mutants: Mapping[str, Document], folder: Path) -> set[str]:
    every = {"shipped": shipped.rules[""], **mutants}
    left = {f"m{number}": title for number, title in enumerate(every)}
    found: set[str] = set()
    while left:
        rules = {f"__{tag}": every[title] for tag, title in left.items()}
        path = replace(shipped, rules=rules).write(folder, "mutants")
        text = findings([path])[path]
        failing = set(_FAILS.findall(text))
        found |= {left.pop(tag) for tag in failing or set(_TAG.findall(text))}
        if not failing:
            break
    return found
