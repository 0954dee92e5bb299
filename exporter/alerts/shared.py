"""Parameters and recording rules that alerts share."""

from __future__ import annotations

from exporter.alerts.model import Alert, Kind, Parameter, Recording, duration
from exporter.api.errors import ErrorKind
from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c
from exporter.metrics.promql import equal, selector

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
