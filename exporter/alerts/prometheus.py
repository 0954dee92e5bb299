"""The rules as a file of Prometheus, and labels, annotations and YAML that Grafana's share."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby

import yaml

from exporter.alerts.model import Alert, Board, filled
from exporter.alerts.shared import (
    EXPORTER_URL,
    GRAFANA_URL,
    RECORDINGS,
    held,
    kept_for,
    with_hub_labels,
)
from exporter.alerts.table import DEFAULTS, chosen

Document = Mapping[str, object]


class _Writer(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 # the signature of the base
        """Indent lists below their keys, as rules are usually written."""
        super().increase_indent(flow, indentless=False)


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def written(document: Document) -> str:
    """Return *document* as readable YAML: multi-line texts as blocks, keys in the given order."""
    text: str = yaml.dump(
        document, Dumper=_Writer, sort_keys=False, width=math.inf, allow_unicode=True
    )
    return text


_RUNBOOKS = "/runbooks/"
_OWN_LINKS = ("dashboard_url", "page_url")
# `urlquery` writes a space as +, which means a space in a query only.
_IN_PATH = '{{ $labels.task_hub | urlquery | reReplaceAll "\\\\+" "%20" }}'
_VARIABLES = {
    Board.FLEET: (),
    Board.HUB: ("task_hub",),
    Board.ORCHESTRATOR: ("task_hub", "orchestrator"),
    Board.ENTITIES: ("task_hub", "entity"),
    Board.EXPORTER: ("task_hub",),
}
# Targets need not have them; templates of Prometheus and Grafana differ in a missing label.
_OPTIONAL_VARIABLES = ("cluster", "namespace", "job")

_UNKNOWN = {
    "summary": "Status unknown: task hub {{ $labels.task_hub }} has stale data",
    "description": "Task hub {{ $labels.task_hub }} has stale data, so it is unknown"
    " whether this is over: the alert keeps firing until a sweep completes. First run"
    " `durable-exporter check`.",
}


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels that the rule sets; an empty one removes a label."""
    severity = "{{ $labels.severity }}" if alert.severity.is_of_series else alert.severity.value
    return {"severity": severity, **dict.fromkeys(alert.cause_labels, "")}


def annotations_of(alert: Alert) -> dict[str, str]:
    """Return the annotations, with placeholders of parameters and templates of Prometheus."""
    page = f"{EXPORTER_URL}/hubs/{_IN_PATH}" if alert.of_hub else f"{EXPORTER_URL}/"
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{EXPORTER_URL}{_RUNBOOKS}{alert.full_name}",
        "dashboard_url": _dashboard(alert),
        "page_url": page,
    }


def with_links(annotations: Mapping[str, str]) -> dict[str, str]:
    """
    Return filled-in *annotations* without dead links.

    Without `exporter_url` or `grafana_url` a link is only a path: then the runbook is named by its
    page in the documentation, and the others are left out.
    """
    return {
        name: f"docs{text}.md" if text.startswith(_RUNBOOKS) else text
        for name, text in annotations.items()
        if name not in _OWN_LINKS or not text.startswith("/")
    }


def also_unknown(alert: Alert, annotations: Mapping[str, str]) -> dict[str, str]:
    """
    Return *annotations* with a text for when *alert* keeps firing without data.

    Its value is NaN then, which does not equal itself.
    """
    if alert.sweep is None:
        return dict(annotations)
    known = "{{ if eq $value $value }}"
    return {
        **annotations,
        **{
            name: f"{known}{annotations[name]}{{{{ else }}}}{unknown}{{{{ end }}}}"
            for name, unknown in _UNKNOWN.items()
        },
    }


def _dashboard(alert: Alert) -> str:
    url = f"{GRAFANA_URL}/d/durable-functions-{alert.board}"
    names = _VARIABLES[alert.board] if alert.of_hub else ()
    query = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in names)
    places = "".join(
        f"{{{{ with $labels.{name} }}}}&var-{name}={{{{ . | urlquery }}}}{{{{ end }}}}"
        for name in _OPTIONAL_VARIABLES
    )
    return f"{url}?{query}{places}" if query else url


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

    It leaves out the alerts *without*, and of the opt-in alerts all but *opted*, by full names.
    """
    return _HEADING + written(document(values, alerts=chosen(without=without, opted=opted)))


def document(
    values: Mapping[str, str] = DEFAULTS,
    *,
    alerts: Iterable[Alert],
    literal: Literal = _as_it_is,
) -> Document:
    """
    Return the content of a file of rules.

    Values are inserted as they are, so they may be expressions of another template language, such
    as a chart's; *literal* then escapes the rest of the text for that language.
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
    """Return the whole expression of *alert*, with placeholders of parameters and recordings."""
    own = with_hub_labels(alert.expression) if alert.of_hub else alert.expression
    return held(own, alert.full_name, alert.sweep) if alert.sweep else own
