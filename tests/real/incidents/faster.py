"""
All rules, opt-in ones too, with every duration divided by one factor: a week passes within an hour.

`python -m tests.real.incidents.faster` prints the difference from the rules as they are, of which a
copy is kept next to this module: nothing else may differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.alerts.model import Kind, Parameter
from exporter.alerts.prometheus import rules
from exporter.alerts.table import ALERTS, PARAMETERS
from tests.alerts.cases import VALUES

FACTOR = 180
# A busy machine is slower than that: sweeps that should take a second take several.
OWN_FACTORS = {"hub_stalled_window": 60, "sweep_too_slow_window": 45}
OPT_IN = {alert.full_name for alert in ALERTS if alert.opt_in}
KEPT = Path(__file__).with_name("faster.diff")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+)(ms|[smhdw])")
# What expressions say themselves, beside their parameters.
_WRITTEN = re.compile(
    r"(?<=\[)\w+(?=[\]:])|(?<=:)\d+[smhd](?=\])|(?<=offset )\w+|(?<= interval: )\w+"
)


def seconds_of(text: str) -> float:
    """Return the seconds of a duration as Prometheus writes it, or of a plain number of them."""
    parts = _PART.findall(text)
    return sum(int(count) * _UNITS[unit] for count, unit in parts) if parts else float(text)


def faster(text: str, factor: float = FACTOR) -> str:
    """Return a duration divided by a factor, in the unit that it needs; numbers stay numbers."""
    seconds = seconds_of(text) / factor
    return f"{round(seconds * 1000)}ms" if _PART.search(text) else f"{seconds:.6g}"


def faster_rules() -> str:
    """Return the file of rules."""
    values = {
        **VALUES,
        **{
            each.name: faster(each.default, OWN_FACTORS.get(each.name, FACTOR)) for each in _times()
        },
    }
    own = {values[each.name] for each in _times()}
    return _WRITTEN.sub(
        lambda found: found[0] if found[0] in own else faster(found[0]),
        rules(values, opted=OPT_IN),
    )


def difference() -> str:
    """Return what differs from the rules as they are."""
    lines = difflib.unified_diff(
        rules(VALUES, opted=OPT_IN).splitlines(),
        faster_rules().splitlines(),
        "all rules",
        f"all rules, {FACTOR} times as fast",
        lineterm="",
        n=0,
    )
    return "\n".join(lines) + "\n"


def _times() -> Iterator[Parameter]:
    for parameter in PARAMETERS:
        # Clocks that are off are no nearer to each other.
        is_time = parameter.kind is Kind.DURATION or parameter.name.endswith("_seconds")
        if is_time and "skew" not in parameter.name:
            yield parameter


if __name__ == "__main__":
    print(difference(), end="")  # noqa: T201 - a script
