"""What the expressions of several alerts are made of."""

from __future__ import annotations

from textwrap import indent

from exporter.alerts.shared import FRESH, HOLD, HUB_INFO, HUB_LABELS, REPLICA_LABELS
from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.metrics.family import Family

# Those that share a label share nothing else: no alert may speak of them as of one.
_LABELS_OF_NAMES = ("orchestrator", "entity")
_LONGEST_INSIDE = 60


def block(expression: str) -> str:
    """Return *expression* as it stands between brackets on lines of their own."""
    return indent(expression, "  ")


def equal(label: str, value: object) -> str:
    """Return a matcher of one value."""
    return f'{label}="{value}"'


def one_of(label: str, *values: str) -> str:
    """Return a matcher of several values."""
    pattern = "|".join(values)
    return f'{label}=~"{pattern}"'


def none_of(label: str, *values: str) -> str:
    """Return a matcher of all but *values*."""
    pattern = "|".join(values)
    return f'{label}!~"{pattern}"'


def selected(family: Family, *matchers: str) -> str:
    """Return the selector of *family* with *matchers*, without what shares the label `_other`."""
    named = [f'{label}!="_other"' for label in _LABELS_OF_NAMES if label in family.labels]
    return everything(family, *matchers, *named)


def everything(family: Family, *matchers: str) -> str:
    """Return the selector of *family* with *matchers*, `_other` included."""
    return f"{family.name}{{{', '.join(matchers)}}}" if matchers else family.name


def folded(expression: str, *, by: str = "max", drop: str = "") -> str:
    """Return *expression* with replicas as one, and without the labels *drop*."""
    labels = f"{REPLICA_LABELS}, {drop}" if drop else f"{REPLICA_LABELS}"
    if "\n" in expression or len(expression) > _LONGEST_INSIDE:
        return f"{by} without ({labels}) (\n{block(expression)}\n)"
    return f"{by} without ({labels}) ({expression})"


def while_fresh(expression: str, sweep: Sweep = Sweep.ACTIVE) -> str:
    """Return *expression* of those replicas alone whose *sweep* is fresh."""
    return f"{expression}\nand on (task_hub, {REPLICA_LABELS}) {FRESH[sweep]}"


def fresh(selector: str, sweep: Sweep = Sweep.ACTIVE, *, by: str = "max", drop: str = "") -> str:
    """Return what *selector* finds, of fresh replicas, folded."""
    return folded(while_fresh(selector, sweep), by=by, drop=drop)


def with_source(expression: str, limit: str, *known: Family) -> str:
    """
    Return *expression* with the label `source` of the orchestrator's *limit*.

    One that has no such limit, but is in one of *known*, goes without.
    """
    without = "\n".join(
        f"  or on (task_hub, orchestrator) group by (task_hub, orchestrator) ({family.name})"
        for family in known
    )
    return f"""\
(
{block(expression)}
)
* on (task_hub, orchestrator) group_left (source) (
  topk by (task_hub, orchestrator) (
    1, group by (task_hub, orchestrator, source) ({everything(c.LIMIT, equal("limit", limit))})
  )
{without}
)"""


def held(expression: str, alert: str, sweep: Sweep) -> str:
    """
    Return *expression*, and what fires of *alert* for as long as *sweep* is on, but not fresh.

    Nothing is known then, so its value is not a number.
    """
    interval = everything(c.SWEEP_INTERVAL, equal("sweep", sweep))
    firing = f"ALERTS{{{equal('alertname', alert)}, {equal('alertstate', 'firing')}}}"
    return f"""\
{expression}
or
(
  max without (alertname, alertstate, severity) ({firing})
  and on (task_hub) last_over_time({interval}[{HOLD}])
  unless on (task_hub) {FRESH[sweep]}
) * NaN"""


def with_hub_labels(expression: str) -> str:
    """Return *expression* with the labels of its hub."""
    return f"""\
(
{block(expression)}
)
* on (task_hub) group_left ({HUB_LABELS}) {HUB_INFO}"""
