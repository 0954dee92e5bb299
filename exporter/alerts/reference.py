"""The reference page of the alerts, written from the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.alerts.inhibition import INHIBITIONS
from exporter.alerts.model import Alert, Parameter
from exporter.alerts.shared import RECORDINGS, SHARED
from exporter.alerts.table import ALERTS

_INTRODUCTION = """\
# Alerts

Every alert, from the table in `exporter/alerts/`. This page is generated: `make docs` regenerates
it, and with it the files that are shipped:

| file | what it is |
|---|---|
| `prometheus/durable-functions.rules.yaml` | rules for Prometheus, 2.42 or newer |
| `prometheus/alertmanager-inhibition.yaml` | inhibition rules for Alertmanager |
| `grafana/alerting/durable-functions.yaml` | instead, for Grafana's own alerting, 10 or newer |

`durable-exporter rules` prints them with other thresholds, or without some of the alerts:

```sh
durable-exporter rules --set pending_stuck_for=15m --set hub_labels=team,environment \\
  --set exporter_url=https://durable.example.com --disable NothingStarted > rules.yaml
durable-exporter rules --list
```

## How they behave

**Severities.** `critical` may page, `warning` is for working hours, `info` is a fact to look up. A
limit that nobody configured never pages: alerts of the severity *by limit* are `critical` only
where the limit behind them was configured for the hub or the orchestrator, else `warning`.

**Data that is old raises nothing.** An alert about what a hub holds looks only at replicas whose
sweep is fresh. What is wrong with reading has alerts of its own.

**A hub that dies in the middle of an incident does not resolve it.** Alerts keep firing until a
fresh sweep clears them, whatever happens to their data; their value is then `NaN`, since it is
unknown. HubUnreachable fires meanwhile, and the inhibition rules suppress the rest. They end when
the hub is read again, or `hold` after the exporter was last scraped. The rules see what fired in
the series `ALERTS`, which Prometheus itself writes. Grafana's own alerting cannot look back like
that: there, an alert ends with its data.

**Replicas count once.** Gauges are folded by their maximum, points in time by the oldest or latest,
counters after `increase`. Each replica is judged by its own freshness. Two that see the same hub
neither double a number nor fire twice.

**Hubs of two exporters are two hubs**, even if they are called the same, as in test and production:
what happens to one neither raises, keeps nor inhibits an alert of the other. `target_labels` names
the exporter that a hub belongs to: labels that Prometheus gives all targets of one exporter alike
belong there, those that differ from pod to pod belong in `replica_labels`. Load the rules once:
they cover every exporter that is scraped.

**Labels.** An alert of a hub carries `task_hub`, and of an orchestrator or entity its name, in
addition to the target's own labels (`job`, `namespace`). `owner` and `team` of the setting `labels`
come with it, for routing; `hub_labels` names others. Hubs without them fire all the same.

**`_other` raises nothing**: the names that share it have nothing in common. That there are any is
an alert.

**Texts** begin with the number, and say what to do first. Each alert links its runbook, a
dashboard, and the hub's page at the exporter (`runbook_url`, `dashboard_url`, `page_url`), below
`exporter_url` and `grafana_url`.
"""

_GRAFANA = """\
Grafana's own alerting has no inhibition rules: give such alerts a notification policy, or send them
to an Alertmanager.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            _INTRODUCTION,
            "## All alerts",
            "",
            *_alerts(),
            "",
            "## Inhibition rules",
            "",
            *_inhibitions(),
            "",
            _GRAFANA,
            "## Parameters",
            "",
            "Numbers whose names end in `_seconds` are seconds, since PromQL compares numbers;",
            "durations are as Prometheus writes them.",
            "",
            "### Of all alerts",
            "",
            *_parameters(SHARED),
            *_of_groups(),
            "",
            "## Recording rules",
            "",
            *_recordings(),
            "",
        ]
    )


def _alerts() -> Iterable[str]:
    yield "| alert | severity | fires when | for |"
    yield "|---|---|---|---|"
    for alert in ALERTS:
        link = f"[{alert.name}](runbooks/{alert.full_name}.md)"
        yield f"| {link} | {alert.severity} | {alert.when} | `{alert.wait.default}` |"


def _inhibitions() -> Iterable[str]:
    yield "| while this fires | these are suppressed | with the same | because |"
    yield "|---|---|---|---|"
    for one in INHIBITIONS:
        targets = _names(one.targets)
        equal = ", ".join(f"`{label}`" for label in one.labels())
        yield f"| {_names(one.sources)} | {targets} | {equal} | {one.reason} |"


def _names(alerts: Sequence[Alert]) -> str:
    return ", ".join(alert.name for alert in alerts)


def _of_groups() -> Iterable[str]:
    for group in dict.fromkeys(alert.group for alert in ALERTS):
        alerts = [alert for alert in ALERTS if alert.group == group]
        parameters = [parameter for alert in alerts for parameter in alert.own_parameters]
        yield from ("", f"### Of the group {group}", "", *_parameters(parameters))


def _parameters(parameters: Iterable[Parameter]) -> Iterable[str]:
    yield "| parameter | is a | default | reason |"
    yield "|---|---|---|---|"
    for one in parameters:
        yield f"| `{one.name}` | {one.kind} | `{one.default}` | {one.reason} |"


def _recordings() -> Iterable[str]:
    yield "| recording rule | what it is good for |"
    yield "|---|---|"
    for recording in RECORDINGS:
        yield f"| `{recording.name}` | {recording.reason} |"
