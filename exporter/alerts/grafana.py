"""The rules as a provisioning file of Grafana's own alerting."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import groupby

from exporter.alerts.model import Alert, filled
from exporter.alerts.prometheus import (
    SLOW_GROUPS,
    SLOW_INTERVAL,
    Document,
    annotations_of,
    labels_of,
    with_links,
    written,
)
from exporter.alerts.shared import GRAFANA_DATASOURCE, RECORDINGS, kept_for, with_hub_labels
from exporter.alerts.table import DEFAULTS, chosen

_HEADING = """\
# Alert rules for Grafana 10 or newer, of the Durable Functions exporter.
# Written by `durable-exporter rules --format grafana`: see docs/alerts.md.
"""
_FOLDER = "Durable Functions"
_INTERVAL = "1m"
_LOOKED_AT_SECONDS = 600
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def provisioning(
    values: Mapping[str, str] = DEFAULTS,
    *,
    without: Collection[str] = (),
    opted: Collection[str] = (),
) -> str:
    """Return the file; the arguments are those of `exporter.alerts.prometheus.rules`."""
    kept = chosen(without=without, opted=opted)
    groups = [
        {
            "orgId": 1,
            "name": name,
            "folder": _FOLDER,
            "interval": SLOW_INTERVAL if name in SLOW_GROUPS else _INTERVAL,
            "rules": [_rule(alert, values) for alert in alerts],
        }
        for name, alerts in groupby(kept, key=lambda alert: alert.group)
    ]
    return _HEADING + written({"apiVersion": 1, "groups": groups})


def uid(alert: Alert) -> str:
    """Return the uid of the rule: at most 40 characters, Grafana's limit."""
    return f"durable-{_WORD.sub('-', alert.name).lower()}"


def _rule(alert: Alert, values: Mapping[str, str]) -> Document:
    kept = kept_for(alert)
    return {
        "uid": uid(alert),
        "title": alert.full_name,
        "condition": "B",
        "data": [_query(alert, values), _condition()],
        # Expressions return nothing if nothing is wrong.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": filled(str(alert.wait), values),
        **({"keepFiringFor": filled(str(kept), values)} if kept else {}),
        # Grafana expands environment variables in labels, but not in annotations.
        "labels": {
            name: filled(_with_values(text), values).replace("$", "$$")
            for name, text in labels_of(alert).items()
        },
        "annotations": with_links(
            {
                name: filled(_with_values(text), values)
                for name, text in annotations_of(alert).items()
            }
        ),
    }


def _query(alert: Alert, values: Mapping[str, str]) -> Document:
    """Return the query with recording rules inlined, which the data source may not have."""
    expression = with_hub_labels(alert.expression) if alert.of_hub else alert.expression
    recorded: dict[str, str] = {}
    for recording in RECORDINGS:  # a later one may name an earlier one
        text = filled(recording.expression, {**values, **recorded})
        recorded[recording.name] = f"(\n{text}\n)"
    return {
        "refId": "A",
        "relativeTimeRange": {"from": _LOOKED_AT_SECONDS, "to": 0},
        "datasourceUid": filled(str(GRAFANA_DATASOURCE), values),
        "model": {
            "refId": "A",
            "expr": filled(expression, {**values, **recorded}),
            "instant": True,
            "range": False,
        },
    }


def _condition() -> Document:
    """Return the condition that fires for each series of the query, even with the value 0."""
    return {
        "refId": "B",
        "relativeTimeRange": {"from": _LOOKED_AT_SECONDS, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": "B", "type": "math", "expression": "$A * 0 + 1"},
    }


def _with_values(text: str) -> str:
    return text.replace("$value", "$values.A.Value")
