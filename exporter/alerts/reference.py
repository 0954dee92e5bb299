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
  --set exporter_url=https://durable.example.com --disable Throttled > rules.yaml
durable-exporter rules --enable NothingStarted DurationRegression > rules.yaml
durable-exporter rules --list
```

Three alerts are opt-in, as they compare with the past: whether that is regular only you know.
`--enable` adds them, or `optIn` of the chart's `prometheusRule`.

## How they behave

**Severities.** `critical` may page, `warning` is for working hours. A default limit never pages:
alerts of the severity *by limit* are `critical` only where the orchestrator has a limit of its own,
else `warning`; *as configured* ones have a limit that is none by default. HubUnreachable is *by
cause*: a stopped app is a warning for as long as `limits.stopped` allows.

**The cause is in the text, not in a label.** One alert per orchestrator or hub says what is wrong
most; when that changes, the alert and its `for` continue.

**Data that is old raises nothing.** An alert about what a hub holds looks only at replicas whose
sweep is fresh, as the exporter itself says (`durable_functions_exporter_sweep_fresh`): clocks do
not matter. What is wrong with reading has alerts of its own.

**A hub that dies in the middle of an incident does not resolve it.** Alerts keep firing until a
fresh sweep clears them, whatever happens to their data; their value is then `NaN`, since it is
unknown. HubUnreachable fires meanwhile, and the inhibition rules suppress the rest. The same holds
where the exporter, or a shard of it, is not scraped, for as long as `exporter_memory`. A hub that
was removed from the configuration, or that another exporter shows now, ends its alerts within 10
minutes. The rules see what fired in the series `ALERTS`, which Prometheus itself writes. Grafana's
own alerting cannot look back like that: there, an alert ends with its data.

**After a restart of Prometheus** such an alert is pending once more for its `for`, and then fires
again: what fired within `restart_memory` is remembered. Alertmanager resolves an alert that it has
not heard of for four minutes, so with the default flags of Prometheus a restart may send *resolved*
and *firing*, for these as for every alert whose `for` is shorter than 10 minutes. Start it with
`prometheus --rules.alert.for-grace-period=1m`, and it restores what was firing instead.

**Replicas count once.** Gauges are folded by their maximum, points in time by the oldest or latest,
counters after `increase`. Each replica is judged by its own freshness. Two that see the same hub
neither double a number nor fire twice.

**Hubs of two exporters are two hubs**, even if they are called the same, as in test and production:
what happens to one neither raises, keeps nor inhibits an alert of the other. `target_labels` names
the exporter that a hub belongs to: labels that Prometheus gives all targets of one exporter alike
belong there, those that differ from pod to pod belong in `replica_labels`. Load the rules once:
they cover every exporter that is scraped.

**Two Prometheus servers at one Alertmanager** distinguish their alerts by external labels, which no
series has. Add them for the inhibition rules, or a hub of test inhibits its namesake of production:
`durable-exporter rules --format inhibition --set target_labels=cluster,namespace,job,env`. In the
list `equal` of an inhibition rule, a label that neither alert has counts as equal.

**Labels.** An alert of a hub carries `task_hub`, and of an orchestrator or entity its name, in
addition to the target's own labels (`job`, `namespace`). `owner` and `team` of the setting `labels`
come with it, for routing; `hub_labels` names others. Hubs without them fire all the same.

**`_other` raises nothing**: the names that share it have nothing in common. That there are any is
an alert.

**Texts** begin with the number, and say what to do first. Each alert links its runbook, a
dashboard, and the hub's page at the exporter (`runbook_url`, `dashboard_url`, `page_url`), below
`exporter_url` and `grafana_url`. Without these, `runbook_url` names the page of this documentation,
and there are no other links.
"""

_GRAFANA = """\
An alert that pages is never inhibited by a warning: where a source may be either, the file has two
rules. NoSuccess and ExporterDown are inhibited by nothing.

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
        severity = f"{alert.severity}, opt-in" if alert.opt_in else alert.severity.value
        yield f"| {link} | {severity} | {alert.when} | `{alert.wait.default}` |"


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
