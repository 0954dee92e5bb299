"""Labels and annotations of an alert."""

from collections.abc import Mapping

from exporter.alerts.model import Alert, Board
from exporter.alerts.shared import EXPORTER_URL, GRAFANA_URL

_RUNBOOKS = "/runbooks/"
_OWN_LINKS = ("dashboard_url", "page_url")
# `urlquery` writes a space as +, which is a space in a query alone.
_IN_PATH = '{{ $labels.task_hub | urlquery | reReplaceAll "\\\\+" "%20" }}'
_VARIABLES = {
    Board.FLEET: (),
    Board.HUB: ("task_hub",),
    Board.ORCHESTRATOR: ("task_hub", "orchestrator"),
    Board.ENTITIES: ("task_hub", "entity"),
    Board.EXPORTER: ("task_hub",),
}
# A scrape need not give them; what a template makes of a missing label differs.
_OPTIONAL_VARIABLES = ("cluster", "namespace", "job")

_UNKNOWN = {
    "summary": "Status unknown: task hub {{ $labels.task_hub }} cannot be read",
    "description": "Task hub {{ $labels.task_hub }} can no longer be read, so it is unknown"
    " whether this is over: it keeps firing until a sweep completes. First run"
    " `durable-exporter check`.",
}


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels that the rule adds; one that is empty takes a label away."""
    severity = "{{ $labels.severity }}" if alert.severity.is_of_series else alert.severity.value
    return {"severity": severity, **dict.fromkeys(alert.cause_labels, "")}


def annotations_of(alert: Alert) -> dict[str, str]:
    """Return the annotations, with places of parameters and templates of Prometheus."""
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
    Return filled-in *annotations* whose links lead somewhere.

    Where nobody knows where people reach the exporter or Grafana, a link has nothing but its path:
    the runbook is named by its page of the documentation then, and the others are left out.
    """
    return {
        name: f"docs{text}.md" if text.startswith(_RUNBOOKS) else text
        for name, text in annotations.items()
        if name not in _OWN_LINKS or not text.startswith("/")
    }


def also_unknown(alert: Alert, annotations: Mapping[str, str]) -> dict[str, str]:
    """
    Return *annotations* that say so where *alert* keeps firing and its number is unknown.

    Not a number is what equals not even itself.
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
