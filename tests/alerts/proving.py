"""Which mutants of an alert its cases find."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from exporter.alerts.yaml_text import Document
from tests.alerts.cases import Tried
from tests.alerts.promtool_rules import findings

_TAG = re.compile(r"__(\w+?)\b")
# Where a rule cannot be evaluated, `promtool` gives up the case, and with it all other rules.
_FAILS = re.compile(r"rule: \w+?__(\w+), time: .*, err: ")


def found_mutants(
    shipped: Mapping[str, Tried], mutants: Mapping[str, Mapping[str, Document]], folder: Path
) -> dict[str, set[str]]:
    """Return the titles of the *mutants* that were found, by alert; the shipped rule never is."""
    found: dict[str, set[str]] = {name: set() for name in mutants}
    left = {name: dict(_tagged(shipped[name], of_alert)) for name, of_alert in mutants.items()}
    rest = set(mutants)
    while rest:
        written = {
            replace(
                shipped[name], rules={tag: rule for tag, (_, rule) in left[name].items()}
            ).write(folder, name): name
            for name in rest
        }
        rest = set()
        for path, text in findings(list(written)).items():
            name = written[path]
            failing = set(_FAILS.findall(text))
            if failing:
                rest.add(name)
            for tag in failing or set(_TAG.findall(text)):
                title, _ = left[name].pop(f"__{tag}", ("", {}))
                found[name].add(title)
    return found


def _tagged(
    shipped: Tried, mutants: Mapping[str, Document]
) -> Iterator[tuple[str, tuple[str, Document]]]:
    yield "__shipped", ("shipped", shipped.rules[""])
    for number, (title, rule) in enumerate(mutants.items()):
        yield f"__m{number}", (title, rule)
