"""The rules as a file of Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

from exporter.alerts.expressions import held, with_hub_labels
from exporter.alerts.model import Alert, filled
from exporter.alerts.shared import KEEP_FIRING_FOR, RECORDINGS
from exporter.alerts.table import ALERTS, PARAMETERS
from exporter.alerts.texts import annotations_of, labels_of
from exporter.alerts.yaml_text import Document, written

_PREFIX = "durable-functions"
_HEADING = """\
# Rules for Prometheus 2.42 or newer, of the Durable Functions exporter.
# Written by `durable-exporter rules`, which also changes thresholds: see docs/alerts.md.
"""
DEFAULTS: Mapping[str, str] = {parameter.name: parameter.default for parameter in PARAMETERS}


def rules(values: Mapping[str, str] = DEFAULTS, *, without: Collection[str] = ()) -> str:
    """
    Return the file of rules, with *values* of all parameters, and *without* the alerts so named.

    A value goes into the text as it is, so it may be a template of somebody else's.
    """
    return _HEADING + written(document(values, without=without))


def document(values: Mapping[str, str] = DEFAULTS, *, without: Collection[str] = ()) -> Document:
    """Return what the file of rules holds."""
    texts = {**values, **{recording.name: recording.name for recording in RECORDINGS}}
    kept = [alert for alert in ALERTS if alert.full_name not in without]
    recorded = {"name": f"{_PREFIX}-recordings", "rules": list(_recordings(texts))}
    groups = [
        {"name": f"{_PREFIX}-{name}", "rules": [_rule(alert, texts) for alert in alerts]}
        for name, alerts in groupby(kept, key=_group)
    ]
    return {"groups": [recorded, *groups]}


def expression(alert: Alert) -> str:
    """Return the whole expression of *alert*, with places of parameters and recordings."""
    own = with_hub_labels(alert.expression) if alert.of_hub else alert.expression
    return held(own, alert.full_name, alert.sweep) if alert.sweep else own


def _group(alert: Alert) -> str:
    return alert.group


def _recordings(texts: Mapping[str, str]) -> Iterable[Document]:
    for recording in RECORDINGS:
        yield {"record": recording.name, "expr": filled(recording.expression, texts)}


def _rule(alert: Alert, texts: Mapping[str, str]) -> Document:
    rule = {
        "alert": alert.full_name,
        "expr": expression(alert),
        "for": str(alert.wait),
        "keep_firing_for": str(KEEP_FIRING_FOR) if alert.sweep else "",
    }
    return {
        **{key: filled(text, texts) for key, text in rule.items() if text},
        "labels": {key: filled(text, texts) for key, text in labels_of(alert).items()},
        "annotations": {key: filled(text, texts) for key, text in annotations_of(alert).items()},
    }
