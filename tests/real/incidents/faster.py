"""
The shipped rules with every duration divided by one factor: a week passes within an hour.

`python -m tests.real.incidents.faster` prints the difference from the shipped file, of which a copy
is kept beside this module: nothing else may differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.alerts.model import Kind, Parameter
from exporter.alerts.prometheus import rules
from exporter.alerts.table import DEFAULTS, PARAMETERS

FACTOR = 180
SHIPPED = Path(__file__).parents[3] / "prometheus" / "durable-functions.rules.yaml"
KEPT = Path(__file__).with_name("faster.diff")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+)(ms|[smhdw])")
# What expressions say themselves, beside their parameters.
_WRITTEN = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+|\b(?:86400|604800)\b")


def seconds_of(text: str) -> float:
    """Return the seconds of a duration as Prometheus writes it, or of a plain number of them."""
    parts = _PART.findall(text)
    return sum(int(count) * _UNITS[unit] for count, unit in parts) if parts else float(text)


def faster(text: str) -> str:
    """Return a duration divided by the factor, in the unit that it needs; numbers stay numbers."""
    seconds = seconds_of(text) / FACTOR
    return f"{round(seconds * 1000)}ms" if _PART.search(text) else f"{seconds:.6g}"


def faster_rules() -> str:
    """Return the file of rules."""
    values = {**DEFAULTS, **{each.name: faster(each.default) for each in _times()}}
    own = {values[each.name] for each in _times()}
    return _WRITTEN.sub(
        lambda found: found[0] if found[0] in own else faster(found[0]), rules(values)
    )


def difference() -> str:
    """Return what differs from the shipped file."""
    lines = difflib.unified_diff(
        SHIPPED.read_text(encoding="utf-8").splitlines(),
        faster_rules().splitlines(),
        SHIPPED.name,
        f"{SHIPPED.name}, {FACTOR} times as fast",
        lineterm="",
        n=0,
    )
    return "\n".join(lines) + "\n"


def _times() -> Iterator[Parameter]:
    for parameter in PARAMETERS:
        if parameter.kind is Kind.DURATION or parameter.name.endswith("_seconds"):
            yield parameter


if __name__ == "__main__":
    print(difference(), end="")  # noqa: T201 - a script
