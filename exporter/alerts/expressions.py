"""What the expressions of several alerts are made of."""

from __future__ import annotations

from textwrap import indent

from exporter.alerts.model import Severity
from exporter.alerts.shared import (
    CONFIGURED_SEVERITY,
    HUB_INFO,
    HUB_LABELS,
    MISSING_HUBS,
    ONE_HUB,
    ONE_ORCHESTRATOR,
    REPLICA_LABELS,
    RESTART_MEMORY,
    TARGET_LABELS,
)
from exporter.collector.snapshot import Sweep
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from exporter.metrics.promql import equal, selector, without

# Those that share a label share nothing else: no alert may speak of them as of one.
_LABELS_OF_NAMES = ("orchestrator", "entity")
# What distinguishes the series of one alert, whatever labels were added to what fires.
_ONE_ALERT = f"task_hub, orchestrator, entity, {TARGET_LABELS}"
_LONGEST_INSIDE = 60


def block(expression: str) -> str:
    """Return *expression* as it stands between brackets on lines of their own."""
    return indent(expression, "  ")


def selected(family: Family, *matchers: str, suffix: str = "") -> str:
    """Return the selector of *family* with *matchers*, without what shares the label `_other`."""
    named = [f'{label}!="_other"' for label in _LABELS_OF_NAMES if label in family.labels]
    return selector(family, *matchers, *named, suffix=suffix)


def folded(expression: str, *, by: str = "max", drop: str = "") -> str:
    """Return *expression* with replicas as one, and without the labels *drop*."""
    labels = f"{REPLICA_LABELS}, {drop}" if drop else f"{REPLICA_LABELS}"
    if "\n" in expression or len(expression) > _LONGEST_INSIDE:
        expression = f"\n{block(expression)}\n"
    return without(labels, expression, by=by)


def is_fresh(sweep: Sweep) -> str:
    """Return the replicas whose *sweep* is fresh, by the exporter's own clock."""
    return f"{selector(c.SWEEP_FRESH, equal('sweep', sweep))} == 1"


def while_fresh(expression: str, sweep: Sweep = Sweep.ACTIVE) -> str:
    """Return *expression* of those replicas alone whose *sweep* is fresh."""
    return f"{expression}\nand on ({ONE_HUB}, {REPLICA_LABELS}) {is_fresh(sweep)}"


def fresh(selector: str, sweep: Sweep = Sweep.ACTIVE, *, by: str = "max", drop: str = "") -> str:
    """Return what *selector* finds, of fresh replicas, folded."""
    return folded(while_fresh(selector, sweep), by=by, drop=drop)


def labelled(expression: str, label: str, value: object) -> str:
    """Return *expression* with a *label* of one *value*."""
    return f"""\
label_replace(
{block(expression)},
  "{label}", "{value}", "", ""
)"""


def own_limit(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* of each orchestrator that has its own; infinite where that is none."""
    limits = selected(family, equal("limit", limit), 'orchestrator!=""')
    return f"max by ({ONE_ORCHESTRATOR}) ({limits})"


def limit_of_hub(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* of each hub, for its orchestrators without one of their own."""
    limits = selector(family, equal("limit", limit), equal("orchestrator", ""))
    return f"max by ({ONE_HUB}) ({limits})"


def limit_of_orchestrator(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* that holds for each known orchestrator: its own, or that of the hub."""
    known = selected(c.FINISHED, equal("runtime_status", RuntimeStatus.COMPLETED))
    return f"""\
(
  {own_limit(limit, family)}
  or on ({ONE_ORCHESTRATOR})
  group by ({ONE_ORCHESTRATOR}) ({known})
  * on ({ONE_HUB}) group_left () {limit_of_hub(limit, family)}
)"""


def with_severity(expression: str, limit: str, *known: Family) -> str:
    """
    Return *expression* with the label `severity`: a warning but for an orchestrator's own *limit*.

    Its orchestrators are in one of *known*.
    """
    others = " or ".join(f"group by ({ONE_ORCHESTRATOR}) ({family.name})" for family in known)
    return f"""\
(
{block(expression)}
)
* on ({ONE_ORCHESTRATOR}) group_left (severity) (
{block(labelled(f"{own_limit(limit)} ^ 0", "severity", CONFIGURED_SEVERITY))}
  or on ({ONE_ORCHESTRATOR})
{block(labelled(others, "severity", Severity.WARNING))}
)"""


def held(expression: str, alert: str, sweep: Sweep) -> str:
    """
    Return *expression*, and what fires of *alert* for as long as *sweep* is on, but not fresh.

    Nothing is known then, so its value is not a number. What fired so before Prometheus was
    restarted counts, too.
    """
    firing = f"ALERTS{{{equal('alertname', alert)}, {equal('alertstate', 'firing')}}}"
    unread = f"{selector(c.SWEEP_FRESH, equal('sweep', sweep))} == 0"
    return f"""\
{expression}
or on ({_ONE_ALERT})
(
  max without (alertname, alertstate) (
    last_over_time((
      {firing}
      unless on ({ONE_HUB}) {is_fresh(sweep)}
    )[{RESTART_MEMORY}:1m])
  )
  and on ({ONE_HUB}) ({unread} or on ({ONE_HUB}) {MISSING_HUBS})
  unless on ({ONE_HUB}) {is_fresh(sweep)}
) * NaN"""


def with_hub_labels(expression: str) -> str:
    """Return *expression* with the labels of its hub."""
    return f"""\
(
{block(expression)}
)
* on ({ONE_HUB}) group_left ({HUB_LABELS}) {HUB_INFO}"""
