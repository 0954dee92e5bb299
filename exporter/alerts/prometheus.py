"""The rules as a file of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby

from exporter.alerts.expressions import held, with_hub_labels
from exporter.alerts.model import Alert, filled
from exporter.alerts.shared import KEEP_FIRING_FOR, RECORDINGS
from exporter.alerts.table import ALERTS, DEFAULTS
from exporter.alerts.texts import also_unknown, annotations_of, labels_of
from exporter.alerts.yaml_text import Document, written

GROUP_PREFIX = "durable-functions"
_HEADING = """\
# Rules for Prometheus 2.42 or newer, of the Durable Functions exporter.
# Written by `durable-exporter rules`, which also changes thresholds: see docs/alerts.md.
"""
RECORDED: Mapping[str, str] = {recording.name: recording.name for recording in RECORDINGS}
Literal = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def rules(values: Mapping[str, str] = DEFAULTS, *, without: Collection[str] = ()) -> str:
    """Return the file of rules, with *values* of all parameters, *without* the alerts so named."""
    return _HEADING + written(document(values, without=without))


def document(
    values: Mapping[str, str] = DEFAULTS,
    *,
    without: Collection[str] = (),
    literal: Literal = _as_it_is,
) -> Document:
    """
    Return what the file of rules holds.

    A value takes its place as it is, so it may be an expression of another template language, such
    as a chart's; *literal* then keeps that language from reading the rest of the text.
    """
    kept = [alert for alert in ALERTS if alert.full_name not in without]
    return {
        "groups": [
            {"name": f"{GROUP_PREFIX}-recordings", "rules": list(recordings(values, literal))},
            *(
                {
                    "name": f"{GROUP_PREFIX}-{name}",
                    "rules": [rule(alert, values, literal) for alert in alerts],
                }
                for name, alerts in groupby(kept, key=lambda alert: alert.group)
            ),
        ]
    }


def recordings(
    values: Mapping[str, str] = DEFAULTS, literal: Literal = _as_it_is
) -> Iterable[Document]:
    """Yield the recording rules."""
    for recording in RECORDINGS:
        expression = filled(literal(recording.expression), {**values, **RECORDED})
        yield {"record": recording.name, "expr": expression}


def rule(
    alert: Alert, values: Mapping[str, str] = DEFAULTS, literal: Literal = _as_it_is
) -> Document:
    """Return the rule of *alert*; *literal* as for `document`."""

    def text(template: str) -> str:
        return filled(literal(template), {**values, **RECORDED})

    kept = {"keep_firing_for": text(str(KEEP_FIRING_FOR))} if alert.is_kept else {}
    return {
        "alert": alert.full_name,
        "expr": text(expression(alert)),
        "for": text(str(alert.wait)),
        **kept,
        "labels": {name: text(template) for name, template in labels_of(alert).items()},
        "annotations": {
            name: text(template)
            for name, template in also_unknown(alert, annotations_of(alert)).items()
        },
    }


def expression(alert: Alert) -> str:
    """Return the whole expression of *alert*, with places of parameters and recordings."""
    own = with_hub_labels(alert.expression) if alert.of_hub else alert.expression
    return held(own, alert.full_name, alert.sweep) if alert.sweep else own
