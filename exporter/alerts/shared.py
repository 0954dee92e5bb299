"""Parameters and recording rules that alerts share."""

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
    "What distinguishes replicas of one exporter. They see the same hub, so they are folded, never"
    " added up.",
)
TARGET_LABELS = Parameter(
    "target_labels",
    Kind.SOME_LABELS,
    "cluster, namespace, job",
    "What distinguishes exporters, of test and production for example: hubs of the same name"
    " are the same for one of them alone. One that no series has does no harm here; in inhibition"
    " rules, one that neither alert has counts as the same.",
)
HUB_LABELS = Parameter(
    "hub_labels",
    Kind.LABELS,
    "owner, team",
    "Labels of the setting `labels` that every alert of a hub carries, to be routed by; one that a"
    " hub does not have is left out.",
)
EXPORTER_URL = Parameter(
    "exporter_url",
    Kind.URL,
    "",
    "Where people reach the exporter: every alert links its page and runbook there. Empty: the"
    " runbook of the documentation, and no page.",
)
GRAFANA_URL = Parameter(
    "grafana_url",
    Kind.URL,
    "",
    "Where people reach Grafana: every alert links a dashboard there. Empty: none.",
)
GRAFANA_DATASOURCE = Parameter(
    "grafana_datasource",
    Kind.TEXT,
    "prometheus",
    "Uid of the data source that the rules of Grafana ask; rules of Prometheus need none.",
)
CONFIGURED_SEVERITY = Parameter(
    "configured_severity",
    Kind.SEVERITY,
    "critical",
    "Severity of what is over a limit that was chosen on purpose: one that is none by default, or"
    " an orchestrator's own. Over a default limit it is a warning.",
)
KEEP_FIRING_FOR = duration(
    "keep_firing_for",
    "5m",
    "How long an alert keeps firing once its condition is gone: bridges a scrape that fails, and"
    " values around a threshold. With it, the alerts of a hub that was removed end within 10"
    " minutes.",
)

EXPORTER_MEMORY = duration(
    "exporter_memory",
    "6h",
    "How long an exporter that is no longer scraped is missed by name, and what fires of its hubs"
    " keeps firing: nothing shows then that all is well.",
)
RESTART_MEMORY = duration(
    "restart_memory",
    "20m",
    "How long ago an alert may have fired that keeps firing since its hub cannot be read: longer"
    " than a restart of Prometheus and the `for` of any alert.",
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

# What series of one hub, or of one orchestrator there, have in common.
ONE_HUB = f"task_hub, {TARGET_LABELS}"
ONE_ORCHESTRATOR = f"task_hub, orchestrator, {TARGET_LABELS}"

HUB_INFO = Recording(
    "durable_functions:hub_info:max",
    f"""\
topk by ({ONE_HUB}) (1, max without ({REPLICA_LABELS}) ({c.HUB_INFO.name}))
or on ({ONE_HUB})
max by ({ONE_HUB}) ({c.UP.name} * 0 + 1)""",
    "One row per hub, whatever its replicas say, to join labels of the hub with; a hub without"
    " them has a row too.",
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
    f"How many shards are scraped, of exporters of which shards are missing (of up to"
    f" {MAX_SHARDS}).",
)
# Every five minutes of the memory are enough, and read a tenth.
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
    "Hubs that nobody shows any more, since their exporter, or a shard of it, is missing. One that"
    " was removed from the configuration is none of them, nor one that another exporter shows now.",
)
_STOPPED = selector(c.HUB_ERROR, equal("kind", ErrorKind.STOPPED))
_STOP_LIMIT = selector(c.LIMIT, equal("limit", "stopped"), equal("orchestrator", ""))
UNREAD_HUBS = Recording(
    "durable_functions:unread_hub:max",
    f"""\
max without ({REPLICA_LABELS}) ({c.UP.name}) == 0
and on ({ONE_HUB}) {c.HUB_ERROR.name}
unless on ({ONE_HUB}) {selector(c.SWEEP_FRESH, equal("sweep", Sweep.ACTIVE))} == 1
unless on ({ONE_HUB}) (
  {_STOPPED}
  unless on ({ONE_HUB}) {_STOP_LIMIT}
)""",
    "Hubs that no replica has read for three intervals and a minute, but those that are stopped and"
    " may be. One that is read for the first time has no error yet.",
)
RECORDINGS: tuple[Recording, ...] = (HUB_INFO, MISSING_SHARDS, MISSING_HUBS, UNREAD_HUBS)


def kept_for(alert: Alert) -> Parameter | None:
    """Return how long *alert* keeps firing once its condition is gone, None for not at all."""
    return alert.outlasts or (KEEP_FIRING_FOR if alert.sweep is not None else None)


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
