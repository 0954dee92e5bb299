"""Parameters and recording rules that alerts share."""

from __future__ import annotations

from exporter.alerts.model import Kind, Parameter, Recording, duration, number
from exporter.collector.snapshot import Sweep
from exporter.metrics import catalogue as c

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
    " are the same for one of them alone. One that no series has does no harm.",
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
    "http://localhost:10771",
    "Where people reach the exporter: its pages and runbooks are linked from every alert.",
)
GRAFANA_URL = Parameter(
    "grafana_url",
    Kind.URL,
    "http://localhost:3000",
    "Where people reach Grafana: the dashboards are linked from every alert.",
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
    "Severity of what is over a configured limit: somebody chose it on purpose."
    " Over a default limit it is a warning.",
)
FRESH_INTERVALS = number(
    "fresh_intervals",
    3,
    "Intervals within which a sweep must have completed for its data to raise an alert: one that"
    " fails now and then hides nothing, and data that is no longer read raises nothing new.",
)
FRESH_GRACE = number(
    "fresh_grace_seconds",
    60,
    "Added to these intervals for the scrape and the evaluation, which matter where sweeps are"
    " seconds apart.",
)
KEEP_FIRING_FOR = duration(
    "keep_firing_for",
    "5m",
    "How long an alert keeps firing once its condition is gone: bridges a scrape that fails, and"
    " values around a threshold.",
)
HOLD = duration(
    "hold",
    "2h",
    "How long an alert keeps firing after the exporter was last scraped: nothing shows then that"
    " all is well. While it is scraped, but the hub cannot be read, it never ends.",
)

SHARED: tuple[Parameter, ...] = (
    EXPORTER_URL,
    GRAFANA_URL,
    GRAFANA_DATASOURCE,
    HUB_LABELS,
    REPLICA_LABELS,
    TARGET_LABELS,
    CONFIGURED_SEVERITY,
    FRESH_INTERVALS,
    FRESH_GRACE,
    KEEP_FIRING_FOR,
    HOLD,
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


def _fresh(sweep: Sweep) -> Recording:
    completed = f'{c.LAST_SWEEP.name}{{sweep="{sweep}"}}'
    interval = f'{c.SWEEP_INTERVAL.name}{{sweep="{sweep}"}}'
    return Recording(
        f"durable_functions:fresh_{sweep}:last",
        f"""\
{completed}
and
time() - {completed}
  < {FRESH_INTERVALS} * {interval} + {FRESH_GRACE}""",
        f"When the sweep `{sweep}` last completed, of each replica, while that is fresh: what the"
        " sweep feeds raises alerts only with it.",
    )


FRESH: dict[Sweep, Recording] = {sweep: _fresh(sweep) for sweep in Sweep}
RECORDINGS: tuple[Recording, ...] = (HUB_INFO, *FRESH.values())
