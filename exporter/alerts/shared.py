"""Parameters, recording rules and expressions that alerts share."""

from __future__ import annotations

from textwrap import indent

from exporter.alerts.model import Alert, Kind, Parameter, Recording, Severity, duration
from exporter.api.errors import ErrorKind
from exporter.collector.snapshot import Sweep
from exporter.ledger.status import RuntimeStatus
from exporter.metrics import catalogue as c
from exporter.metrics.family import Family
from exporter.metrics.promql import equal, selector, without

REPLICA_LABELS = Parameter(
    "replica_labels",
    Kind.SOME_LABELS,
    "instance, pod",
    "Labels that distinguish replicas of one exporter, whose series are folded, not summed.",
)
TARGET_LABELS = Parameter(
    "target_labels",
    Kind.SOME_LABELS,
    "cluster, namespace, job",
    "Labels that distinguish exporters, for example of test and production: the same hub name in"
    " two exporters means two hubs. Labels that no series has do no harm, but inhibition rules"
    " treat labels absent from both alerts as equal.",
)
HUB_LABELS = Parameter(
    "hub_labels",
    Kind.LABELS,
    "owner, team",
    "Labels of the setting `labels` that every alert of a hub carries, for routing; those that a"
    " hub lacks are omitted.",
)
EXPORTER_URL = Parameter(
    "exporter_url",
    Kind.URL,
    "",
    "Address of the exporter, for links to status pages and runbooks. Empty: runbooks of the"
    " documentation, and no status page.",
)
GRAFANA_URL = Parameter(
    "grafana_url",
    Kind.URL,
    "",
    "Address of Grafana, for links to dashboards. Empty: no such links.",
)
GRAFANA_DATASOURCE = Parameter(
    "grafana_datasource",
    Kind.TEXT,
    "prometheus",
    "Uid of the data source that Grafana's rules query; Prometheus' rules need none.",
)
CONFIGURED_SEVERITY = Parameter(
    "configured_severity",
    Kind.SEVERITY,
    "critical",
    "Severity of alerts on `age`, `success`, or an orchestrator's own `pending` or `idle` (the"
    " hub's: a warning).",
)
KEEP_FIRING_FOR = duration(
    "keep_firing_for",
    "5m",
    "How long most alerts fire after their condition ends: bridges failed scrapes, and values"
    " around a threshold. Alerts of removed hubs last as long, too.",
)

EXPORTER_MEMORY = duration(
    "exporter_memory",
    "6h",
    "How long a vanished exporter is reported as missing, and alerts of its hubs keep firing:"
    " nothing shows that they are over.",
)
RESTART_MEMORY = duration(
    "restart_memory",
    "20m",
    "How long a restart of Prometheus may interrupt alerts of hubs that cannot be read, including"
    " the `for` of the alert.",
)

SHARED: tuple[Parameter, ...] = (
    EXPORTER_URL,
    GRAFANA_URL,
    GRAFANA_DATASOURCE,
    HUB_LABELS,
    REPLICA_LABELS,
    TARGET_LABELS,
    CONFIGURED_SEVERITY,
    KEEP_FIRING_FOR,
    EXPORTER_MEMORY,
    RESTART_MEMORY,
)

# The labels that identify a hub, and an orchestrator.
ONE_HUB = f"task_hub, {TARGET_LABELS}"
ONE_ORCHESTRATOR = f"task_hub, orchestrator, {TARGET_LABELS}"

HUB_INFO = Recording(
    "durable_functions:hub_info:max",
    f"""\
topk by ({ONE_HUB}) (1, max without ({REPLICA_LABELS}) ({c.HUB_INFO.name}))
or on ({ONE_HUB})
max by ({ONE_HUB}) ({c.UP.name} * 0 + 1)""",
    "One series per hub, however many replicas show it, to join the hub's labels; hubs without"
    " labels have one, too.",
)

MAX_SHARDS = 16
_OF_SHARDS = "\nor\n".join(
    f"count by (shards, {TARGET_LABELS}) ("
    f"group by (shard, shards, {TARGET_LABELS})"
    f" ({selector(c.SHARD_INFO, equal('shards', shards))})"
    f") < {shards}"
    for shards in range(2, MAX_SHARDS + 1)
)
MISSING_SHARDS = Recording(
    "durable_functions:shards_present:count",
    _OF_SHARDS,
    f"Number of scraped shards, for exporters with missing ones (of up to {MAX_SHARDS}).",
)
# A sample every five minutes suffices, and reads a tenth.
_SHOWN = f"last_over_time({c.HUB_INFO.name}[{EXPORTER_MEMORY}:5m])"
MISSING_HUBS = Recording(
    "durable_functions:missing_hub:group",
    f"""group by ({ONE_HUB}) (
  {_SHOWN}
  unless on ({ONE_HUB}) {c.UP.name}
  unless on ({TARGET_LABELS}) (
    {c.BUILD_INFO.name}
    unless on ({TARGET_LABELS}) {MISSING_SHARDS}
  )
  unless on (task_hub, function_app, hub_name) {c.HUB_INFO.name}
)""",
    "Hubs that are not shown because their exporter, or a shard of it, is missing; except those"
    " removed from the configuration or shown by another exporter.",
)
STOPPED = selector(c.HUB_ERROR, equal("kind", ErrorKind.STOPPED))
_STOP_LIMIT = selector(c.LIMIT, equal("limit", "stopped"), equal("orchestrator", ""))
UNREAD_HUBS = Recording(
    "durable_functions:unread_hub:max",
    f"""\
max without ({REPLICA_LABELS}) ({c.UP.name}) == 0
and on ({ONE_HUB}) {c.HUB_ERROR.name}
unless on ({ONE_HUB}) {selector(c.SWEEP_FRESH, equal("sweep", Sweep.ACTIVE))} == 1
unless on ({ONE_HUB}) (
  {STOPPED}
  unless on ({ONE_HUB}) {_STOP_LIMIT}
)""",
    "Hubs that no replica has read for three intervals and a minute, except stopped ones with"
    " `may_stop`. Hubs not yet tried do not count.",
)
RECORDINGS: tuple[Recording, ...] = (HUB_INFO, MISSING_SHARDS, MISSING_HUBS, UNREAD_HUBS)


def kept_for(alert: Alert) -> Parameter | None:
    """Return how long *alert* keeps firing after its condition ends, None for not at all."""
    return alert.outlasts or (KEEP_FIRING_FOR if alert.sweep is not None else None)


# Names that share the label `_other` have nothing in common, so no alert covers them.
_LABELS_OF_NAMES = ("orchestrator", "entity")
# The labels that distinguish the series of one alert, apart from those that it adds.
_ONE_ALERT = f"task_hub, orchestrator, entity, {TARGET_LABELS}"
_LONGEST_INSIDE = 60


def by_number(one: str, more: str) -> str:
    """Return the template of *one* if the alert's value rounds to 1, else of *more*."""
    return '{{ if eq (printf "%.0f" $value) "1" }}' + one + "{{ else }}" + more + "{{ end }}"


def instances(of: str, one: str = "is", more: str = "are") -> str:
    """Return the template of a count of instances and of the verb that agrees with it."""
    return f"{{{{ $value }}}} {by_number('instance', 'instances')} {of} {by_number(one, more)} "


def block(expression: str) -> str:
    """Return *expression* indented, for between brackets on their own lines."""
    return indent(expression, "  ")


def selected(family: Family, *matchers: str, suffix: str = "") -> str:
    """Return the selector of *family* with *matchers*, without names that share `_other`."""
    named = [f'{label}!="_other"' for label in _LABELS_OF_NAMES if label in family.labels]
    return selector(family, *matchers, *named, suffix=suffix)


def folded(expression: str, *, by: str = "max", drop: str = "") -> str:
    """Return *expression* aggregated over replicas and the labels *drop*."""
    labels = f"{REPLICA_LABELS}, {drop}" if drop else f"{REPLICA_LABELS}"
    if "\n" in expression or len(expression) > _LONGEST_INSIDE:
        expression = f"\n{block(expression)}\n"
    return without(labels, expression, by=by)


def is_fresh(sweep: Sweep) -> str:
    """Return the replicas whose *sweep* is fresh, by the exporter's own clock."""
    return f"{selector(c.SWEEP_FRESH, equal('sweep', sweep))} == 1"


def while_fresh(expression: str, sweep: Sweep = Sweep.ACTIVE) -> str:
    """Return *expression*, of replicas whose *sweep* is fresh."""
    return f"{expression}\nand on ({ONE_HUB}, {REPLICA_LABELS}) {is_fresh(sweep)}"


def fresh(selector: str, sweep: Sweep = Sweep.ACTIVE, *, by: str = "max", drop: str = "") -> str:
    """Return *selector*, of replicas whose *sweep* is fresh, folded."""
    return folded(while_fresh(selector, sweep), by=by, drop=drop)


def labelled(expression: str, label: str, value: object) -> str:
    """Return *expression* with the *label* set to *value*."""
    return f"""\
label_replace(
{block(expression)},
  "{label}", "{value}", "", ""
)"""


def own_limit(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* of each orchestrator with its own; infinite for `none`."""
    limits = selected(family, equal("limit", limit), 'orchestrator!=""')
    return f"max by ({ONE_ORCHESTRATOR}) ({limits})"


def limit_of_hub(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* of each hub, for orchestrators without their own."""
    limits = selector(family, equal("limit", limit), equal("orchestrator", ""))
    return f"max by ({ONE_HUB}) ({limits})"


def limit_of_orchestrator(limit: str, family: Family = c.LIMIT) -> str:
    """Return the *limit* in force for each known orchestrator: its own, or the hub's."""
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
    Return *expression* with the label `severity`: a warning, unless the *limit* is configured.

    The families *known* have its orchestrators.
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
    Return *expression*, or the firing series of *alert* while *sweep* is not fresh.

    Their value is NaN, as nothing is known. Series that fired before a restart of Prometheus count.
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
