"""The rules as a file of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby

from exporter.alerts.expressions import held, with_hub_labels
from exporter.alerts.model import Alert, filled
from exporter.alerts.shared import RECORDINGS, kept_for
from exporter.alerts.table import DEFAULTS, chosen
from exporter.alerts.texts import also_unknown, annotations_of, labels_of, with_links
from exporter.alerts.yaml_text import Document, written

GROUP_PREFIX = "durable-functions"
# They look back over hours of many series.
SLOW_GROUPS = ("trends",)
SLOW_INTERVAL = "5m"
_HEADING = """\
# Rules for Prometheus 2.42 or newer, of the Durable Functions exporter.
# Written by `durable-exporter rules`, which also changes thresholds: see docs/alerts.md.
"""
RECORDED: Mapping[str, str] = {recording.name: recording.name for recording in RECORDINGS}
Literal = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def rules(
    values: Mapping[str, str] = DEFAULTS,
    *,
    without: Collection[str] = (),
    opted: Collection[str] = (),
) -> str:
    """
    Return the file of rules, with *values* of all parameters.

    It has no alerts of *without*, and of those that are opt-in the *opted*; both by full names.
    """
    return _HEADING + written(document(values, alerts=chosen(without=without, opted=opted)))


def document(
    values: Mapping[str, str] = DEFAULTS,
    *,
    alerts: Iterable[Alert],
    literal: Literal = _as_it_is,
) -> Document:
    """
    Return what a file of rules holds.

    A value takes its place as it is, so it may be an expression of another template language, such
    as a chart's; *literal* then keeps that language from reading the rest of the text.
    """
    return {
        "groups": [
            {"name": f"{GROUP_PREFIX}-recordings", "rules": list(recordings(values, literal))},
            *(
                {
                    "name": f"{GROUP_PREFIX}-{name}",
                    **({"interval": SLOW_INTERVAL} if name in SLOW_GROUPS else {}),
                    "rules": [rule(alert, values, literal) for alert in of_group],
                }
                for name, of_group in groupby(alerts, key=lambda alert: alert.group)
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

    kept = kept_for(alert)
    return {
        "alert": alert.full_name,
        "expr": text(expression(alert)),
        "for": text(str(alert.wait)),
        **({"keep_firing_for": text(str(kept))} if kept else {}),
        "labels": {name: text(template) for name, template in labels_of(alert).items()},
        "annotations": with_links(
            {
                name: text(template)
                for name, template in also_unknown(alert, annotations_of(alert)).items()
            }
        ),
    }


def expression(alert: Alert) -> str:
    """Return the whole expression of *alert*, with places of parameters and recordings."""
    own = with_hub_labels(alert.expression) if alert.of_hub else alert.expression
    return held(own, alert.full_name, alert.sweep) if alert.sweep else own
